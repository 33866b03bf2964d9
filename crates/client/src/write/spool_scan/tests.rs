// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

use std::io::ErrorKind;
use std::ops::Range;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::write::record::Content;

const RUN: u64 = 0x1122_3344_5566_7788;

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let bytes = self.get(offset..offset + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn record(time: u64, content: &[u8]) -> NewRecord {
    NewRecord {
        time,
        content: Content::Memory(vec![Bytes::copy_from_slice(content)]),
        frame_rate: Some("30".into()),
        keyframe: time.is_multiple_of(10),
        is_entry_point: time.is_multiple_of(10),
        labels: [("site".to_owned(), "3".to_owned())].into(),
        frames: 1 + time % 3,
        has_fixed_time: false,
        is_recovered: false,
        unsent_run: None,
    }
}

/// A file with records at the times 0, 1, … and the ranges of their bytes.
fn file(contents: &[Vec<u8>]) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut file = format::file_header(RUN, Placement::Pending).to_vec();
    let mut ranges = Vec::new();
    let mut frames = 0;
    for (time, content) in (0..).zip(contents) {
        let record = record(time, content);
        let index = RecordIndex {
            records: u32::try_from(time).unwrap(),
            frames,
        };
        let parts = [Bytes::copy_from_slice(content)];
        let (header, _) = format::encode(RUN, index, &record, &parts).unwrap();
        frames += record.frames;
        let begin = file.len();
        file.extend(header);
        file.extend(content);
        ranges.push(begin..file.len());
    }
    (file, ranges)
}

/// The same by the first version of the format.
fn first_version(contents: &[Vec<u8>]) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut file = Vec::new();
    let mut ranges = Vec::new();
    for (time, content) in (0u64..).zip(contents) {
        let description = format!(
            r#"{{"entry-point":true,"fixed":false,"fps":"30","frames":1,"keyframe":true,"labels":{{"site":"3"}},"length":{},"time":{time}}}"#,
            content.len()
        );
        let begin = file.len();
        file.extend(u32::try_from(description.len()).unwrap().to_le_bytes());
        file.extend(description.as_bytes());
        file.extend(content);
        ranges.push(begin..file.len());
    }
    (file, ranges)
}

/// Times of the records that are found with their own contents, and how many have other ones.
fn intact(file: &[u8], scan: &Scan, contents: &[Vec<u8>]) -> (Vec<usize>, u64) {
    let mut times = Vec::new();
    let mut broken = 0;
    for (found, span) in &scan.records {
        let begin = usize::try_from(span.offset).unwrap();
        let content = &file[begin..begin + usize::try_from(span.length).unwrap()];
        if span
            .checksum
            .is_some_and(|sum| sum != crc32fast::hash(content))
        {
            broken += 1;
            continue;
        }
        let time = usize::try_from(found.time).unwrap();
        assert_eq!(content, contents[time]);
        assert_eq!(found.frames, record(found.time, &[]).frames);
        times.push(time);
    }
    (times, broken)
}

fn scanned(file: &Vec<u8>) -> Scan {
    scan(file, file.len() as u64)
}

fn contents(count: usize) -> Vec<Vec<u8>> {
    let content = |at: usize| vec![u8::try_from(at).unwrap(); 100 + at];
    (0..count).map(content).collect()
}

#[test]
fn all_of_a_file() {
    let contents = contents(20);
    let (file, _) = file(&contents);
    let scan = scanned(&file);
    assert_eq!((scan.run, scan.placement), (Some(RUN), Placement::Pending));
    assert!(!scan.is_damaged && !scan.is_torn && scan.error.is_none());
    assert_eq!(scan.lost, Lost::default());
    assert_eq!(intact(&file, &scan, &contents), ((0..20).collect(), 0));
}

#[test]
fn files_without_records() {
    let header = format::file_header(RUN, Placement::Pending).to_vec();
    for length in 0..=header.len() {
        let scan = scanned(&header[..length].to_vec());
        assert!(scan.records.is_empty() && !scan.is_torn, "{length}");
        assert!(!scan.is_damaged && scan.lost == Lost::default(), "{length}");
    }
    for garbage in [vec![0; 5000], vec![0xff; 10], b"not a spool".to_vec()] {
        let scan = scanned(&garbage);
        assert!(scan.records.is_empty() && scan.is_damaged && !scan.is_torn);
        assert_eq!(scan.lost.records, 1);
    }
}

