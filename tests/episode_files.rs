// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The files of `reductepisodesplit`: names, messages, contents from mp4mux, and the state of the
//! folder after a failed write.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use common::child;
use common::mp4;
use common::pipeline::{Outcome, Pipeline};
use common::stream::Stream;
use gst::ClockTime;
use gst::prelude::*;
use tempfile::TempDir;

/// Six seconds, with a group of ten frames a second.
const CAMERA: &str = "videotestsrc name=camera num-buffers=60 \
     ! video/x-raw,width=160,height=120,framerate=10/1 \
     ! x264enc name=encoder speed-preset=ultrafast tune=zerolatency key-int-max=10";
/// 2025-06-13T08:30:53.273752Z, when the first frame was captured.
const START_US: u64 = 1_749_803_453_273_752;

/// A pipeline that writes three episodes of two seconds to `location`.
fn writer(location: &Path) -> Pipeline {
    let pipeline = Pipeline::launch(&format!(
        "{CAMERA} ! reductepisodesplit name=split duration=2000000000"
    ));
    pipeline
        .element("split")
        .set_property("location", location.to_str().unwrap());
    pipeline
}

/// Gives the frames a capture time.
fn capture(pipeline: &Pipeline) {
    let pad = pipeline.element("encoder").static_pad("src").unwrap();
    let reference = gst::Caps::new_empty_simple("timestamp/x-unix");
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let buffer = info.buffer_mut().unwrap().make_mut();
        // x264enc begins at 1000 hours.
        let since_start = buffer.pts().unwrap() - 1_000 * 3_600 * ClockTime::SECOND;
        let time = ClockTime::from_useconds(START_US) + since_start;
        gst::ReferenceTimestampMeta::add(buffer, &reference, time, None);
        gst::PadProbeReturn::Ok
    });
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Fails unless the bin told one error, of this kind. The source may complain that it was stopped.
#[track_caller]
fn assert_error(outcome: &Outcome, kind: impl gst::glib::error::ErrorDomain) -> String {
    let told: Vec<gst::glib::Error> = (outcome.messages.iter())
        .filter(|message| message.src().is_some_and(|src| src.name() != "camera"))
        .filter_map(|message| match message.view() {
            gst::MessageView::Error(error) => Some(error.error()),
            _ => None,
        })
        .collect();
    let [error] = &told[..] else {
        panic!("{told:#?}");
    };
    assert!(error.matches(kind), "{error}");
    error.message().to_owned()
}

#[track_caller]
fn assert_names(pattern: &str, expected: [&str; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = writer(&folder.path().join(pattern));
    capture(&pipeline);
    let episodes = pipeline.run().clean().episodes();
    let told: Vec<_> = episodes.iter().map(|e| e.location.clone()).collect();
    assert_eq!(told, expected.map(|name| folder.path().join(name)));
    assert_eq!(names(folder.path()), expected);
    let starts: Vec<_> = episodes.iter().map(|e| e.start_us).collect();
    let expected = [0, 2_000_000, 4_000_000].map(|us| Some(START_US + us));
    assert_eq!(starts, expected);
}

#[test]
fn names_have_the_index() {
    assert_names("%03d.mp4", ["000.mp4", "001.mp4", "002.mp4"]);
}

#[test]
fn names_have_the_capture_time() {
    assert_names(
        "{start}.mp4",
        [
            "20250613T083053.273752Z.mp4",
            "20250613T083055.273752Z.mp4",
            "20250613T083057.273752Z.mp4",
        ],
    );
}

#[test]
fn names_have_the_capture_time_in_microseconds() {
    assert_names(
        "{start-us}.mp4",
        [
            "1749803453273752.mp4",
            "1749803455273752.mp4",
            "1749803457273752.mp4",
        ],
    );
}

#[test]
fn names_have_index_and_capture_time() {
    assert_names(
        "%d_{start-us}.mp4",
        [
            "0_1749803453273752.mp4",
            "1_1749803455273752.mp4",
            "2_1749803457273752.mp4",
        ],
    );
}

#[test]
fn a_name_with_a_time_needs_one() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = writer(&folder.path().join("{start}.mp4")).run();
    let text = assert_error(&outcome, gst::ResourceError::Settings);
    assert!(text.contains("{start}.mp4"), "{text}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_bad_pattern_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = writer(&folder.path().join("%s.mp4"));
    assert!(pipeline.set_state(gst::State::Ready).is_ok());
    assert!(pipeline.set_state(gst::State::Paused).is_err());
    let outcome = pipeline.finish(Vec::new());
    let (error, _) = outcome.error();
    assert!(error.matches(gst::ResourceError::Settings), "{error}");
    assert!(error.message().contains("%s.mp4"), "{error}");
}

#[test]
fn recovery_points_do_not_go_with_limits_from_above() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = writer(&folder.path().join("%d.mp4"));
    let split = pipeline.element("split");
    split.set_property_from_str("keyframe-mode", "recovery-point");
    split.set_property_from_str("split-mode", "at-most");
    assert!(pipeline.set_state(gst::State::Paused).is_err());
    let outcome = pipeline.finish(Vec::new());
    let (error, _) = outcome.error();
    assert!(error.matches(gst::ResourceError::Settings), "{error}");
}

