// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Groups frames in decoding order into records.

use std::collections::VecDeque;
use std::sync::Arc;

use client::{Content, NewRecord};
use media::frame_rate::FrameRate;
use media::frames::InputFrame;
use media::record_times::Timed;

/// Size from which on a group of pictures continues in another record, in bytes: a long group is not sent to
/// the server at once.
const MAX_GROUP_BYTES: u64 = 4_000_000;

/// Content of a record.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum RecordUnit {
    /// One access unit, with a capture time of its own.
    #[default]
    AccessUnit,
    /// A group of pictures, from a keyframe (IDR picture or recovery point) to the next one. Only its first
    /// picture's time is kept, so that a record also ends where another one would be half a frame off. The picture
    /// before such a deviation is a record of its own: readers divide the time up to the next record among the
    /// pictures of a record.
    Gop,
    /// The content of the record that the access units were read from, at that record's time, as
    /// [`Recorder::push_stamped`](crate::Recorder::push_stamped) has it; one access unit if they come from elsewhere.
    Record,
}

/// Builds records of frames in decoding order.
#[derive(Debug)]
pub struct RecordBuilder {
    unit: RecordUnit,
    labels: Arc<[(String, String)]>,
    frame_rate: Option<FrameRate>,
    /// The frame rate as a label.
    label: Option<Arc<str>>,
    open: Option<OpenRecord>,
}

/// A record that the next frame may belong to.
#[derive(Debug)]
struct OpenRecord {
    record: NewRecord,
    /// Frame rate of its frames.
    frame_rate: Option<FrameRate>,
    last: LastFrame,
}

/// The last frame of a record.
#[derive(Debug)]
struct LastFrame {
    /// Time in µs since the Unix epoch.
    time: u64,
    has_fixed_time: bool,
    /// Frames that it counts for.
    count: u64,
    /// Number of chunks of the record before it.
    begin: usize,
}

impl RecordBuilder {
    /// Returns an empty group. `labels` are added to the label `fps` and `keyframe` of each record.
    pub fn new(unit: RecordUnit, labels: Arc<[(String, String)]>) -> Self {
        Self {
            unit,
            labels,
            frame_rate: None,
            label: None,
            open: None,
        }
    }

    /// Sets the frame rate of the frames that follow.
    pub fn set_frame_rate(&mut self, frame_rate: Option<FrameRate>) {
        if self.frame_rate != frame_rate {
            self.frame_rate = frame_rate;
            self.label = frame_rate.map(|rate| rate.label().into());
        }
    }

    /// Adds a frame, and appends the records that are complete with it. Without a frame rate each frame is a
    /// record: the capture times of the others of a group would be unknown.
    pub fn push(&mut self, frame: Timed<InputFrame>, complete: &mut VecDeque<NewRecord>) {
        let read_from = frame.item.capture.record;
        let read_from = read_from.filter(|_| self.unit == RecordUnit::Record);
        let is_keyframe = frame.item.is_keyframe();
        let alone = match self.unit {
            RecordUnit::AccessUnit => true,
            RecordUnit::Gop => self.frame_rate.is_none(),
            RecordUnit::Record => read_from.is_none(),
        };
        if let Some(open) = self.open.as_mut().filter(|_| !alone)
            && match read_from {
                Some(record) => record.useconds() == open.record.time,
                None => open.is_continued_by(&frame, self.label.as_deref()),
            }
        {
            open.add(frame);
            return;
        }
        let is_group = self.unit == RecordUnit::Gop;
        let ended = self.open.replace(OpenRecord {
            last: LastFrame {
                time: frame.time.useconds(),
                has_fixed_time: frame.is_fixed,
                count: frame.item.count,
                begin: 0,
            },
            frame_rate: self.frame_rate,
            record: NewRecord {
                time: read_from.unwrap_or(frame.time).useconds(),
                content: Content::Memory(frame.item.content),
                frame_rate: self.label.clone(),
                keyframe: is_keyframe,
                is_entry_point: is_keyframe,
                labels: self.labels.clone(),
                frames: frame.item.count,
                has_fixed_time: frame.is_fixed,
                is_recovered: false,
                unsent_run: None,
            },
        });
        if let Some(mut ended) = ended {
            let is_interrupted = is_group && !ended.is_on_time(frame.time.useconds());
            let last = is_interrupted.then(|| ended.split_last()).flatten();
            complete.push_back(ended.record);
            complete.extend(last);
        }
        if alone {
            self.end(complete);
        }
    }

