// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Files of episodes are uploaded to a real ReductStore.

#[allow(dead_code)]
#[path = "../../../tests/common/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../../../tests/common/wait.rs"]
mod wait;

use std::fs;

use client::{Canceller, Cause, ServerOptions, Uploaded, Uploader};
use futures_util::join;
use media::cut::policy::{Episode, Reason};
use media::frame_rate::FrameRate;
use media::time::{CaptureTime, Nanos};
use recording::{
    EpisodeFile, EpisodeQueue, EpisodeUploader, SCHEMA, UploadCounts, UploadEvent, UploadWaitError,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use server::Server;

/// 2025-06-15T15:06:40Z in µs since the Unix epoch.
const START: u64 = 1_750_000_000_000_000;

/// Uploads to the entry `episodes` of the bucket `b`, and the folder of the files.
struct Uploads {
    queue: EpisodeQueue,
    uploader: EpisodeUploader,
    folder: TempDir,
    runtime: Runtime,
}

impl Uploads {
    fn to(server: &Server, retries: u32) -> Self {
        let connection = client::Server::new(ServerOptions {
            url: server.url(),
            ..ServerOptions::new(SCHEMA)
        })
        .expect("a URL");
        let uploader = Uploader::new(connection, "b".into(), "episodes".into(), retries);
        let (queue, uploader) = EpisodeUploader::new(uploader);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self {
            queue,
            uploader,
            folder: tempfile::tempdir().expect("a folder"),
            runtime: runtime.expect("a runtime"),
        }
    }

    fn push(&self, indices: std::ops::Range<u32>) {
        for index in indices {
            let pushed = self.queue.push(file(&self.folder, index));
            pushed.expect("a file with a time");
        }
    }

    fn next(&mut self) -> Option<UploadEvent> {
        self.runtime.block_on(self.uploader.next())
    }

    /// Returns the index of the file that is uploaded next, without retries.
    #[track_caller]
    fn next_uploaded(&mut self) -> (u32, Uploaded) {
        match self.next() {
            Some(UploadEvent::Uploaded {
                file,
                time: at,
                uploaded,
            }) => {
                assert_eq!(at.useconds(), time(file.episode.index));
                (file.episode.index, uploaded)
            }
            other => panic!("no upload: {other:?}"),
        }
    }

    fn rest(&self) -> Vec<u32> {
        let rest = self.queue.take_rest();
        rest.iter().map(|file| file.episode.index).collect()
    }
}

fn time(index: u32) -> u64 {
    START + 1_000_000 * u64::from(index)
}

fn content(index: u32) -> String {
    format!("episode {index}")
}

/// Writes the file of an episode.
fn file(folder: &TempDir, index: u32) -> EpisodeFile {
    let path = folder.path().join(format!("{index}.mp4"));
    fs::write(&path, content(index)).expect("a file");
    EpisodeFile {
        path,
        bytes: content(index).len() as u64,
        episode: Episode {
            index,
            capture: Some(CaptureTime::from_useconds(time(index))),
            duration: Nanos::SECOND,
            frames: 25,
            hidden: 0,
            corrupted: 0,
            decode_start: Nanos::ZERO,
            shown: Vec::new(),
            dropped: 0,
            reason: Reason::Duration,
        },
        frame_rate: FrameRate::new(25, 1),
    }
}

fn server() -> Server {
    let server = Server::start();
    server.create_bucket("b");
    server
}

/// Fails unless the entry has the episodes with these indices.
#[track_caller]
fn assert_stored(server: &Server, indices: std::ops::Range<u32>) {
    let records = server.read("b", "episodes");
    let found = records.iter().map(|record| (record.time_us, &record.bytes));
    let contents: Vec<_> = indices
        .map(|index| (time(index), content(index).into()))
        .collect();
    let expected = contents.iter().map(|(time, content)| (*time, content));
    assert!(found.eq(expected), "{records:?}");
}

#[test]
fn files_become_records_in_order() {
    const COUNT: u32 = 7;
    let server = server();
    let Uploads {
        queue,
        mut uploader,
        folder,
        runtime,
    } = Uploads::to(&server, 10);
    let events = runtime.block_on(async {
        let events = tokio::spawn(async move {
            let mut events = Vec::new();
            while let Some(event) = uploader.next().await {
                events.push(event);
            }
            events
        });
        for index in 0..COUNT {
            queue.room().await.expect("room");
            assert!(queue.counts().waiting < 4);
            queue.push(file(&folder, index)).expect("a time");
        }
        queue.push_mark();
        queue.finish().await.expect("no error");
        events.await.expect("no panic")
    });
    let mut expected: Vec<_> = (0..COUNT)
        .map(|index| UploadEvent::Uploaded {
            file: file(&folder, index),
            time: CaptureTime::from_useconds(time(index)),
            uploaded: Uploaded::Written,
        })
        .collect();
    expected.push(UploadEvent::Mark);
    assert_eq!(events, expected);
    assert_eq!(queue.counts(), UploadCounts::default());
    assert_eq!(queue.take_rest(), []);
    assert_stored(&server, 0..COUNT);
    let records = server.read("b", "episodes");
    assert_eq!(records[0].content_type, "video/mp4");
    let labels = [
        ("duration", "1000000000"),
        ("fps", "25"),
        ("frames", "25"),
        ("reason", "duration"),
    ];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(records[0].labels, labels);
}

#[test]
fn a_mark_follows_the_files_before_it() {
    let server = server();
    let mut uploads = Uploads::to(&server, 10);
    uploads.push(0..1);
    uploads.queue.push_mark();
    uploads.push(1..2);
    assert_eq!(uploads.next_uploaded(), (0, Uploaded::Written));
    assert_eq!(uploads.next(), Some(UploadEvent::Mark));
    assert_eq!(uploads.next_uploaded(), (1, Uploaded::Written));
    assert_stored(&server, 0..2);
}

#[test]
fn a_server_that_is_away_is_tried_again() {
    let server = server();
    server.kill();
    let mut uploads = Uploads::to(&server, 10);
    uploads.push(0..2);
    let retry = uploads.next();
    let is_told = |text: &str| text.contains("attempt 1 of 10");
    assert!(
        matches!(&retry, Some(UploadEvent::Retrying(text)) if is_told(text)),
        "{retry:?}"
    );
    let counts = UploadCounts {
        waiting: 1,
        retries: 1,
    };
    assert_eq!(uploads.queue.counts(), counts);
    server.restart();
    assert_eq!(uploads.next_uploaded(), (0, Uploaded::Written));
    assert_eq!(uploads.next_uploaded(), (1, Uploaded::Written));
    assert_stored(&server, 0..2);
}

#[test]
fn an_episode_that_is_there_is_accepted_and_another_record_is_an_error() {
    let server = server();
    server.write("b", "episodes", time(0), "video/mp4", &[], content(0));
    server.write("b", "episodes", time(1), "video/mp4", &[], "another");
    let mut uploads = Uploads::to(&server, 10);
    uploads.push(0..3);
    assert_eq!(uploads.next_uploaded(), (0, Uploaded::WasThere));
    let failure = match uploads.next() {
        Some(UploadEvent::Failed(failure)) => failure,
        other => panic!("no error: {other:?}"),
    };
    assert_eq!(failure.error.cause, Cause::Status(409));
    assert_eq!(uploads.next(), None);
    uploads.push(3..4);
    let Uploads { queue, runtime, .. } = &uploads;
    let expected = Err(UploadWaitError::Failed(failure.into()));
    assert_eq!(runtime.block_on(queue.room()), expected);
    assert_eq!(runtime.block_on(queue.finish()), expected);
    assert_eq!(uploads.rest(), [1, 2, 3]);
}

#[test]
fn a_missing_bucket_is_an_error_before_any_file() {
    let server = Server::start();
    let mut uploads = Uploads::to(&server, 10);
    let event = uploads.next();
    let is_missing = |event: &Option<UploadEvent>| match event {
        Some(UploadEvent::Failed(failure)) => failure.error.cause == Cause::Status(404),
        _ => false,
    };
    assert!(is_missing(&event), "{event:?}");
}

#[test]
fn a_stop_ends_an_upload_and_gives_the_files_back() {
    let server = server();
    let mut uploads = Uploads::to(&server, 10);
    // An answer, so that the client is connected.
    uploads.push(0..1);
    assert_eq!(uploads.next_uploaded(), (0, Uploaded::Written));
    server.freeze();
    uploads.push(1..6);
    let Uploads {
        queue,
        uploader,
        runtime,
        ..
    } = &mut uploads;
    // Four wait besides the one that is uploaded.
    let canceller = Canceller::default();
    let (event, waited) = runtime.block_on(async {
        let stop = async {
            while queue.counts().waiting == 5 {
                tokio::task::yield_now().await;
            }
            assert_eq!(queue.counts().waiting, 4);
            let room = queue.room();
            let stop = async { queue.stop() };
            join!(room, stop).0
        };
        join!(uploader.next(), stop)
    });
    assert_eq!(event, None);
    assert_eq!(waited, Err(UploadWaitError::Stopped));
    let waited = queue.wait_for_room(runtime.handle(), &canceller);
    assert_eq!(waited, Err(UploadWaitError::Stopped));
    assert_eq!(runtime.block_on(uploader.next()), None);
    assert_eq!(uploads.rest(), [1, 2, 3, 4, 5]);
    server.thaw();
    assert_stored(&server, 0..1);
}

#[test]
fn waits_end_when_the_uploader_is_dropped() {
    let server = server();
    let Uploads {
        queue,
        uploader,
        folder,
        runtime,
    } = Uploads::to(&server, 10);
    queue.push(file(&folder, 0)).expect("a time");
    drop(uploader);
    let finished = runtime.block_on(queue.finish());
    assert_eq!(finished, Err(UploadWaitError::Stopped));
    assert_eq!(queue.take_rest(), [file(&folder, 0)]);
}

#[test]
fn the_uploader_ends_when_the_queue_is_dropped() {
    let server = server();
    let Uploads {
        queue,
        mut uploader,
        runtime,
        ..
    } = Uploads::to(&server, 10);
    let event = runtime.block_on(async {
        let (event, ()) = join!(uploader.next(), async { drop(queue) });
        event
    });
    assert_eq!(event, None);
}
