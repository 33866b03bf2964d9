// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Asks for the length of the newest episode before the first one is pushed, so that the duration is known.

use std::mem;

use client::{Event, Flushing, Query, RecordReader, View};
use media::time::Nanos;

use super::super::scope::Step;
use super::{CAT, Pass, Records, Source};
use crate::errors::ReadError;
use crate::reductsrc::episodes::Episode;

/// A look at the newest episode.
#[derive(Debug)]
pub(super) struct LastEpisode {
    reader: RecordReader,
    /// To be pushed afterwards.
    first: Episode,
    /// To continue with afterwards.
    records: Records,
}

impl Pass {
    /// Pushes an episode, the first one after a look at the newest.
    pub(super) fn push_episode(&mut self, episode: Episode) -> Result<(), gst::ErrorMessage> {
        let newest = (self.common.stats.extent.take_unknown_end())
            .filter(|_| !self.common.access.follows() && !self.common.access.depends_on_order());
        let source = mem::replace(&mut self.source, Source::Ended);
        match (newest, source) {
            (Some(newest), Source::Reading(records)) => {
                let newest = newest.useconds();
                let reader = RecordReader::new(
                    &self.common.access,
                    Query {
                        start: Some(newest),
                        stop: newest.checked_add(1),
                        view: View::Headers,
                        ..Query::default()
                    },
                );
                self.source = Source::LastEpisode(Box::new(LastEpisode {
                    reader,
                    first: episode,
                    records,
                }));
            }
            (_, source) => {
                self.source = source;
                self.steps.push_back(Step::Episode(episode.into()));
            }
        }
        Ok(())
    }

    /// Takes one event of that look, or continues with the first episode.
    pub(super) fn read_last_episode(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        let Source::LastEpisode(look) = &mut self.source else {
            return Ok(());
        };
        match look.reader.next(flushing).map_err(ReadError::from) {
            Ok(Some(Event::Record(record))) => {
                if let Some(duration) = record.duration {
                    let time = Nanos::from_useconds(record.time.min(u64::MAX / 1000 - 1));
                    let duration = Nanos::from_nseconds(duration.min(u64::MAX - 1));
                    self.common.stats.extent.hear_of_episode(time, duration);
                }
                return Ok(());
            }
            Ok(Some(Event::Retrying(text))) => {
                self.steps.push_back(Step::Retry(text));
                return Ok(());
            }
            Ok(Some(Event::Opened(_) | Event::Times(_))) => return Ok(()),
            Err(ReadError::Flushed) => return Err(ReadError::Flushed),
            // What is wrong shows with the records themselves, if it is there still.
            Err(ReadError::Failed(message)) => {
                gst::info!(CAT, "No length of the last episode: {message}")
            }
            Ok(None) => {}
        }
        if let Source::LastEpisode(look) = mem::replace(&mut self.source, Source::Ended) {
            self.source = Source::Reading(look.records);
            self.steps.push_back(Step::Episode(look.first.into()));
        }
        Ok(())
    }
}
