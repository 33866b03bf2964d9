// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Frames of a file in the order and with the times in which it is played, by its edit list (ISO/IEC 14496-12, 8.6.6).

use std::ops::Range;

use super::file_samples::{FileReadError, MAX_SAMPLES};
use super::read_track::VideoTrackFile;
use super::timescale::scale;

/// A sample of a file that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedFrame {
    /// Number of the sample in [`VideoTrackFile::samples`].
    pub sample: usize,
    /// Time at which it is shown, in ticks of the media, from the begin of the presentation.
    pub pts: i64,
    /// Ticks for which it is shown: until the next frame, or the end of the presentation.
    pub duration: i64,
}

/// An edit that shows something, in ticks of the media.
struct ShownEdit {
    /// Times of the media that are shown.
    media: Range<i64>,
    /// Difference between the times of the presentation and those of the media.
    shift: i64,
}

impl VideoTrackFile {
    /// Returns the frames that are shown, in the order in which they are shown. A sample that several edits show is
    /// several frames.
    ///
    /// Without an edit list all samples are shown, at the times of the media. A first edit that begins within a frame
    /// begins with the next one, as in FFmpeg.
    ///
    /// # Errors
    ///
    /// Edits show samples so often that there are more frames than a file may have samples.
    pub fn presentation(&self) -> Result<Vec<PresentedFrame>, FileReadError> {
        let mut edits = self.shown_edits();
        let last = edits.last().map(|last| last.media.end);
        let end = last.filter(|end| *end < i64::MAX);
        let shift = edits.last().map_or(0, |last| last.shift);
        let end = end.or_else(|| self.media_end());
        let end = end.map(|end| end.saturating_add(shift));
        // The begin of the presentation, before which nothing is shown.
        let delay = edits.first().map_or(i64::MAX, |first| {
            first.media.start.saturating_add(first.shift)
        });
        if self.edits.is_empty() {
            edits.push(ShownEdit {
                media: i64::MIN..i64::MAX,
                shift: 0,
            });
        }
        let mut in_order: Vec<_> = (0..self.samples.len()).collect();
        in_order.sort_by_key(|sample| self.samples[*sample].pts);
        let mut frames = Vec::with_capacity(in_order.len());
        for ShownEdit { media, shift } in edits {
            let first = in_order.partition_point(|sample| self.samples[*sample].pts < media.start);
            for sample in in_order.get(first..).unwrap_or_default() {
                let found = &self.samples[*sample];
                if found.pts >= media.end {
                    break;
                }
                if frames.len() >= MAX_SAMPLES as usize {
                    return Err(FileReadError::TooManySamples);
                }
                frames.push(PresentedFrame {
                    sample: *sample,
                    pts: found.pts.saturating_add(shift),
                    duration: found.duration.into(),
                });
            }
        }
        for next in 1..frames.len() {
            frames[next - 1].duration = frames[next].pts.saturating_sub(frames[next - 1].pts);
        }
        if let (Some(last), Some(end)) = (frames.last_mut(), end) {
            let rest = end.saturating_sub(last.pts);
            last.duration = if rest > 0 { rest } else { last.duration };
        }
        let late = match frames.first() {
            Some(first) => first.pts.saturating_sub(delay).max(0),
            None => 0,
        };
        for frame in &mut frames {
            frame.pts -= late;
        }
        Ok(frames)
    }