#[test]
fn the_last_record_is_torn_at_any_place() {
    let contents = contents(3);
    let (file, ranges) = file(&contents);
    for end in ranges[2].clone().skip(1) {
        let torn = file[..end].to_vec();
        let scan = scanned(&torn);
        assert!(scan.is_torn && !scan.is_damaged, "{end}");
        assert_eq!(scan.lost.records, 1, "{end}");
        assert_eq!(intact(&torn, &scan, &contents), (vec![0, 1], 0), "{end}");
    }
    let scan = scanned(&file[..ranges[2].start].to_vec());
    assert!(!scan.is_torn && scan.lost == Lost::default());
}

#[test]
fn a_damaged_header_costs_its_record() {
    let contents = contents(100);
    let (file, ranges) = file(&contents);
    let expected: Vec<_> = (0..100).filter(|at| *at != 50).collect();
    for place in ranges[50].start..ranges[50].end - contents[50].len() {
        let mut damaged = file.clone();
        damaged[place] ^= 0xff;
        let scan = scanned(&damaged);
        assert_eq!(intact(&damaged, &scan, &contents), (expected.clone(), 0));
        let lost = Lost {
            records: 1,
            frames: record(50, &[]).frames,
        };
        assert_eq!(scan.lost, lost, "{place}");
        assert!(scan.is_damaged && !scan.is_torn);
    }
}

#[test]
fn a_file_header_costs_no_record() {
    let contents = contents(10);
    let (file, _) = file(&contents);
    for garbage in [0, 0xff] {
        let mut damaged = file.clone();
        damaged[..FILE_HEADER].fill(garbage);
        let scan = scanned(&damaged);
        assert_eq!((scan.run, scan.placement), (Some(RUN), Placement::Unknown));
        assert_eq!(intact(&damaged, &scan, &contents).0.len(), 10);
        assert_eq!(scan.lost, Lost::default());
        assert!(scan.is_damaged);
    }
    let missing = file[10..].to_vec();
    assert_eq!(intact(&missing, &scanned(&missing), &contents).0.len(), 10);
}

#[test]
fn contents_that_look_like_records_are_contents() {
    let inner = file(&contents(3)).0;
    let foreign: Vec<u8> = {
        // As something else would have to make it up: the run is not known.
        let record = record(7, b"forged");
        let index = RecordIndex {
            records: 1,
            frames: 1,
        };
        let parts = [Bytes::from_static(b"forged")];
        let (mut forged, _) = format::encode(RUN + 1, index, &record, &parts).unwrap();
        forged.extend(b"forged");
        forged
    };
    let contents = vec![
        vec![1; 10],
        foreign,
        inner[FILE_HEADER..].to_vec(),
        vec![2; 10],
    ];
    let (mut file, ranges) = file(&contents);
    assert_eq!(intact(&file, &scanned(&file), &contents).0, [0, 1, 2, 3]);
    file[ranges[1].start + 20] ^= 1;
    assert_eq!(intact(&file, &scanned(&file), &contents).0, [0, 2, 3]);
}

#[test]
fn records_over_the_end_of_a_chunk_are_found() {
    for length in CHUNK - 200..CHUNK + 20 {
        let contents = vec![vec![1; 10], vec![2; length - 400], vec![3; 10]];
        let (mut file, ranges) = file(&contents);
        file[ranges[1].start] ^= 1;
        assert_eq!(intact(&file, &scanned(&file), &contents).0, [0, 2]);
    }
}

#[test]
fn copies_of_records_are_passed_over() {
    let contents = contents(6);
    let (file, ranges) = file(&contents);
    let copy = file[ranges[1].start..ranges[2].end].to_vec();
    let mut damaged = file.clone();
    damaged.splice(ranges[4].start..ranges[4].start, copy);
    let scan = scanned(&damaged);
    assert_eq!(intact(&damaged, &scan, &contents).0, [0, 1, 2, 3, 4, 5]);
    assert!(scan.is_damaged && scan.lost == Lost::default());
}

