// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The lines in the README and in `docs/` run as they stand, but for the address of the server; the tables of
//! properties are those of the elements, and links lead somewhere.

mod common;
#[path = "../examples/properties/tables.rs"]
mod tables;

use std::cell::{Cell, OnceCell};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::await_that;
use common::mp4;
use common::pipeline::Pipeline;
use common::recording::Recording;
use common::sdk;
use common::server::Server;
use common::stream::Stream;
use tempfile::TempDir;

const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// The pages with lines for a shell.
const PAGES_WITH_LINES: [&str; 4] = [
    "README.md",
    "docs/embedding.md",
    "docs/recipes.md",
    "docs/server.md",
];

/// Beginnings of the lines that are not run here, and the reason.
const RUN_ELSEWHERE: [(&str, &str); 14] = [
    ("curl ", "installs a toolchain"),
    ("git clone ", "needs the network"),
    ("cd gst-plugin-reduct", "is of the line before"),
    ("pipelines/demo.sh", "run by tests/smoke.sh"),
    ("tests/run.sh", "runs this test"),
    (
        "pipelines/server.sh &",
        "the line that demo.sh suggests, run by tests/smoke.sh",
    ),
    (
        "export REDUCT_URL=",
        "the environment of each line is set below",
    ),
    (
        "export GST_PLUGIN_PATH=",
        "the environment of each line is set below",
    ),
    (
        "meson setup --prefix=/usr ",
        "run by tests/run.sh, into another folder",
    ),
    ("cargo build --release", "run by demo.sh"),
    ("sudo apt install ", "installs packages"),
    ("python3 -m venv ", "installs packages"),
    ("npm install ", "installs packages"),
    (
        "export NODE_PATH=",
        "the environment of each line is set below",
    ),
];

/// Reads a page, given its path below the top folder.
fn page(path: &str) -> String {
    fs::read_to_string(Path::new(TOP).join(path)).unwrap_or_else(|err| panic!("{path}: {err}"))
}

/// Returns the lines of a page's shell blocks, block by block.
fn blocks(page: &str) -> Vec<Vec<&str>> {
    let blocks = page.split("```shell\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .map(|block| block.lines().filter(|line| !line.is_empty()).collect())
        .collect()
}

/// A server with six seconds in the entry `h264` of the bucket `b`, as the lines expect it.
fn start_server() -> Server {
    let server = Server::start();
    server.create_bucket("b");
    let mut laid = Recording::default().lay(&Stream::example());
    for laid in &mut laid {
        laid.record.labels.push(("good".into(), "true".into()));
    }
    server.write_all("b", "h264", laid.iter().map(|laid| &laid.record));
    server
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

/// Writes a file of 30 frames.
fn make_file(path: &Path, format: &str) {
    let line = format!(
        "videotestsrc num-buffers=30 ! x264enc ! {format} ! filesink location={}",
        path.display()
    );
    Pipeline::launch(&line).run().clean();
}

/// Writes records until a command has begun an episode with them, and sends it Ctrl-C.
fn end_with_an_episode(command: &mut Command, folder: &Path, server: &Server) -> Output {
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
        recording.write(server, "b", "h264", &stream);
        let files = fs::read_dir(folder).expect("the folder").flatten();
        let names = files.map(|file| file.file_name().into_string().expect("UTF-8"));
        names.into_iter().any(|name| name.contains(".mp4"))
    });
    let pid = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &pid]).status();
    assert!(status.expect("kill").success());
    child.wait_with_output().expect("its output")
}

/// The servers and the folders of the lines of a page.
struct Reader {
    server: Server,
    other: Server,
    /// Has a link to the plugin, and the registry of GStreamer.
    plugins: TempDir,
    /// Started for the first line with a window.
    display: OnceCell<Display>,
}

impl Reader {
    fn new() -> Self {
        let plugins = tempfile::tempdir().expect("a folder");
        let plugin = common::plugin_file();
        symlink(&plugin, plugins.path().join("libgstreduct.so")).expect("a link");
        Self {
            server: start_server(),
            other: Server::start(),
            plugins,
            display: OnceCell::new(),
        }
    }

