// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Files that the reader of the `parquet` crate reads again.

use std::io;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as FileRow};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn table(frames: Vec<IndexedFrame>) -> FrameTable {
    FrameTable {
        frames,
        units: 90_000,
        codec: "h264".into(),
        size: [640, 360],
        source: "épisode 0.mp4".into(),
    }
}

fn written(table: &FrameTable) -> SerializedFileReader<Bytes> {
    let mut file = Vec::new();
    table.write(&mut file).unwrap();
    SerializedFileReader::new(file.into()).unwrap()
}

fn rows(reader: &SerializedFileReader<Bytes>) -> Vec<FileRow> {
    let rows = reader.get_row_iter(None).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn integer(field: &Field) -> Option<i64> {
    match field {
        Field::Long(value) => Some(*value),
        Field::Null => None,
        other => panic!("{other}"),
    }
}

/// Checks that a file has these rows.
fn assert_rows(table: &FrameTable, rows: &[FileRow]) {
    let first = table.frames.first().map_or(0, |first| first.pts);
    assert_eq!(rows.len(), table.frames.len());
    for ((row, frame), number) in rows.iter().zip(&table.frames).zip(0..) {
        let fields: Vec<_> = row.get_column_iter().collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "segment_idx",
                "local_frame_idx",
                "pts",
                "timestamp",
                "capture_us",
                "keyframe",
                "offset",
                "size",
                "duration"
            ]
        );
        for (column, expected) in [
            (0, Some(0)),
            (1, Some(number)),
            (2, Some(frame.pts)),
            (4, frame.capture_us),
            (6, Some(frame.offset)),
            (7, Some(frame.size)),
            (8, Some(frame.duration)),
        ] {
            assert_eq!(integer(fields[column].1), expected, "{}", names[column]);
        }
        let seconds = (frame.pts - first) as f64 / 90_000.0;
        assert_eq!(*fields[3].1, Field::Double(seconds));
        assert_eq!(*fields[5].1, Field::Bool(frame.is_keyframe));
    }
}

fn frame(pts: i64) -> IndexedFrame {
    IndexedFrame {
        pts,
        duration: 3000,
        capture_us: Some(1_749_803_453_273_752),
        is_keyframe: pts == 0,
        offset: 48 + pts,
        size: 700,
    }
}

#[test]
fn the_file_names_its_time_base_and_format() {
    let reader = written(&table(vec![frame(0), frame(3000)]));
    let metadata = reader.metadata().file_metadata();
    let pairs = metadata.key_value_metadata().unwrap().iter();
    let pairs: Vec<_> = pairs
        .map(|pair| (pair.key.as_str(), pair.value.as_deref().unwrap()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("time_base", "1/90000"),
            ("codec", "h264"),
            ("width", "640"),
            ("height", "360"),
            ("source", "épisode 0.mp4"),
        ]
    );
    for column in reader.metadata().row_group(0).columns() {
        assert_eq!(column.compression(), Compression::UNCOMPRESSED);
    }
}

#[test]
fn a_table_without_frames_has_its_columns() {
    let reader = written(&table(Vec::new()));
    assert_eq!(reader.num_row_groups(), 0);
    let schema = reader.metadata().file_metadata().schema_descr();
    assert_eq!(schema.num_columns(), COLUMNS.len());
    assert_eq!(rows(&reader), []);
}

#[test]
fn unknown_capture_times_are_nulls() {
    let unknown = |pts| IndexedFrame {
        capture_us: None,
        ..frame(pts)
    };
    for frames in [
        vec![unknown(0), frame(3000), unknown(6000)],
        vec![unknown(0)],
    ] {
        let table = table(frames);
        assert_rows(&table, &rows(&written(&table)));
    }
}

#[test]
fn a_long_episode_has_few_bytes_a_frame_and_several_row_groups() {
    let count = ROW_GROUP + 9;
    let frames = (0..count as i64).map(|number| IndexedFrame {
        capture_us: Some(1_749_803_453_273_752 + number * 33_333 + number * 7919 % 800),
        size: 20_000 + number * 7919 % 9000,
        offset: 48 + number * 24_500,
        ..frame(3000 * number)
    });
    let table = table(frames.collect());
    let mut file = Vec::new();
    table.write(&mut file).unwrap();
    assert!(file.len() < 14 * count, "{}", file.len() / count);
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    let groups: Vec<_> = (reader.metadata().row_groups().iter())
        .map(|group| group.num_rows())
        .collect();
    assert_eq!(groups, [ROW_GROUP as i64, 9]);
    assert_rows(&table, &rows(&reader));
}

/// An output with room for so many bytes.
#[derive(Debug)]
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.0.checked_sub(bytes.len());
        self.0 = left.ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_error_of_the_output_is_kept() {
    let frames: Vec<_> = (0..100).map(|number| frame(3000 * number)).collect();
    for room in [0, 3, 4, 1000] {
        let error = table(frames.clone()).write(Disk(room)).unwrap_err();
        let kind = error.io_error().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::StorageFull), "{room} {error:?}");
    }
    table(frames).write(Disk(20_000)).unwrap();
}

fn any_frame() -> impl Strategy<Value = IndexedFrame> {
    // Ticks and places of any file, whose differences have 63 bits.
    let number = || -(1i64 << 61)..1 << 61;
    let capture = prop::option::of(0i64..1 << 61);
    let place = (0i64..1 << 61, 0i64..1 << 32);
    let facts = (number(), number(), capture, any::<bool>(), place);
    facts.prop_map(
        |(pts, duration, capture_us, is_keyframe, (offset, size))| IndexedFrame {
            pts,
            duration,
            capture_us,
            is_keyframe,
            offset,
            size,
        },
    )
}

proptest! {
    #[test]
    fn all_values_are_read_again(frames in vec(any_frame(), 0..300)) {
        let table = table(frames);
        assert_rows(&table, &rows(&written(&table)));
    }
}
