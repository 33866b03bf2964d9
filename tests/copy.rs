// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc ! reductsink` copies an entry: the same records, and nothing twice.

mod common;

use common::SERVER;
use common::recorder::{Recorded, Recorder, copy_of, label};
use common::recording::{Layout, Recording};
use common::server::{Record, Server};
use common::stream::{Stream, escape, is_idr, nal_type, nal_units};

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
fn a_different_record_at_the_same_time_is_an_error() {
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

/// A PPS as another one, with this id instead of 0.
fn with_id(pps: &[u8], id: u32) -> Vec<u8> {
    let bits = |byte: &u8| {
        (0..8)
            .rev()
            .map(move |at| byte_bit(*byte, at))
            .collect::<Vec<_>>()
    };
    let mut after_id: Vec<bool> = pps[1..].iter().flat_map(bits).skip(1).collect();
    // Up to the stop bit.
    while after_id.last() == Some(&false) {
        after_id.pop();
    }
    let code = format!("{:b}", id + 1);
    let zeros = vec![false; code.len() - 1];
    let code = code.bytes().map(|digit| digit == b'1');
    let all: Vec<bool> = zeros.into_iter().chain(code).chain(after_id).collect();
    let bytes = all.chunks(8).map(|bits| {
        (0..8).fold(0, |byte, at| {
            byte << 1 | u8::from(bits.get(at) == Some(&true))
        })
    });
    [&[0, 0, 0, 1, pps[0]], &escape(bytes)[..]].concat()
}

fn byte_bit(byte: u8, at: u32) -> bool {
    byte >> at & 1 == 1
}

#[test]
fn an_idr_picture_gets_no_set_that_it_does_not_refer_to() {
    let once = Stream::example().headers_once();
    let sets: Vec<_> = nal_units(&once.units[0])
        .into_iter()
        .filter(|nal| matches!(nal_type(nal), 7 | 8))
        .map(<[u8]>::to_vec)
        .collect();
    let others: Vec<u8> = (1..=255).flat_map(|id| with_id(&sets[1], id)).collect();
    assert!(others.len() > 255 * 6);
    let stream = once.map_units(|frame, unit| match frame {
        0 => [&others, unit].concat(),
        _ => unit.to_vec(),
    });
    let recording = Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    };
    let from = SERVER.new_bucket();
    recording.write(&SERVER, &from, "e", &stream);
    let to = SERVER.new_bucket();
    let recorder = Recorder::new(&SERVER.url(), &to, &copy_of(&SERVER, &from, ""), "");
    recorder.run().clean();
    let copies = SERVER.read(&to, "e");
    assert_eq!(copies.len(), 60);
    assert_eq!(copies[0].bytes, stream.units[0]);
    for (copy, unit) in copies.iter().zip(&stream.units).skip(1) {
        let found = nal_units(&copy.bytes);
        let mut expected = nal_units(unit);
        if is_idr(unit) {
            let at = expected
                .iter()
                .position(|nal| nal_type(nal) != 9)
                .expect("a slice");
            expected.splice(at..at, sets.iter().map(Vec::as_slice));
        }
        assert_eq!(found, expected);
    }
}
