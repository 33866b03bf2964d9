// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The frames of an index.

use media::mp4::VideoTrackFile;
use media::time::CaptureTime;

use crate::error::IndexError;

/// A frame that a file shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexedFrame {
    /// Presentation timestamp in ticks, as a player has it after the edit list.
    pub pts: i64,
    /// Ticks until the next frame, or the end of the file.
    pub duration: i64,
    /// Capture time in µs since the Unix epoch, if it is known.
    pub capture_us: Option<i64>,
    /// Decoding can begin with it.
    pub is_keyframe: bool,
    /// Place of its sample in the file.
    pub offset: i64,
    /// Bytes of its sample.
    pub size: i64,
}

/// The frames that a file shows, in order of presentation, and the format of its video track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameTable {
    /// The frames.
    pub frames: Vec<IndexedFrame>,
    /// Ticks per second.
    pub units: u32,
    /// The codec, such as `h264`.
    pub codec: String,
    /// Width and height of the pictures in pixels.
    pub size: [u16; 2],
    /// Name of the file, or of the entry that it comes from.
    pub source: String,
}

impl FrameTable {
    /// Creates the table of a complete file, whose samples have these capture times in decoding order.
    ///
    /// # Errors
    ///
    /// The number of capture times is not that of the samples, or a value has more than 63 bits.
    pub fn new(
        track: &VideoTrackFile,
        captures: &[Option<CaptureTime>],
        source: &str,
    ) -> Result<Self, IndexError> {
        let samples = &track.samples;
        if samples.len() != captures.len() {
            return Err(IndexError::Samples {
                samples: samples.len(),
                expected: captures.len(),
            });
        }
        let in_range = |value: u64| i64::try_from(value).map_err(|_| IndexError::Range);
        let frames = track.presentation()?.into_iter().map(|shown| {
            let sample = &samples[shown.sample];
            let capture = captures[shown.sample].map(|time| in_range(time.useconds()));
            Ok(IndexedFrame {
                pts: shown.pts,
                duration: shown.duration,
                capture_us: capture.transpose()?,
                is_keyframe: sample.is_sync,
                offset: in_range(sample.offset)?,
                size: sample.size.into(),
            })
        });
        Ok(Self {
            frames: frames.collect::<Result<_, IndexError>>()?,
            units: track.media.units,
            codec: codec(&track.sample_entry),
            size: track.size,
            source: source.to_owned(),
        })
    }
}

/// Returns the name of the codec of a sample entry, or else its type.
fn codec(sample_entry: &[u8; 4]) -> String {
    match sample_entry {
        b"avc1" | b"avc3" => "h264".to_owned(),
        other => other.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use media::mp4::{FileDuration, FileEdit, FileSample};

    use super::*;

    /// A file with B-frames whose edit list hides the first and the last picture.
    fn track() -> VideoTrackFile {
        let duration = FileDuration {
            units: 1000,
            ticks: 0,
        };
        let samples = [40, 160, 80, 120, 200].into_iter().zip(0u64..);
        let samples = samples.map(|(pts, number)| FileSample {
            offset: 48 + 10 * number,
            size: 10,
            dts: 40 * number,
            pts,
            duration: 40,
            is_sync: number == 0,
        });
        VideoTrackFile {
            movie: duration,
            track_duration: 0,
            media: duration,
            shown_size: [0; 2],
            sample_entry: *b"avc3",
            size: [64, 48],
            configuration: None,
            pixel_aspect_ratio: None,
            colour: None,
            edits: vec![FileEdit {
                duration: 120,
                media_time: Some(80),
            }],
            samples: samples.collect(),
            is_fragmented: false,
        }
    }

    fn captures(count: u64) -> Vec<Option<CaptureTime>> {
        let times = (0..count).map(|number| (number != 3).then_some(100 + number));
        times
            .map(|time| time.map(CaptureTime::from_useconds))
            .collect()
    }

    #[test]
    fn frames_in_order_of_presentation_with_their_samples() {
        let table = FrameTable::new(&track(), &captures(5), "a.mp4").unwrap();
        let found: Vec<_> = (table.frames.iter())
            .map(|frame| (frame.pts, frame.capture_us, frame.offset, frame.duration))
            .collect();
        let expected = [
            (0, Some(102), 68, 40),
            (40, None, 78, 40),
            (80, Some(101), 58, 40),
        ];
        assert_eq!(found, expected);
        assert!(table.frames.iter().all(|frame| !frame.is_keyframe));
        assert_eq!((table.codec.as_str(), table.units), ("h264", 1000));
        assert_eq!((table.source.as_str(), table.size), ("a.mp4", [64, 48]));
    }

    #[test]
    fn another_number_of_samples_is_an_error() {
        for count in [4, 6] {
            let error = FrameTable::new(&track(), &captures(count), "a.mp4").unwrap_err();
            let text = format!("the file of the episode has 5 samples, and the episode {count}");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn places_beyond_63_bits_are_an_error() {
        let mut track = track();
        track.samples[2].offset = 1 << 63;
        let error = FrameTable::new(&track, &captures(5), "a.mp4").unwrap_err();
        assert!(matches!(error, IndexError::Range), "{error}");
    }
}
