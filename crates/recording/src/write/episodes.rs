// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Finished files of episodes, and the records that they become.

use std::path::PathBuf;

use client::Upload;
use media::content::MP4_TYPE;
use media::cut::policy::Episode;
use media::frame_rate::FrameRate;

/// The finished file of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The episode in the file.
    pub episode: Episode,
    /// The declared rate, if the times of its frames agree.
    pub frame_rate: Option<FrameRate>,
}

impl EpisodeFile {
    /// Returns the record that the file becomes, for [`client::Uploader`], or `None` if the capture time of its first
    /// frame is unknown.
    ///
    /// The time of the record is that capture time, and its labels are [those of the episode](Episode::labels).
    pub fn record(&self) -> Option<Upload> {
        Some(Upload {
            file: self.path.clone(),
            time: self.episode.capture?.useconds(),
            content_type: MP4_TYPE,
            labels: self.episode.labels(self.frame_rate),
        })
    }
}

#[cfg(test)]
mod tests {
    use media::cut::policy::Reason;
    use media::time::{CaptureTime, Nanos};

    use super::*;

    #[test]
    fn an_episode_is_a_record() {
        let mut episode = Episode {
            index: 0,
            capture: Some(CaptureTime::from_useconds(1_750_000_000_123_456)),
            duration: Nanos::from_seconds(2),
            frames: 60,
            hidden: 0,
            corrupted: 0,
            decode_start: Nanos::ZERO,
            shown: Vec::new(),
            dropped: 0,
            reason: Reason::Duration,
        };
        let record = |episode: &Episode| {
            let file = EpisodeFile {
                path: "file".into(),
                bytes: 1000,
                episode: episode.clone(),
                frame_rate: FrameRate::new(30_000, 1001),
            };
            file.record()
        };
        let Upload {
            file, time, labels, ..
        } = record(&episode).unwrap();
        assert_eq!((file, time), ("file".into(), 1_750_000_000_123_456));
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let expected = [
            ("duration", "2000000000"),
            ("frames", "60"),
            ("reason", "duration"),
            ("fps", "29.97"),
        ];
        assert_eq!(labels, expected);
        episode.capture = None;
        assert!(record(&episode).is_none());
    }
}
