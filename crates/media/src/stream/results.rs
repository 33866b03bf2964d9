// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Collects the results of a stream: items, counters and findings.

use std::collections::VecDeque;
use std::mem;

use super::counts::StreamCounts;
use super::finding::Finding;
use super::item::StreamItem;
use super::memory::StreamMemory;

/// Results of a stream that were not taken yet.
#[derive(Debug)]
pub struct Results {
    pub items: VecDeque<StreamItem>,
    pub counts: StreamCounts,
    /// Facts for the ranges that are read later.
    pub memory: StreamMemory,
    /// `None` if they are not collected.
    findings: Option<Vec<Finding>>,
}

impl Results {
    /// Returns no results. Findings are dropped unless `collects_findings`.
    pub fn new(memory: StreamMemory, collects_findings: bool) -> Self {
        Self {
            items: VecDeque::new(),
            counts: StreamCounts::default(),
            memory,
            findings: collects_findings.then(Vec::new),
        }
    }

    /// Adds a warning.
    pub fn warn(&mut self, text: String) {
        self.items.push_back(StreamItem::Warning(text));
    }

    /// Adds a finding, if they are collected.
    pub fn find(&mut self, finding: impl FnOnce() -> Finding) {
        if let Some(findings) = &mut self.findings {
            findings.push(finding());
        }
    }

    /// Takes the findings.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        self.findings.as_mut().map(mem::take).unwrap_or_default()
    }
}
