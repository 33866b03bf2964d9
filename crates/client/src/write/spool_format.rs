// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Format of the files of a spool: headers, checksums and descriptions. No I/O. Integers are little-endian.
//!
//! | file header | bytes |
//! |---|---|
//! | magic number | 8 |
//! | run: a random number that all files of a run have | 8 |
//! | CRC-32 of these | 4 |
//! | zero | 4 |
//! | placement of the run's records, twice | 2 × 16 |
//! | zero | 8 |
//!
//! | record | bytes |
//! |---|---|
//! | magic number, run | 16 |
//! | index in the file | 4 |
//! | length of the description | 4 |
//! | frames in the records before it in the file | 8 |
//! | frames in it | 4 |
//! | CRC-32 of the content | 4 |
//! | length of the content | 8 |
//! | CRC-32 of all of this and of the description | 4 |
//! | description (JSON) | |
//! | content | |
//!
//! The random number in each record's header keeps contents from passing for records where a damaged
//! file is searched for the next one.
//!
//! The first version of the format had neither headers nor checksums: a record was the length of the
//! description in four bytes, the description with the lengths in it, and the content.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::write::record::{Content, NewRecord, is_label_name, is_label_value};

/// Labels that a description has under names of its own.
const RESERVED_LABELS: [&str; 2] = ["fps", "keyframe"];

/// Length of a file header.
pub const FILE_HEADER: usize = 64;
/// Length of a record's header without its description.
pub const RECORD_HEADER: usize = 52;
/// Longest description.
pub const MAX_DESCRIPTION: usize = 64 << 10;
/// Offsets of the copies of the placement in a file header.
pub const PLACEMENTS: [usize; 2] = [24, 40];
/// Length of a copy of the placement.
pub const PLACEMENT: usize = 16;
/// Length of the prefix of a description in the first version of the format.
pub const FIRST_PREFIX: usize = 4;
/// Begin of a description in the first version of the format.
pub const FIRST_DESCRIPTION: &[u8] = b"{\"entry-point\":";

const FILE_MAGIC: [u8; 8] = *b"\x89RSpool2";
const RECORD_MAGIC: [u8; 8] = *b"\x89RSrec2\n";

/// Offset that is added to the times of a run's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Not readable.
    Unknown,
    /// No record has been sent to the server yet.
    Pending,
    /// Decided before the first record was sent, µs.
    Moved(u64),
}

impl Placement {
    /// Returns the placement that either of two copies or files has.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, other) | (Self::Pending, other @ Self::Moved(_)) => other,
            (known, _) => known,
        }
    }

    /// Returns one of the copies in a file header.
    pub fn encode(self) -> [u8; PLACEMENT] {
        let (moved_by, is_decided) = match self {
            Self::Unknown | Self::Pending => (0, 0),
            Self::Moved(by) => (by, 1u32),
        };
        let mut slot = [0; PLACEMENT];
        put(&mut slot, 0, &moved_by.to_le_bytes());
        put(&mut slot, 8, &is_decided.to_le_bytes());
        let checksum = crc32fast::hash(&slot[..12]);
        put(&mut slot, 12, &checksum.to_le_bytes());
        slot
    }

    fn decode(slot: &[u8]) -> Self {
        let checked = slot.get(..12).map(crc32fast::hash);
        match (u64_at(slot, 0), u32_at(slot, 8)) {
            _ if checked.is_none() || checked != u32_at(slot, 12) => Self::Unknown,
            (Some(by), Some(1)) => Self::Moved(by),
            (Some(_), Some(0)) => Self::Pending,
            _ => Self::Unknown,
        }
    }
}

/// Returns the header of a file.
pub fn file_header(run: u64, placement: Placement) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    put(&mut header, 0, &FILE_MAGIC);
    put(&mut header, 8, &run.to_le_bytes());
    let checksum = crc32fast::hash(&header[..16]);
    put(&mut header, 16, &checksum.to_le_bytes());
    for offset in PLACEMENTS {
        put(&mut header, offset, &placement.encode());
    }
    header
}

