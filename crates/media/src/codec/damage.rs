// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Kinds of damage of a stream and their messages.

use std::fmt;

/// Largest size of an access unit in bytes. No level allows as many (A.3.1 j).
pub const MAX_BYTES: usize = 128 << 20;

/// Damage of a piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A slice comes before any parameter sets.
    NoParameterSets,
    /// A slice refers to the PPS with this id, which is missing or whose SPS is missing.
    UnknownParameterSet(u8),
    /// A slice header is truncated or has values that the standard does not allow.
    BrokenSlice,
    /// A parameter set is truncated or has values that the standard does not allow.
    BrokenParameterSet,
    /// A NAL unit has its `forbidden_zero_bit` set.
    ForbiddenBit,
    /// NAL units have length prefixes instead of start codes.
    LengthPrefixed,
    /// The content does not begin with a start code.
    NotByteStream,
    /// An access unit exceeds the size limit without an end.
    TooLarge,
    /// The content continues a NAL unit that was already treated as complete.
    LateContinuation,
    /// Many buffers that should hold an access unit each have no slice.
    NoSlice,
}

impl Damage {
    /// Returns whether parameter sets are missing or broken, which may come later.
    pub fn is_of_parameter_sets(self) -> bool {
        matches!(
            self,
            Self::NoParameterSets | Self::UnknownParameterSet(_) | Self::BrokenParameterSet
        )
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoParameterSets => f.write_str("it has slices before any SPS and PPS"),
            Self::UnknownParameterSet(id) => {
                write!(
                    f,
                    "a slice refers to PPS {id}, which is not there or lacks its SPS"
                )
            }
            Self::BrokenSlice => f.write_str("a slice is cut short or broken"),
            Self::BrokenParameterSet => f.write_str("an SPS or PPS is cut short or broken"),
            Self::ForbiddenBit => f.write_str("a NAL unit has its forbidden bit set"),
            Self::LengthPrefixed => f.write_str(
                "its NAL units are length-prefixed (AVCC, as in MP4), not in Annex B format",
            ),
            Self::NotByteStream => f.write_str(
                "it is not H.264 in Annex B format: it does not begin with a start code",
            ),
            Self::LateContinuation => f.write_str(
                "it continues an access unit that was taken for a whole one, as those before it \
                 ended with their records",
            ),
            Self::NoSlice => f.write_str("no slice is in it, nor in those before it"),
            Self::TooLarge => write!(f, "an access unit has more than {MAX_BYTES} bytes"),
        }
    }
}
