// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The times of an MP4 file (ISO/IEC 14496-12): its duration, and the part of it that is shown.
//!
//! The file is untrusted: it is read in place, each box once, and a file that exceeds a limit is refused.

use std::ops::Range;

use bytes::Bytes;

use super::box_file::BoxFile;
use super::file_bytes::Pieces;
use super::time_fields::{FileDuration, FileEdit, TIME_HEADER};

/// Largest number of boxes that are read before a file is refused.
const MAX_BOXES: u32 = 100_000;
/// Largest size of an edit list in bytes: more edits than any program writes.
const MAX_EDIT_LIST: u64 = 1 << 20;
/// Longest accepted time in ns: 146 years. The sum of two of them does not overflow.
const MAX_TIME: u64 = i64::MAX as u64 / 2;

/// Times of a file in ns, on the time axis of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movie {
    /// First time that is shown.
    pub start: u64,
    /// Duration of the part that is shown; `None` if only its fragments have it.
    pub length: Option<u64>,
    /// The part that is shown may end before the last sample.
    pub is_cut: bool,
}

/// Reads the box `moov` of a file that comes in pieces. Returns `None` if there is none, or if a demuxer
/// would refuse it.
pub fn movie(pieces: &[Bytes]) -> Option<Movie> {
    let pieces = Pieces::new(pieces);
    let file = BoxFile::new(&pieces, MAX_BOXES);
    let moov = file.child(0..file.length, b"moov")?;
    let mut header_of_movie = None;
    let mut shown = None;
    let mut has_video = false;
    for child in file.children(moov) {
        match &child.kind {
            b"mvhd" if header_of_movie.is_none() => {
                header_of_movie = Some(file.header(child.contents)?);
            }
            b"trak" => {
                let track = file.track(child.contents)?;
                if track.is_video && !has_video {
                    has_video = true;
                    shown = track.shown;
                }
            }
            _ => {}
        }
    }
    let movie = header_of_movie?;
    let length = movie.time(movie.ticks)?;
    let whole = Movie {
        start: 0,
        length: Some(length).filter(|length| *length > 0),
        is_cut: false,
    };
    match shown {
        Some(shown) => shown.in_movie(movie),
        None => Some(whole),
    }
}

impl FileDuration {
    /// Converts ticks to ns, rounded down as qtdemux does it: a picture may not be before its segment.
    fn time(self, ticks: u64) -> Option<u64> {
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.units);
        u64::try_from(ns).ok().filter(|ns| *ns <= MAX_TIME)
    }
}

/// Times of a track.
#[derive(Debug)]
struct Track {
    is_video: bool,
    shown: Option<ShownEdits>,
}

/// Part of the media that an edit list shows, from its first edit to the end of its last one.
#[derive(Debug)]
struct ShownEdits {
    media: FileDuration,
    /// Media time of the first edit, in units of the media.
    first: u64,
    last: u64,
    /// Duration of the last edit, in units of the movie.
    last_duration: u64,
}

impl ShownEdits {
    fn in_movie(&self, movie: FileDuration) -> Option<Movie> {
        let start = self.media.time(self.first)?;
        let last_start = self.media.time(self.last)?;
        let last_length = movie.time(self.last_duration)?;
        let end = Some(last_start + last_length).filter(|_| last_length > 0);
        Some(Movie {
            start,
            length: end.map(|end| end.saturating_sub(start)),
            is_cut: end.is_some(),
        })
    }
}

