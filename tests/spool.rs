// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records that wait in files while the server is away, and recovery from files that are damaged,
//! moved, replaced or in the way.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::await_that;
use common::pipeline::stat;
use common::recorder::{Recorded, Recorder, START_US, Sent, camera};
use common::server::{Record, Server};
use gst::prelude::*;

/// Less than a batch waits for the end of the stream, and then for nothing.
const PATIENT: &str = "max-latency=600000 retries=0";
const HOUR_US: u64 = 3_600_000_000;

/// A server with a bucket, and a folder for spools.
struct Scene {
    server: Server,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let server = Server::start();
        server.create_bucket("b");
        let folder = tempfile::tempdir().expect("a folder");
        Self { server, folder }
    }

    /// The folder of the entry.
    fn entry(&self) -> PathBuf {
        self.folder.path().join("b/e")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.entry().join(name)
    }

    fn recorder(&self, source: &str, sink: &str) -> Recorder {
        let sink = format!("spool-dir={} {sink}", self.folder.path().display());
        Recorder::new(&self.server.url(), "b", source, &sink)
    }

    /// Records up to 79 frames while the server is away, which stay in the spool.
    fn leave(&self, frames: usize) -> Vec<Sent> {
        self.server.kill();
        let recorder = self.recorder(&camera(frames, "tune=zerolatency"), PATIENT);
        let recorded = recorder.run();
        assert_eq!(recorded.sent.len(), frames);
        let (error, _) = &recorded.outcome.errors[0];
        let text = format!("{frames} records are not written, and stay in spool-dir");
        assert!(error.message().contains(&text), "{error}");
        recorded.sent
    }

    /// Starts the server, and records some frames after those that were left.
    fn drain(&self) -> Recorded {
        self.drain_with("")
    }

    fn drain_with(&self, sink: &str) -> Recorded {
        self.server.restart();
        let recorder = self.recorder(&camera(3, "tune=zerolatency"), sink);
        recorder.run().clean()
    }

    fn records(&self) -> Vec<Record> {
        let records = self.server.read("b", "e");
        assert!(records.is_sorted_by(|one, next| one.time_us < next.time_us));
        records
    }

    /// The names in the folder of the entry, in order, without the lock.
    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(self.entry()).expect("the folder of the entry");
        let names = files.map(|file| file.expect("a file").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name != "lock")
            .collect();
        names.sort();
        names
    }

    /// Damages a file, and returns how long it is.
    fn damage(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let path = self.file(name);
        let mut bytes = fs::read(&path).expect("a file of the spool");
        damage(&mut bytes);
        fs::write(&path, bytes).expect("a file of the spool");
    }
}

/// Offset of a content in a file.
fn place(file: &[u8], content: &[u8]) -> usize {
    let mut places = file.windows(content.len());
    places
        .position(|bytes| bytes == content)
        .expect("a content")
}

/// Asserts that the records are these contents, and those of three frames after them.
#[track_caller]
fn assert_written(records: &[Record], expected: &[Sent]) {
    assert_eq!(records.len(), expected.len() + 3);
    for (at, (record, sent)) in records.iter().zip(expected).enumerate() {
        // The first frame of each encoder has its parameter sets already.
        assert!(record.bytes == sent.bytes, "record {at} is another one");
    }
}

fn without(sent: &[Sent], lost: &[usize]) -> Vec<Sent> {
    let kept = sent.iter().enumerate().filter(|(at, _)| !lost.contains(at));
    kept.map(|(_, sent)| sent.clone()).collect()
}

/// The only warning that has a text; its domain says that something could not be read.
#[track_caller]
fn warning_with(recorded: &Recorded, text: &str) -> String {
    let warnings = recorded.outcome.warnings.iter();
    let mut with = warnings.filter(|(warning, _)| warning.message().contains(text));
    let (warning, _) = with.next().expect("a warning");
    assert!(with.next().is_none(), "{:?}", recorded.warnings());
    assert!(warning.matches(gst::ResourceError::Read), "{warning}");
    warning.message().to_owned()
}