    /// Runs a line in a folder, and fails unless it did what its page says.
    fn run(&self, line: &str, folder: &Path) {
        if RUN_ELSEWHERE
            .iter()
            .any(|(begin, _)| line.starts_with(begin))
        {
            return;
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let address = format!("127.0.0.1:{}", self.server.port());
        let line = line
            .replace("127.0.0.1:8383", &address)
            .replace("v4l2src", "videotestsrc num-buffers=30") // there may be no camera
            .replace("http://other:8383", &self.other.url())
            .replace(
                "cargo run --example export --",
                &example("export").to_string_lossy(),
            )
            .replace(
                "cargo run --example export_video --",
                &example("export_video").to_string_lossy(),
            )
            // The one that Debian's bindings are for.
            .replace("examples/export.py", "/usr/bin/python3 examples/export.py");
        for (name, format) in [
            ("clip.mp4", "mp4mux"),
            ("raw.h264", "video/x-h264,stream-format=byte-stream"),
        ] {
            if line.contains(&format!("filesrc location={name}")) {
                make_file(&folder.join(name), format);
            }
        }
        let mut command = Command::new("timeout");
        command
            // In the foreground: an interrupt comes to the line once, which ends at the second one.
            .args(["--foreground", "60", "sh", "-c", &format!("exec {line}")])
            .current_dir(folder)
            .env("GST_PLUGIN_PATH", self.plugins.path())
            .env("GST_REGISTRY", self.plugins.path().join("registry"))
            .env("NODE_PATH", folder.join("sdk/node_modules"))
            .env("CARGO_TARGET_DIR", folder) // where the scripts find no other build of the plugin
            .env("REDUCT_URL", self.server.url())
            .env_remove("REDUCT_API_TOKEN")
            .env("VIDEO_SINK", "fakesink sync=true");
        if line.contains("autovideosink") {
            command.env("DISPLAY", &self.display.get_or_init(Display::start).name);
        }
        let before = frames_below(folder);
        let output = match line.contains("follow=true") {
            true => end_with_an_episode(&mut command, folder, &self.server),
            false => command.output().expect("a shell"),
        };
        assert!(output.status.success(), "{line}\n{output:?}");
        mp4::assert_no_parts(folder);
        let frames = frames_below(folder) - before;
        match words[0] {
            "gst-launch-1.0" => self.check_pipeline(&line, &words, frames, folder),
            "gst-discoverer-1.0" => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(
                    text.contains("H.264") && text.contains("0:00:06.0"),
                    "{text}"
                );
            }
            "gst-inspect-1.0" => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(text.contains("parameter-set-lookback"), "{text}");
            }
            "cc" => assert!(output.stderr.is_empty(), "{output:?}"),
            "pipelines/link.sh" => {
                let url = str::from_utf8(&output.stdout).expect("UTF-8");
                let file = folder.join("linked.mp4");
                download(url.trim(), &file);
                assert_eq!(mp4::probe(&file).frames, 60, "{line}");
            }
            script => self.check_script(script, &words, frames, folder),
        }
    }

    fn check_pipeline(&self, line: &str, words: &[&str], frames: u64, folder: &Path) {
        let made = value(words, "num-buffers").map_or(30, |count| count.parse().expect("a number"));
        let entry = value(words, "entry").unwrap_or_default();
        if line.contains("location=reduct://") {
            assert_eq!(self.server.read("b", "episodes").len(), 3, "{line}");
            assert_eq!(frames, 0, "{line}");
        } else if line.contains("reductepisodesplit") {
            match entry {
                "" => assert_eq!(frames, made as u64, "{line}"),
                _ if line.contains("follow=true") => {
                    assert!(frames > 0 && frames.is_multiple_of(10), "{frames}: {line}");
                }
                "h264" => assert_eq!(frames, 60, "{line}"),
                // A record is a frame.
                _ => assert_eq!(frames, self.server.read("b", entry).len() as u64, "{line}"),
            }
        } else if line.contains("reductsink") {
            let server = match line.contains("url=") {
                true => &self.other,
                false => &self.server,
            };
            let records = server.read("b", entry);
            assert_eq!(records.len(), made, "{line}");
            let starts = line.contains("start=2025-06-13T08:30:53Z");
            assert!(
                !starts || records[0].time_us == 1_749_803_453_000_000,
                "{line}"
            );
        } else if line.contains("next-file=discont") {
            assert_eq!((mp4::episodes(folder).len(), frames), (3, 60), "{line}");
        } else if line.contains("multifilesink") {
            assert!(folder.join("frame_00059.jpg").exists(), "{line}");
        } else {
            assert!(line.contains("autovideosink"), "nothing checks {line}");
        }
    }

    fn check_script(&self, script: &str, words: &[&str], frames: u64, folder: &Path) {
        let records = |entry: &str| self.server.read("b", entry).len();
        match (script, words) {
            ("pipelines/record.sh", [_, "-n", count, "b", entry]) => {
                assert_eq!(records(entry).to_string(), *count);
            }
            ("pipelines/episodes.sh", [.., "b", entry]) => {
                assert_eq!(frames, records(entry) as u64)
            }
            ("pipelines/clip.sh", [_, "b", _, file, ..]) => {
                assert_eq!((mp4::probe(&folder.join(file)).frames, frames), (30, 30));
            }
            ("pipelines/thumbnail.sh", [.., file]) => {
                let picture = fs::read(folder.join(file)).expect("the picture");
                assert_eq!(picture[..2], [0xff, 0xd8]); // JPEG
            }
            ("pipelines/frames.sh", [.., output, _, _]) => {
                let table = folder.join(output).join("frames.csv");
                let table = fs::read_to_string(table).expect("the table");
                let rows = table.lines().skip(1).map(|row| row.rsplit(',').next());
                let files: Vec<_> = rows.flatten().collect();
                assert_eq!(files.len(), 18);
                for file in files {
                    assert!(folder.join(output).join(file).exists(), "{file}");
                }
            }
            ("pipelines/copy.sh", _) => assert_eq!(records("copy"), records("h264")),
            ("pipelines/play.sh", _) => assert_eq!(frames, 0),
            ("cargo" | "examples/export.py" | "./export" | "sdk/bin/python" | "node", _) => {
                assert_eq!(frames, 60, "{words:?}");
            }
            _ => panic!("nothing checks {words:?}"),
        }
    }
}