    /// Ends the last record.
    pub fn end(&mut self, complete: &mut VecDeque<NewRecord>) {
        complete.extend(self.open.take().map(|open| open.record));
    }
}

impl OpenRecord {
    /// Returns whether a frame continues the record: its time is the one that it would have there.
    fn is_continued_by(&self, frame: &Timed<InputFrame>, label: Option<&str>) -> bool {
        !frame.item.is_keyframe()
            && self.frame_rate.is_some()
            && self.record.frame_rate.as_deref() == label
            && self.record.length() < MAX_GROUP_BYTES
            && (frame.item.count == 0 || self.is_on_time(frame.time.useconds()))
    }

    /// Returns whether a time in µs is that of the frame after the last one, or less than half a frame off.
    fn is_on_time(&self, time: u64) -> bool {
        let Some(rate) = self.frame_rate else {
            return false;
        };
        let frames = |count: u64| {
            let us = u128::from(count) * 1_000_000 * rate.denom() as u128 / rate.numer() as u128;
            u64::try_from(us).unwrap_or(u64::MAX)
        };
        let expected = self.record.time.saturating_add(frames(self.record.frames));
        expected.abs_diff(time) <= frames(1) / 2
    }

    fn add(&mut self, frame: Timed<InputFrame>) {
        let record = &mut self.record;
        record.keyframe |= frame.item.is_keyframe();
        record.frames += frame.item.count;
        if let Content::Memory(content) = &mut record.content {
            // A second field belongs to the frame of the first one.
            if frame.item.count > 0 {
                self.last = LastFrame {
                    time: frame.time.useconds(),
                    has_fixed_time: frame.is_fixed,
                    count: frame.item.count,
                    begin: content.len(),
                };
            }
            content.extend(frame.item.content);
        }
    }