const FIRST: &str = "0000000000.spool";

#[test]
fn damage_loses_the_damaged_record_only() {
    let flip = |bytes: &mut Vec<u8>, at: usize| bytes[at] ^= 0x55;
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>, usize);
    // Each is given a file and where the content of a record begins in it.
    let damages: [(&str, Damage); 5] = [
        ("content", &|bytes, at| flip(bytes, at + 10)),
        ("description", &|bytes, at| flip(bytes, at - 10)),
        ("header", &|bytes, at| bytes[at - 120..at - 60].fill(0)),
        ("garbage", &|bytes, at| {
            bytes.splice(at + 5..at + 5, [7; 99]).for_each(drop);
        }),
        ("hole", &|bytes, at| {
            bytes.drain(at..at + 9).for_each(drop);
        }),
    ];
    let scene = Scene::new();
    for (what, damage) in damages {
        let sent = scene.leave(60);
        // Files are numbered on within a process, and from 0 on in an empty folder.
        let name = scene.names().pop().expect("a file");
        let before = scene.server_records();
        scene.damage(&name, |bytes| {
            let at = place(bytes, &sent[25].bytes);
            damage(bytes, at);
        });
        let recorded = scene.drain();
        let records = &scene.records()[before..];
        assert_written(records, &without(&sent, &[25]));
        for counter in [
            "damaged-records",
            "damaged-frames",
            "dropped-records",
            "dropped-frames",
        ] {
            assert_eq!(recorded.stat(counter), 1, "{what}: {counter}");
        }
        warning_with(&recorded, &scene.file(&name).display().to_string());
        // It can be looked at.
        let names = scene.names();
        let aside: Vec<_> = names
            .iter()
            .filter(|aside| aside.contains(".damaged"))
            .collect();
        assert_eq!(aside.len(), names.len(), "{what}: {names:?}");
        for name in names {
            fs::remove_file(scene.file(&name)).expect("a file that is kept aside");
        }
    }
}

impl Scene {
    /// Number of records on the server, which is started for the request.
    fn server_records(&self) -> usize {
        self.server.restart();
        match self.server.entries("b").is_empty() {
            true => 0,
            false => self.server.read("b", "e").len(),
        }
    }
}

#[test]
fn a_file_that_ends_within_a_record_loses_that_one() {
    let scene = Scene::new();
    let sent = scene.leave(60);
    scene.damage(FIRST, |bytes| {
        let at = place(bytes, &sent[40].bytes);
        bytes.truncate(at + 1);
    });
    let recorded = scene.drain();
    assert_written(&scene.records(), &sent[..40]);
    // The file does not show how much was cut off.
    assert_eq!(recorded.stat("damaged-records"), 1);
    warning_with(&recorded, FIRST);
    assert!(scene.names().is_empty(), "{:?}", scene.names());
}

#[test]
fn files_that_are_no_spools_are_kept_aside() {
    let scene = Scene::new();
    let sent = scene.leave(30);
    let garbage = vec![0x5a; 100_000];
    fs::write(scene.file("0000000007.spool"), &garbage).expect("a file");
    fs::write(scene.file("0000000008.spool"), "").expect("a file");
    fs::write(scene.file("notes.txt"), "notes").expect("a file");
    let recorded = scene.drain();
    assert_written(&scene.records(), &sent);
    warning_with(&recorded, "0000000007.spool");
    assert_eq!(scene.names(), ["0000000007.spool.damaged", "notes.txt"]);
    let kept = fs::read(scene.file("0000000007.spool.damaged")).expect("the file");
    assert!(kept == garbage, "it was changed");
}