/// Parses the run in the header of a file.
pub fn parse_run(header: &[u8]) -> Option<u64> {
    let checksum = crc32fast::hash(header.get(..16)?);
    let is_header = header.starts_with(&FILE_MAGIC) && u32_at(header, 16) == Some(checksum);
    is_header.then(|| u64_at(header, 8)).flatten()
}

/// Parses the placement in the header of a file.
pub fn parse_placement(header: &[u8]) -> Placement {
    let slots = PLACEMENTS.map(|offset| {
        let slot = header.get(offset..offset + PLACEMENT);
        slot.map_or(Placement::Unknown, Placement::decode)
    });
    slots[0].or(slots[1])
}

/// Returns whether a file begins as one of this version, up to its end.
pub fn has_magic(begin: &[u8]) -> bool {
    let length = begin.len().min(FILE_MAGIC.len());
    begin[..length] == FILE_MAGIC[..length]
}

/// Returns the begin of each record of a run, or of any run.
pub fn marker(run: Option<u64>) -> Vec<u8> {
    let mut marker = RECORD_MAGIC.to_vec();
    if let Some(run) = run {
        marker.extend_from_slice(&run.to_le_bytes());
    }
    marker
}

/// A record's place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordIndex {
    /// Records before it.
    pub records: u32,
    /// Frames in these.
    pub frames: u64,
}

/// A parsed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolRecordHeader {
    pub run: u64,
    pub index: RecordIndex,
    /// Frames in the record.
    pub frames: u32,
    /// Length of the description.
    pub description: usize,
    /// CRC-32 of the content.
    pub checksum: u32,
    /// Length of the content.
    pub length: u64,
}

/// Returns the header and the description of a record whose content is in these parts, and the content's
/// checksum. `None` if the description is too long.
pub fn encode(
    run: u64,
    index: RecordIndex,
    record: &NewRecord,
    parts: &[Bytes],
) -> Option<(Vec<u8>, u32)> {
    let description = serde_json::to_string(&Description::new(record)).ok()?;
    if description.len() > MAX_DESCRIPTION {
        return None;
    }
    let mut checksum = crc32fast::Hasher::new();
    parts.iter().for_each(|part| checksum.update(part));
    let checksum = checksum.finalize();
    let mut header = vec![0; RECORD_HEADER];
    put(&mut header, 0, &marker(Some(run)));
    put(&mut header, 16, &index.records.to_le_bytes());
    put(
        &mut header,
        20,
        &u32::try_from(description.len()).ok()?.to_le_bytes(),
    );
    put(&mut header, 24, &index.frames.to_le_bytes());
    put(&mut header, 32, &frames(record).to_le_bytes());
    put(&mut header, 36, &checksum.to_le_bytes());
    put(&mut header, 40, &record.length().to_le_bytes());
    let mut all = crc32fast::Hasher::new();
    all.update(&header[..48]);
    all.update(description.as_bytes());
    put(&mut header, 48, &all.finalize().to_le_bytes());
    header.extend_from_slice(description.as_bytes());
    Some((header, checksum))
}

/// Returns the number of frames as a record's header can hold it.
pub fn frames(record: &NewRecord) -> u32 {
    u32::try_from(record.frames).unwrap_or(u32::MAX)
}

/// Parses a header without looking at its checksum.
pub fn parse_unchecked(header: &[u8]) -> Option<SpoolRecordHeader> {
    let description = usize::try_from(u32_at(header, 20)?).ok()?;
    if !header.starts_with(&RECORD_MAGIC) || description > MAX_DESCRIPTION {
        return None;
    }
    Some(SpoolRecordHeader {
        run: u64_at(header, 8)?,
        index: RecordIndex {
            records: u32_at(header, 16)?,
            frames: u64_at(header, 24)?,
        },
        frames: u32_at(header, 32)?,
        description,
        checksum: u32_at(header, 36)?,
        length: u64_at(header, 40)?,
    })
}

/// Returns whether the checksum of a header with its description is right.
pub fn is_intact(header: &[u8]) -> bool {
    let (Some(begin), Some(description)) = (header.get(..48), header.get(RECORD_HEADER..)) else {
        return false;
    };
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(begin);
    checksum.update(description);
    u32_at(header, 48) == Some(checksum.finalize())
}

