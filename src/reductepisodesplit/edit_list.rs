// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What of a file is shown: its edit list (ISO/IEC 14496-12, 8.6.6). mp4mux shows all.

use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use gst::ClockTime;

/// Bytes of a box before its contents.
const HEADER: usize = 8;
/// Playback at normal speed, as a 16.16 number.
const NORMAL_RATE: u32 = 0x0001_0000;

/// Has players show only these parts of a file with one track, times since its first picture. Gives
/// `false` if there is no room for that: in front of others the box `moov` cannot grow.
///
/// # Errors
///
/// Those of the file, and `InvalidData` if it is not as mp4mux writes it.
pub fn show_only(file: &Path, shown: &[Range<ClockTime>]) -> io::Result<bool> {
    let mut file = OpenOptions::new().read(true).write(true).open(file)?;
    let length = file.seek(SeekFrom::End(0))?;
    let moov = find_moov(&mut file, length)?;
    let mut old = vec![0; usize::try_from(moov.end - moov.start).map_err(invalid)?];
    file.seek(SeekFrom::Start(moov.start))?;
    file.read_exact(&mut old)?;

    let new = with_edits(&old, shown).ok_or_else(|| invalid("no box moov as expected"))?;
    if new.len() != old.len() && moov.end != length {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(moov.start))?;
    file.write_all(&new)?;
    if moov.end == length {
        file.set_len(moov.start + new.len() as u64)?;
    }
    Ok(true)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Where the box `moov` is in a file.
fn find_moov(file: &mut (impl Read + Seek), length: u64) -> io::Result<Range<u64>> {
    let mut start = 0;
    while start < length {
        let mut header = [0; 16];
        let there = header.len().min((length - start).try_into().unwrap_or(16));
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut header[..there])?;
        let size = match number(&header, 0..4) {
            Some(0) => Some(length - start), // To the end of the file.
            Some(1) => number(&header, HEADER..16),
            size => size,
        };
        let size = size.filter(|size| *size >= HEADER as u64);
        let end = size.and_then(|size| start.checked_add(size));
        let end = end.filter(|end| *end <= length);
        let end = end.ok_or_else(|| invalid("a box is longer than the file"))?;
        if &header[4..HEADER] == b"moov" {
            return Ok(start..end);
        }
        start = end;
    }
    Err(invalid("no box moov"))
}

/// The box `moov` with another edit list and the durations that follow from it.
fn with_edits(moov: &[u8], shown: &[Range<ClockTime>]) -> Option<Vec<u8>> {
    let contents = moov.get(HEADER..)?;
    let mvhd = child(contents, b"mvhd")?;
    let trak = child(contents, b"trak")?;
    let mdhd = child(child(trak, b"mdia")?, b"mdhd")?;
    let old = child(trak, b"edts")
        .and_then(|edts| child(edts, b"elst"))
        .and_then(Edit::last_of)
        .unwrap_or_default();

    let (movie, media) = (timescale(mvhd)?, timescale(mdhd)?);
    let mut edits: Vec<_> = shown
        .iter()
        .map(|shown| Edit {
            duration: in_units(shown.end.saturating_sub(shown.start), movie),
            media_time: old.media_time.saturating_add(in_units(shown.start, media)),
        })
        .collect();
    let duration = edits.iter().map(|edit| edit.duration).sum();
    // A file in fragments did not know its duration when it began, and goes on to its end.
    if old.duration == 0
        && let Some(last) = edits.last_mut()
    {
        last.duration = 0;
    }

    let mut new = Vec::with_capacity(moov.len() + edits.len() * 20);
    put_box(&mut new, b"moov", |new| {
        for (name, whole) in boxes(contents) {
            match &name {
                b"mvhd" => put_header(new, whole, MVHD_DURATION, duration)?,
                b"trak" => put_trak(new, whole, duration, &edits)?,
                _ => new.extend(whole),
            }
        }
        Some(())
    })?;
    Some(new)
}

fn put_trak(new: &mut Vec<u8>, trak: &[u8], duration: u64, edits: &[Edit]) -> Option<()> {
    put_box(new, b"trak", |new| {
        for (name, whole) in boxes(trak.get(HEADER..)?) {
            match &name {
                b"tkhd" => {
                    put_header(new, whole, TKHD_DURATION, duration)?;
                    put_box(new, b"edts", |new| put_edits(new, edits))?;
                }
                b"edts" => {}
                _ => new.extend(whole),
            }
        }
        Some(())
    })
}