/// A file in the first version of the format: without checksums.
fn first_version(records: &[(u64, &[u8], &str)]) -> Vec<u8> {
    let mut file = Vec::new();
    for (time, content, label) in records {
        let description = format!(
            r#"{{"entry-point":true,"fixed":true,"fps":"30","frames":1,"keyframe":true,"labels":{{"site":"{label}"}},"length":{},"time":{time}}}"#,
            content.len()
        );
        let length = u32::try_from(description.len()).expect("a length");
        file.extend(length.to_le_bytes());
        file.extend(description.as_bytes());
        file.extend(*content);
    }
    file
}

#[test]
fn spools_of_the_first_version_are_written() {
    let scene = Scene::new();
    fs::create_dir_all(scene.entry()).expect("a folder");
    let contents: Vec<_> = (0..100u8).map(|at| vec![at; 50]).collect();
    let records: Vec<_> = (1000..)
        .zip(&contents)
        .map(|(time, content)| (time, content.as_slice(), "3"))
        .collect();
    fs::write(scene.file(FIRST), first_version(&records)).expect("a file");
    let recorded = scene.drain();
    assert_eq!(recorded.stat("dropped-records"), 0);
    let found = scene.records();
    assert_eq!(found.len(), 103);
    for (found, (time, content, _)) in found.iter().zip(&records) {
        assert_eq!((found.time_us, found.bytes.as_ref()), (*time, *content));
    }
    assert!(scene.names().is_empty());
}

#[test]
fn labels_with_line_breaks_cost_their_records() {
    let scene = Scene::new();
    fs::create_dir_all(scene.entry()).expect("a folder");
    let labels = [
        "3",
        "a\\nb",
        "4",
        "a\\r\\nx-reduct-time-7: 1",
        "\\u0000",
        "5",
    ];
    let records: Vec<_> = (1000..)
        .zip(labels)
        .map(|(time, label)| (time, &b"content"[..], label))
        .collect();
    fs::write(scene.file(FIRST), first_version(&records)).expect("a file");
    let recorded = scene.drain();
    let times: Vec<_> = scene
        .records()
        .iter()
        .map(|record| record.time_us)
        .collect();
    assert_eq!(times[..3], [1000, 1002, 1005]);
    assert_eq!(times.len(), 6);
    assert!((2..=3).contains(&recorded.stat("damaged-records")));
    warning_with(&recorded, FIRST);
    assert_eq!(scene.names(), ["0000000000.spool.damaged"]);
}

#[test]
fn names_with_any_number_are_written() {
    for name in [
        "1.spool",
        "00000000000000000000000000000001.spool",
        "18446744073709551615.spool",
        "184467440737095516150.spool",
    ] {
        let scene = Scene::new();
        let sent = scene.leave(20);
        fs::rename(scene.file(FIRST), scene.file(name)).expect("a new name");
        // What comes after it stays after it.
        let more = scene.leave_more(20);
        scene.drain();
        assert_written(&scene.records(), &[sent, more].concat());
        assert!(scene.names().is_empty(), "{name}: {:?}", scene.names());
    }
}

impl Scene {
    /// The same as `leave` where there is something already.
    fn leave_more(&self, frames: usize) -> Vec<Sent> {
        let recorder = self.recorder(&camera(frames, "tune=zerolatency"), PATIENT);
        let recorded = recorder.run();
        assert_eq!(recorded.outcome.errors.len(), 1);
        assert_eq!(recorded.sent.len(), frames);
        recorded.sent
    }
}