#[test]
fn labels_that_cannot_be_sent_cost_their_record() {
    let mut file = format::file_header(RUN, Placement::Pending).to_vec();
    for (at, value) in ["fine", "line\nbreak", "fine"].into_iter().enumerate() {
        let index = u32::try_from(at).unwrap();
        let record = NewRecord {
            labels: [("site".to_owned(), value.to_owned())].into(),
            frames: 1,
            ..record(index.into(), b"content")
        };
        let index = RecordIndex {
            records: index,
            frames: index.into(),
        };
        let parts = [Bytes::from_static(b"content")];
        file.extend(format::encode(RUN, index, &record, &parts).unwrap().0);
        file.extend(b"content");
    }
    let scan = scanned(&file);
    let times: Vec<_> = scan.records.iter().map(|(record, _)| record.time).collect();
    assert_eq!(times, [0, 2]);
    assert!(scan.is_damaged);
    let lost = Lost {
        records: 1,
        frames: 1,
    };
    assert_eq!(scan.lost, lost);
}

#[test]
fn the_first_version_of_the_format() {
    let contents = contents(10);
    let (file, ranges) = first_version(&contents);
    let scan = scanned(&file);
    assert_eq!((scan.run, scan.placement), (None, Placement::Unknown));
    assert!(!scan.is_damaged && !scan.is_torn && scan.lost == Lost::default());
    let times: Vec<_> = scan.records.iter().map(|(record, _)| record.time).collect();
    assert_eq!(times, (0..10).collect::<Vec<_>>());
    assert!(scan.records.iter().all(|(_, span)| span.checksum.is_none()));

    // Records behind a broken one are found.
    for place in [0, 1, 3, 4, 30] {
        for hit in [0, 5] {
            let mut damaged = file.clone();
            damaged[ranges[hit].start + place] ^= 0xff;
            let scan = scanned(&damaged);
            let times: Vec<_> = scan.records.iter().map(|(record, _)| record.time).collect();
            let expected: Vec<_> = (0..10).filter(|time| *time != hit as u64).collect();
            assert_eq!(times, expected, "{place} of {hit}");
            assert!(scan.is_damaged && scan.lost.records == 1);
        }
    }

    for end in ranges[9].clone().skip(1) {
        let torn = scanned(&file[..end].to_vec());
        assert_eq!(torn.records.len(), 9, "{end}");
        assert!(
            torn.is_torn && !torn.is_damaged && torn.lost.records == 1,
            "{end}"
        );
    }
}

