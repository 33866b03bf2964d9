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
    /// picture's time is kept, so that a record also ends where another one would be half a frame off.
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
    open: Option<NewRecord>,
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
                Some(record) => record.useconds() == open.time,
                None => belongs(open, &frame, self.label.as_deref(), self.frame_rate),
            }
        {
            open.frames += frame.item.count;
            open.keyframe |= is_keyframe;
            if let Content::Memory(content) = &mut open.content {
                content.extend(frame.item.content);
            }
            return;
        }
        complete.extend(self.open.replace(NewRecord {
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
        }));
        if alone {
            complete.extend(self.open.take());
        }
    }

    /// Ends the last record.
    pub fn end(&mut self, complete: &mut VecDeque<NewRecord>) {
        complete.extend(self.open.take());
    }
}

/// Returns whether a frame continues a record: its time is the one that it would have there.
fn belongs(
    record: &NewRecord,
    frame: &Timed<InputFrame>,
    label: Option<&str>,
    frame_rate: Option<FrameRate>,
) -> bool {
    let Some(rate) = frame_rate else {
        return false;
    };
    let frames = |count: u64| {
        let us = u128::from(count) * 1_000_000 * rate.denom() as u128 / rate.numer() as u128;
        u64::try_from(us).unwrap_or(u64::MAX)
    };
    let expected = record.time.saturating_add(frames(record.frames));
    !frame.item.is_keyframe()
        && record.frame_rate.as_deref() == label
        && record.length() < MAX_GROUP_BYTES
        && (frame.item.count == 0 || expected.abs_diff(frame.time.useconds()) <= frames(1) / 2)
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
        let made = run(RecordUnit::Gop, rate(30), &hole);
        assert_eq!(made, [(0, 2, true), (366_667, 2, false)]);
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
