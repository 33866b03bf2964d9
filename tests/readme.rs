// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Each `gst-launch-1.0` line of the README runs as it stands, but for the address of the server.
//!
//! `pipelines/demo.sh` is run by `tests/smoke.sh`, and `tests/run.sh` runs this.

mod common;

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::mp4;
use common::pipeline::Pipeline;
use common::recording::Recording;
use common::server::Server;
use common::stream::Stream;
use common::{SERVER, await_that};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// The lines in the README's shell blocks that begin with `gst-launch-1.0`.
fn lines() -> Vec<String> {
    let text = fs::read_to_string(README).expect("the README");
    let blocks = text.split("```shell\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .flat_map(str::lines)
        .filter(|line| line.starts_with("gst-launch-1.0"))
        .map(ToOwned::to_owned)
        .collect()
}

/// Records six seconds into bucket `b`, as the README's lines expect it.
fn record() {
    SERVER.create_bucket("b");
    let mut laid = Recording::default().lay(&Stream::example());
    for laid in &mut laid {
        laid.record.labels.push(("good".into(), "true".into()));
    }
    SERVER.write_all("b", "h264", laid.iter().map(|laid| &laid.record));
}

/// A display without a screen, for the line with a window: autovideosink of GStreamer 1.22 crashes
/// without any.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args([
                // Between two clients it would start anew, and refuse the next one meanwhile.
                "-noreset",
                "-displayfd",
                "1",
                "-screen",
                "0",
                "640x480x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb (Debian: xvfb)");
        let mut number = String::new();
        let output = server.stdout.as_mut().expect("its output");
        BufReader::new(output)
            .read_line(&mut number)
            .expect("the number of a display");
        Self {
            server,
            name: format!(":{}", number.trim()),
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // Not SIGKILL: it has files to remove.
        let _ = Command::new("kill")
            .arg(self.server.id().to_string())
            .status();
        let _ = self.server.wait();
    }
}

/// A file of 30 frames.
fn make_clip(path: &Path) {
    let line = format!(
        "videotestsrc num-buffers=30 ! x264enc ! mp4mux ! filesink location={}",
        path.display()
    );
    Pipeline::launch(&line).run().clean();
}

/// Writes records until a command has begun an episode with them, and sends it Ctrl-C.
fn end_with_an_episode(command: &mut Command, folder: &Path) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().expect("a shell");
    let stream = Stream::example();
    let times = Cell::new(Recording::default().start_us);
    await_that("no episode begins", || {
        let start_us = times.get() + 60_000_000;
        times.set(start_us);
        let recording = Recording {
            start_us,
            ..Default::default()
        };
        recording.write(&SERVER, "b", "h264", &stream);
        fs::read_dir(folder).expect("the folder").next().is_some()
    });
    let pid = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &pid]).status();
    assert!(status.expect("kill").success());
    child.wait_with_output().expect("its output")
}

#[test]
fn every_line_runs() {
    record();
    let display = Display::start();
    let lines = lines();
    assert!(lines.len() >= 6, "{lines:?}");
    let other = Server::start();
    for line in lines {
        let line = line.replace("127.0.0.1:8383", &format!("127.0.0.1:{}", SERVER.port()));
        let folder = tempfile::tempdir().expect("a folder");
        let line = line
            .replace("v4l2src", "videotestsrc num-buffers=30") // there may be no camera
            .replace("http://other:8383", &other.url());
        if line.contains("clip.mp4") {
            make_clip(&folder.path().join("clip.mp4"));
        }
        let plugins = tempfile::tempdir().expect("a folder");
        let plugin = common::plugin_file();
        symlink(&plugin, plugins.path().join("libgstreduct.so")).expect("a link");
        let mut command = Command::new("timeout");
        command
            // In the foreground: an interrupt comes to the line once, which ends at the second one.
            .args(["--foreground", "60", "sh", "-c", &format!("exec {line}")])
            .current_dir(folder.path())
            .env("GST_PLUGIN_PATH", plugins.path())
            .env("GST_REGISTRY", plugins.path().join("registry"))
            .env("REDUCT_URL", SERVER.url())
            .env("DISPLAY", &display.name);
        let follows = line.contains("follow=true");
        let output = match follows {
            true => end_with_an_episode(&mut command, folder.path()),
            false => command.output().expect("a shell"),
        };
        assert!(output.status.success(), "{line}\n{output:?}");
        if line.contains("location=reduct://") {
            let episodes = SERVER.read("b", "episodes");
            assert_eq!(episodes.len(), 3, "{line}");
            assert_eq!(mp4::episodes(folder.path()).len(), 0, "{line}");
        } else if line.contains("reductepisodesplit") {
            let episodes = mp4::episodes(folder.path());
            let frames: u64 = episodes.iter().map(|file| mp4::probe(file).frames).sum();
            match follows {
                true => assert!(frames > 0 && frames.is_multiple_of(10), "{frames}: {line}"),
                false if line.contains("videotestsrc") => assert_eq!(frames, 300, "{line}"),
                false => assert_eq!(frames, 60, "{line}"),
            }
            mp4::assert_no_parts(folder.path());
        }
        if line.contains("reductsink") {
            let server = if line.contains("url=") {
                &other
            } else {
                &*SERVER
            };
            let entry = if line.contains("clip.mp4") {
                "clip"
            } else {
                "cam"
            };
            assert_eq!(server.read("b", entry).len(), 30, "{line}");
        }
        if line.contains("next-file=discont") {
            let episodes = mp4::episodes(folder.path());
            let frames: u64 = episodes.iter().map(|file| mp4::probe(file).frames).sum();
            assert_eq!((episodes.len(), frames), (3, 60), "{line}");
        } else if line.contains("multifilesink") {
            assert!(folder.path().join("frame_00059.jpg").exists(), "{line}");
        }
    }
}