    /// Takes the last frame of several as a record.
    fn split_last(&mut self) -> Option<NewRecord> {
        let Content::Memory(content) = &mut self.record.content else {
            return None;
        };
        if self.last.begin == 0 {
            return None;
        }
        let content = content.split_off(self.last.begin);
        self.record.frames -= self.last.count;
        Some(NewRecord {
            time: self.last.time,
            content: Content::Memory(content),
            keyframe: false,
            is_entry_point: false,
            frames: self.last.count,
            has_fixed_time: self.last.has_fixed_time,
            ..self.record.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::record_times::{Capture, testing::capture};
    use media::time::CaptureTime;

    use bytes::Bytes;

    fn rate(fps: i32) -> Option<FrameRate> {
        FrameRate::new(fps, 1)
    }

    fn frame(time: u64, idr: bool) -> Timed<InputFrame> {
        Timed {
            item: InputFrame {
                content: vec![Bytes::from_static(&[1, 2])],
                capture: Capture {
                    record: Some(CaptureTime::from_useconds(time / 50_000)),
                    ..capture(time)
                },
                order: None,
                idr,
                has_recovery_point: false,
                count: 1,
                damage: None,
            },
            time: CaptureTime::from_useconds(time),
            is_fixed: false,
        }
    }

    /// Times, frames and keyframe labels of the records.
    fn run(
        unit: RecordUnit,
        rate: Option<FrameRate>,
        frames: &[(u64, bool)],
    ) -> Vec<(u64, u64, bool)> {
        let mut records = RecordBuilder::new(unit, Arc::default());
        records.set_frame_rate(rate);
        let mut made = VecDeque::new();
        for &(time, idr) in frames {
            records.push(frame(time, idr), &mut made);
        }
        records.end(&mut made);
        assert!(made.iter().all(|it| it.length() == 2 * it.frames));
        made.iter()
            .map(|it| (it.time, it.frames, it.keyframe))
            .collect()
    }

    #[test]
    fn a_frame_a_record() {
        let frames = [(0, true), (33_333, false), (66_667, true)];
        let expected = frames.map(|(time, idr)| (time, 1, idr));
        assert_eq!(run(RecordUnit::AccessUnit, rate(30), &frames), expected);
        assert_eq!(run(RecordUnit::Gop, None, &frames), expected);
    }

    #[test]
    fn a_group_a_record() {
        let frames = [
            (0, true),
            (33_333, false),
            (66_667, false),
            (100_000, true),
            (133_333, false),
        ];
        let made = run(RecordUnit::Gop, rate(30), &frames);
        assert_eq!(made, [(0, 3, true), (100_000, 2, true)]);
    }

    #[test]
    fn what_a_record_had_is_a_record() {
        let frames = [(0, true), (33_333, false), (66_667, false), (140_000, true)];
        let made = run(RecordUnit::Record, None, &frames);
        assert_eq!(made, [(0, 2, true), (1, 1, false), (2, 1, true)]);
    }

    #[test]
    fn a_record_ends_where_times_would_be_wrong() {
        let jittery = [(0, true), (40_000, false), (60_000, false)];
        assert_eq!(run(RecordUnit::Gop, rate(30), &jittery), [(0, 3, true)]);
        let hole = [
            (0, true),
            (33_333, false),
            (366_667, false),
            (400_000, false),
        ];
        // The frame before the hole has a time of its own: a reader would place it in the middle of the hole.
        let expected = [(0, 1, true), (33_333, 1, false), (366_667, 2, false)];
        assert_eq!(run(RecordUnit::Gop, rate(30), &hole), expected);
    }

    #[test]
    fn a_group_before_a_late_keyframe_ends_with_a_record_of_its_last_frame() {
        let frames = [
            (0, true),
            (33_333, false),
            (66_667, false),
            (900_000, true),
            (1_200_000, true),
        ];
        let made = run(RecordUnit::Gop, rate(30), &frames);
        let expected = [
            (0, 2, true),
            (66_667, 1, false),
            (900_000, 1, true),
            (1_200_000, 1, true),
        ];
        assert_eq!(made, expected);
    }

    #[test]
    fn the_fields_of_the_last_frame_stay_together() {
        let mut records = RecordBuilder::new(RecordUnit::Gop, Arc::default());
        records.set_frame_rate(rate(30));
        let mut made = VecDeque::new();
        for (time, is_second) in [
            (0, false),
            (33_333, false),
            (33_333, true),
            (900_000, false),
        ] {
            let mut frame = frame(time, time == 0);
            frame.item.count = u64::from(!is_second);
            records.push(frame, &mut made);
        }
        records.end(&mut made);
        let made = made.iter().map(|it| (it.time, it.frames, it.length()));
        let expected = [(0, 1, 2), (33_333, 1, 4), (900_000, 1, 2)];
        assert_eq!(made.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_recovery_point_is_a_keyframe() {
        for (unit, expected) in [
            (
                RecordUnit::AccessUnit,
                vec![(0, 1, true), (33_333, 1, false), (66_667, 1, true)],
            ),
            (RecordUnit::Gop, vec![(0, 2, true), (66_667, 1, true)]),
            // RecordBuilder of 50 ms: the keyframe is the first frame of the second one.
            (RecordUnit::Record, vec![(0, 2, true), (1, 1, true)]),
        ] {
            let mut records = RecordBuilder::new(unit, Arc::default());
            records.set_frame_rate(rate(30));
            let mut made = VecDeque::new();
            for (time, is_point) in [(0, true), (33_333, false), (66_667, true)] {
                let mut frame = frame(time, false);
                frame.item.has_recovery_point = is_point;
                records.push(frame, &mut made);
            }
            records.end(&mut made);
            let made: Vec<_> = made
                .iter()
                .map(|it| (it.time, it.frames, it.keyframe))
                .collect();
            assert_eq!(made, expected, "{unit:?}");
        }
    }

    #[test]
    fn a_long_group_is_several_records() {
        let mut records = RecordBuilder::new(RecordUnit::Gop, Arc::default());
        records.set_frame_rate(rate(30));
        let mut large = frame(0, true);
        large.item.content = vec![Bytes::from(vec![0; MAX_GROUP_BYTES as usize])];
        let mut made = VecDeque::new();
        records.push(large, &mut made);
        records.push(frame(33_333, false), &mut made);
        records.push(frame(66_667, false), &mut made);
        records.end(&mut made);
        let made = made.iter().map(|it| (it.time, it.frames, it.keyframe));
        let expected = [(0, 1, true), (33_333, 2, false)];
        assert_eq!(made.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn another_frame_rate_is_another_record() {
        let mut records = RecordBuilder::new(RecordUnit::Gop, Arc::default());
        records.set_frame_rate(rate(30));
        let mut made = VecDeque::new();
        records.push(frame(0, true), &mut made);
        records.set_frame_rate(rate(25));
        records.push(frame(33_333, false), &mut made);
        records.end(&mut made);
        let labels = made.iter().map(|it| it.frame_rate.as_deref());
        assert_eq!(labels.collect::<Vec<_>>(), [Some("30"), Some("25")]);
    }
}