#[test]
fn folders_and_files_are_private() {
    for is_there in [false, true] {
        let scene = Scene::new();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        mode(scene.folder.path(), 0o755);
        if is_there {
            fs::create_dir_all(scene.entry()).expect("a folder");
            mode(&scene.folder.path().join("b"), 0o755);
            mode(&scene.entry(), 0o777);
            fs::write(scene.file("lock"), "").expect("a file");
            mode(&scene.file("lock"), 0o644);
        }
        scene.leave(5);
        let found = |path: &Path| {
            let metadata = fs::metadata(path).expect("it is there");
            metadata.permissions().mode() & 0o7777
        };
        // It is the user's own choice.
        assert_eq!(found(scene.folder.path()), 0o755);
        for folder in ["b", "b/e"] {
            assert_eq!(found(&scene.folder.path().join(folder)), 0o700, "{folder}");
        }
        for file in ["lock", FIRST] {
            assert_eq!(found(&scene.file(file)), 0o600, "{file}");
        }
    }
}

#[test]
fn obstacles_in_the_spool_folder_are_errors_that_name_them() {
    for name in ["lock", FIRST] {
        for kind in ["link", "fifo", "folder"] {
            let scene = Scene::new();
            fs::create_dir_all(scene.entry()).expect("a folder");
            let precious = scene.folder.path().join("precious");
            fs::write(&precious, "precious").expect("a file");
            let path = scene.file(name);
            match kind {
                "link" => symlink(&precious, &path).expect("a link"),
                "folder" => fs::create_dir(&path).expect("a folder"),
                _ => {
                    let made = Command::new("mkfifo").arg(&path).status();
                    assert!(made.expect("mkfifo").success());
                }
            }
            let begin = Instant::now();
            let recorded = scene.recorder(&camera(30, ""), "").run();
            assert!(begin.elapsed() < Duration::from_secs(10), "{name} {kind}");
            let (error, _) = &recorded.outcome.errors[0];
            assert!(error.matches(gst::ResourceError::Read), "{error}");
            let shown = path.display().to_string();
            assert!(error.message().contains(&shown), "{name} {kind}: {error}");
            assert_eq!(fs::read_to_string(&precious).expect("a file"), "precious");
        }
    }
}

/// The same frames at the pace of a camera.
fn live_camera(frames: usize) -> String {
    camera(frames, "tune=zerolatency").replace("videotestsrc", "videotestsrc is-live=true")
}

/// Writes a record that is an hour ahead of the clock, and returns its time.
fn write_ahead(scene: &Scene) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = u64::try_from(now.expect("a time").as_micros()).expect("a time");
    let ahead = now + HOUR_US;
    let labels = [("keyframe", "true")];
    scene
        .server
        .write("b", "e", ahead, "video/h264", &labels, "ahead");
    ahead
}

#[test]
fn frames_that_were_never_sent_are_moved_behind_what_the_entry_has() {
    let scene = Scene::new();
    let ahead = write_ahead(&scene);
    let sent = [scene.leave(30), scene.leave_more(20)].concat();
    let recorded = scene.drain();
    assert_eq!(recorded.stat("dropped-records"), 0);
    let records = scene.records();
    assert_eq!(records[0].time_us, ahead);
    assert_written(&records[1..], &sent);
    // Each run was moved as a whole.
    let steps: Vec<_> = records[1..31]
        .windows(2)
        .map(|pair| pair[1].time_us - pair[0].time_us)
        .collect();
    assert!(
        steps.iter().all(|step| (33_332..33_336).contains(step)),
        "{steps:?}"
    );
}

#[test]
fn frames_with_capture_times_of_their_own_are_not_moved() {
    let scene = Scene::new();
    let labels = [("keyframe", "true")];
    let later = START_US + HOUR_US;
    (scene.server).write("b", "e", later, "video/h264", &labels, "later");
    scene.server.kill();
    let recorder = scene.recorder(&camera(30, "tune=zerolatency"), PATIENT);
    let left = recorder.capture(|time| START_US + time).run();
    assert_eq!(left.sent.len(), 30);
    let recorded = scene.drain();
    assert_eq!(recorded.stat("dropped-records"), 30);
    assert_eq!(recorded.stat("damaged-records"), 0);
    let warnings = recorded.warnings();
    let dropped = |text: &&String| text.contains("Dropped 30 frames of spool-dir");
    assert_eq!(warnings.iter().filter(dropped).count(), 1, "{warnings:?}");
    let records = scene.records();
    assert_eq!(records.len(), 4);
    assert_eq!(records[0].time_us, later);
    assert!(scene.names().is_empty());
}

