// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A complete episode, and the record that it becomes.

use std::collections::HashMap;

use frame_index::PARQUET_TYPE;
use media::content::MP4_TYPE;
use media::cut::policy::Episode;
use media::frame_rate::FrameRate;
use reduct_base::io::RecordMeta;

use crate::output_record::{OutputContent, OutputRecord};
use crate::unsent::UnsentTicket;

/// Label with the number of pictures of an episode that are damaged, or refer to missing ones.
const CORRUPTED_LABEL: &str = "corrupted";
/// Label with the number of records since the episode before that are damaged.
const DAMAGED_LABEL: &str = "damaged";
/// Label with the number of access units since the episode before that no episode has.
const DROPPED_LABEL: &str = "dropped";

/// Label of an index with the time of the record of its episode, in µs since the Unix epoch.
const EPISODE_LABEL: &str = "episode";

/// A complete episode.
#[derive(Debug)]
pub struct FinishedEpisode {
    /// The episode.
    pub episode: Episode,
    /// The declared rate, if the times of its frames agree.
    pub frame_rate: Option<FrameRate>,
    /// The file.
    pub content: OutputContent,
    /// The index of its frames, if there is one.
    pub index: Option<OutputContent>,
    /// Records and access units that were left out since the episode before.
    pub left_out: LeftOut,
}

/// The index of an episode that was returned.
#[derive(Debug)]
pub struct FinishedIndex {
    /// Labels of the episode, and the time of its record.
    labels: HashMap<String, String>,
    content: OutputContent,
}

/// Numbers of records and access units that were left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Damaged records.
    pub damaged: u64,
    /// Access units that no episode has.
    pub dropped: u64,
}

impl FinishedEpisode {
    /// Returns the labels of the record, all of which are ASCII.
    fn labels(&self) -> HashMap<String, String> {
        let episode = &self.episode;
        let always = episode.labels(self.frame_rate);
        let counts = [
            (CORRUPTED_LABEL, episode.corrupted),
            (DAMAGED_LABEL, self.left_out.damaged),
            (DROPPED_LABEL, self.left_out.dropped),
        ];
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        let counts = counts.map(|(label, count)| (label, count.to_string()));
        let labels = always.into_iter().chain(counts);
        labels
            .map(|(label, value)| (label.to_owned(), value))
            .collect()
    }

    /// Returns the number of records: one, and another one for an index.
    pub fn records(&self) -> usize {
        1 + usize::from(self.index.is_some())
    }

    /// Takes the index of the episode whose record is at `time`, in µs since the Unix epoch.
    pub fn take_index(&mut self, time: u64) -> Option<FinishedIndex> {
        let content = self.index.take()?;
        let mut labels = self.labels();
        labels.insert(EPISODE_LABEL.to_owned(), time.to_string());
        Some(FinishedIndex { labels, content })
    }

    /// Returns the record of the entry `entry` at `time`, in µs since the Unix epoch.
    pub fn into_record(self, entry: &str, time: u64, ticket: UnsentTicket) -> OutputRecord {
        let meta = RecordMeta::builder()
            .entry_name(entry)
            .timestamp(time)
            .labels(self.labels())
            .content_type(MP4_TYPE.to_owned())
            .content_length(self.content.length());
        OutputRecord::new(meta.build(), self.content, ticket)
    }
}

impl FinishedIndex {
    /// Returns the record of the entry `entry` at `time`, in µs since the Unix epoch.
    pub fn into_record(self, entry: &str, time: u64, ticket: UnsentTicket) -> OutputRecord {
        let meta = RecordMeta::builder()
            .entry_name(entry)
            .timestamp(time)
            .labels(self.labels)
            .content_type(PARQUET_TYPE.to_owned())
            .content_length(self.content.length());
        OutputRecord::new(meta.build(), self.content, ticket)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::cut::policy::Reason;
    use media::time::Nanos;
    use reduct_base::io::ReadRecord;

    use super::*;
    use crate::output_record::Body;
    use crate::unsent::Unsent;

    fn episode(corrupted: u64, left_out: LeftOut) -> FinishedEpisode {
        FinishedEpisode {
            episode: Episode {
                index: 0,
                capture: None,
                duration: Nanos::from_seconds(2),
                frames: 60,
                hidden: 0,
                corrupted,
                decode_start: Nanos::ZERO,
                shown: Vec::new(),
                dropped: 0,
                reason: Reason::Duration,
            },
            frame_rate: FrameRate::new(30_000, 1001),
            content: OutputContent {
                front: Bytes::from_static(b"front"),
                body: Body::Memory(Bytes::new()),
                back: Bytes::from_static(b"back"),
            },
            index: None,
            left_out,
        }
    }

    fn labels(episode: FinishedEpisode) -> Vec<String> {
        let record = episode.into_record("cam", 5, Unsent::default().add());
        let meta = record.meta();
        assert_eq!(
            (meta.entry_name(), meta.timestamp(), meta.content_length()),
            ("cam", 5, 9)
        );
        assert_eq!(meta.content_type(), "video/mp4");
        let mut labels: Vec<_> = meta
            .labels()
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        labels.sort();
        labels
    }

    #[test]
    fn the_index_of_an_episode_is_a_record_of_its_own() {
        let mut without = episode(0, LeftOut::default());
        assert_eq!(without.records(), 1);
        assert!(without.take_index(5).is_none());
        let index = || OutputContent::whole(Body::Memory(Bytes::from_static(b"PAR1")));
        let mut with = FinishedEpisode {
            index: Some(index()),
            ..episode(3, LeftOut::default())
        };
        assert_eq!(with.records(), 2);
        let index = with.take_index(5).expect("an index");
        assert_eq!(with.records(), 1);
        let record = index.into_record("cam", 6, Unsent::default().add());
        let meta = record.meta();
        assert_eq!((meta.timestamp(), meta.content_length()), (6, 4));
        assert_eq!(meta.content_type(), "application/vnd.apache.parquet");
        let mut expected = with.labels();
        expected.insert("episode".into(), "5".into());
        assert_eq!(*meta.labels(), expected);
    }

    #[test]
    fn labels_are_those_of_episodes_that_the_element_uploads() {
        let found = labels(episode(0, LeftOut::default()));
        assert_eq!(
            found,
            [
                "duration=2000000000",
                "fps=29.97",
                "frames=60",
                "reason=duration"
            ]
        );
    }

    #[test]
    fn what_was_left_out_is_counted_in_labels() {
        let found = labels(episode(
            1,
            LeftOut {
                damaged: 2,
                dropped: 3,
            },
        ));
        assert!(
            found
                .iter()
                .all(|label| label.bytes().all(|byte| (b' '..=b'~').contains(&byte)))
        );
        for label in ["corrupted=1", "damaged=2", "dropped=3"] {
            assert!(found.iter().any(|it| it == label), "{found:?}");
        }
    }
}
