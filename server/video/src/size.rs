// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Sizes as users write them: `100MB`, `1GB`, `64MiB`.

use crate::quantity::{self, Unit};

/// Text that says in an error how a size is written.
pub const EXPECTED: &str =
    "a size with a unit (B, KB, MB, GB, TB, KiB, MiB, GiB, TiB), such as \"100MB\" or \"1GB\"";

const UNITS: &[Unit] = &[
    Unit::new(&["B"], 1),
    Unit::new(&["KB", "kB"], 1_000),
    Unit::new(&["MB"], 1_000_000),
    Unit::new(&["GB"], 1_000_000_000),
    Unit::new(&["TB"], 1_000_000_000_000),
    Unit::new(&["KiB"], 1 << 10),
    Unit::new(&["MiB"], 1 << 20),
    Unit::new(&["GiB"], 1 << 30),
    Unit::new(&["TiB"], 1 << 40),
];

/// Reads a size in bytes: a number with its unit. Returns `None` for any other text, and for sizes beyond 64 bits.
pub fn parse(text: &str) -> Option<u64> {
    let (bytes, rest) = quantity::first(text, UNITS)?;
    rest.trim().is_empty().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("100MB", 100_000_000),
            ("1GB", 1_000_000_000),
            ("64MiB", 64 << 20),
            ("1.5 GiB", 3 << 29),
            ("512B", 512),
            ("10kB", 10_000),
            ("10KB", 10_000),
            ("2KiB", 2048),
            ("2TB", 2_000_000_000_000),
            ("1TiB", 1 << 40),
            ("0.5B", 0),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_sizes() {
        for text in [
            "",
            "100",
            "MB",
            "100 megabytes",
            "-1MB",
            "1GB 2MB",
            "1mb",
            "1e3MB",
            "99999999TiB",
            "1Gb",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
