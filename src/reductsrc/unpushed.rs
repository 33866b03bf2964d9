// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The last buffer that GstBaseSrc was given, until it has pushed it.
//!
//! GstBaseSrc does not push all that it is given: from 1.24 on it drops a buffer that comes while a live source is being
//! paused, and any version drops one that comes during a flush. A dropped buffer is given to it again.

use std::sync::{Mutex, MutexGuard};

use gst::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;

use crate::lock::lock;

/// The buffer or the list that GstBaseSrc was given and has not pushed yet.
#[derive(Debug, Default)]
pub struct Unpushed(Mutex<Option<Given>>);

#[derive(Debug)]
enum Given {
    Buffer(gst::Buffer),
    List(gst::BufferList),
}

impl Unpushed {
    /// Keeps the result of `create`.
    pub fn keep(&self, created: &CreateSuccess) {
        *self.given() = match created {
            CreateSuccess::NewBuffer(buffer) => Some(Given::Buffer(buffer.clone())),
            CreateSuccess::NewBufferList(list) => Some(Given::List(list.clone())),
            CreateSuccess::FilledBuffer => None,
        };
    }

    /// Forgets it: it is pushed, or not wanted any more.
    pub fn forget(&self) {
        let given = self.given().take();
        drop(given);
    }

    /// Returns the buffer that was given and not pushed, to be returned by `create` again.
    pub fn again(&self) -> Option<CreateSuccess> {
        match &*self.given() {
            Some(Given::Buffer(buffer)) => Some(CreateSuccess::NewBuffer(buffer.clone())),
            Some(Given::List(list)) => Some(CreateSuccess::NewBufferList(list.clone())),
            None => None,
        }
    }

    fn given(&self) -> MutexGuard<'_, Option<Given>> {
        lock(&self.0)
    }
}

/// Calls `pushed` for all that a source pad pushes, before it goes downstream.
pub fn watch(pad: &gst::Pad, pushed: impl Fn() + Send + Sync + 'static) {
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(mask, move |_, _| {
        pushed();
        gst::PadProbeReturn::Ok
    });
}
