// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Ranges that are read, in order, and those that a seek leaves.

use std::collections::VecDeque;

use media::range::{Begin, End};
use media::time::CaptureTime;

/// A range of capture times to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeRange {
    /// Time to begin at; the oldest record if `None`.
    pub start: Option<CaptureTime>,
    /// Frame with which it begins.
    pub begin: Begin,
    /// Time before which nothing is read, not even for a decoder.
    pub floor: CaptureTime,
    /// First time that does not belong to it.
    pub stop: Option<CaptureTime>,
    /// Frame with which it ends.
    pub end: End,
}

impl TimeRange {
    /// Returns a range from `start` to `stop`.
    pub fn new(
        start: Option<CaptureTime>,
        stop: Option<CaptureTime>,
        begin: Begin,
        end: End,
    ) -> Self {
        let floor = match begin {
            Begin::KeyframeAfter => start.unwrap_or_default(),
            Begin::KeyframeBefore | Begin::KeyframeNearest | Begin::Exact => CaptureTime::EPOCH,
        };
        Self {
            start,
            begin,
            floor,
            stop,
            end,
        }
    }

    fn is_before(&self, time: CaptureTime) -> bool {
        self.stop.is_some_and(|stop| stop <= time)
    }
}

/// Returns the ranges, or parts of them, from `from` up to `until`; the first one begins with the frame `begin`.
pub fn seek(
    ranges: &[TimeRange],
    from: CaptureTime,
    begin: Begin,
    until: Option<CaptureTime>,
) -> VecDeque<TimeRange> {
    let mut left: VecDeque<_> = ranges
        .iter()
        .skip_while(|range| range.is_before(from))
        .take_while(|range| until.is_none_or(|until| range.start.unwrap_or_default() < until))
        .cloned()
        .collect();
    if let Some(first) = left.front_mut()
        && first.start.unwrap_or_default() <= from
    {
        first.start = Some(from);
        first.begin = begin;
    }
    if let (Some(last), Some(until)) = (left.back_mut(), until)
        && last.stop.is_none_or(|stop| until < stop)
    {
        last.stop = Some(until);
        last.end = End::Shown;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(useconds: u64) -> CaptureTime {
        CaptureTime::from_useconds(useconds)
    }

    fn range(start: u64, stop: u64) -> TimeRange {
        TimeRange::new(
            Some(at(start)),
            Some(at(stop)),
            Begin::KeyframeAfter,
            End::Exact,
        )
    }

    fn seek_to(from: u64, until: Option<u64>) -> Vec<TimeRange> {
        let ranges = [range(10, 20), range(30, 40), range(50, 60)];
        seek(&ranges, at(from), Begin::Exact, until.map(at)).into()
    }

    fn from(start: u64, range: TimeRange) -> TimeRange {
        TimeRange {
            start: Some(at(start)),
            begin: Begin::Exact,
            ..range
        }
    }

    fn until(stop: u64, range: TimeRange) -> TimeRange {
        TimeRange {
            stop: Some(at(stop)),
            end: End::Shown,
            ..range
        }
    }

    #[test]
    fn from_within_a_range() {
        let ranges = [from(35, range(30, 40)), range(50, 60)];
        assert_eq!(seek_to(35, None), ranges);
        assert_eq!(ranges[0].floor, at(30));
    }

    #[test]
    fn from_between_ranges() {
        assert_eq!(seek_to(20, None), [range(30, 40), range(50, 60)]);
        assert_eq!(seek_to(60, None), []);
    }

    #[test]
    fn up_to_a_time() {
        let ranges = [from(15, range(10, 20)), until(35, range(30, 40))];
        assert_eq!(seek_to(15, Some(35)), ranges);
        assert_eq!(
            seek_to(15, Some(45)),
            [from(15, range(10, 20)), range(30, 40)]
        );
        assert_eq!(seek_to(12, Some(15)), [until(15, from(12, range(10, 20)))]);
        assert_eq!(seek_to(22, Some(25)), []);
    }

    #[test]
    fn a_range_without_ends() {
        let all = TimeRange::new(None, None, Begin::Exact, End::Exact);
        let ranges: Vec<_> = seek(
            std::slice::from_ref(&all),
            at(7),
            Begin::KeyframeBefore,
            Some(at(9)),
        )
        .into();
        let expected = TimeRange {
            start: Some(at(7)),
            begin: Begin::KeyframeBefore,
            stop: Some(at(9)),
            end: End::Shown,
            ..all
        };
        assert_eq!(ranges, [expected]);
    }
}
