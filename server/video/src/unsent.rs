// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counts the episodes that wait in an answer of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of the episodes that the server has got, and has not begun to send.
#[derive(Debug, Default)]
pub struct Unsent(Arc<AtomicUsize>);

impl Unsent {
    /// Counts an episode until the ticket is dropped.
    pub fn add(&self) -> UnsentTicket {
        self.0.fetch_add(1, Ordering::AcqRel);
        UnsentTicket(self.0.clone())
    }

    /// Returns their number.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// An episode that is counted.
#[derive(Debug)]
pub struct UnsentTicket(Arc<AtomicUsize>);

impl Drop for UnsentTicket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