/// Parses a record's description, which is untrusted. The content is empty.
pub fn parse_description(description: &[u8], frames: u64) -> Option<NewRecord> {
    Description::parse(description)?.into_record(frames)
}

/// Parses a record's description in the first version of the format, and the length of its content.
pub fn parse_first_description(description: &[u8]) -> Option<(NewRecord, u64)> {
    let description = Description::parse(description)?;
    let (frames, length) = (description.frames?, description.length?);
    Some((description.into_record(frames.into())?, length))
}

/// A description, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Description<'a> {
    time: u64,
    #[serde(rename = "fps", default, borrow)]
    frame_rate: Option<Cow<'a, str>>,
    keyframe: bool,
    #[serde(rename = "entry-point")]
    is_entry_point: bool,
    #[serde(rename = "fixed")]
    has_fixed_time: bool,
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// In the first version of the format only.
    #[serde(default, skip_serializing)]
    frames: Option<u32>,
    /// In the first version of the format only: length of the content.
    #[serde(default, skip_serializing)]
    length: Option<u64>,
}

impl<'a> Description<'a> {
    fn new(record: &'a NewRecord) -> Self {
        let labels = record.labels.iter();
        let labels = labels.map(|(key, value)| (key.as_str().into(), value.as_str().into()));
        Self {
            time: record.time,
            frame_rate: record.frame_rate.as_deref().map(Into::into),
            keyframe: record.keyframe,
            is_entry_point: record.is_entry_point,
            has_fixed_time: record.has_fixed_time,
            labels: labels.collect(),
            frames: None,
            length: None,
        }
    }

    fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Returns the record without its content, or `None` if its labels are not valid.
    fn into_record(self, frames: u64) -> Option<NewRecord> {
        let is_label = |(key, value): &(&Cow<'_, str>, &Cow<'_, str>)| {
            is_label_name(key) && !RESERVED_LABELS.contains(&&***key) && is_label_value(value)
        };
        let is_rate = self.frame_rate.as_deref().is_none_or(is_label_value);
        if !is_rate || !self.labels.iter().all(|label| is_label(&label)) {
            return None;
        }
        let labels = self.labels.into_iter();
        let labels = labels.map(|(key, value)| (key.into_owned(), value.into_owned()));
        Some(NewRecord {
            time: self.time,
            content: Content::Memory(Vec::new()),
            frame_rate: self.frame_rate.map(|rate| rate.as_ref().into()),
            keyframe: self.keyframe,
            is_entry_point: self.is_entry_point,
            labels: labels.collect(),
            frames,
            has_fixed_time: self.has_fixed_time,
            is_recovered: true,
            unsent_run: None,
        })
    }
}

