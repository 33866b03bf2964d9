// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The applications in `examples/`: those with the elements, and those with an SDK. They are the same in each language,
//! to the letter.

mod common;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::SERVER;
use common::line::record;
use common::mp4;
use common::proxy::{Fate, Kind, Proxy};
use common::recording::{Layout, Recording};
use common::sdk;
use common::server::Server;
use common::stream::{Stream, StreamSpec};
use tempfile::TempDir;

const TOKEN: &str = "secret-4711";

/// Folder of the episodes. Its name looks like a pattern for file names, and is none.
const EPISODES: &str = "100% of %d";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Language {
    Rust,
    Python,
    C,
    RustSdk,
    PythonSdk,
    JavaScriptSdk,
}

/// Languages of the application with the elements.
const LANGUAGES: [Language; 3] = [Language::Rust, Language::Python, Language::C];

/// Languages of the application with an SDK, for which the server makes the episodes.
const SDKS: [Language; 3] = [
    Language::RustSdk,
    Language::PythonSdk,
    Language::JavaScriptSdk,
];

/// An application before its start, in a folder of its own.
struct App {
    folder: TempDir,
    command: Command,
}

impl App {
    /// Exports an entry of a bucket.
    fn new(language: Language, url: &str, bucket: &str, entry: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("timeout");
        command.args(["--foreground", "100"]); // It would pass signals on twice.
        match language {
            // The plugin is in it.
            Language::Rust => command
                .arg(rust_example("export"))
                .env_remove("GST_PLUGIN_PATH"),
            Language::Python => command
                .arg("/usr/bin/python3") // The one that Debian's bindings are for.
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/export.py")),
            Language::C => command.arg(c_example(folder.path())),
            Language::RustSdk => command.arg(rust_example("export_video")),
            Language::PythonSdk => command.arg(sdk::folder().join("bin/python")).arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/examples/export_video.py"
            )),
            Language::JavaScriptSdk => command
                .env("NODE_PATH", sdk::folder().join("node_modules"))
                .arg("node")
                .arg(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/examples/export_video.js"
                )),
        };
        if matches!(language, Language::Python | Language::C) {
            let plugins = folder.path().join("plugins");
            fs::create_dir(&plugins).expect("a folder");
            symlink(common::plugin_file(), plugins.join("libgstreduct.so")).expect("a link");
            command
                .env("GST_PLUGIN_PATH", plugins)
                .env("GST_REGISTRY", folder.path().join("registry"));
        }
        command
            .args([bucket, entry, EPISODES])
            .args(options)
            .current_dir(folder.path())
            .env("REDUCT_URL", url)
            .env("REDUCT_API_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { folder, command }
    }

    fn start(&mut self) -> Child {
        self.command.spawn().expect("timeout (Debian: coreutils)")
    }

    /// Runs it to its end.
    #[track_caller]
    fn run(&mut self) -> Outcome {
        let output = self.start().wait_with_output().expect("its end");
        let outcome = Outcome {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        assert!(!format!("{outcome:?}").contains(TOKEN), "{outcome:?}");
        outcome
    }

    /// Error text of a run that fails.
    #[track_caller]
    fn complaint(&mut self) -> String {
        let outcome = self.run();
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (Some(1), ""),
            "{outcome:?}"
        );
        outcome.remarks()
    }

    /// Fails unless it has told of all the episodes there are, and of complete files.
    #[track_caller]
    fn assert_episodes(&self, stdout: &str, episodes: &[Episode]) {
        let mut files = Vec::new();
        let mut lines = String::new();
        for (index, episode) in episodes.iter().enumerate() {
            let name = format!("episode_{index:05}.mp4");
            let file = self.file(&name);
            let bytes = fs::metadata(&file).expect("the file").len();
            let &Episode(start, frames, reason, dropped) = episode;
            let seconds = frames as f64 / 10.0;
            lines += &format!(
                "{index}: {EPISODES}/{name}, 2025-06-13T{start}.273752Z, {seconds:.3} s, {frames} frames, \
                 {bytes} bytes, {reason}, {dropped} dropped\n"
            );
            assert_eq!(mp4::probe(&file).frames, frames, "{name}");
            files.push(file);
        }
        assert_eq!(stdout, lines);
        assert_eq!(mp4::episodes(&self.file("")), files);
        mp4::assert_no_parts(&self.file(""));
    }

    /// One of its files.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(EPISODES).join(name)
    }
}