#[test]
fn one_name_is_enough_for_one_episode() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = writer(&folder.path().join("clip.mp4"));
    pipeline.element("camera").set_property("num-buffers", 20);
    pipeline.run().clean();
    assert_eq!(names(folder.path()), ["clip.mp4"]);
}

#[test]
fn one_name_for_two_episodes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.mp4");
    let outcome = writer(&file).run();
    let text = assert_error(&outcome, gst::ResourceError::Settings);
    assert!(text.contains("clip.mp4"), "{text}");
    assert_eq!(names(folder.path()), ["clip.mp4"]);
    assert_eq!(mp4::probe(&file).frames, 20);
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = writer(&folder.path().join("none/%d.mp4")).run();
    let text = assert_error(&outcome, gst::ResourceError::OpenWrite);
    assert!(text.contains("none/0.mp4.part"), "{text}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_stream_without_times_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let stream = folder.path().join("stream.h264");
    fs::write(&stream, Stream::example().bytes()).unwrap();
    let outcome = Pipeline::launch(&format!(
        "filesrc location={} ! h264parse name=camera ! reductepisodesplit location={}/%d.mp4",
        stream.display(),
        folder.path().display()
    ))
    .run();
    assert_error(&outcome, gst::StreamError::Mux);
    assert_eq!(names(folder.path()), ["0.mp4.part", "stream.h264"]);
}

/// A message about a file, and what the folder has at that moment.
#[derive(Debug, PartialEq)]
struct Seen {
    message: String,
    location: PathBuf,
    /// Names that begin with that of the complete file.
    names: Vec<String>,
    frames: Option<u64>,
}

/// Looks at the folder at each message about an episode, while the thread that posts it waits.
fn watch(pipeline: &Pipeline, folder: &Path) -> Arc<Mutex<Vec<Seen>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (list, folder) = (Arc::clone(&seen), folder.to_owned());
    pipeline.bus().unwrap().set_sync_handler(move |_, message| {
        let structure = message.structure();
        if let Some(structure) = structure.filter(|s| s.has_field("location")) {
            let location: PathBuf = structure.get::<String>("location").unwrap().into();
            let file = location.file_name().unwrap().to_str().unwrap();
            let whole = file.trim_end_matches(".part");
            let names = names(&folder);
            let names = names.into_iter().filter(|name| name.starts_with(whole));
            list.lock().unwrap().push(Seen {
                message: structure.name().to_string(),
                names: names.collect(),
                frames: (structure.name() == "reduct-episode")
                    .then(|| mp4::probe(&location).frames),
                location,
            });
        }
        gst::BusSyncReply::Pass
    });
    seen
}

