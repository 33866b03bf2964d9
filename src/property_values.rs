// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Checks of property values that several elements have.

use media::frame_rate::FrameRate;
use media::time::CaptureTime;
use recording::Bound;

use crate::connection::invalid;
use crate::convert::frame_rate;

/// Checks the property `fps`, of which 0 is none.
///
/// # Errors
///
/// A text that names the property, its value and the valid ones.
pub fn fps(rate: gst::Fraction) -> Result<Option<FrameRate>, String> {
    let rate = frame_rate(rate);
    match rate.filter(|rate| !rate.is_plausible()) {
        None => Ok(rate),
        Some(rate) => {
            let value = format!("{}/{}", rate.numer(), rate.denom());
            Err(invalid("fps", &value, "a frame rate of 1/3600 to 1000/1"))
        }
    }
}

/// Reads a property that is a time: RFC 3339 or µs since the Unix epoch.
///
/// # Errors
///
/// A text that names the property, its value and the valid ones.
pub fn capture_time(property: &str, text: &str) -> Result<CaptureTime, String> {
    text.parse().map_err(|_| no_time(property, text))
}

/// Reads a property that is a bound of a range, as [`capture_time`] does. A number in another unit is one, too.
///
/// # Errors
///
/// A text that names the property, its value and the valid ones.
pub fn bound(property: &'static str, text: &str) -> Result<Bound, String> {
    Bound::parse(property, text).ok_or_else(|| no_time(property, text))
}

fn no_time(property: &str, text: &str) -> String {
    let expected = "a time: RFC 3339 (2025-06-13T08:50:53.273752Z) or µs since the epoch";
    invalid(property, text.trim(), expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates() {
        for (rate, is_one) in [
            ((1, 3600), true),
            ((1000, 1), true),
            ((30000, 1001), true),
            ((0, 1), false),
        ] {
            let rate = gst::Fraction::new(rate.0, rate.1);
            assert_eq!(fps(rate), Ok(frame_rate(rate)));
            assert_eq!(frame_rate(rate).is_some(), is_one);
        }
        for (n, d) in [(1001, 1), (2000, 1), (i32::MAX, 1), (1, 3601), (1, 100_000)] {
            let error = fps(gst::Fraction::new(n, d)).unwrap_err();
            assert!(error.contains(&format!("'{n}/{d}'")), "{error}");
            assert!(error.contains("1/3600 to 1000/1"), "{error}");
        }
    }

    #[test]
    fn times() {
        let time = 1_749_804_653_273_752;
        let parsed = capture_time("start", &time.to_string());
        assert_eq!(parsed, Ok(CaptureTime::from_useconds(time)));
        let error = capture_time("stop", " yesterday ").unwrap_err();
        assert!(
            error.contains("stop") && error.contains("'yesterday'"),
            "{error}"
        );
    }
}