#[test]
fn frames_whose_times_were_moved_are_found_or_written_once() {
    let scene = Scene::new();
    let ahead = write_ahead(&scene);
    let recorder = scene.recorder(&live_camera(300), "retries=0");
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing is written", || stat(&sink, "records") > 20);
    scene.server.kill();
    let before = stat(&sink, "records");
    await_that("nothing waits", || stat(&sink, "queue-records") > 60);
    // The rest is not written.
    assert!(recorder.pipeline.send_event(gst::event::Eos::new()));
    let left = recorder.finish();
    assert_eq!(left.outcome.errors.len(), 1, "{:?}", left.outcome.errors);
    let sent = left.sent;
    assert!(sent.len() as u64 > before + 60);

    let recorded = scene.drain();
    assert_eq!(
        recorded.stat("dropped-records"),
        0,
        "{:?}",
        recorded.warnings()
    );
    let records = scene.records();
    assert_eq!(records[0].time_us, ahead);
    assert_written(&records[1..], &sent);
    assert!(scene.names().is_empty());
}

#[test]
fn records_that_come_while_the_spool_is_opened_survive() {
    let scene = Scene::new();
    fs::create_dir_all(scene.entry()).expect("a folder");
    let lock = File::create(scene.file("lock")).expect("a file");
    lock.lock().expect("a lock");
    scene.server.kill();
    let recorder = scene.recorder(&camera(79, "tune=zerolatency"), PATIENT);
    let sink = recorder.sink();
    recorder.pipeline.play();
    await_that("nothing comes", || stat(&sink, "queue-records") > 50);
    assert!(scene.names().is_empty());
    drop(lock);
    let left = recorder.finish();
    assert_eq!(left.outcome.errors.len(), 1);
    assert_eq!(left.sent.len(), 79);
    scene.drain();
    assert_written(&scene.records(), &left.sent);
}

#[test]
fn a_file_that_cannot_be_read_later_costs_its_records() {
    type Damage = fn(&Path);
    let damages: [(Damage, bool); 3] = [
        (|path| fs::remove_file(path).expect("the file"), true),
        (
            |path| {
                fs::remove_file(path).expect("the file");
                fs::create_dir(path).expect("a folder");
            },
            true,
        ),
        (
            |path| {
                let file = File::options().write(true).open(path).expect("the file");
                let length = file.metadata().expect("its length").len();
                file.set_len(length - 1).expect("another length");
            },
            false,
        ),
    ];
    for (damage, costs_all) in damages {
        let scene = Scene::new();
        scene.server.kill();
        let recorder = scene.recorder(&camera(200, "tune=zerolatency"), "retries=1000");
        let sink = recorder.sink();
        recorder.pipeline.play();
        await_that("nothing waits", || stat(&sink, "queue-records") == 200);
        damage(&scene.file(FIRST));
        scene.server.restart();
        let recorded = recorder.finish().clean();
        let lost = recorded.stat("damaged-records");
        match costs_all {
            // The first batch had been read.
            true => assert!((120..200).contains(&lost), "{lost}"),
            false => assert_eq!(lost, 1),
        }
        assert_eq!(recorded.stat("records"), 200 - lost);
        assert_eq!(scene.records().len() as u64, 200 - lost);
        warning_with(&recorded, &scene.file(FIRST).display().to_string());
    }
}

