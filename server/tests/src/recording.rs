// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A recording as ReductStore's documentation has it: 10 frames per second, one group of pictures a record.

use std::ops::Range;

use bytes::Bytes;
use media::codec::h264::testing::{IDR, P, SPS, SliceSpec, SpsSpec, pps, record, slice, sps};

use crate::server::{Record, Server};

/// 2025-06-15T15:06:40Z in µs since the Unix epoch.
pub const START: u64 = 1_750_000_000_000_000;
/// Duration of a group of pictures in µs.
pub const GROUP: u64 = 1_000_000;
/// Frames of a group of pictures.
pub const FRAMES: usize = 10;
/// The entry of the recording.
pub const ENTRY: &str = "cam";

const STREAM: SpsSpec = SpsSpec {
    max_num_reorder_frames: Some(0),
    ..SPS
};

/// Returns the access unit with this number in its group.
pub fn access_unit(number: usize) -> Bytes {
    if number == 0 {
        return record(&[&sps(STREAM), &pps(0), &slice(IDR)]);
    }
    let number = number as u8;
    record(&[&slice(SliceSpec {
        frame_num: number % 16,
        order: 2 * number % 16, // `pic_order_cnt_lsb` has 4 bits
        ..P
    })])
}

/// Returns a group of pictures as one byte stream.
pub fn group() -> Bytes {
    let units: Vec<_> = (0..FRAMES).map(access_unit).collect();
    units.concat().into()
}

/// Returns the record of the group with this number.
pub fn group_record(number: u64) -> Record {
    Record {
        time_us: START + number * GROUP,
        content_type: "video/h264".into(),
        labels: vec![("fps".into(), "10".into())],
        bytes: group(),
    }
}

/// Returns a record with the groups from this number on.
pub fn groups_record(number: u64, count: usize) -> Record {
    Record {
        bytes: group().repeat(count).into(),
        ..group_record(number)
    }
}

/// Returns the group with this number in `bytes` more bytes, which belong to its last picture.
pub fn large_group_record(number: u64, bytes: usize) -> Record {
    Record {
        bytes: [&group()[..], &vec![0x55; bytes]].concat().into(),
        ..group_record(number)
    }
}

/// Returns a new bucket with groups in the entry [`ENTRY`].
pub fn bucket_with(server: &Server, groups: Range<u64>) -> String {
    let bucket = server.new_bucket();
    let records: Vec<_> = groups.map(group_record).collect();
    server.write_all(&bucket, ENTRY, &records);
    bucket
}