#[test]
fn a_file_is_a_part_until_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = writer(&folder.path().join("%d.mp4"));
    let seen = watch(&pipeline, folder.path());
    pipeline.run().clean();
    assert_eq!(names(folder.path()), ["0.mp4", "1.mp4", "2.mp4"]);
    let seen = seen.lock().unwrap();
    let of = |file: &str| -> Vec<&Seen> {
        let is_of = |seen: &&Seen| seen.location.to_str().unwrap().contains(file);
        seen.iter().filter(is_of).collect()
    };
    for index in 0..3 {
        let whole = format!("{index}.mp4");
        let part = format!("{whole}.part");
        let seen = |message: &str, name: &str, frames| Seen {
            message: message.into(),
            location: folder.path().join(name),
            names: vec![name.into()],
            frames,
        };
        let expected = [
            seen("splitmuxsink-fragment-opened", &part, None),
            seen("splitmuxsink-fragment-closed", &whole, None),
            seen("reduct-episode", &whole, Some(20)),
        ];
        assert_eq!(of(&whole), expected.iter().collect::<Vec<_>>());
    }
    let episodes = seen.iter().filter(|seen| seen.frames.is_some());
    let order: Vec<_> = episodes.map(|seen| seen.names[0].as_str()).collect();
    assert_eq!(order, ["0.mp4", "1.mp4", "2.mp4"]);
}

#[test]
fn a_stop_publishes_what_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::launch(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=100/1 ! \
         x264enc tune=zerolatency key-int-max=5 ! reductepisodesplit duration=50000000 location={}/%03d.mp4",
        folder.path().display()
    ));
    pipeline.play();
    let mut messages = Vec::new();
    for _ in 0..20 {
        pipeline.wait(&mut messages, |message| {
            let structure = message.structure();
            structure.is_some_and(|s| s.name() == "splitmuxsink-fragment-opened")
        });
    }
    pipeline.set_state(gst::State::Null).unwrap();
    let names = names(folder.path());
    let (parts, whole): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with(".part"));
    assert!(parts.len() <= 1, "{names:?}");
    assert!(whole.len() >= 18, "{names:?}");
    for name in whole {
        assert_eq!(mp4::probe(&folder.path().join(name)).frames, 5, "{name}");
    }
}

#[test]
fn an_old_file_is_there_until_the_new_one_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.mp4");
    fs::write(&file, "old").unwrap();
    let pipeline = writer(&file);
    pipeline.element("camera").set_property("num-buffers", 20);
    let old = file.clone();
    pipeline.bus().unwrap().set_sync_handler(move |_, message| {
        let name = message.structure().map(|s| s.name().as_str());
        if name == Some("splitmuxsink-fragment-opened") {
            assert_eq!(fs::read(&old).unwrap(), b"old");
        }
        gst::BusSyncReply::Pass
    });
    let episodes = pipeline.run().clean().episodes();
    assert_eq!(episodes.len(), 1);
    assert_eq!(mp4::probe(&file).frames, 20);
}

#[test]
fn the_episode_message_has_these_fields() {
    let folder = tempfile::tempdir().unwrap();
    for captured in [true, false] {
        let pipeline = writer(&folder.path().join("%d.mp4"));
        if captured {
            capture(&pipeline);
        }
        let outcome = pipeline.run().clean();
        let mut elements = outcome.elements.iter();
        let told = elements.find(|s| s.name() == "reduct-episode").unwrap();
        let mut fields: Vec<(&str, &str)> = (told.iter())
            .map(|(name, value)| (name.as_str(), value.type_().name()))
            .collect();
        fields.sort_unstable();
        let mut expected = vec![
            ("bytes", "guint64"),
            ("corrupted", "guint64"),
            ("dropped", "guint64"),
            ("duration", "guint64"),
            ("frames", "guint64"),
            ("hidden", "guint64"),
            ("index", "guint"),
            ("location", "gchararray"),
            ("reason", "gchararray"),
        ];
        if captured {
            expected.push(("start", "guint64"));
        }
        assert_eq!(fields, expected);
    }
}