/// Result of a run.
#[derive(Debug)]
struct Outcome {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// Output without the progress lines, which are printed on a slow machine only.
    fn remarks(&self) -> String {
        let lines = self.stderr.split_inclusive('\n');
        lines.filter(|line| !line.starts_with("0:00:")).collect()
    }
}

/// Start, number of frames, reason of the end, and number of dropped frames before it.
struct Episode(&'static str, u64, &'static str, u64);

/// Cargo builds it with all tests, but not with a single one.
fn rust_example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this test");
    let profile = test.parent().and_then(Path::parent);
    let example = profile.expect("target/PROFILE").join("examples").join(name);
    assert!(
        example.exists(),
        "run 'cargo build --example {name}' first: there is no {}",
        example.display()
    );
    example
}

/// Compiles it into a folder, without a warning.
fn c_example(folder: &Path) -> PathBuf {
    let program = folder.join("export");
    let compile = "cc -std=c11 -Wall -Wextra -Werror \"$1\" -o \"$2\" \
                   $(pkg-config --cflags --libs gstreamer-1.0)";
    let output = Command::new("sh")
        .args(["-c", compile, "sh"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/export.c"))
        .arg(&program)
        .output()
        .expect("a shell");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    program
}

fn stream(frames: usize) -> Stream {
    Stream::make(StreamSpec {
        frames,
        ..Default::default()
    })
}

#[test]
fn episodes_of_an_entry() {
    let recording = Recording {
        // A keyframe; the frame after it.
        lost: vec![20..21, 21..22],
        holes: vec![(50, 5_000_000)],
        ..Default::default()
    };
    let bucket = record(&recording, &stream(70));
    for language in LANGUAGES {
        let mut app = App::new(
            language,
            &SERVER.url(),
            &bucket,
            "e",
            &["--duration", "1.5"],
        );
        let outcome = app.run();
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let episodes = [
            Episode("08:30:53", 20, "gap", 0),
            Episode("08:30:56", 20, "gap", 0),
            Episode("08:31:03", 20, "eos", 0),
        ];
        app.assert_episodes(&outcome.stdout, &episodes);
        // The source has dropped the eight frames that refer to those.
        let warning =
            "warning: 8 reference pictures are missing between 2025-06-13T08:30:55.173752Z";
        assert!(outcome.remarks().starts_with(warning), "{outcome:?}");
    }
}

#[test]
fn episodes_of_a_range() {
    let bucket = record(&Recording::default(), &stream(60));
    let range = [
        "--start=2025-06-13T08:30:54Z",
        "--stop=1749803457000000",
        "--duration=2",
    ];
    for language in LANGUAGES {
        let mut app = App::new(language, &SERVER.url(), &bucket, "e", &range);
        let outcome = app.run();
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let episodes = [
            Episode("08:30:54", 20, "duration", 0),
            Episode("08:30:56", 8, "eos", 0),
        ];
        app.assert_episodes(&outcome.stdout, &episodes);
        assert_eq!(outcome.remarks(), "");
    }
}

/// The rest of the recording never comes.
#[test]
fn an_interrupt_completes_the_last_file() {
    let recording = Recording {
        // The first answer has 16 records.
        layout: Layout::AccessUnits(2),
        ..Default::default()
    };
    let bucket = record(&recording, &stream(200));
    for language in LANGUAGES {
        let proxy = Proxy::start(&SERVER, |kind, index| match (kind, index) {
            (Kind::Batch, 1..) => Fate::Stall,
            _ => Fate::Pass,
        });
        let mut app = App::new(language, &proxy.url(), &bucket, "e", &["--duration", "1"]);
        let mut process = app.start();
        let mut stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut stderr = BufReader::new(process.stderr.take().expect("stderr is piped"));

        let mut episodes = String::new();
        stdout.read_line(&mut episodes).expect("a line");
        let mut progress = stderr.by_ref().lines().map(|line| line.expect("a line"));
        assert!(progress.any(|line| line == "0:00:02 of 0:00:20"));
        interrupt(&process);
        stdout.read_to_string(&mut episodes).expect("UTF-8");
        assert!(process.wait().expect("its end").success());

        // What had come by then.
        let frames = mp4::probe(&app.file("episode_00002.mp4")).frames;
        assert!((5..=10).contains(&frames), "{frames} frames");
        let expected = [
            Episode("08:30:53", 10, "duration", 0),
            Episode("08:30:54", 10, "duration", 0),
            Episode("08:30:55", frames, "eos", 0),
        ];
        app.assert_episodes(&episodes, &expected);
    }
}

fn interrupt(process: &Child) {
    let pid = process.id().to_string();
    let status = Command::new("kill").args(["-INT", &pid]).status();
    assert!(status.expect("kill (Debian: procps)").success());
}

#[test]
fn a_missing_entry_is_an_error() {
    let bucket = SERVER.new_bucket();
    let url = SERVER.url();
    for language in LANGUAGES {
        assert_eq!(
            App::new(language, &url, &bucket, "nothing", &[]).complaint(),
            format!(
                "export: ReductStore at {url}/ has no '{bucket}/nothing': \
                 Entry 'nothing' not found in bucket '{bucket}'\n"
            )
        );
    }
}

#[test]
fn a_token_that_is_refused_is_not_shown() {
    let server = Server::builder().token("another").start();
    for language in LANGUAGES {
        let complaint = App::new(language, &server.url(), "b", "e", &[]).complaint();
        let expected = "does not accept the API token";
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn a_missing_plugin_is_named() {
    for language in [Language::Python, Language::C] {
        let mut app = App::new(language, "", "b", "e", &[]);
        let nothing = tempfile::tempdir().expect("a folder");
        app.command
            .env("GST_PLUGIN_PATH", nothing.path())
            .env("GST_PLUGIN_SYSTEM_PATH", nothing.path());
        assert_eq!(
            app.complaint(),
            "export: GStreamer has no reductsrc: set GST_PLUGIN_PATH to the folder of libgstreduct.so\n"
        );
    }
}

/// Six groups of pictures a second apart, as in the documentation of ReductStore.
fn documented_recording() -> String {
    record(&Recording::default(), &stream(60))
}

#[test]
fn one_episode_of_a_server() {
    let bucket = documented_recording();
    let mut files = Vec::new();
    for language in SDKS {
        let proxy = Proxy::start(&SERVER, |_, _| Fate::Pass);
        let mut app = App::new(language, &proxy.url(), &bucket, "e", &[]);
        let outcome = app.run();
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        app.assert_episodes(&outcome.stdout, &[Episode("08:30:53", 60, "eos", 0)]);
        assert_eq!(outcome.stderr, "");
        let file = app.file("episode_00000.mp4");
        assert_eq!(mp4::probe(&file).duration_us, 6_000_000, "{language:?}");
        files.push(fs::read(&file).expect("the file"));
        // The protocol of one entry (v1), and that of several (v2), whose requests are of another kind.
        let is_v1 = language == Language::RustSdk;
        assert_eq!(proxy.count(Kind::Batch) > 0, is_v1, "{language:?}");
    }
    assert!(files.iter().all(|file| *file == files[0]));
}

#[test]
fn episodes_of_a_server() {
    let bucket = documented_recording();
    let mut files = Vec::new();
    for language in SDKS {
        let options = ["--duration", "2s"];
        let mut app = App::new(language, &SERVER.url(), &bucket, "e", &options);
        let outcome = app.run();
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let episodes = [
            Episode("08:30:53", 20, "duration", 0),
            Episode("08:30:55", 20, "duration", 0),
            Episode("08:30:57", 20, "eos", 0),
        ];
        app.assert_episodes(&outcome.stdout, &episodes);
        assert_eq!(outcome.stderr, "");
        for file in mp4::episodes(&app.file("")) {
            assert_eq!(mp4::probe(&file).duration_us, 2_000_000, "{language:?}");
            files.push(fs::read(&file).expect("the file"));
        }
    }
    assert!(files.chunks(3).all(|episodes| *episodes == files[..3]));
}

#[test]
fn episodes_of_a_range_of_a_server() {
    let bucket = documented_recording();
    let range = [
        "--start=2025-06-13T10:30:54.000001+02:00",
        "--stop=1749803457000000",
        "--duration=2s",
    ];
    for language in SDKS {
        let mut app = App::new(language, &SERVER.url(), &bucket, "e", &range);
        let outcome = app.run();
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let episodes = [
            Episode("08:30:54", 20, "duration", 0),
            Episode("08:30:56", 8, "eos", 0),
        ];
        app.assert_episodes(&outcome.stdout, &episodes);
    }
}

/// With protocol v2 the server answers without a record while it makes an episode: here for each frame.
#[test]
fn answers_without_an_episode_are_no_end() {
    let server = Server::builder().env("RS_IO_BATCH_TIMEOUT", "0").start();
    let bucket = server.new_bucket();
    let recording = Recording {
        layout: Layout::AccessUnit,
        ..Default::default()
    };
    recording.write(&server, &bucket, "e", &stream(60));
    for language in SDKS {
        let proxy = Proxy::start(&server, |_, _| Fate::Pass);
        let mut app = App::new(language, &proxy.url(), &bucket, "e", &[]);
        let outcome = app.run();
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        app.assert_episodes(&outcome.stdout, &[Episode("08:30:53", 60, "eos", 0)]);
        let is_v1 = language == Language::RustSdk;
        assert_eq!(proxy.count(Kind::Other) < 60, is_v1, "{language:?}");
    }
}

#[test]
fn errors_of_a_server_are_one_line() {
    let bucket = documented_recording();
    let url = SERVER.url();
    for language in SDKS {
        let complaint =
            |entry, options: &[&str]| App::new(language, &url, &bucket, entry, options).complaint();
        assert_eq!(
            complaint("e", &["--duration", "2 x"]),
            "export_video: Extension 'video': parameter 'duration' is \"2 x\", expected a duration with units \
             (ms, s, m, h, d), such as \"30s\", \"1m\" or \"1h 30m\"\n"
        );
        assert_eq!(
            complaint(
                "e",
                &[
                    "--start=2025-06-13T08:30:53.3Z",
                    "--stop=2025-06-13T08:30:53.4Z"
                ]
            ),
            format!("export_video: '{bucket}/e' has no records in the range\n")
        );
        // A query of several entries, which v2 has, misses none.
        let missing = match language {
            Language::RustSdk => {
                format!("Entry 'nothing' not found in bucket '{bucket}'")
            }
            _ => format!("'{bucket}/nothing' has no records in the range"),
        };
        assert_eq!(
            complaint("nothing", &[]),
            format!("export_video: {missing}\n")
        );
    }
    let server = Server::builder().token("another").start();
    for language in SDKS {
        let complaint = App::new(language, &server.url(), "b", "e", &[]).complaint();
        assert_eq!(complaint, "export_video: Invalid token\n");
    }
}

#[test]
fn a_file_that_is_cut_short_is_incomplete() {
    let bucket = documented_recording();
    for language in SDKS {
        // The first request of an SDK is that of the bucket.
        let proxy = Proxy::start(&SERVER, |kind, index| match (kind, index) {
            (Kind::Batch, _) | (Kind::Other, 1..) => Fate::Cut(15_000),
            _ => Fate::Pass,
        });
        let mut app = App::new(language, &proxy.url(), &bucket, "e", &[]);
        let complaint = app.complaint();
        assert!(complaint.starts_with("export_video: "), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(app.file("episode_00000.mp4.part").exists(), "{language:?}");
        assert!(mp4::episodes(&app.file("")).is_empty(), "{language:?}");
    }
}
