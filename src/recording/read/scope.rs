// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What a reading is given, and what comes out of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use client::{Access, EntryTimes};
use media::codec::h264::{EntryPoints, ReorderDepth};
use media::content::Kind;
use media::frame_rate::FrameRate;
use media::range::Begin;
use media::time::Nanos;
use media::timeline::Hole;

use super::bounds::{self, Asked};
use super::stats::Stats;
use crate::reductsrc::episodes::Episode;
use crate::reductsrc::segments::Show;
use crate::reductsrc::{OnError, OnLoss};

/// State shared by all readings of a run.
#[derive(Debug)]
pub struct Common {
    pub access: Arc<Access>,
    /// What the first record holds, and what all have to hold.
    pub kind: OnceLock<Kind>,
    pub on_error: OnError,
    /// The pictures that are keyframes.
    pub entry_points: EntryPoints,
    /// The ranges of the run, as they are given.
    pub asked: Vec<Asked>,
    /// Ranges that do not fit the entry were told of, or one without a frame.
    pub has_told_of_bounds: AtomicBool,
    pub has_told_of_nothing: AtomicBool,
    /// Time of the first record that was left out as its parameter sets never came, in µs since the Unix
    /// epoch.
    pub first_without_sets: OnceLock<u64>,
    /// How far to look back for parameter sets, in µs.
    pub lookback: u64,
    /// The property `fps`.
    pub set_rate: Option<FrameRate>,
    pub gap_detection: bool,
    pub gap_tolerance: Option<Nanos>,
    pub pause_limit: Nanos,
    pub on_loss: OnLoss,
    /// A condition leaves out records.
    pub is_filtered: bool,
    /// Bytes of access units that may be held.
    pub most_held: usize,
    /// What is known of the stream's reordering.
    pub depth: Mutex<ReorderDepth>,
    pub stats: Arc<Stats>,
}

impl Common {
    /// Takes the times of the entry's records. Gives a warning if ranges do not fit them, once.
    pub fn hear_of(&self, times: EntryTimes) -> Option<Step> {
        self.stats.extent.hear_of(times);
        if self.has_told_of_bounds.swap(true, Ordering::Relaxed) {
            return None;
        }
        let entry = times.oldest..=times.newest;
        bounds::misfits(&self.asked, &entry, self.access.follows()).map(Step::Warn)
    }

    /// Gives a warning about a range without a frame, once.
    pub fn tell_of_nothing(&self, asked: usize) -> Option<Step> {
        let extent = &self.stats.extent;
        let (oldest, newest) = extent.oldest().zip(extent.newest())?;
        let entry = oldest.useconds()..=newest.useconds();
        let asked = self.asked.get(asked)?;
        let text = asked.empty(&entry, self.access.follows())?;
        let is_told = self.has_told_of_nothing.swap(true, Ordering::Relaxed);
        (!is_told).then_some(Step::Warn(text))
    }
}

/// Options of one reading.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Where to read from, in µs since the Unix epoch.
    pub from: Option<u64>,
    /// Nothing that may be shown is before that.
    pub is_earliest: bool,
    pub begin: Begin,
    /// The capture time to begin with.
    pub at: Nanos,
    /// Time of the first record that does not belong to it, in µs since the Unix epoch.
    pub stop: Option<u64>,
    pub end: End,
    /// Capture time that is 0 in the timeline; that of the first record if `None`.
    pub origin: Option<Nanos>,
    pub show: Show,
    /// It begins where a seek asks for.
    pub is_sought: bool,
    /// Something else was shown before.
    pub discont: bool,
    /// Keyframes only.
    pub keyframes_only: bool,
    /// A label alone says that it begins with a keyframe.
    pub is_hint: bool,
    /// Those in force.
    pub caps: Option<gst::Caps>,
    /// The range of the run that it is, if it is a whole one.
    pub asked: Option<usize>,
    /// No range comes after it.
    pub is_last: bool,
}

/// How a reading ends that has a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the last frame that was captured before it.
    Exact,
    /// With the last frame of the group of pictures that was begun before it.
    Keyframe,
    /// With the last picture that is shown before it.
    Shown,
    /// With the last frame of the records before it.
    Records,
}

/// The next output of the source.
#[derive(Debug)]
pub enum Step {
    /// The first caps, or other ones.
    Caps(gst::Caps),
    /// A segment begins with the next buffer.
    Segment(gst::Segment),
    /// Running time leaves out a hole, and what follows it is kept.
    Pause(Hole),
    /// A warning; reading continues.
    Warn(String),
    /// Reading failed, and is tried again.
    Retry(String),
    /// One access unit.
    Push(gst::Buffer),
    /// All of an episode.
    Episode(Box<Episode>),
    /// All records are read.
    End,
    /// Nothing more can be read. What came before is pushed by now.
    Fail(gst::ErrorMessage),
}
