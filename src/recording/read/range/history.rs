// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the groups before a range where the times of its first group depend on them.

use std::collections::VecDeque;
use std::mem;

use client::{Event, Flushing, Record, RecordReader};
use media::codec::h264::{AccessUnitSplitter, Aligned, Aligner};
use media::content::Kind;
use media::time::Nanos;
use media::timeline::Group;

use super::super::preceding::{self, Preceding};
use super::{CAT, Pass, Records, Source};
use crate::errors::ReadError;
use crate::reductsrc::buffers::clock_time;

/// A search for the groups before a range.
#[derive(Debug)]
pub(super) struct History {
    search: Preceding,
    window: Option<RecordReader>,
    aligner: Aligner<Record>,
    splitter: AccessUnitSplitter,
    /// To continue with afterwards.
    reader: Records,
}

impl Pass {
    /// Begins to look for the groups before the range if the times of its first one depend on them;
    /// nothing follows it if it `is_last`.
    pub(super) fn look_for_history(&mut self, is_last: bool) {
        let Some(first) = self.timeline.lacks_history(is_last) else {
            return;
        };
        let source = mem::replace(&mut self.source, Source::Ended);
        let Source::Reading(reader) = source else {
            self.source = source;
            return;
        };
        let length = preceding::length(first.units, first.declared.map(|it| it.rate));
        gst::debug!(CAT, "Reading the groups before {}", first.time);
        self.source = Source::History(Box::new(History {
            search: Preceding::new(first.time.useconds(), length),
            window: None,
            aligner: Aligner::new(true),
            splitter: self.splitter.with_same_sets(),
            reader,
        }));
    }

    /// Takes one event of a window of that search, or continues with the next one.
    pub(super) fn read_history(&mut self, flushing: &Flushing) -> Result<(), ReadError> {
        let Source::History(history) = &mut self.source else {
            return Ok(());
        };
        let mut aligned = VecDeque::new();
        if let Some(window) = &mut history.window {
            match window.next(flushing)? {
                Some(Event::Record(mut record))
                    if Kind::of(&record.content_type) == Some(Kind::H264) =>
                {
                    let chunks = mem::take(&mut record.chunks);
                    history.aligner.push(record, chunks, &mut aligned);
                }
                Some(Event::Retrying(text)) => {
                    self.steps.push_back(super::Step::Retry(text));
                }
                Some(Event::Record(_) | Event::Opened(_) | Event::Times(_)) => {}
                None => {
                    history.window = None;
                    history.aligner.end(false, &mut aligned);
                }
            }
            return self.note_history(aligned).map_err(ReadError::Failed);
        }
        let oldest = self.common.stats.extent.oldest();
        let oldest = oldest.map_or(0, Nanos::useconds);
        if let Some(window) = history.search.next_window(oldest) {
            let reader = self.reader_aside(window)?;
            if let Source::History(history) = &mut self.source {
                history.window = Some(reader);
            }
            return Ok(());
        }
        let source = mem::replace(&mut self.source, Source::Ended);
        if let Source::History(history) = source {
            self.source = Source::Reading(history.reader);
            self.timeline.begin_after(history.search.into_groups());
            self.tell_of_rates();
        }
        Ok(())
    }

    /// Takes the groups of records before the range.
    fn note_history(
        &mut self,
        aligned: VecDeque<Aligned<Record>>,
    ) -> Result<(), gst::ErrorMessage> {
        for Aligned { record, pieces, .. } in aligned {
            let declared = self.declared_rate(&record);
            let time = clock_time(record.time)?;
            if let Source::History(history) = &mut self.source {
                let units = &mut VecDeque::new();
                let pushed = history.splitter.push_record(&pieces, units);
                if pushed.begun > 0 {
                    history.search.add(Group {
                        time,
                        units: pushed.begun,
                        declared,
                    });
                }
            }
        }
        Ok(())
    }
}
