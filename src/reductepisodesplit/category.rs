// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Debug category of the element.

use std::sync::LazyLock;

/// Debug category `reductepisodesplit`.
pub static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "reductepisodesplit",
        gst::DebugColorFlags::empty(),
        Some("Episode splitter"),
    )
});