/// The value of a property in a line.
fn value<'a>(words: &[&'a str], property: &str) -> Option<&'a str> {
    let mut values = words.iter().filter_map(|word| word.split_once('='));
    values.find_map(|(name, value)| (name == property).then_some(value))
}

/// Counts the frames of the MP4 files in a folder and in its folder `episodes`.
fn frames_below(folder: &Path) -> u64 {
    let folders = [folder.to_owned(), folder.join("episodes")];
    let folders = folders.iter().filter(|folder| folder.exists());
    let files = folders.flat_map(|folder| mp4::episodes(folder));
    files.map(|file| mp4::probe(&file).frames).sum()
}

/// Cargo builds it with all tests, but not with a single one.
fn example(name: &str) -> PathBuf {
    let example = common::plugin_file().with_file_name(format!("../examples/{name}"));
    assert!(example.exists(), "run 'cargo build --example {name}' first");
    example
}

/// Downloads a file without a token.
fn download(url: &str, file: &Path) {
    let status = Command::new("curl")
        .args(["-sS", "--fail", "--noproxy", "*", "-o"])
        .arg(file)
        .arg(url)
        .status();
    assert!(status.expect("curl (Debian: curl)").success(), "{url}");
}

/// Runs the lines of a page in order. Those of a block share a folder.
fn run_page(path: &str) {
    common::init();
    let reader = Reader::new();
    let page = page(path);
    for block in blocks(&page) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["examples", "pipelines"] {
            symlink(Path::new(TOP).join(name), folder.path().join(name)).expect("a link");
        }
        symlink(sdk::folder(), folder.path().join("sdk")).expect("a link");
        for line in block {
            reader.run(line, folder.path());
        }
    }
}

#[test]
fn the_lines_of_the_readme_run() {
    run_page(PAGES_WITH_LINES[0]);
}

#[test]
fn the_lines_about_embedding_run() {
    run_page(PAGES_WITH_LINES[1]);
}

#[test]
fn the_recipes_run() {
    run_page(PAGES_WITH_LINES[2]);
}

