// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What an MP4 file says of its time (ISO/IEC 14496-12): how long it is, and what of it is shown.

use bytes::Bytes;
use gst::ClockTime;
use gst::prelude::*;

/// What a file says of itself. Times are those of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movie {
    /// From when on it is shown.
    pub start: ClockTime,
    /// How long it is shown; `None` if only its fragments tell.
    pub length: Option<ClockTime>,
    /// It ends before its last sample does, perhaps.
    pub is_cut: bool,
}

/// Reads the box `moov` of a file that comes in pieces. `None` if there is none.
pub fn movie(file: &[Bytes]) -> Option<Movie> {
    let moov = moov(file)?;
    let (scale, duration) = header(child(&moov, b"mvhd")?)?;
    let whole = Movie {
        start: ClockTime::ZERO,
        length: time(duration, scale).filter(|length| !length.is_zero()),
        is_cut: false,
    };
    let mut tracks = children(&moov).filter(|(kind, _)| kind == b"trak");
    let track = tracks.find_map(|(_, track)| is_video(track).then_some(track));
    let edited = track.and_then(|track| edited(track, scale));
    Some(edited.unwrap_or(whole))
}

fn is_video(track: &[u8]) -> bool {
    let handler = child(track, b"mdia").and_then(|media| child(media, b"hdlr"));
    handler.is_some_and(|handler| handler.get(8..12) == Some(b"vide".as_slice()))
}

/// What the edit list of a track leaves: from its first edit to the end of its last one.
fn edited(track: &[u8], movie_scale: u64) -> Option<Movie> {
    let (media_scale, _) = header(child(child(track, b"mdia")?, b"mdhd")?)?;
    let list = child(child(track, b"edts")?, b"elst")?;
    let is_long = *list.first()? == 1;
    let entries = list.get(8..)?.chunks_exact(if is_long { 20 } else { 12 });
    let entries = entries.map(|entry| match is_long {
        true => (number(&entry[..8]), number(&entry[8..16])),
        // The media time has a sign, and none is -1.
        false => match (number(&entry[..4]), number(&entry[4..8])) {
            (duration, 0xffff_ffff) => (duration, u64::MAX),
            entry => entry,
        },
    });
    let mut shown = entries.filter(|(_, media_time)| *media_time != u64::MAX);
    let first = shown.next()?;
    let last = shown.next_back().unwrap_or(first);
    let start = time(first.1, media_scale)?;
    let last_start = time(last.1, media_scale)?;
    let end = time(last.0, movie_scale)
        .filter(|length| !length.is_zero())
        .map(|length| last_start.saturating_add(length));
    Some(Movie {
        start,
        length: end.map(|end| end.saturating_sub(start)),
        is_cut: end.is_some(),
    })
}

/// Time scale and duration of a box `mvhd` or `mdhd`.
fn header(contents: &[u8]) -> Option<(u64, u64)> {
    let (scale, duration) = match contents.first()? {
        1 => (contents.get(20..24)?, contents.get(24..32)?),
        _ => (contents.get(12..16)?, contents.get(16..20)?),
    };
    // All ones are a duration that nobody knows.
    let is_known = duration.iter().any(|byte| *byte != 0xff);
    let duration = if is_known { number(duration) } else { 0 };
    Some((number(scale), duration))
}

fn time(ticks: u64, scale: u64) -> Option<ClockTime> {
    // As qtdemux does it: a picture may not be before its segment.
    ClockTime::SECOND.mul_div_floor(ticks, scale)
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The contents of a box of a kind in the contents of another one.
fn child<'a>(contents: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let mut children = children(contents);
    children.find_map(|(found, contents)| (found == kind).then_some(contents))
}

/// Kinds and contents of the boxes in another one's contents.
fn children(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let size = number(rest.get(..4)?);
        let kind = rest.get(4..8)?;
        let (begin, end) = match size {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(number(rest.get(8..16)?)).ok()?),
            size => (8, usize::try_from(size).ok()?),
        };
        let contents = rest.get(begin..end)?;
        rest = &rest[end..];
        Some((kind, contents))
    })
}

/// The contents of the file's box `moov`.
fn moov(file: &[Bytes]) -> Option<Vec<u8>> {
    let length = file.iter().map(|piece| piece.len() as u64).sum::<u64>();
    let mut place = 0;
    while place < length {
        let size = number(&read(file, place, 4)?);
        let kind = read(file, place + 4, 4)?;
        let (begin, size) = match size {
            0 => (8, length - place),
            1 => (16, number(&read(file, place + 8, 8)?)),
            size => (8, size),
        };
        let end = place.checked_add(size).filter(|end| *end <= length)?;
        let contents = place + begin..end;
        if contents.is_empty() && size < begin {
            return None;
        }
        if kind == b"moov" {
            return read(file, contents.start, usize::try_from(size - begin).ok()?);
        }
        place = end;
    }
    None
}

/// Some bytes of a file that comes in pieces.
fn read(file: &[Bytes], mut place: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    for piece in file {
        let Some(piece) = usize::try_from(place)
            .ok()
            .and_then(|place| piece.get(place..))
        else {
            place -= piece.len() as u64;
            continue;
        };
        place = 0;
        bytes.extend_from_slice(&piece[..piece.len().min(length - bytes.len())]);
        if bytes.len() == length {
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: ClockTime = ClockTime::MSECOND;

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
            start: ClockTime::ZERO,
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
