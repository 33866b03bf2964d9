// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State that all ranges of a reader share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use client::{EntrySource, EntryTimes};
use media::content::ContentKind;
use media::order::ReorderDepth;

use super::bounds;
use super::findings::{Finding, Findings};
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
    /// Records are picked by a condition.
    pub is_filtered: bool,
    /// Bytes of access units that may be held until it is known whether they are shown.
    pub max_held: usize,
    /// Reordering of the stream, as far as it is known.
    depth: Mutex<ReorderDepth>,
    /// Time of the first record that was left out because its parameter sets never came, in µs since the Unix
    /// epoch.
    pub first_without_sets: OnceLock<u64>,
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
            is_filtered: access.is_filtered(),
            max_held: usize::try_from(access.limits().prefetch_bytes).unwrap_or(usize::MAX),
            access,
            options,
            stats,
            kind: OnceLock::new(),
            depth: Mutex::default(),
            first_without_sets: OnceLock::new(),
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

    /// Adds a finding, if they are collected.
    pub fn find(&self, finding: impl FnOnce() -> Finding) {
        if let Some(mut findings) = self.findings() {
            findings.add(finding());
        }
    }

    /// Returns the reordering of the stream, as far as it is known.
    pub fn depth(&self) -> ReorderDepth {
        *lock(&self.depth)
    }

    /// Keeps the reordering of the stream for the next range.
    pub fn set_depth(&self, depth: ReorderDepth) {
        *lock(&self.depth) = depth;
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