/// Copies bytes to an offset; both are constants of the format.
fn put(to: &mut [u8], offset: usize, bytes: &[u8]) {
    to[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> NewRecord {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        NewRecord {
            time: 7,
            content: Content::Memory(vec![Bytes::from_static(b"content")]),
            frame_rate: Some("29.97".into()),
            keyframe: true,
            is_entry_point: false,
            labels: [label("camera", "front, left"), label("site", "3")].into(),
            frames: 2,
            has_fixed_time: true,
            is_recovered: false,
            unsent_run: None,
        }
    }

    const INDEX: RecordIndex = RecordIndex {
        records: 3,
        frames: 5,
    };

    #[test]
    fn headers_of_files() {
        for placement in [
            Placement::Pending,
            Placement::Moved(0),
            Placement::Moved(u64::MAX),
        ] {
            let header = file_header(9, placement);
            assert_eq!(parse_run(&header), Some(9));
            assert_eq!(parse_placement(&header), placement);
            for place in 0..FILE_HEADER {
                let mut damaged = header;
                damaged[place] ^= 1;
                let is_in_begin = place < 20;
                assert_eq!(parse_run(&damaged).is_some(), !is_in_begin, "{place}");
                // One copy is enough.
                assert_eq!(parse_placement(&damaged), placement, "{place}");
            }
        }
        assert_eq!(parse_run(&[]), None);
        assert_eq!(parse_placement(&[0; FILE_HEADER]), Placement::Unknown);
        assert!(has_magic(b"\x89RSp") && has_magic(b"") && !has_magic(b"\x89RSq"));
    }

    #[test]
    fn a_decided_placement_is_known_by_one_copy() {
        use Placement::{Moved, Pending, Unknown};
        for (one, other, both) in [
            (Unknown, Unknown, Unknown),
            (Unknown, Pending, Pending),
            (Pending, Moved(1), Moved(1)),
            (Moved(1), Pending, Moved(1)),
            (Moved(1), Unknown, Moved(1)),
        ] {
            assert_eq!(one.or(other), both);
        }
    }

    #[test]
    fn headers_of_records() {
        let Content::Memory(parts) = record().content else {
            panic!("it is in memory");
        };
        let (header, checksum) = encode(9, INDEX, &record(), &parts).unwrap();
        assert_eq!(checksum, crc32fast::hash(b"content"));
        let parsed = parse_unchecked(&header).unwrap();
        let expected = SpoolRecordHeader {
            run: 9,
            index: INDEX,
            frames: 2,
            description: header.len() - RECORD_HEADER,
            checksum,
            length: 7,
        };
        assert_eq!(parsed, expected);
        assert!(header.starts_with(&marker(Some(9))) && header.starts_with(&marker(None)));
        assert!(is_intact(&header));
        for place in 0..header.len() {
            let mut damaged = header.clone();
            damaged[place] ^= 0x10;
            assert!(!is_intact(&damaged), "{place}");
        }
        let found = parse_description(&header[RECORD_HEADER..], 2).unwrap();
        let with_content = NewRecord {
            content: record().content,
            ..found
        };
        assert_eq!(
            with_content.header(&crate::schema::VIDEO),
            record().header(&crate::schema::VIDEO)
        );
        assert_eq!((with_content.time, with_content.frames), (7, 2));
        assert!(with_content.has_fixed_time && with_content.is_recovered);
    }

    #[test]
    fn a_description_has_a_limit() {
        let long = NewRecord {
            labels: [("key".to_owned(), "v".repeat(MAX_DESCRIPTION))].into(),
            ..record()
        };
        assert!(encode(9, INDEX, &long, &[]).is_none());
    }

    #[test]
    fn descriptions_that_no_header_can_have_are_refused() {
        let with = |key: &str, value: &str| {
            let text = format!(
                r#"{{"time":1,"keyframe":true,"entry-point":true,"fixed":true,"fps":null,"labels":{{"{key}":"{value}"}}}}"#
            );
            parse_description(text.as_bytes(), 1).is_some()
        };
        assert!(with("camera", "front, left"));
        for (key, value) in [
            ("camera", "front\\nleft"),
            ("camera", "front\\rleft"),
            ("camera", "a\\\"b"),
            ("camera", "f\u{fc}r"),
            ("camera", "\\u0000"),
            ("ca mera", "x"),
            ("ca\\nmera", "x"),
            ("", "x"),
            ("fps", "x"),
            ("keyframe", "x"),
        ] {
            assert!(!with(key, value), "{key} {value}");
        }
        for text in [
            "",
            "{",
            "[]",
            "null",
            r#"{"time":-1,"keyframe":true,"entry-point":true,"fixed":true}"#,
            r#"{"time":1,"keyframe":true,"entry-point":true,"fixed":true,"fps":"3\n"}"#,
            r#"{"time":1,"keyframe":true,"entry-point":true,"fixed":true,"labels":{"a":1}}"#,
        ] {
            assert!(parse_description(text.as_bytes(), 1).is_none(), "{text}");
        }
    }

    #[test]
    fn descriptions_of_the_first_version() {
        let text = r#"{"entry-point":true,"fixed":false,"fps":"30","frames":3,"keyframe":true,"length":12,"time":5}"#;
        let (record, length) = parse_first_description(text.as_bytes()).unwrap();
        assert_eq!((record.time, record.frames, length), (5, 3, 12));
        assert!(text.as_bytes().starts_with(FIRST_DESCRIPTION));
        let many = text.replace("\"frames\":3", "\"frames\":18446744073709551615");
        assert!(parse_first_description(many.as_bytes()).is_none());
    }
}