#[test]
fn the_lines_about_the_server_run() {
    run_page(PAGES_WITH_LINES[3]);
}

#[test]
fn the_queries_about_the_server_are_those_of_the_examples() {
    let page = page("docs/server.md");
    for (language, extension) in [("python", "py"), ("rust", "rs"), ("javascript", "js")] {
        let example = fs::read_to_string(
            Path::new(TOP)
                .join("examples/export_video")
                .with_extension(extension),
        );
        let example = without_indentation(&example.expect("the example"));
        let begin = format!("```{language}\n");
        let mut blocks = page.split(&begin).skip(1);
        let block = blocks.next().and_then(|block| block.split("```").next());
        let block = without_indentation(block.expect("a block"));
        assert!(example.contains(&block), "{language}: {block}");
        assert!(blocks.next().is_none(), "{language}");
    }
}

fn without_indentation(text: &str) -> String {
    text.lines()
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect()
}

/// The README and all pages of `docs/`, by their paths below the top folder.
fn all_pages() -> Vec<String> {
    let pages = tables::pages().expect("docs/");
    let names = pages.iter().filter_map(|path| path.file_name()?.to_str());
    let docs = names.map(|name| format!("docs/{name}"));
    ["README.md".to_owned()].into_iter().chain(docs).collect()
}

#[test]
fn no_page_has_lines_that_are_not_run() {
    for path in all_pages() {
        let page = page(&path);
        let has_lines = !blocks(&page).is_empty();
        assert_eq!(has_lines, PAGES_WITH_LINES.contains(&&*path), "{path}");
        // What a reader would copy.
        let others = page.lines().filter(|line| line.starts_with("gst-")).count();
        let in_blocks = blocks(&page).concat();
        let in_blocks = in_blocks.iter().filter(|line| line.starts_with("gst-"));
        assert_eq!(
            others,
            in_blocks.count(),
            "{path}: lines outside of a shell block"
        );
    }
}

#[test]
fn the_tables_of_properties_are_up_to_date() {
    common::init();
    let mut elements = Vec::new();
    for path in tables::pages().expect("docs/") {
        let page = fs::read_to_string(&path).expect("the page");
        let renewed =
            tables::renew(&page).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        assert!(
            page == renewed,
            "the properties have changed: run 'cargo run --example properties', which writes {}",
            path.display()
        );
        let generated = page.split("'cargo run --example properties': ").skip(1);
        elements.extend(generated.filter_map(|table| Some(table.split_once(' ')?.0.to_owned())));
    }
    assert_eq!(elements, ["reductepisodesplit", "reductsink", "reductsrc"]);
}

/// All sources of the elements and the scripts, with the strings of Rust that span lines joined.
fn sources() -> String {
    let mut folders: Vec<_> = ["src", "crates", "pipelines"]
        .map(|folder| Path::new(TOP).join(folder))
        .into();
    let mut sources = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "sh") {
                sources += &fs::read_to_string(&path).expect("a source");
            }
        }
    }
    let mut lines = sources.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |joined, line| joined + line.trim_start())
}

#[test]
fn the_messages_in_troubleshooting_exist() {
    let sources = sources();
    let page = page("docs/troubleshooting.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut count = 0;
    for row in rows {
        let texts = row.split(" | ").next().expect("a cell");
        for text in texts
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|text| text.contains(' '))
        {
            assert!(
                sources.contains(text),
                "no message has the text '{text}' any more"
            );
            count += 1;
        }
    }
    assert!(count > 30, "{count} messages");
}

#[test]
fn the_readme_is_short() {
    let lines = page("README.md").lines().count();
    assert!(lines <= 160, "{lines} lines");
}

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let letters = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    letters.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_lead_somewhere() {
    for path in all_pages() {
        let text = page(&path);
        let folder = Path::new(TOP).join(&path);
        let folder = folder.parent().expect("a folder");
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(')')?.0));
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => Path::new(TOP).join(&path),
                _ => folder.join(file),
            };
            assert!(target.exists(), "{path}: {link}");
            if !heading.is_empty() {
                let target = fs::read_to_string(target).expect("a page");
                let mut anchors = target
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(anchor);
                assert!(anchors.any(|anchor| anchor == heading), "{path}: {link}");
            }
        }
    }
}