fn put_edits(new: &mut Vec<u8>, edits: &[Edit]) -> Option<()> {
    put_box(new, b"elst", |new| {
        let fits = |edit: &Edit| {
            u32::try_from(edit.duration).is_ok() && i32::try_from(edit.media_time).is_ok()
        };
        let is_long = !edits.iter().all(fits);
        new.extend([u8::from(is_long), 0, 0, 0]);
        new.extend(u32::try_from(edits.len()).ok()?.to_be_bytes());
        for edit in edits {
            for value in [edit.duration, edit.media_time] {
                let bytes = value.to_be_bytes();
                new.extend(&bytes[if is_long { 0 } else { 4 }..]);
            }
            new.extend(NORMAL_RATE.to_be_bytes());
        }
        Some(())
    })
}

/// A part of the media that is shown. Its duration is in units of the movie, the time in those of
/// the media.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Edit {
    duration: u64,
    media_time: u64,
}

impl Edit {
    /// The last one of a list. Before it may be a time without media.
    fn last_of(elst: &[u8]) -> Option<Self> {
        let is_long = *elst.first()? == 1;
        let (length, number_length) = if is_long { (20, 8) } else { (12, 4) };
        let count = usize::try_from(number(elst, 4..8)?).ok()?;
        let last = 8 + count.checked_sub(1)?.checked_mul(length)?;
        Some(Self {
            duration: number(elst, last..last + number_length)?,
            media_time: number(elst, last + number_length..last + 2 * number_length)?,
        })
    }
}

/// Where a box has its duration, in version 0 and in version 1.
type DurationField = [Range<usize>; 2];

/// In the movie header, and in the media header (8.2.2, 8.4.2).
const MVHD_DURATION: DurationField = [16..20, 24..32];
/// In the track header (8.3.2).
const TKHD_DURATION: DurationField = [20..24, 28..36];

/// Units a second, of a movie or its media.
fn timescale(header: &[u8]) -> Option<u64> {
    let at = if *header.first()? == 1 { 20 } else { 12 };
    number(header, at..at + 4)
}

/// Puts a box with another duration, if it has one.
fn put_header(new: &mut Vec<u8>, whole: &[u8], field: DurationField, duration: u64) -> Option<()> {
    let begin = new.len() + HEADER;
    new.extend(whole);
    let contents = new.get_mut(begin..)?;
    let [short, long] = field;
    let field = if *contents.first()? == 1 { long } else { short };
    if number(contents, field.clone())? != 0 {
        let bytes = duration.to_be_bytes();
        let bytes = &bytes[bytes.len() - field.len()..];
        contents.get_mut(field)?.copy_from_slice(bytes);
    }
    Some(())
}

fn put_box(
    new: &mut Vec<u8>,
    name: &[u8; 4],
    put: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let begin = new.len();
    new.extend([0; 4]);
    new.extend(name);
    put(new)?;
    let size = u32::try_from(new.len() - begin).ok()?;
    new[begin..begin + 4].copy_from_slice(&size.to_be_bytes());
    Some(())
}

/// Names of boxes in a row, and all their bytes.
fn boxes(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = usize::try_from(number(data, 0..4)?).ok()?;
        let name = data.get(4..HEADER)?.try_into().ok()?;
        let (whole, rest) = data.split_at_checked(size.max(HEADER))?;
        data = rest;
        Some((name, whole))
    })
}

/// The contents of the first box with a name.
fn child<'a>(data: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let found = boxes(data).find(|(other, _)| other == name);
    found.and_then(|(_, whole)| whole.get(HEADER..))
}

