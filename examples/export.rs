// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Exports an entry of ReductStore, or a range of it, as MP4 episodes.
//!
//! ```text
//! cargo run --example export -- b h264 episodes --start 2025-06-13T08:30:00Z --duration 2
//! ```
//!
//! Both elements are linked into the application, so that GStreamer need not find the plugin.
//! `reductsrc` takes the server from `REDUCT_URL` and the token from `REDUCT_API_TOKEN`.
//!
//! Each episode is a line on standard output as soon as its file is complete. Progress and warnings
//! go to standard error. Ctrl-C ends the stream, which completes the last file; a second one ends
//! the application at once.
//!
//! `export.py` and `export.c` are the same in Python and C.

use std::cell::RefCell;
use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use gst::glib;
use gst::prelude::*;

const SIGINT: i32 = 2; // on every Unix
const BAR_WIDTH: usize = 30;

/// Exports an entry of ReductStore, or a range of it, as MP4 episodes.
#[derive(Parser)]
struct Args {
    /// Bucket to read
    bucket: String,
    /// Entry to read
    entry: String,
    /// Folder for the files, made if it is missing
    folder: String,
    /// Begin of the range: 2025-06-13T08:30:53Z or µs since the epoch
    #[arg(long)]
    start: Option<String>,
    /// End of the range, which is not part of it
    #[arg(long)]
    stop: Option<String>,
    /// Begin a new episode at the first keyframe after this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<gst::ClockTime>,
}

fn seconds(text: &str) -> Result<gst::ClockTime, Box<dyn Error + Send + Sync>> {
    Ok(gst::ClockTime::try_from_seconds_f64(text.parse()?)?)
}

fn main() -> ExitCode {
    let args = Args::parse();
    match Export::new(&args).and_then(|export| Rc::new(export).run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("export: {err}");
            ExitCode::FAILURE
        }
    }
}

struct Export {
    pipeline: gst::Pipeline,
    source: gst::Element,
    main_loop: glib::MainLoop,
    failure: RefCell<Option<Box<dyn Error>>>,
    /// There is a terminal for a progress bar.
    terminal: bool,
}

impl Export {
    fn new(args: &Args) -> Result<Self, Box<dyn Error>> {
        gst::init()?;
        gstreduct::plugin_register_static()?;
        fs::create_dir_all(&args.folder).map_err(|err| format!("{}: {err}", args.folder))?;
        // The location is a printf pattern, in which the folder is to stay as it is.
        let location = Path::new(&args.folder.replace('%', "%%")).join("episode_%05d.mp4");

        let source = gst::ElementFactory::make("reductsrc")
            .property("bucket", &args.bucket)
            .property("entry", &args.entry)
            .property_if_some("start", args.start.as_deref())
            .property_if_some("stop", args.stop.as_deref())
            .build()?;
        let splitter = gst::ElementFactory::make("reductepisodesplit")
            .property("location", location.to_str())
            .property_if_some("duration", args.duration)
            .build()?;
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([&source, &splitter])?;
        source.link(&splitter)?;
        Ok(Self {
            pipeline,
            source,
            main_loop: glib::MainLoop::new(None, false),
            failure: RefCell::default(),
            terminal: io::stderr().is_terminal(),
        })
    }

    fn run(self: Rc<Self>) -> Result<(), Box<dyn Error>> {
        let bus = self.pipeline.bus().ok_or("the pipeline has no bus")?;
        let export = Rc::clone(&self);
        let _watch = bus.add_watch_local(move |_, message| {
            if let Err(err) = export.handle(message) {
                export.fail(err);
            }
            glib::ControlFlow::Continue
        })?;
        let export = Rc::clone(&self);
        let interval = Duration::from_millis(if self.terminal { 100 } else { 1000 });
        glib::timeout_add_local(interval, move || {
            export.show_progress();
            glib::ControlFlow::Continue
        });
        let export = Rc::clone(&self);
        // Only once: a second Ctrl-C does what it does without a handler.
        glib_unix::unix_signal_add_local_once(SIGINT, move || {
            // The event waits while files cannot be written as fast as they come.
            export.pipeline.call_async(|pipeline| {
                pipeline.send_event(gst::event::Eos::new());
            });
        });
        if let Err(err) = self.pipeline.set_state(gst::State::Playing) {
            // The bus should know more, and is read before the loop is idle.
            let export = Rc::clone(&self);
            glib::idle_add_local_once(move || export.fail(err.into()));
        }
        self.main_loop.run();
        self.clear_progress();
        self.pipeline.set_state(gst::State::Null)?;
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Ends the export. The first failure is the reason.
    fn fail(&self, err: Box<dyn Error>) {
        self.failure.borrow_mut().get_or_insert(err);
        self.main_loop.quit();
    }

    fn handle(&self, message: &gst::Message) -> Result<(), Box<dyn Error>> {
        match message.view() {
            gst::MessageView::Element(element) => {
                let structure = element.structure();
                if let Some(episode) = structure.filter(|found| found.name() == "reduct-episode") {
                    self.clear_progress();
                    writeln!(io::stdout(), "{}", line(episode)?)?;
                }
            }
            gst::MessageView::Warning(warning) => {
                self.clear_progress();
                writeln!(io::stderr(), "warning: {}", warning.error())?;
            }
            gst::MessageView::Error(err) => return Err(err.error().into()),
            gst::MessageView::Eos(_) => self.main_loop.quit(),
            _ => {}
        }
        Ok(())
    }

    /// Shows how far the source is: as a bar on a terminal, as lines elsewhere.
    fn show_progress(&self) {
        let position = self.source.query_position::<gst::ClockTime>();
        let duration = self.source.query_duration::<gst::ClockTime>();
        // Neither is known before the first record.
        let Some((position, duration)) = position.zip(duration) else {
            return;
        };
        let times = format!("{position:.0} of {duration:.0}");
        // A closed standard error is no reason to end the export.
        let _ = if self.terminal {
            let share = position.seconds_f64() / duration.seconds_f64();
            let done = "#".repeat((share.min(1.0) * BAR_WIDTH as f64) as usize);
            write!(io::stderr(), "\r[{done:-<BAR_WIDTH$}] {times}\x1b[K")
        } else {
            writeln!(io::stderr(), "{times}")
        };
    }

    /// Makes room for other lines.
    fn clear_progress(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// The line for a complete episode.
fn line(episode: &gst::StructureRef) -> Result<String, Box<dyn Error>> {
    let index: u32 = episode.get("index")?;
    let location: &str = episode.get("location")?;
    let start: Option<u64> = episode.get_optional("start")?;
    let duration: gst::ClockTime = episode.get("duration")?;
    let frames: u64 = episode.get("frames")?;
    let bytes: u64 = episode.get("bytes")?;
    let reason: &str = episode.get("reason")?;
    let dropped: u64 = episode.get("dropped")?;
    let start = start.map_or(Ok("no capture time".into()), utc)?;
    let seconds = duration.seconds_f64();
    Ok(format!(
        "{index}: {location}, {start}, {seconds:.3} s, {frames} frames, {bytes} bytes, {reason}, \
         {dropped} dropped"
    ))
}

/// µs since the Unix epoch as RFC 3339.
fn utc(time: u64) -> Result<String, Box<dyn Error>> {
    let seconds = glib::DateTime::from_unix_utc((time / 1_000_000).try_into()?)?;
    Ok(format!(
        "{}.{:06}Z",
        seconds.format("%Y-%m-%dT%H:%M:%S")?,
        time % 1_000_000
    ))
}
