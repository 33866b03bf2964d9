// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! When a buffer's picture was captured: a `GstReferenceTimestampMeta` with the caps
//! `timestamp/x-unix`.

use std::sync::LazyLock;

const NAME: &str = "timestamp/x-unix";

/// Reference of a capture time: the Unix epoch (documentation of `GstReferenceTimestampMeta`).
pub static UNIX_TIME: LazyLock<gst::Caps> = LazyLock::new(|| {
    let mut caps = gst::Caps::new_empty_simple(NAME);
    caps.make_mut().mark_may_be_leaked();
    caps
});

/// The capture time since the Unix epoch, if the buffer has one.
pub fn of(buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let mut metas = buffer.iter_meta::<gst::ReferenceTimestampMeta>();
    let meta = metas.find(|meta| {
        let reference = meta.reference().structure(0);
        reference.is_some_and(|structure| structure.name() == NAME)
    });
    meta.map(|meta| meta.timestamp())
}