/// Runs gst-launch-1.0 with the plugin in a shell that has limits.
fn launch(scene: &Scene, limits: &str, source: &str, sink: &str) -> Output {
    let plugins = tempfile::tempdir().expect("a folder");
    let plugin = plugins.path().join("libgstreduct.so");
    symlink(common::plugin_file(), plugin).expect("a link");
    let registry = plugins.path().join("registry");
    let command = |program: &str| {
        let mut command = Command::new(program);
        command
            .env("GST_PLUGIN_PATH", plugins.path())
            .env("GST_REGISTRY", &registry);
        command
    };
    let inspected = command("gst-inspect-1.0").arg("reductsink").output();
    assert!(inspected.expect("gst-inspect-1.0").status.success());
    let line = format!(
        "{limits} exec timeout 60 gst-launch-1.0 {source} ! \
         reductsink url={} bucket=b entry=e spool-dir={} {sink}",
        scene.server.url(),
        scene.folder.path().display()
    );
    let output = command("bash").args(["-c", &line]).output();
    output.expect("gst-launch-1.0")
}

#[test]
fn descriptors_are_few_for_many_files() {
    const FILES: u64 = 1300;
    let scene = Scene::new();
    fs::create_dir_all(scene.entry()).expect("a folder");
    for number in 0..FILES {
        let record = (1000 + number, &b"content"[..], "3");
        let file = scene.file(&format!("{number:010}.spool"));
        fs::write(file, first_version(&[record])).expect("a file");
    }
    let output = launch(&scene, "ulimit -n 64;", &camera(3, "tune=zerolatency"), "");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(scene.records().len() as u64, FILES + 3);
    assert!(scene.names().is_empty());
}

#[test]
fn records_that_a_spool_cannot_take_wait_in_memory() {
    let scene = Scene::new();
    scene.server.kill();
    let restart = || {
        await_that("nothing is spooled", || {
            fs::metadata(scene.file(FIRST)).is_ok_and(|file| file.len() > 15_000)
        });
        scene.server.restart();
    };
    let frames = 120;
    // A file may be 16 KiB long: a shell's blocks have 1 KiB.
    let output = std::thread::scope(|scope| {
        scope.spawn(restart);
        launch(
            &scene,
            "trap '' XFSZ; ulimit -f 16;",
            &live_camera(frames),
            "",
        )
    });
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    assert_eq!(scene.records().len(), frames);
    // gst-launch-1.0 writes each warning with a line of its own.
    let warnings = text
        .lines()
        .filter(|line| line.contains("spool-dir cannot be written"));
    assert_eq!(warnings.count(), 1, "{text}");
    assert!(text.contains(FIRST), "{text}");
    assert!(scene.names().is_empty());
}

#[test]
fn records_are_kept_however_they_are_synced() {
    for sync in ["none", "interval", "record"] {
        let scene = Scene::new();
        scene.server.kill();
        let sink = format!("{PATIENT} spool-sync={sync}");
        let left = scene.recorder(&camera(45, "tune=zerolatency"), &sink).run();
        assert_eq!(left.outcome.errors.len(), 1, "{sync}");
        scene.drain_with(&format!("spool-sync={sync}"));
        assert_written(&scene.records(), &left.sent);
        assert!(scene.names().is_empty(), "{sync}");
    }
}

#[test]
fn a_spool_has_one_writer_and_is_left_to_it() {
    let scene = Scene::new();
    fs::create_dir_all(scene.entry()).expect("a folder");
    let lock = File::create(scene.file("lock")).expect("a file");
    lock.lock().expect("a lock");
    let recorder = scene.recorder(&camera(30, "tune=zerolatency"), "");
    recorder.pipeline.play();
    let sink = recorder.sink();
    await_that("nothing comes", || stat(&sink, "queue-records") == 30);
    // A stop does not wait for the other one.
    let begin = Instant::now();
    recorder
        .pipeline
        .set_state(gst::State::Null)
        .expect("a stop");
    assert!(begin.elapsed() < Duration::from_secs(2));
    drop(lock);
    await_that("it is not written", || {
        scene.server.entries("b").contains(&"e".into()) && scene.records().len() == 30
    });
}
