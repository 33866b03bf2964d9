// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Treatment of pictures after a loss.

/// Treatment of pictures that refer to lost ones, until the next keyframe.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// After a gap they are dropped. After a loss without a pause they are kept and marked as
    /// corrupted.
    #[default]
    Auto,
    /// They are dropped.
    Drop,
    /// They are kept and marked as corrupted.
    Keep,
}