#[test]
fn an_error_ends_the_search() {
    struct Broken(Vec<u8>, u64);

    impl ReadAt for Broken {
        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            if offset + buffer.len() as u64 > self.1 {
                return Err(io::Error::other("input/output error"));
            }
            self.0.read_exact_at(buffer, offset)
        }
    }

    let contents: Vec<_> = (0..10).map(|_| vec![7; 1000]).collect();
    let (file, ranges) = file(&contents);
    let length = file.len() as u64;
    let scan = scan(&Broken(file, ranges[5].start as u64), length);
    assert_eq!(scan.records.len(), 5);
    assert!(scan.is_damaged && scan.error.is_some());
    assert_eq!(scan.lost.records, 1);
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(usize, u8),
    Zero(usize, usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Truncate(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = || 0usize..10_000;
    prop_oneof![
        4 => (place(), 1u8..).prop_map(|(place, bits)| Damage::Flip(place, bits)),
        1 => (place(), 1usize..600).prop_map(|(place, length)| Damage::Zero(place, length)),
        2 => (place(), vec(any::<u8>(), 1..300)).prop_map(|(place, bytes)| Damage::Insert(place, bytes)),
        1 => (place(), 1usize..600).prop_map(|(place, length)| Damage::Remove(place, length)),
        1 => place().prop_map(Damage::Truncate),
    ]
}

/// Damages a file, and removes from the survivors whose bytes are hit. `places` has for each byte its place
/// in the original file.
fn apply(
    file: &mut Vec<u8>,
    places: &mut Vec<usize>,
    hit: &mut impl FnMut(Range<usize>),
    damage: Damage,
) {
    let length = file.len();
    if length == 0 {
        return;
    }
    match damage {
        Damage::Flip(place, bits) => {
            let place = place % length;
            file[place] ^= bits;
            hit(places[place]..places[place] + 1);
        }
        Damage::Zero(place, count) => {
            let place = place % length;
            let range = place..(place + count).min(length);
            file[range.clone()].fill(0);
            places[range].iter().for_each(|at| hit(*at..*at + 1));
        }
        Damage::Insert(place, bytes) => {
            let place = place % length;
            // Both sides of it were one record.
            if let Some(before) = place.checked_sub(1) {
                hit(places[before]..places[place] + 1);
            }
            let count = bytes.len();
            file.splice(place..place, bytes);
            places.splice(place..place, std::iter::repeat_n(usize::MAX - 1, count));
        }
        Damage::Remove(place, count) => {
            let place = place % length;
            let range = place..(place + count).min(length);
            places[range.clone()]
                .iter()
                .for_each(|at| hit(*at..*at + 1));
            file.drain(range.clone());
            places.drain(range);
        }
        Damage::Truncate(place) => {
            let place = place % length;
            places[place..].iter().for_each(|at| hit(*at..*at + 1));
            file.truncate(place);
            places.truncate(place);
        }
    }
}

proptest! {
    /// After any damage of a file all undamaged records are found, none is found with
    /// another content, and losses are counted.
    #[test]
    fn damage_costs_the_records_that_are_hit(
        contents in vec(vec(any::<u8>(), 0..400), 1..20),
        damages in vec(damage(), 0..4),
    ) {
        let (mut bytes, ranges) = file(&contents);
        let mut places: Vec<_> = (0..bytes.len()).collect();
        let mut is_hit = vec![false; contents.len()];
        let is_one = damages.len() == 1;
        for damage in damages {
            // A range that is in one record only hits it, and one that spans its border hits none.
            let mut hit = |range: Range<usize>| {
                for (is_hit, record) in is_hit.iter_mut().zip(&ranges) {
                    let is_byte = range.len() == 1 && record.contains(&range.start);
                    let is_inside = record.contains(&range.start) && record.contains(&(range.end.saturating_sub(1)));
                    *is_hit |= is_byte || is_inside;
                }
            };
            apply(&mut bytes, &mut places, &mut hit, damage);
        }
        let scan = scanned(&bytes);
        let (found, broken) = intact(&bytes, &scan, &contents);
        let survivors: Vec<_> = (0..contents.len()).filter(|at| !is_hit[*at]).collect();
        for survivor in &survivors {
            prop_assert!(found.contains(survivor), "{survivor} of {survivors:?}: {found:?}");
        }
        prop_assert!(found.is_sorted());
        let missing = (contents.len() - found.len()) as u64;
        // Of the last ones nothing says how many there were.
        prop_assert!(scan.lost.records + broken <= missing.max(1));
        if missing > 0 && found.contains(&(contents.len() - 1)) {
            prop_assert_eq!(scan.lost.records + broken, missing);
        }
        if is_one && missing > 0 && !bytes.is_empty() {
            let is_told = scan.is_damaged || scan.is_torn || broken > 0;
            // A file that ends between two records looks whole.
            let is_cut = bytes.len() <= FILE_HEADER || ranges.iter().any(|range| range.start == bytes.len());
            prop_assert!(is_told || is_cut);
        }
    }

    /// No content of a file causes a panic.
    #[test]
    fn any_bytes_can_be_scanned(mut bytes in vec(any::<u8>(), 0..2000), version in 0..3) {
        match version {
            0 => {}
            1 => bytes.splice(0..0, format::file_header(RUN, Placement::Pending)).for_each(drop),
            _ => bytes.splice(0..0, first_version(&contents(1)).0).for_each(drop),
        }
        let scan = scanned(&bytes);
        prop_assert!(scan.records.len() <= 1);
    }
}