#[test]
fn splitmuxsink_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = writer(&folder.path().join("%d.mp4"));
    let split = pipeline.element("split");
    let inside = || split.property::<Option<gst::Element>>("splitmuxsink");
    assert!(inside().is_none());
    pipeline.set_state(gst::State::Ready).unwrap();
    assert_eq!(inside().unwrap().factory().unwrap().name(), "splitmuxsink");
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(inside().is_none());
}

#[test]
fn muxer_properties_make_fragmented_files() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::launch(&format!(
        "{CAMERA} ! reductepisodesplit location={}/%d.mp4 duration=3000000000 \
         muxer-properties=\"properties,fragment-duration=1000\"",
        folder.path().display()
    ));
    let episodes = pipeline.run().clean().episodes();
    assert_eq!(episodes.len(), 2);
    for episode in episodes {
        let bytes = fs::read(&episode.location).unwrap();
        let fragments = bytes.windows(4).filter(|tag| tag == b"moof").count();
        assert_eq!(fragments, 3);
        assert_eq!(mp4::frame_checksums(&episode.location).len(), 30);
    }
}

#[test]
fn muxer_properties_that_mp4mux_has_not_are_an_error() {
    common::init();
    for (name, value) in [
        ("fragment-size", 5.to_send_value()),
        ("fragment-duration", "soon".to_send_value()),
        ("fragment-duration", gst::Caps::new_any().to_send_value()),
        // Cannot be written.
        ("reserved-duration-remaining", 5u64.to_send_value()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = writer(&folder.path().join("%d.mp4"));
        let mut properties = gst::Structure::new_empty("properties");
        properties.set_value(name, value);
        let split = pipeline.element("split");
        split.set_property("muxer-properties", properties);
        assert!(pipeline.set_state(gst::State::Paused).is_err());
        let outcome = pipeline.finish(Vec::new());
        let (error, _) = outcome.error();
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains(name), "{error}");
    }
}

/// Runs the writer, whose first file meets an obstacle. Gives the error.
#[track_caller]
fn assert_in_the_way(folder: &Path, obstacle: &Path) -> String {
    let outcome = writer(&folder.join("%d.mp4")).run();
    let text = assert_error(&outcome, gst::ResourceError::OpenWrite);
    assert!(text.contains(obstacle.to_str().unwrap()), "{text}");
    assert!(!outcome.eos && outcome.episodes().is_empty());
    text
}

