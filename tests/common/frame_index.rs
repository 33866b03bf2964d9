// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the index of a file, and compares it with the packets that ffprobe finds.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as FileRow};

use super::mp4;
use super::pipeline::Episode;

/// A row of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Presentation timestamp in the time base of the track.
    pub pts: i64,
    /// Seconds since the first frame.
    pub timestamp: f64,
    /// Capture time in µs since the Unix epoch.
    pub capture_us: Option<i64>,
    /// Decoding can begin with it.
    pub keyframe: bool,
    /// Offset of the sample in the file.
    pub offset: i64,
    /// Size of the sample.
    pub size: i64,
    /// Duration in the time base of the track.
    pub duration: i64,
}

/// An index.
#[derive(Clone, Debug)]
pub struct FrameIndex {
    /// Keys and values of its metadata.
    pub metadata: Vec<(String, String)>,
    /// The rows in order.
    pub rows: Vec<Row>,
}

impl FrameIndex {
    /// Reads the file of an index.
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::parse(bytes.into())
    }

    /// Parses the bytes of an index, whose rows are numbered from 0.
    pub fn parse(bytes: Bytes) -> Self {
        let file = SerializedFileReader::new(bytes).expect("a Parquet file");
        let metadata = file.metadata().file_metadata().key_value_metadata();
        let metadata = metadata.expect("metadata").iter();
        let metadata = metadata
            .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
            .collect();
        let rows = file.get_row_iter(None).expect("rows");
        let rows = rows.enumerate().map(|(number, row)| {
            let row = row.expect("a row");
            assert_eq!(integer(&row, "segment_idx"), Some(0));
            assert_eq!(integer(&row, "local_frame_idx"), Some(number as i64));
            Row::new(&row)
        });
        Self {
            metadata,
            rows: rows.collect(),
        }
    }

    /// Returns a value of the metadata.
    #[track_caller]
    pub fn value(&self, key: &str) -> &str {
        let found = self.metadata.iter().find(|(name, _)| name == key);
        &found.unwrap_or_else(|| panic!("no {key}")).1
    }
}

fn field<'a>(row: &'a FileRow, name: &str) -> &'a Field {
    let mut columns = row.get_column_iter();
    let found = columns.find(|(column, _)| *column == name);
    found.unwrap_or_else(|| panic!("no column {name}")).1
}

fn integer(row: &FileRow, name: &str) -> Option<i64> {
    match field(row, name) {
        Field::Long(value) => Some(*value),
        Field::Null => None,
        other => panic!("{name} is {other}"),
    }
}

impl Row {
    fn new(row: &FileRow) -> Self {
        let required = |name| integer(row, name).unwrap_or_else(|| panic!("{name} is null"));
        Self {
            pts: required("pts"),
            timestamp: match field(row, "timestamp") {
                Field::Double(value) => *value,
                other => panic!("timestamp is {other}"),
            },
            capture_us: integer(row, "capture_us"),
            keyframe: *field(row, "keyframe") == Field::Bool(true),
            offset: required("offset"),
            size: required("size"),
            duration: required("duration"),
        }
    }
}

/// Returns the index of an episode, after a comparison with the packets of its file.
#[track_caller]
pub fn checked(episode: &Episode) -> FrameIndex {
    let path = episode.frame_index.as_ref().expect("an index");
    let mut expected = episode.location.clone().into_os_string();
    expected.push(".parquet");
    assert_eq!(path.as_os_str(), expected);
    let index = FrameIndex::read(path);
    let name = episode.location.file_name().expect("a name");
    assert_eq!(index.value("source"), name);
    check(&index, &episode.location);
    let frames = match mp4::is_fragmented(&episode.location) {
        // Hidden pictures are shown, too.
        true => episode.frames + episode.hidden,
        false => episode.frames,
    };
    assert_eq!(index.rows.len() as u64, frames);
    index
}

/// Fails unless the rows are those of the packets of a file that are shown.
#[track_caller]
pub fn check(index: &FrameIndex, file: &Path) {
    let probed = mp4::probe(file);
    let stream = &probed.json["streams"][0];
    assert_eq!(index.value("time_base"), stream["time_base"]);
    assert_eq!(index.value("codec"), probed.codec);
    assert_eq!(index.value("width"), probed.width.to_string());
    assert_eq!(index.value("height"), probed.height.to_string());
    let (_, units) = index.value("time_base").split_once('/').expect("a ratio");
    let units: f64 = units.parse().expect("a number");
    let packets = probed.json["packets"].as_array().expect("packets");
    let mut shown: Vec<_> = (packets.iter().zip(&probed.packets))
        .filter(|(json, _)| !json["flags"].as_str().expect("flags").contains('D'))
        .map(|(json, packet)| (json["pts"].as_i64().expect("a PTS"), packet))
        .collect();
    shown.sort_by_key(|(pts, _)| *pts);
    let first = shown.first().map_or(0, |(pts, _)| *pts);
    let found = index.rows.iter().map(|row| {
        let place = (row.offset as u64, row.size as u64);
        (row.pts, row.timestamp, row.keyframe, place)
    });
    let expected = shown.iter().map(|(pts, packet)| {
        let place = (packet.position, packet.size);
        (*pts, (pts - first) as f64 / units, packet.key, place)
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        expected.collect::<Vec<_>>(),
        "{}",
        file.display()
    );
    for pair in index.rows.windows(2) {
        assert_eq!(pair[0].pts + pair[0].duration, pair[1].pts);
    }
    assert!(index.rows.iter().all(|row| row.duration > 0));
}