    /// Returns the time at which the last sample ends, if all together are shown as long as they are decoded.
    fn media_end(&self) -> Option<i64> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let shown = self.samples.iter().map(|sample| sample.pts).min()?;
        let length = last
            .dts
            .checked_sub(first.dts)?
            .checked_add(last.duration.into())?;
        shown.checked_add(i64::try_from(length).ok()?)
    }

    /// Returns the edits that show a part of the media.
    fn shown_edits(&self) -> Vec<ShownEdit> {
        let mut shown = Vec::new();
        let mut begin: i64 = 0;
        for edit in &self.edits {
            let ticks = scale(
                edit.duration,
                self.media.units.into(),
                self.movie.units.into(),
            );
            // 0 is the rest of a file whose length its header does not know.
            let length = i64::try_from(ticks).ok().filter(|ticks| *ticks > 0);
            if let Some(start) = edit.media_time {
                let start = start.min(i64::MAX as u64).cast_signed();
                shown.push(ShownEdit {
                    media: start..length.map_or(i64::MAX, |length| start.saturating_add(length)),
                    shift: begin.saturating_sub(start),
                });
            }
            begin = begin.saturating_add(length.unwrap_or_default());
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_samples::FileSample;
    use super::super::time_fields::{FileDuration, FileEdit};
    use super::*;

    /// A file with samples of 10 ticks, whose movie has ten times the ticks.
    fn track(pts: &[i64], edits: &[(u64, Option<u64>)]) -> VideoTrackFile {
        let duration = |units| FileDuration { units, ticks: 0 };
        let samples = pts.iter().zip(0u64..).map(|(pts, number)| FileSample {
            offset: 7 * number,
            size: 7,
            dts: 10 * number,
            pts: *pts,
            duration: 10,
            is_sync: number == 0,
        });
        let edits = edits.iter().map(|&(duration, media_time)| FileEdit {
            duration: 10 * duration,
            media_time,
        });
        VideoTrackFile {
            movie: duration(1000),
            track_duration: 0,
            media: duration(100),
            shown_size: [0; 2],
            sample_entry: *b"avc1",
            size: [64; 2],
            configuration: None,
            pixel_aspect_ratio: None,
            colour: None,
            edits: edits.collect(),
            samples: samples.collect(),
            is_fragmented: false,
        }
    }

    fn shown(track: &VideoTrackFile) -> Vec<(usize, i64, i64)> {
        let frames = track.presentation().unwrap().into_iter();
        frames
            .map(|frame| (frame.sample, frame.pts, frame.duration))
            .collect()
    }

    #[test]
    fn all_samples_are_shown_without_edits() {
        let all = shown(&track(&[20, 60, 40, 30], &[]));
        assert_eq!(all, [(0, 20, 10), (3, 30, 10), (2, 40, 20), (1, 60, 10)]);
        assert_eq!(shown(&track(&[], &[])), []);
    }

    #[test]
    fn an_edit_hides_what_is_before_and_behind_it() {
        let part = shown(&track(&[20, 50, 30, 40, 60], &[(25, Some(30))]));
        assert_eq!(part, [(2, 0, 10), (3, 10, 10), (1, 20, 5)]);
    }

    #[test]
    fn an_edit_begins_with_a_whole_frame() {
        let part = shown(&track(&[0, 10, 20, 30], &[(20, Some(7))]));
        assert_eq!(part, [(1, 0, 10), (2, 10, 7)]);
        let delayed = shown(&track(&[0, 10, 20], &[(5, None), (20, Some(7))]));
        assert_eq!(delayed, [(1, 5, 10), (2, 15, 7)]);
    }

    #[test]
    fn parts_follow_each_other_without_what_is_between() {
        let edits = [(5, None), (20, Some(0)), (20, Some(30))];
        let parts = shown(&track(&[0, 10, 20, 30, 40], &edits));
        assert_eq!(parts, [(0, 5, 10), (1, 15, 10), (3, 25, 10), (4, 35, 10)]);
    }

    #[test]
    fn an_edit_without_a_length_lasts_to_the_end() {
        let rest = shown(&track(&[0, 10, 20], &[(0, Some(10))]));
        assert_eq!(rest, [(1, 0, 10), (2, 10, 10)]);
        assert_eq!(shown(&track(&[0, 10], &[(5, None)])), []);
    }

    #[test]
    fn the_last_frame_makes_up_for_the_order_of_decoding() {
        let mut track = track(&[20, 50, 30, 40], &[]);
        for (sample, duration) in track.samples.iter_mut().zip([3, 3, 4, 30]) {
            sample.duration = duration;
        }
        track.samples[3].dts = 10;
        let all = [(0, 20, 10), (2, 30, 10), (3, 40, 10), (1, 50, 10)];
        assert_eq!(shown(&track), all);
    }

    #[test]
    fn a_part_can_be_shown_twice() {
        let twice = shown(&track(&[0, 10], &[(10, Some(10)), (20, Some(0))]));
        assert_eq!(twice, [(1, 0, 10), (0, 10, 10), (1, 20, 10)]);
    }

    #[test]
    fn edits_cannot_make_frames_without_end() {
        let edits = vec![(10, Some(0)); MAX_SAMPLES as usize / 2 + 1];
        let track = track(&[0, 5], &edits);
        assert_eq!(track.presentation(), Err(FileReadError::TooManySamples));
    }

    #[test]
    fn times_beyond_all_counting_are_no_panic() {
        let far = u64::MAX;
        for edits in [
            vec![(far / 10, Some(far)), (far / 10, Some(far))],
            vec![(0, Some(far)), (far / 10, None), (7, Some(0))],
        ] {
            let frames = shown(&track(&[i64::MIN, 0, i64::MAX], &edits));
            assert!(frames.len() <= 3, "{edits:?}");
        }
    }
}
