// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Recordings of a real ReductStore are verified: an intact one, and one with each kind of fault.

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
#[path = "../../../tests/common/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../../../tests/common/wait.rs"]
mod wait;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::RangeBounds;

use bytes::Bytes;
use media::codec::Damage;
use media::codec::h264::testing::{pps, record, sps};
use media::time::{CaptureTime, Nanos};
use media::timeline::Cause;
use recording::{Error, Fault, Finding, Recording, Verification};
use tokio::runtime::Runtime;

use common::{STREAM, access_unit, set_up, time};
use server::Server;

/// Verifies a range of an entry. Returns the result, and the times that the progress has named.
fn verify(
    runtime: &Runtime,
    connection: &client::Server,
    entry: &str,
    range: impl RangeBounds<CaptureTime> + Send,
) -> (Verification, Vec<CaptureTime>) {
    let mut reached = Vec::new();
    let verification = runtime.block_on(async {
        let recording = Recording::open(connection, "b", entry).await;
        let recording = recording.expect("an entry");
        let verification = recording.verify(range, |progress| reached.push(progress.reached));
        sendable(verification).await
    });
    (verification.expect("no error of the server"), reached)
}

/// Returns a future that other threads may run.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

fn write(
    server: &Server,
    entry: &str,
    time: CaptureTime,
    labels: &[(&str, &str)],
    content: impl Into<Bytes>,
) {
    server.write(
        "b",
        entry,
        time.useconds(),
        "video/h264",
        labels,
        content.into(),
    );
}

#[test]
fn an_intact_recording_has_no_finding() {
    let (server, connection, runtime) = set_up();
    let (verification, reached) = verify(&runtime, &connection, "cam", ..);
    assert!(verification.is_intact(), "{verification:?}");
    assert_eq!((verification.records, verification.frames), (50, 50));
    let bytes: usize = (0..50).map(|index| access_unit(index).len()).sum();
    assert_eq!(verification.bytes, bytes as u64);
    assert_eq!(reached, [0, 10, 20, 30, 40].map(time));
    drop(server);
}

#[test]
fn missing_pictures_and_jumps_of_the_times_are_found() {
    let (server, connection, runtime) = set_up();
    let minute = Nanos::from_seconds(60);
    // Not as long as whole groups.
    let pause = minute + Nanos::from_mseconds(100);
    // One picture is missing, and so is a whole group without a pause.
    for index in (0..14).chain(15..30) {
        write(&server, "faults", time(index), &[], access_unit(index));
    }
    // A minute without frames, before an IDR picture and within a group.
    for index in 30..45 {
        write(
            &server,
            "faults",
            time(index) + minute,
            &[],
            access_unit(index),
        );
    }
    for index in 45..60 {
        write(
            &server,
            "faults",
            time(index) + minute + pause,
            &[],
            access_unit(index),
        );
    }
    let (verification, _) = verify(&runtime, &connection, "faults", ..);
    let counts = verification.counts;
    assert_eq!((counts.losses, counts.gaps, counts.clock_jumps), (1, 1, 1));
    assert_eq!(counts.total(), 3, "{verification:?}");
    let [
        Finding::Loss(loss),
        Finding::Gap(gap),
        Finding::ClockJump(jump),
    ] = &verification.findings[..]
    else {
        panic!("{verification:?}");
    };
    assert_eq!(loss.cause, Cause::FrameNum(1));
    assert_eq!((loss.hole.from, loss.hole.to), (time(13), time(15)));
    assert_eq!(gap.cause, Cause::LongPause);
    assert_eq!((gap.hole.from, gap.hole.to), (time(29), time(30) + minute));
    let around = (time(44) + minute, time(45) + minute + pause);
    assert_eq!((jump.from, jump.to), around);
    // All frames that came are counted.
    assert_eq!((verification.records, verification.frames), (59, 59));

    // In a range without them there is no finding.
    let (verification, _) = verify(&runtime, &connection, "faults", time(20)..time(30));
    assert!(verification.is_intact(), "{verification:?}");
    assert_eq!(verification.frames, 10);
}

#[test]
fn damaged_and_foreign_records_are_found() {
    let (server, connection, runtime) = set_up();
    for index in 0..30 {
        let content = match index {
            10 => Bytes::from_static(b"this is no byte stream"),
            _ => access_unit(index),
        };
        write(&server, "faults", time(index), &[], content);
    }
    let foreign = time(24) + Nanos::MSECOND;
    let picture = Bytes::from_static(b"a picture");
    server.write(
        "b",
        "faults",
        foreign.useconds(),
        "image/jpeg",
        &[],
        picture,
    );
    let (verification, _) = verify(&runtime, &connection, "faults", ..);
    assert_eq!(verification.counts.damaged, 2, "{verification:?}");
    let damaged: Vec<_> = (verification.findings.iter())
        .filter_map(|finding| match finding {
            Finding::Damaged { time, fault } => Some((*time, fault)),
            _ => None,
        })
        .collect();
    assert_eq!(
        damaged[0],
        (time(10), &Fault::Damage(Damage::NotByteStream))
    );
    assert_eq!(damaged[1].0, foreign);
    let text = verification.findings.iter().find(|it| it.time() == foreign);
    let text = text.expect("a finding").to_string();
    assert!(text.contains("is 'image/jpeg', not 'video/h264'"), "{text}");
    // An IDR picture is missing.
    assert!(!verification.is_intact() && verification.unusable.is_none());
    drop(server);
}

