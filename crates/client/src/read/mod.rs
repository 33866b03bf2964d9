// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reading of an entry: queries, read ahead and followed.

pub mod eviction;
pub mod plan;
pub mod poll;
pub mod prefetch;
pub mod query;
pub mod queue;
pub mod reader;
pub mod session;
pub mod source;
pub mod window;
