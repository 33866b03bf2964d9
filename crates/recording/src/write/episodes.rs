// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Describes finished files of episodes as records.

use std::path::PathBuf;

use client::Upload;
use media::content::{DURATION_LABEL, FPS_LABEL, FRAMES_LABEL, MP4_TYPE, REASON_LABEL};
use media::cut::policy::Episode;
use media::frame_rate::FrameRate;

/// Returns the record that the finished file of an episode becomes, for [`client::Uploader`], or `None` if the capture
/// time of its first frame is unknown.
///
/// The time of the record is that capture time. Its labels are the duration in ns, the number of frames, the reason for
/// which the episode ended, and the frame rate, if there is one that its times agree with.
pub fn episode_record(
    file: PathBuf,
    episode: &Episode,
    frame_rate: Option<FrameRate>,
) -> Option<Upload> {
    let mut labels = vec![
        (DURATION_LABEL, episode.duration.nseconds().to_string()),
        (FRAMES_LABEL, episode.frames.to_string()),
        (REASON_LABEL, episode.reason.name().to_owned()),
    ];
    labels.extend(frame_rate.map(|rate| (FPS_LABEL, rate.label())));
    Some(Upload {
        file,
        time: episode.capture?.useconds(),
        content_type: MP4_TYPE,
        labels,
    })
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
            let rate = FrameRate::new(30_000, 1001);
            episode_record("file".into(), episode, rate)
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
