// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Episodes as lists of buffers, and their places in running time.
//!
//! A demuxer reads each as a file of its own: before all but the first one the stream starts again, under the same id.
//! Segments are in TIME, as qtdemux reads no second file in BYTES (1.22). It ignores edit lists then, so that the
//! segments have the span that is shown.

use gst::ClockTime;
use media::mp4::Movie;
use media::time::CaptureTime;
use recording::Episode;

use crate::capture_time::UNIX_TIME;
use crate::convert::ToClockTime;

/// Returns the file of an episode, without a copy of its bytes.
pub fn buffers(episode: Episode) -> gst::BufferList {
    let Episode {
        capture_time,
        movie,
        file,
    } = episode;
    let mut list = gst::BufferList::new_sized(file.len());
    let mut place = 0;
    for chunk in file {
        let length = chunk.len() as u64;
        let mut buffer = gst::Buffer::from_slice(chunk);
        let contents = buffer.make_mut();
        contents.set_offset(place);
        contents.set_offset_end(place + length);
        if place == 0 {
            let length = movie.length.map(ClockTime::from_nseconds);
            contents.set_pts(ClockTime::from_nseconds(movie.start));
            contents.set_flags(gst::BufferFlags::DISCONT);
            gst::ReferenceTimestampMeta::add(
                contents,
                &UNIX_TIME,
                capture_time.clock_time(),
                length,
            );
        }
        place += length;
        list.make_mut().add(buffer);
    }
    list
}

/// Returns the caps of episodes.
pub fn caps() -> gst::Caps {
    gst::Caps::builder("video/quicktime")
        .field("variant", "iso")
        .build()
}

/// Places of episodes in running time: one after another.
#[derive(Debug, Default)]
pub struct Row {
    /// Capture time and running time of the last one, if its length is unknown.
    last: Option<(CaptureTime, ClockTime)>,
    has_begun: bool,
}

impl Row {
    /// Returns whether there was an episode.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns the segment of the next episode, at its stream time. The others end at `reached`, which becomes its
    /// end.
    pub fn place(
        &mut self,
        episode: &Episode,
        stream_time: ClockTime,
        reached: &mut ClockTime,
    ) -> gst::FormattedSegment<ClockTime> {
        self.has_begun = true;
        // At the latest it has ended when the next one begins.
        if let Some((capture, base)) = self.last.take() {
            let length = (episode.capture_time - capture).clock_time();
            *reached = (*reached).max(base.saturating_add(length));
        }
        let Movie {
            start,
            length,
            is_cut,
        } = episode.movie;
        let start = ClockTime::from_nseconds(start);
        let length = length.map(ClockTime::from_nseconds);
        let mut segment = gst::FormattedSegment::new();
        segment.set_start(start);
        let stop = length.map(|length| start.saturating_add(length));
        segment.set_stop(stop.filter(|_| is_cut));
        segment.set_position(start);
        segment.set_time(stream_time);
        segment.set_base(*reached);
        match length {
            Some(length) => *reached = reached.saturating_add(length),
            None => self.last = Some((episode.capture_time, *reached)),
        }
        segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: ClockTime = ClockTime::SECOND;

    fn episode(capture: u64, start: u64, length: Option<u64>) -> Episode {
        gst::init().unwrap();
        Episode {
            capture_time: CaptureTime::from_useconds(capture * 1_000_000),
            movie: Movie {
                start: start * SECOND.nseconds(),
                length: length.map(|length| length * SECOND.nseconds()),
                is_cut: start > 0,
            },
            file: Vec::new(),
        }
    }

    /// Start, stop, time and base in seconds.
    fn place(row: &mut Row, episode: &Episode, reached: &mut ClockTime) -> [Option<u64>; 4] {
        let segment = row.place(episode, episode.capture_time.clock_time(), reached);
        [
            segment.start(),
            segment.stop(),
            segment.time(),
            segment.base(),
        ]
        .map(|time| time.map(ClockTime::seconds))
    }

    #[test]
    fn one_after_another_without_the_hole() {
        let (mut row, mut reached) = (Row::default(), ClockTime::ZERO);
        assert!(!row.has_begun());
        let first = episode(10, 1, Some(2));
        let placed = place(&mut row, &first, &mut reached);
        assert_eq!(placed, [Some(1), Some(3), Some(10), Some(0)]);
        assert!(row.has_begun());
        let second = episode(50, 0, Some(3));
        let placed = place(&mut row, &second, &mut reached);
        assert_eq!(placed, [Some(0), None, Some(50), Some(2)]);
        assert_eq!(reached, 5 * SECOND);
    }

    #[test]
    fn one_that_does_not_say_how_long_it_is() {
        let (mut row, mut reached) = (Row::default(), ClockTime::ZERO);
        place(&mut row, &episode(10, 0, None), &mut reached);
        let placed = place(&mut row, &episode(14, 0, Some(1)), &mut reached);
        assert_eq!(placed, [Some(0), None, Some(14), Some(4)]);
        assert_eq!(reached, 5 * SECOND);
    }
}
