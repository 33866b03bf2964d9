// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A short recording in a real ReductStore.

use bytes::Bytes;
use client::ServerOptions;
use media::codec::h264::testing::{IDR, P, SPS, SliceSpec, SpsSpec, pps, record, slice, sps};
use media::time::CaptureTime;
use recording::SCHEMA;
use tokio::runtime::Runtime;

use super::server::Server;

/// 2025-06-15T15:06:40Z in µs since the Unix epoch.
pub const START: u64 = 1_750_000_000_000_000;
/// Distance of two frames in µs.
pub const FRAME: u64 = 40_000;
/// Frames of a group of pictures.
pub const GROUP: usize = 10;
/// A stream without reordering, whose pictures wait for no later ones.
pub const STREAM: SpsSpec = SpsSpec {
    max_num_reorder_frames: Some(0),
    ..SPS
};

pub fn access_unit(index: usize) -> Bytes {
    match index % GROUP {
        0 => record(&[&sps(STREAM), &pps(0), &slice(IDR)]),
        number => {
            let number = number as u8;
            record(&[&slice(SliceSpec {
                frame_num: number,
                order: 2 * number % 16, // `pic_order_cnt_lsb` has 4 bits
                ..P
            })])
        }
    }
}

pub fn time(index: usize) -> CaptureTime {
    CaptureTime::from_useconds(START + FRAME * index as u64)
}

/// Writes frames to the entry `cam` of the bucket `b`.
pub fn write(server: &Server, frames: std::ops::Range<usize>) {
    for index in frames {
        let time_us = time(index).useconds();
        server.write("b", "cam", time_us, "video/h264", &[], access_unit(index));
    }
}

/// Returns a server with 50 frames, the settings of a connection to it and a runtime.
pub fn set_up() -> (Server, client::Server, Runtime) {
    let server = Server::start();
    server.create_bucket("b");
    write(&server, 0..50);
    let connection = client::Server::new(ServerOptions {
        url: server.url(),
        timeout: None,
        ..ServerOptions::new(SCHEMA)
    })
    .expect("a URL");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    (server, connection, runtime)
}