#[test]
fn a_part_that_is_a_link_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    for target in [
        &precious,
        Path::new("/dev/full"),
        &folder.path().join("nothing"),
    ] {
        fs::write(&precious, "precious").unwrap();
        symlink(target, folder.path().join("0.mp4.part")).unwrap();
        let outcome = writer(&folder.path().join("%d.mp4")).run().clean();
        assert_eq!(outcome.episodes().len(), 3);
        let whole = ["0.mp4", "1.mp4", "2.mp4"];
        assert_eq!(names(folder.path())[..3], whole);
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
        assert!(!folder.path().join("nothing").exists());
        for name in whole {
            let file = folder.path().join(name);
            assert!(fs::symlink_metadata(&file).unwrap().is_file());
            assert_eq!(mp4::probe(&file).frames, 20);
            fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn a_part_that_a_crash_has_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("1.mp4.part");
    // It may be longer than the new one, and not writable.
    fs::write(&part, vec![7; 1 << 20]).unwrap();
    fs::set_permissions(&part, fs::Permissions::from_mode(0o400)).unwrap();
    writer(&folder.path().join("%d.mp4")).run().clean();
    assert_eq!(names(folder.path()), ["0.mp4", "1.mp4", "2.mp4"]);
    assert_eq!(mp4::probe(&folder.path().join("1.mp4")).frames, 20);
}

#[test]
fn a_folder_or_pipe_in_place_of_a_file_is_an_error() {
    for name in ["0.mp4.part", "0.mp4"] {
        let folder = tempfile::tempdir().unwrap();
        let obstacle = folder.path().join(name);
        fs::create_dir(&obstacle).unwrap();
        assert!(assert_in_the_way(folder.path(), &obstacle).contains("a folder"));
        fs::remove_dir(&obstacle).unwrap();
        let made = Command::new("mkfifo").arg(&obstacle).status().unwrap();
        assert!(made.success());
        assert!(assert_in_the_way(folder.path(), &obstacle).contains("a named pipe"));
        assert_eq!(names(folder.path()), [name]);
    }
}

/// The first episode is complete when the second one meets the obstacle.
#[test]
fn an_obstacle_leaves_the_files_before() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("1.mp4.part")).unwrap();
    let outcome = writer(&folder.path().join("%d.mp4")).run();
    assert_error(&outcome, gst::ResourceError::OpenWrite);
    let told: Vec<_> = outcome
        .episodes()
        .into_iter()
        .map(|it| it.location)
        .collect();
    assert_eq!(told, [folder.path().join("0.mp4")]);
    assert_eq!(mp4::probe(&told[0]).frames, 20);
}

/// Puts something else in the place of the file that is being written.
#[test]
fn a_file_that_replaces_a_part_is_not_published() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let pipeline = writer(&folder.path().join("%d.mp4"));
    let (part, target) = (folder.path().join("0.mp4.part"), precious.clone());
    pipeline.bus().unwrap().set_sync_handler(move |_, message| {
        let name = message.structure().map(|s| s.name().as_str());
        if name == Some("splitmuxsink-fragment-opened") && part.exists() {
            fs::remove_file(&part).unwrap();
            symlink(&target, &part).unwrap();
        }
        gst::BusSyncReply::Pass
    });
    let outcome = pipeline.run();
    let text = assert_error(&outcome, gst::ResourceError::Write);
    assert!(
        text.contains("0.mp4.part") && text.contains("another process"),
        "{text}"
    );
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert!(!folder.path().join("0.mp4").exists());
}

/// A file system that is soon full; `None`, with a word why, where none may be mounted.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn mount(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"]);
        let output = mount.arg(folder.path()).output().unwrap();
        if output.status.success() {
            return Some(Self(folder));
        }
        let why = String::from_utf8_lossy(&output.stderr);
        eprintln!("skipped: no file system to fill: {why}");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Fills a disk of this size. All that is called an episode has to be one; gives their number.
#[track_caller]
fn fill(bytes: u64) -> Option<usize> {
    let disk = Tmpfs::mount(bytes)?;
    let outcome = writer(&disk.0.path().join("%d.mp4")).run();
    let whole = mp4::episodes(disk.0.path());
    let told: Vec<_> = outcome.episodes().into_iter().map(|e| e.location).collect();
    assert_eq!(whole, told);
    for file in &whole {
        assert_eq!(mp4::probe(file).frames, 20);
        assert_eq!(mp4::frame_checksums(file).len(), 20);
    }
    let text = assert_error(&outcome, gst::ResourceError::NoSpaceLeft);
    let part = disk.0.path().join(format!("{}.mp4.part", whole.len()));
    assert!(text.contains(part.to_str().unwrap()), "{text}");
    Some(whole.len())
}

/// The sizes of the files that a disk with room for them gets.
fn sizes() -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let episodes = writer(&folder.path().join("%d.mp4")).run().episodes();
    episodes.iter().map(|episode| episode.bytes).collect()
}

#[test]
fn a_disk_that_is_full_within_a_file_leaves_those_before() {
    let sizes = sizes();
    let found = fill(sizes[0] + sizes[1] / 2);
    assert!(matches!(found, None | Some(1)), "{found:?}");
}

