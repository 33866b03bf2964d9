// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Ranges of recordings whose records begin anywhere in a group of pictures.

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
#[path = "../../../tests/common/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../../../tests/common/wait.rs"]
mod wait;

use bytes::Bytes;
use media::range::Begin;
use media::time::CaptureTime;
use recording::{Item, ReadRequest, Recording};
use server::Record;

use common::{GROUP, access_unit, set_up, time};

/// Frames of each entry: three groups and a part of the next one.
const FRAMES: usize = 34;

/// Writes all frames to an entry, in records of `length` frames.
fn write(server: &server::Server, entry: &str, length: usize, is_labelled: bool) {
    let records = (0..FRAMES).step_by(length).map(|first| {
        let frames = first..FRAMES.min(first + length);
        let has_keyframe = frames.clone().any(|frame| frame % GROUP == 0);
        let mut labels = vec![("fps".into(), "25".into())];
        if is_labelled {
            labels.push(("keyframe".into(), has_keyframe.to_string()));
        }
        let units: Vec<Bytes> = frames.map(access_unit).collect();
        Record {
            time_us: time(first).useconds(),
            content_type: "video/h264".into(),
            labels,
            bytes: units.concat().into(),
        }
    });
    server.write_all("b", entry, &records.collect::<Vec<_>>());
}

/// Returns the capture times of the frames of a range, and whether each is shown.
async fn read(
    recording: &Recording,
    range: std::ops::Range<CaptureTime>,
    begin: Begin,
) -> Vec<(CaptureTime, bool)> {
    times(recording.read(range).start(begin)).await
}

/// Returns the capture times of the frames that are requested, and whether each is shown.
async fn times(request: ReadRequest<'_>) -> Vec<(CaptureTime, bool)> {
    let mut frames = request.frames();
    let mut found = Vec::new();
    while let Some(item) = frames.next().await.expect("an item") {
        if let Item::Frame(frame) = item {
            found.push((frame.capture_time, !frame.is_hidden));
        }
    }
    found
}

/// Returns the keyframe of a frame.
fn keyframe(frame: usize) -> usize {
    frame / GROUP * GROUP
}

#[test]
fn ranges_that_begin_and_end_anywhere_in_records() {
    let (server, connection, runtime) = set_up();
    for (length, is_labelled) in [(3, false), (7, false), (7, true), (13, true)] {
        let entry = format!("length_{length}_{is_labelled}");
        write(&server, &entry, length, is_labelled);
        runtime.block_on(async {
            for start in 0..FRAMES {
                // A new recording knows no keyframes.
                let recording = Recording::open(&connection, "b", &entry).await;
                let recording = recording.expect("an entry");
                for count in [1, 2, 9] {
                    let stop = FRAMES.min(start + count);
                    let name = format!("{entry} {start}..{stop}");
                    let range = time(start)..time(stop);
                    let found = read(&recording, range.clone(), Begin::Exact).await;
                    let frames = keyframe(start)..stop;
                    let expected = frames.clone().map(|frame| (time(frame), frame >= start));
                    assert_eq!(found, expected.collect::<Vec<_>>(), "{name}");
                    let found = read(&recording, range, Begin::KeyframeBefore).await;
                    let expected = frames.map(|frame| (time(frame), true));
                    assert_eq!(found, expected.collect::<Vec<_>>(), "{name}, before");
                }
            }
        });
    }
}

/// Starts and stops between the times of frames.
#[test]
fn ranges_between_frames() {
    let (server, connection, runtime) = set_up();
    let near = |frame: usize, us: i64| {
        let time = time(frame).useconds().saturating_add_signed(us);
        CaptureTime::from_useconds(time)
    };
    write(&server, "cut", 7, true);
    runtime.block_on(async {
        for frame in 1..FRAMES - 1 {
            let recording = Recording::open(&connection, "b", "cut").await;
            let recording = recording.expect("an entry");
            for (range, shown) in [
                (near(frame, 0)..near(frame, 1), Some(frame)),
                (near(frame, -1)..near(frame, 1), Some(frame)),
                (near(frame, -1)..near(frame, 0), None),
                (near(frame, 1)..near(frame, 2), None),
                (near(frame, 1)..near(frame + 1, 1), Some(frame + 1)),
            ] {
                let found = read(&recording, range.clone(), Begin::Exact).await;
                let found = found.into_iter().filter(|(_, is_shown)| *is_shown);
                let expected = shown.map(|frame| (time(frame), true));
                assert_eq!(
                    found.collect::<Vec<_>>(),
                    Vec::from_iter(expected),
                    "{frame} {range:?}"
                );
                // Down to the last keyframe that is not after the start, whatever is shown.
                let before = read(&recording, range.clone(), Begin::KeyframeBefore).await;
                let at = frame - usize::from(range.start < time(frame));
                let stop = (0..FRAMES)
                    .find(|frame| time(*frame) >= range.end)
                    .unwrap_or(FRAMES);
                let expected = (keyframe(at)..stop).map(|frame| (time(frame), true));
                assert_eq!(
                    before,
                    expected.collect::<Vec<_>>(),
                    "{frame} {range:?}, before"
                );
            }
        }
    });
}

/// A hint that is right saves the search, and another one changes no frame.
#[test]
fn ranges_with_any_keyframe_hint() {
    let (server, connection, runtime) = set_up();
    for (length, is_labelled) in [(1, true), (3, false), (7, true)] {
        let entry = format!("length_{length}_{is_labelled}");
        write(&server, &entry, length, is_labelled);
        runtime.block_on(async {
            for start in 0..FRAMES {
                let stop = FRAMES.min(start + 3);
                let expected = start..stop;
                let near = [start.saturating_sub(1), start, start + 1, FRAMES + GROUP];
                let keyframes = [0, keyframe(start), keyframe(start + GROUP)];
                for hint in near.into_iter().chain(keyframes) {
                    let recording = Recording::open(&connection, "b", &entry).await;
                    let recording = recording.expect("an entry");
                    let request = recording.read(time(start)..time(stop)).start(Begin::Exact);
                    let found = times(request.keyframe_hint(time(hint))).await;
                    let shown = found.iter().filter(|(_, is_shown)| *is_shown);
                    assert!(
                        shown.map(|(time, _)| *time).eq(expected.clone().map(time)),
                        "{entry} {start}..{stop}, hint {hint}: {found:?}"
                    );
                    if hint == keyframe(start) {
                        let first = found.first().map(|(time, _)| *time);
                        assert_eq!(first, Some(time(hint)), "{entry} {start}..{stop}");
                    }
                }
            }
        });
    }
}