/// Returns the parameter sets of the stream.
fn sets() -> Bytes {
    record(&[&sps(STREAM), &pps(0)])
}

#[test]
fn frames_before_the_first_keyframe_are_found() {
    let (server, connection, runtime) = set_up();
    // Without the parameter sets of its first group, and with them.
    for (entry, sets) in [("bare", Bytes::new()), ("sets", sets())] {
        for index in 3..25 {
            let content = match index {
                3 => [sets.clone(), access_unit(index)].concat().into(),
                _ => access_unit(index),
            };
            write(&server, entry, time(index), &[], content);
        }
        let expected = Finding::Undecodable {
            time: time(3),
            frames: 7,
        };
        let (verification, _) = verify(&runtime, &connection, entry, ..);
        assert_eq!(verification.findings, [expected], "{entry}");
        assert_eq!(verification.counts.undecodable, 1);
        assert_eq!((verification.records, verification.frames), (22, 15));
        // A range without a keyframe.
        let (verification, _) = verify(&runtime, &connection, entry, ..time(8));
        assert_eq!((verification.records, verification.frames), (5, 0));
        let all = Finding::Undecodable {
            time: time(3),
            frames: 5,
        };
        assert_eq!(verification.findings, [all], "{entry}");
        // Those of a later range depend on a keyframe before it.
        let (verification, _) = verify(&runtime, &connection, entry, time(13)..);
        assert!(verification.is_intact(), "{entry}: {verification:?}");
    }
    drop(server);
}

/// Writes a record without content, which the client library cannot: it needs `Content-Length: 0`.
fn write_empty(server: &Server, entry: &str, time: CaptureTime) {
    let url = server.url();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("a connection");
    let ts = time.useconds();
    write!(
        stream,
        "POST /api/v1/b/b/{entry}?ts={ts} HTTP/1.1\r\nHost: {address}\r\nContent-Type: video/h264\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn empty_and_foreign_records_count() {
    let (server, connection, runtime) = set_up();
    for index in 0..20 {
        write(&server, "empty", time(index), &[], access_unit(index));
    }
    let empty = time(4) + Nanos::MSECOND;
    write_empty(&server, "empty", empty);
    let (verification, _) = verify(&runtime, &connection, "empty", ..);
    assert_eq!(
        verification.findings,
        [Finding::Damaged {
            time: empty,
            fault: Fault::Empty
        }]
    );
    assert_eq!((verification.records, verification.frames), (21, 20));

    for index in 0..5 {
        let time_us = time(index).useconds();
        let picture = Bytes::from_static(b"a picture");
        server.write("b", "foreign", time_us, "image/jpeg", &[], picture);
    }
    let (verification, _) = verify(&runtime, &connection, "foreign", ..);
    assert_eq!((verification.records, verification.counts.damaged), (5, 5));
    assert_eq!(verification.bytes, 5 * 9);
    drop(server);
}

#[test]
fn wrong_labels_are_found() {
    let (server, connection, runtime) = set_up();
    for index in 0..40 {
        let keyframe = match index {
            3 => "true",
            20 => "false",
            _ if index % 10 == 0 => "true",
            _ => "false",
        };
        // 25 frames per second is right.
        let fps = match index {
            ..15 => "25",
            15 => "fast",
            16..25 => "25",
            _ => "100",
        };
        let labels = [("keyframe", keyframe), ("fps", fps)];
        write(&server, "faults", time(index), &labels, access_unit(index));
    }
    let (verification, _) = verify(&runtime, &connection, "faults", ..);
    let keyframes = |finding: &Finding| match finding {
        Finding::KeyframeLabel { time, label } => Some((*time, *label)),
        _ => None,
    };
    let found: Vec<_> = verification.findings.iter().filter_map(keyframes).collect();
    assert_eq!(found, [(time(3), true), (time(20), false)]);
    let unreadable = Finding::FrameRateLabel {
        time: time(15),
        label: "fast".into(),
    };
    assert!(
        verification.findings.contains(&unreadable),
        "{verification:?}"
    );
    let contradicted = |finding: &&Finding| matches!(finding, Finding::FrameRate(_));
    let contradicted = verification.findings.iter().find(contradicted);
    let contradicted = contradicted.expect("the times say something else");
    assert!(contradicted.time() > time(25), "{contradicted}");
    let counts = verification.counts;
    assert_eq!((counts.keyframe_labels, counts.frame_rates), (2, 2));
    assert_eq!(counts.total(), 4, "{verification:?}");
    assert_eq!(verification.frames, 40);
    drop(server);
}

#[test]
fn a_recording_of_nothing_that_can_be_decoded_is_no_error() {
    let (server, connection, runtime) = set_up();
    for index in 0..3 {
        write(&server, "faults", time(index), &[], "no byte stream");
    }
    let (verification, reached) = verify(&runtime, &connection, "faults", ..);
    assert_eq!((verification.records, verification.counts.damaged), (3, 3));
    assert!(matches!(verification.unusable, Some(Error::Undecodable(_))));
    assert!(reached.is_empty());
    // A server that is away is one.
    let recording = runtime.block_on(Recording::open(&connection, "b", "faults"));
    server.kill();
    let verified = runtime.block_on(recording.expect("an entry").verify(.., |_| ()));
    assert!(matches!(verified, Err(Error::Client(_))), "{verified:?}");
}