#[test]
fn a_disk_that_is_full_at_the_end_of_a_file_leaves_no_broken_one() {
    // No player opens the file without the part that is written last.
    let pages = sizes()[0] / 4096;
    for pages in pages - 1..=pages {
        let found = fill(pages * 4096);
        assert!(matches!(found, None | Some(0)), "{found:?}");
    }
}

/// A folder with the plugin and a few of GStreamer's own, and nothing else.
fn plugins(names: &[&str]) -> TempDir {
    common::init();
    let folder = tempfile::tempdir().unwrap();
    let registry = gst::Registry::get();
    let others = names
        .iter()
        .map(|name| registry.find_plugin(name).unwrap().filename().unwrap());
    for file in others.chain([common::plugin_file()]) {
        symlink(&file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    folder
}

/// Runs a program that finds these plugins only, in their folder.
fn with_plugins(program: impl AsRef<std::ffi::OsStr>, plugins: &TempDir, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .current_dir(plugins.path())
        .env_remove("GST_PLUGIN_PATH")
        .env_remove("GST_PLUGIN_PATH_1_0")
        .env("GST_PLUGIN_SYSTEM_PATH_1_0", plugins.path())
        .env("GST_REGISTRY_1_0", plugins.path().join("registry"))
        .output()
        .unwrap()
}

#[test]
fn the_default_name_is_in_the_current_folder() {
    let plugins = plugins(&[
        "coreelements",
        "videotestsrc",
        "x264",
        "isomp4",
        "multifile",
    ]);
    let line = format!("{CAMERA} ! reductepisodesplit duration=3000000000");
    let output = with_plugins(
        "gst-launch-1.0",
        &plugins,
        &line.split(' ').collect::<Vec<_>>(),
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let files: Vec<_> = mp4::episodes(plugins.path());
    let expected = ["episode_00000.mp4", "episode_00001.mp4"];
    assert_eq!(files, expected.map(|name| plugins.path().join(name)));
}

#[test]
fn it_can_be_inspected_without_other_plugins() {
    let plugins = plugins(&[]);
    let output = with_plugins("gst-inspect-1.0", &plugins, &["reductepisodesplit"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("split-mode"),
        "{text}"
    );
}

#[test]
fn a_missing_plugin_is_reported_once() {
    for (missing, element) in [("isomp4", "mp4mux"), ("multifile", "splitmuxsink")] {
        let mut names = vec!["coreelements", "isomp4", "multifile"];
        names.retain(|name| *name != missing);
        let line = ["fakesrc", "!", "reductepisodesplit"];
        let output = with_plugins("gst-launch-1.0", &plugins(&names), &line);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        let told = text
            .matches(&format!("The element {element} is missing"))
            .count();
        assert_eq!(told, 1, "{text}");
        assert!(text.contains(&format!("plugin {missing} of")), "{text}");
    }
}

#[test]
fn a_missing_plugin_is_an_error_of_its_own() {
    let plugins = plugins(&["coreelements", "multifile"]);
    let (path, registry) = (plugins.path(), plugins.path().join("registry"));
    let variables = [
        ("GST_PLUGIN_PATH", ""),
        ("GST_PLUGIN_SYSTEM_PATH_1_0", path.to_str().unwrap()),
        ("GST_REGISTRY_1_0", registry.to_str().unwrap()),
    ];
    if child::again("a_missing_plugin_is_an_error_of_its_own", &variables).is_some() {
        return;
    }
    let pipeline = Pipeline::launch("fakesrc ! reductepisodesplit");
    assert!(pipeline.set_state(gst::State::Ready).is_err());
    let bus = pipeline.bus().unwrap();
    let error = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    let gst::MessageView::Error(error) = error.view() else {
        unreachable!("nothing else was popped");
    };
    assert!(error.error().matches(gst::CoreError::MissingPlugin));
}
