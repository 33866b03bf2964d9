// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc ! reductsink` copies an entry: the same records, and nothing twice.

mod common;

use common::SERVER;
use common::recorder::{Recorded, Recorder, copy_of, label};
use common::recording::{Layout, Recording};
use common::server::{Record, Server};
use common::stream::Stream;

/// Copies entry `e`, with further properties of both elements.
fn copy(from: &str, to: &Server, bucket: &str, source: &str, sink: &str) -> Recorded {
    Recorder::new(&to.url(), bucket, &copy_of(&SERVER, from, source), sink).run()
}

#[track_caller]
fn assert_same(found: &[Record], expected: &[Record]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.time_us, expected.time_us);
        assert_eq!(found.content_type, expected.content_type);
        assert_eq!(found.bytes, expected.bytes, "{}", found.time_us);
        for key in ["fps", "keyframe"] {
            if let Some(value) = label(expected, key) {
                assert_eq!(label(found, key), Some(value), "{}", found.time_us);
            }
        }
    }
}

/// A frame is up to 3 ms early or late.
fn jitter(index: usize) -> i64 {
    index as i64 * 7919 % 6001 - 3000
}

#[test]
fn a_copy_has_the_same_records() {
    let to = Server::start();
    for (layout, unit) in [(Layout::AccessUnit, "access-unit"), (Layout::Gop, "gop")] {
        for stream in [Stream::example(), Stream::with_b_frames()] {
            let recording = Recording {
                layout,
                jitter_us: match layout {
                    Layout::AccessUnit => jitter,
                    _ => |_| 0,
                },
                holes: vec![(30, 10_000_000)],
                ..Default::default()
            };
            let from = SERVER.new_bucket();
            recording.write(&SERVER, &from, "e", &stream);
            let bucket = to.new_bucket();
            let sink = format!("record-unit={unit}");
            copy(&from, &to, &bucket, "", &sink).clean();
            let original = SERVER.read(&from, "e");
            assert_same(&to.read(&bucket, "e"), &original);
            let video = r#"{"fps": 10, "width": 160, "height": 120}"#;
            let video = video.parse().expect("JSON");
            assert_eq!(to.attachment(&bucket, "e", "$video"), Some(video));

            // A copy of the copy has all labels.
            let again = SERVER.new_bucket();
            let camera = copy_of(&to, &bucket, "");
            let recorder = Recorder::new(&SERVER.url(), &again, &camera, &sink);
            recorder.run().clean();
            let (copy, second) = (to.read(&bucket, "e"), SERVER.read(&again, "e"));
            assert_same(&second, &copy);
            assert!(
                second
                    .iter()
                    .all(|record| label(record, "keyframe").is_some())
            );
            assert!(
                second
                    .iter()
                    .all(|record| label(record, "fps") == Some("10"))
            );
        }
    }
}

#[test]
fn a_copy_that_is_done_again_copies_nothing_twice() {
    let from = common::line::record(
        &Recording {
            layout: Layout::AccessUnit,
            ..Default::default()
        },
        &Stream::with_b_frames(),
    );
    let original = SERVER.read(&from, "e");
    let to = Server::start();
    to.create_bucket("b");
    let stop = format!("stop={}", original[35].time_us);
    let first = copy(&from, &to, "b", &stop, "existing=skip").clean();
    assert_eq!((first.stat("records"), first.stat("existing")), (35, 0));
    let second = copy(&from, &to, "b", "", "existing=skip").clean();
    assert_eq!((second.stat("records"), second.stat("existing")), (25, 35));
    let third = copy(&from, &to, "b", "", "existing=skip").clean();
    assert_eq!((third.stat("records"), third.stat("existing")), (0, 60));
    assert_same(&to.read("b", "e"), &original);

    // Without that it is an error, and changes nothing.
    let refused = copy(&from, &to, "b", "", "");
    let (error, _) = &refused.outcome.errors[0];
    assert!(error.matches(gst::ResourceError::Write), "{error}");
    assert_same(&to.read("b", "e"), &original);
}

#[test]
fn what_another_record_is_in_the_place_of_is_not_left_out() {
    let from = common::line::record(
        &Recording {
            layout: Layout::AccessUnit,
            ..Default::default()
        },
        &Stream::example(),
    );
    let original = SERVER.read(&from, "e");
    let to = Server::start();
    to.create_bucket("b");
    let mut other = original[..20].to_vec();
    other[7].bytes = b"another one".as_slice().into();
    to.write_all("b", "e", &other);
    let refused = copy(&from, &to, "b", "", "existing=skip");
    let (error, _) = &refused.outcome.errors[0];
    assert!(
        error
            .message()
            .contains("it has another record at 2025-06-13T08:30:53.973752Z. 41 records are lost"),
        "{error}"
    );
    assert_eq!(to.read("b", "e").len(), 20);
}

#[test]
fn records_of_any_whole_frames_are_copied_as_they_are() {
    let to = Server::start();
    for layout in [
        Layout::AccessUnit,
        Layout::Gop,
        Layout::AccessUnits(3),
        Layout::Gops(2),
    ] {
        for stream in [Stream::example(), Stream::with_b_frames()] {
            let recording = Recording {
                layout,
                jitter_us: jitter,
                ..Default::default()
            };
            let from = common::line::record(&recording, &stream);
            let bucket = to.new_bucket();
            copy(&from, &to, &bucket, "", "record-unit=record").clean();
            let original = SERVER.read(&from, "e");
            assert_same(&to.read(&bucket, "e"), &original);
            let again = copy(&from, &to, &bucket, "", "record-unit=record existing=skip").clean();
            assert_eq!(again.stat("existing"), original.len() as u64);
            assert_eq!(again.stat("records"), 0);
        }
    }
}