impl BoxFile<'_> {
    /// Reads a box `mvhd` or `mdhd`. Returns `None` if its time scale is 0.
    fn header(&self, contents: Range<u64>) -> Option<FileDuration> {
        let end = contents.end.min(contents.start.checked_add(TIME_HEADER)?);
        FileDuration::read(&self.bytes(contents.start..end)?)
    }

    /// Reads a box `trak`. Returns `None` if one of its times cannot be read.
    fn track(&self, contents: Range<u64>) -> Option<Track> {
        let mut edits = None;
        let mut media = None;
        let mut is_video = false;
        for child in self.children(contents) {
            match &child.kind {
                b"edts" if edits.is_none() => edits = self.child(child.contents, b"elst"),
                b"mdia" if media.is_none() => {
                    for child in self.children(child.contents) {
                        match &child.kind {
                            b"mdhd" if media.is_none() => {
                                media = Some(self.header(child.contents)?);
                            }
                            b"hdlr" => {
                                let mut handler = [0; 4];
                                let at = child.contents.start.checked_add(8)?;
                                let fits = at.checked_add(4)? <= child.contents.end;
                                is_video |= fits
                                    && self.read(at, &mut handler).is_some()
                                    && handler == *b"vide";
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let shown = match (edits, media) {
            (Some(edits), Some(media)) if is_video => self.shown(edits, media)?,
            _ => None,
        };
        Some(Track { is_video, shown })
    }

    /// Reads a box `elst` (8.6.6). Returns `Some(None)` if it shows nothing of the media.
    fn shown(&self, contents: Range<u64>, media: FileDuration) -> Option<Option<ShownEdits>> {
        if contents.end - contents.start > MAX_EDIT_LIST {
            return None;
        }
        let list = self.bytes(contents)?;
        let edits = FileEdit::read_all(&list)?;
        let mut shown = edits.filter_map(|edit| Some((edit.duration, edit.media_time?)));
        Some(shown.next().map(|first| {
            let last = shown.last().unwrap_or(first);
            ShownEdits {
                media,
                first: first.1,
                last: last.1,
                last_duration: last.0,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn boxed(kind: &[u8; 4], contents: &[&[u8]]) -> Vec<u8> {
        let contents = contents.concat();
        let size = (contents.len() as u32 + 8).to_be_bytes();
        [size.as_slice(), kind, &contents].concat()
    }

    /// `mvhd` or `mdhd`.
    fn header_box(kind: &[u8; 4], scale: u32, duration: u32) -> Vec<u8> {
        let fields = [0, 0, 0, scale, duration].map(u32::to_be_bytes);
        boxed(kind, &[&fields.concat()])
    }

    /// A file of two seconds with an edit list of durations, in ms, and media times, in ticks of
    /// 10 ms.
    fn file(edits: &[(u32, u32)]) -> Vec<u8> {
        let entries = edits.iter();
        let entries = entries.flat_map(|&(duration, time)| [duration, time, 0x0001_0000]);
        let entries: Vec<u8> = entries.flat_map(u32::to_be_bytes).collect();
        let count = (edits.len() as u32).to_be_bytes();
        let list = boxed(b"elst", &[&[0; 4], &count, &entries]);
        let edits = match edits {
            [] => Vec::new(),
            _ => boxed(b"edts", &[&list]),
        };
        let handler = boxed(b"hdlr", &[&[0; 8], b"vide", &[0; 12]]);
        let media = boxed(b"mdia", &[&header_box(b"mdhd", 100, 200), &handler]);
        let track = boxed(b"trak", &[&edits, &media]);
        let sound = boxed(b"trak", &[&boxed(b"mdia", &[&header_box(b"mdhd", 1, 1)])]);
        let movie = boxed(b"moov", &[&header_box(b"mvhd", 1000, 2000), &sound, &track]);
        [
            boxed(b"ftyp", &[b"isom"]),
            boxed(b"mdat", &[&[7; 50]]),
            movie,
        ]
        .concat()
    }

    fn movie_of(file: Vec<u8>) -> Option<Movie> {
        movie(&[file.into()])
    }

    #[test]
    fn a_file_without_edits() {
        let expected = Movie {
            start: 0,
            length: Some(2000 * MS),
            is_cut: false,
        };
        assert_eq!(movie_of(file(&[])), Some(expected));
    }

    #[test]
    fn files_with_edits() {
        let expected = |start, length| Movie {
            start: start * MS,
            length: Some(length * MS),
            is_cut: true,
        };
        assert_eq!(movie_of(file(&[(2000, 20)])), Some(expected(200, 2000)));
        let delayed = file(&[(500, u32::MAX), (1000, 20)]);
        assert_eq!(movie_of(delayed), Some(expected(200, 1000)));
        let parts = file(&[(500, 20), (500, 100)]);
        assert_eq!(movie_of(parts), Some(expected(200, 1300)));
    }

    #[test]
    fn fragments_say_their_length_themselves() {
        let movie = movie_of(file(&[(0, 20)])).unwrap();
        assert_eq!(
            (movie.start, movie.length, movie.is_cut),
            (200 * MS, None, false)
        );
    }

    #[test]
    fn what_is_no_file() {
        for bytes in [
            &b""[..],
            b"no MP4",
            b"\0\0\0\x08ftyp",
            b"\0\0\0\x07moov",
            b"\0\0\0\x08moov",
            b"\0\0\0\x01moov\0\0\0\0\0\0\0\x0f",
            b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\x10moov\0\0\0\x08mvhd",
        ] {
            assert_eq!(movie_of(bytes.into()), None, "{bytes:?}");
        }
    }

    /// A file whose time scales are these.
    fn scaled(movie_scale: u32, media_scale: u32, edits: &[u8]) -> Vec<u8> {
        let handler = boxed(b"hdlr", &[&[0; 8], b"vide", &[0; 12]]);
        let media = boxed(b"mdia", &[&header_box(b"mdhd", media_scale, 200), &handler]);
        let edits = boxed(b"edts", &[&boxed(b"elst", &[edits])]);
        let track = boxed(b"trak", &[&edits, &media]);
        boxed(b"moov", &[&header_box(b"mvhd", movie_scale, 2), &track])
    }

    #[test]
    fn a_time_scale_of_0_is_refused() {
        let edit = [&[0; 8][..], &[0, 0, 0, 1], &[0, 0, 0, 9], &[0, 1, 0, 0]].concat();
        for edits in [&edit[..], &[]] {
            assert_eq!(movie_of(scaled(0, 1, edits)), None);
            assert_eq!(movie_of(scaled(1, 0, edits)), None);
        }
        assert!(movie_of(scaled(1, 1, &edit)).is_some());
        // Also that of another track: a demuxer refuses it as well.
        let sound = boxed(b"trak", &[&boxed(b"mdia", &[&header_box(b"mdhd", 0, 1)])]);
        let header = header_box(b"mvhd", 1, 1);
        assert_eq!(movie_of(boxed(b"moov", &[&header, &sound])), None);
    }

    #[test]
    fn times_beyond_all_counting_are_refused() {
        let long = |duration: u64, time: u64| {
            let times = [duration, time].map(u64::to_be_bytes).concat();
            scaled(
                1,
                1,
                &[&[1, 0, 0, 0, 0, 0, 0, 1], &times[..], &[0, 1, 0, 0]].concat(),
            )
        };
        let most = MAX_TIME / 1_000_000_000;
        assert!(movie_of(long(most, most)).is_some());
        for (duration, time) in [
            (most + 1, 0),
            (0, most + 1),
            (u64::MAX, 0),
            (0, u64::MAX - 1),
        ] {
            assert_eq!(movie_of(long(duration, time)), None, "{duration} {time}");
        }
    }

    #[test]
    fn boxes_and_edits_have_a_limit() {
        let many = |boxes: usize, rest: Vec<u8>| {
            movie_of([boxed(b"free", &[]).repeat(boxes), rest].concat())
        };
        assert!(many(MAX_BOXES as usize - 20, file(&[])).is_some());
        assert_eq!(many(MAX_BOXES as usize, file(&[])), None);
        let edits = |count: usize| {
            [
                &[0; 8][..],
                &[0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0].repeat(count),
            ]
            .concat()
        };
        let fits = (MAX_EDIT_LIST as usize - 8) / 12;
        assert!(movie_of(scaled(1, 1, &edits(fits))).is_some());
        assert_eq!(movie_of(scaled(1, 1, &edits(fits + 1))), None);
    }

    /// Boxes times pieces would take minutes.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the time is what is tested"
    )]
    fn each_box_is_looked_for_once() {
        let boxes = boxed(b"free", &[]).repeat(MAX_BOXES as usize - 20);
        let bytes = Bytes::from([boxes, file(&[(2000, 20)])].concat());
        let pieces: Vec<_> = (0..bytes.len())
            .step_by(3)
            .map(|at| bytes.slice(at..bytes.len().min(at + 3)))
            .collect();
        let begin = std::time::Instant::now();
        assert!(movie(&pieces).is_some());
        assert!(begin.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn a_box_that_lasts_to_the_end_is_the_last_one() {
        let mut bytes = file(&[(2000, 20)]);
        let at = bytes.windows(4).position(|four| four == b"moov").unwrap() - 4;
        bytes[at..at + 4].fill(0);
        assert!(movie_of(bytes.clone()).is_some());
        // Within another box, too, and around and around.
        let nested = (0..10_000).fold(Vec::new(), |inner, _| {
            [&[0, 0, 0, 0], b"trak", &inner[..]].concat()
        });
        assert_eq!(movie_of(boxed(b"moov", &[&nested])), None);
    }

    proptest! {
        /// However it is cut, it is the same; and whatever is wrong with it, there is no panic.
        #[test]
        fn pieces_do_not_matter(
            cuts in prop::collection::vec(0usize..400, 0..9),
            changes in prop::collection::vec((0usize..400, any::<u8>()), 0..9),
        ) {
            let mut bytes = file(&[(2000, 20)]);
            let length = bytes.len();
            for (place, byte) in changes {
                bytes[place % length] = byte;
            }
            let bytes = Bytes::from(bytes);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % length).collect();
            cuts.extend([0, length]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| bytes.slice(cut[0]..cut[1])).collect();
            prop_assert_eq!(movie(&pieces), movie(std::slice::from_ref(&bytes)));
        }
    }
}
