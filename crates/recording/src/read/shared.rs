// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State that all ranges of a reader share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use client::{EntrySource, EntryTimes};
use media::content::ContentKind;
use media::stream::{StreamConfig, StreamMemory};

use super::bounds;
use super::findings::Findings;
use super::item::Item;
use super::options::ReadOptions;
use super::stats::Stats;
use crate::lock::lock;

/// State that all ranges of a reader share.
#[derive(Debug)]
pub struct Shared {
    pub access: Arc<EntrySource>,
    pub options: ReadOptions,
    pub stats: Arc<Stats>,
    /// Content of the first record, which all others have to have, too.
    pub kind: OnceLock<ContentKind>,
    /// Facts of the recording, from the ranges that were read.
    memory: Mutex<StreamMemory>,
    /// Ranges that do not fit the entry were reported.
    is_misfit_reported: AtomicBool,
    /// A range without a frame was reported.
    is_empty_reported: AtomicBool,
    /// Findings, if they are collected.
    findings: OnceLock<Mutex<Findings>>,
}

impl Shared {
    /// Returns the state of a reader that has asked nothing of the server.
    pub fn new(access: Arc<EntrySource>, options: ReadOptions, stats: Arc<Stats>) -> Self {
        Self {
            access,
            options,
            stats,
            kind: OnceLock::new(),
            memory: Mutex::default(),
            is_misfit_reported: AtomicBool::new(false),
            is_empty_reported: AtomicBool::new(false),
            findings: OnceLock::new(),
        }
    }

    /// Collects findings from now on.
    pub fn collect(&self, findings: Findings) {
        self.findings.get_or_init(|| Mutex::new(findings));
    }

    /// Returns the findings, if they are collected.
    pub fn findings(&self) -> Option<MutexGuard<'_, Findings>> {
        self.findings.get().map(lock)
    }

    /// Returns facts of the recording, from the ranges that were read.
    pub fn memory(&self) -> StreamMemory {
        lock(&self.memory).clone()
    }

    /// Keeps facts of the recording for the next range.
    pub fn set_memory(&self, memory: StreamMemory) {
        *lock(&self.memory) = memory;
    }

    /// Returns the configuration of the stream of any range.
    pub fn stream_config(&self) -> StreamConfig {
        let max_held = self.access.limits().prefetch_bytes;
        StreamConfig {
            options: self.options.stream,
            is_prompt: self.access.follows(),
            presumes_whole_records: false,
            is_filtered: self.access.is_filtered(),
            max_held: usize::try_from(max_held).unwrap_or(usize::MAX),
            collects_findings: self.findings().is_some(),
        }
    }

    /// Sets the times of the entry's records. Returns a warning if ranges do not fit them, once.
    pub fn set_entry_times(&self, times: EntryTimes) -> Option<Item> {
        self.stats.extent.set_entry_times(times);
        if self.is_misfit_reported.swap(true, Ordering::Relaxed) {
            return None;
        }
        let entry = times.oldest..=times.newest;
        let asked = &self.options.asked;
        bounds::misfits(asked, &entry, self.access.follows()).map(Item::Warning)
    }

    /// Returns a warning about a range without a frame, once.
    pub fn report_empty(&self, asked: usize) -> Option<Item> {
        let extent = &self.stats.extent;
        let (oldest, newest) = extent.oldest().zip(extent.newest())?;
        let entry = oldest.useconds()..=newest.useconds();
        let asked = self.options.asked.get(asked)?;
        let text = asked.empty(&entry, self.access.follows())?;
        let is_reported = self.is_empty_reported.swap(true, Ordering::Relaxed);
        (!is_reported).then_some(Item::Warning(text))
    }
}
