// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Durations as users write them: `30s`, `1m`, `1h 30m`.

use media::time::Nanos;

use crate::quantity::{self, Unit};

/// Text that says in an error how a duration is written.
pub const EXPECTED: &str =
    "a duration with units (ms, s, m, h, d), such as \"30s\", \"1m\" or \"1h 30m\"";

const UNITS: &[Unit] = &[
    Unit::new(&["ms"], 1_000_000),
    Unit::new(&["s"], 1_000_000_000),
    Unit::new(&["m"], 60_000_000_000),
    Unit::new(&["h"], 3_600_000_000_000),
    Unit::new(&["d"], 86_400_000_000_000),
];

/// Reads a duration: one or more numbers, each with its unit. Returns `None` for any other text, and for durations that
/// cannot be counted in ns.
pub fn parse(text: &str) -> Option<Nanos> {
    let nanoseconds = quantity::sum(text, UNITS)?;
    let duration = Nanos::from_nseconds(nanoseconds);
    (duration <= Nanos::MAX).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_durations() {
        assert_eq!(parse("30s"), Some(Nanos::from_seconds(30)));
        assert_eq!(parse("1m"), Some(Nanos::from_seconds(60)));
        assert_eq!(parse("1h 30m"), Some(Nanos::from_seconds(5400)));
    }

    #[test]
    fn other_durations() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("0.5s", 500),
            ("1.25 s", 1250),
            (" 2s ", 2000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1m 30s 5ms", 90_005),
            ("0s", 0),
        ] {
            assert_eq!(
                parse(text),
                Some(Nanos::from_mseconds(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_that_are_no_durations() {
        for text in [
            "",
            " ",
            "30",
            "s",
            "30 seconds",
            "-1s",
            "1e3s",
            "1s 2",
            "1,5s",
            ".s",
            "1..5s",
            "1s1s x",
            "NaNs",
            "infs",
            "1S",
            "60000d 200000d",
            "99999999999999999999s",
            "٣s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