/// A number of at most eight bytes, the highest first.
fn number(data: &[u8], at: Range<usize>) -> Option<u64> {
    let bytes = data.get(at)?.iter();
    Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A time in units of so many a second, to the nearest.
fn in_units(time: ClockTime, units: u64) -> u64 {
    let second = u128::from(ClockTime::SECOND.nseconds());
    let units = u128::from(time.nseconds()) * u128::from(units) + second / 2;
    u64::try_from(units / second).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: ClockTime = ClockTime::MSECOND;

    fn boxed(name: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let mut new = Vec::new();
        put_box(&mut new, name, |new| {
            new.extend(contents);
            Some(())
        });
        new
    }

    /// A header of version 0 whose fields are four bytes each.
    fn header(name: &[u8; 4], fields: &[u32]) -> Vec<u8> {
        let fields: Vec<u8> = fields
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect();
        boxed(name, &fields)
    }

    /// A movie of ten seconds, 1000 units a second, whose media has 90000; the first picture is 200 ms
    /// after the first DTS.
    fn moov(duration: u32) -> Vec<u8> {
        let elst = header(b"elst", &[0, 1, duration, 18_000, NORMAL_RATE]);
        let trak = [
            header(b"tkhd", &[7, 0, 0, 1, 0, duration, 5, 6]),
            boxed(b"edts", &elst),
            boxed(b"mdia", &header(b"mdhd", &[0, 0, 0, 90_000, 900_000])),
        ];
        let contents = [
            header(b"mvhd", &[0, 0, 0, 1000, duration, 9]),
            boxed(b"trak", &trak.concat()),
            boxed(b"udta", b"text"),
        ];
        boxed(b"moov", &contents.concat())
    }

    fn edits(moov: &[u8]) -> Vec<u64> {
        let trak = child(&moov[HEADER..], b"trak").unwrap();
        let elst = child(child(trak, b"edts").unwrap(), b"elst").unwrap();
        let numbers = elst[8..].chunks(4).map(|four| number(four, 0..4).unwrap());
        numbers.collect()
    }

    #[test]
    fn what_leads_in_is_left_out() {
        let old = moov(10_000);
        let new = with_edits(&old, &[500 * MS..10_000 * MS]).unwrap();
        assert_eq!(new.len(), old.len());
        assert_eq!(edits(&new), [9500, 18_000 + 45_000, NORMAL_RATE.into()]);
        let contents = &new[HEADER..];
        let mvhd = child(contents, b"mvhd").unwrap();
        assert_eq!(number(mvhd, 16..20), Some(9500));
        let tkhd = child(child(contents, b"trak").unwrap(), b"tkhd").unwrap();
        assert_eq!(number(tkhd, 20..24), Some(9500));
        assert_eq!(child(contents, b"udta"), Some(&b"text"[..]));
        // Nothing else is another one.
        let same = with_edits(&old, &[ClockTime::ZERO..10_000 * MS]).unwrap();
        assert_eq!(same, old);
    }

    #[test]
    fn several_parts() {
        let old = moov(10_000);
        let new = with_edits(&old, &[ClockTime::ZERO..2000 * MS, 3000 * MS..4500 * MS]).unwrap();
        assert_eq!(new.len(), old.len() + 12);
        let rate = NORMAL_RATE.into();
        let expected = [2000, 18_000, rate, 1500, 18_000 + 270_000, rate];
        assert_eq!(edits(&new), expected);
        let size = number(&new, 0..4).unwrap();
        assert_eq!(size, new.len() as u64);
    }

    #[test]
    fn a_file_in_fragments_goes_on_to_its_end() {
        let new = with_edits(&moov(0), &[500 * MS..10_000 * MS]).unwrap();
        assert_eq!(edits(&new)[..2], [0, 63_000]);
        let mvhd = child(&new[HEADER..], b"mvhd").unwrap();
        assert_eq!(number(mvhd, 16..20), Some(0));
    }

    #[test]
    fn long_times_have_long_numbers() {
        let day = ClockTime::from_seconds(86_400);
        let new = with_edits(&moov(10_000), &[day..day + 5000 * MS]).unwrap();
        let trak = child(&new[HEADER..], b"trak").unwrap();
        let elst = child(child(trak, b"edts").unwrap(), b"elst").unwrap();
        assert_eq!(elst[0], 1);
        let edit = Edit::last_of(elst).unwrap();
        assert_eq!(edit.duration, 5000);
        assert_eq!(edit.media_time, 18_000 + 86_400 * 90_000);
    }

    #[test]
    fn what_is_no_movie_is_refused() {
        let old = moov(10_000);
        for end in 0..old.len() - 12 {
            assert_eq!(
                with_edits(&old[..end], &[ClockTime::ZERO..MS]),
                None,
                "{end}"
            );
        }
    }

    #[test]
    fn moov_is_found_behind_large_boxes() {
        let mut file = boxed(b"ftyp", b"isom");
        file.extend([0, 0, 0, 1]);
        file.extend(b"mdat");
        file.extend(20u64.to_be_bytes());
        file.extend(b"data");
        let start = file.len() as u64;
        file.extend(moov(10_000));
        let length = file.len() as u64;
        let mut reader = io::Cursor::new(&file);
        assert_eq!(find_moov(&mut reader, length).unwrap(), start..length);
        for end in 1..length {
            let mut reader = io::Cursor::new(&file[..end as usize]);
            assert!(find_moov(&mut reader, end).is_err(), "{end}");
        }
    }
}
