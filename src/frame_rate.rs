// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Frame rates as records, attachments and streams name them.

use std::ops::RangeInclusive;

use media::codec::h264::VuiFrameRate;

use crate::connection::invalid;

/// Frame rates of labels, attachments, caps and properties, in frames a second: from one frame an
/// hour on.
const PLAUSIBLE: RangeInclusive<f64> = 1.0 / 3600.0..=1000.0;
/// Frame rates of a VUI, which encoders fill with anything, in frames a second.
const PLAUSIBLE_VUI: RangeInclusive<f64> = 1.0..=240.0;
/// Largest deviation of a decimal from the NTSC rate that it rounds, relative to the rate: 23.98 is
/// 24000/1001, but 0.004 is not 0/1001.
const NTSC_ROUNDING: f64 = 5e-4;

/// Reads a frame rate from a label or an attachment: `30`, `29.97` or `30000/1001`.
///
/// Decimals that round an NTSC rate (n × 1000/1001) mean that rate: `29.97` is 30000/1001, without
/// which ten hours drift by 36 ms. Rates outside 1/3600 to 1000 frames a second are none.
pub fn parse(text: &str) -> Option<gst::Fraction> {
    let text = text.trim();
    if let Some((numerator, denominator)) = text.split_once('/') {
        let (numerator, denominator) = (numerator.trim().parse(), denominator.trim().parse());
        return positive(numerator.ok()?, denominator.ok()?).filter(is_plausible);
    }
    if let Ok(whole) = text.parse() {
        return positive(whole, 1).filter(is_plausible);
    }
    let rate: f64 = text.parse().ok()?;
    if !PLAUSIBLE.contains(&rate) {
        return None;
    }
    let nominal = (rate * 1.001).round();
    let is_ntsc = nominal >= 1.0 && (nominal / 1.001 - rate).abs() < rate * NTSC_ROUNDING;
    if rate.fract() != 0.0 && is_ntsc {
        return positive(nominal as i32 * 1000, 1001);
    }
    gst::Fraction::approximate_f64(rate).filter(is_plausible)
}

/// Returns whether a rate is one that a camera may have: 1/3600 to 1000 frames a second.
pub fn is_plausible(rate: &gst::Fraction) -> bool {
    PLAUSIBLE.contains(&per_second(*rate))
}

/// Checks the property `fps`, of which 0 is none.
///
/// # Errors
///
/// A text that names the property, its value and what it should be.
pub fn of_property(rate: gst::Fraction) -> Result<Option<gst::Fraction>, String> {
    let rate = Some(rate).filter(|rate| rate.numer() > 0);
    match rate.filter(|rate| !is_plausible(rate)) {
        None => Ok(rate),
        Some(rate) => {
            let value = format!("{}/{}", rate.numer(), rate.denom());
            Err(invalid("fps", &value, "a frame rate of 1/3600 to 1000/1"))
        }
    }
}

/// A frame rate as a label: a decimal if that means it, as `29.97` does for 30000/1001.
pub fn label(rate: gst::Fraction) -> String {
    let (numerator, denominator) = (rate.numer(), rate.denom());
    let text = format!("{:.3}", f64::from(numerator) / f64::from(denominator));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match parse(text) == Some(rate) {
        true => text.to_owned(),
        false => format!("{numerator}/{denominator}"),
    }
}

/// Returns the frame rate of a VUI, or `None` outside 1 to 240 frames a second.
///
/// `time_scale` and `num_units_in_tick` describe a clock tick (E.2.1); many encoders write 90000 and 1.
pub fn from_vui(rate: VuiFrameRate) -> Option<gst::Fraction> {
    let (numerator, denominator) = rate.reduced()?;
    let rate = gst::Fraction::new(numerator, denominator);
    PLAUSIBLE_VUI.contains(&per_second(rate)).then_some(rate)
}

/// Returns a frame rate in frames per second.
pub fn per_second(rate: gst::Fraction) -> f64 {
    f64::from(rate.numer()) / f64::from(rate.denom())
}

fn positive(numerator: i32, denominator: i32) -> Option<gst::Fraction> {
    (numerator > 0 && denominator > 0).then(|| gst::Fraction::new(numerator, denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let cases = [
            ("10", Some((10, 1))),
            (" 25 ", Some((25, 1))),
            ("30000/1001", Some((30000, 1001))),
            ("30 / 1", Some((30, 1))),
            ("29.97", Some((30000, 1001))),
            ("23.976", Some((24000, 1001))),
            ("23.98", Some((24000, 1001))),
            ("59.94", Some((60000, 1001))),
            ("30.0", Some((30, 1))),
            ("12.5", Some((25, 2))),
            ("0.5", Some((1, 2))),
            ("0.995", Some((199, 200))),
            ("0.004", Some((1, 250))),
            ("0.001", Some((1, 1000))),
            ("1/3600", Some((1, 3600))),
            ("1000", Some((1000, 1))),
            ("1/3601", None),
            ("0.0001", None),
            ("1001", None),
            ("1000.5", None),
            ("90000/1", None),
            ("1e9", None),
            ("0", None),
            ("-5", None),
            ("30/0", None),
            ("nan", None),
            ("inf", None),
            ("fast", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(n, d)| gst::Fraction::new(n, d));
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_property() {
        for (rate, is_one) in [
            ((1, 3600), true),
            ((1000, 1), true),
            ((30000, 1001), true),
            ((0, 1), false),
        ] {
            let rate = gst::Fraction::new(rate.0, rate.1);
            assert_eq!(of_property(rate), Ok(Some(rate).filter(|_| is_one)));
        }
        for (n, d) in [(1001, 1), (2000, 1), (i32::MAX, 1), (1, 3601), (1, 100_000)] {
            let error = of_property(gst::Fraction::new(n, d)).unwrap_err();
            assert!(error.contains(&format!("'{n}/{d}'")), "{error}");
            assert!(error.contains("1/3600 to 1000/1"), "{error}");
        }
    }

    #[test]
    fn labels_are_short() {
        for (rate, expected) in [
            ((10, 1), "10"),
            ((100, 1), "100"),
            ((25, 2), "12.5"),
            ((30000, 1001), "29.97"),
            ((24000, 1001), "23.976"),
            ((60000, 1001), "59.94"),
            ((1, 3), "1/3"),
            ((1, 250), "0.004"),
            ((1, 200), "0.005"),
            ((1, 3600), "1/3600"),
            ((1_000_000, 33_333), "1000000/33333"),
        ] {
            let rate = gst::Fraction::new(rate.0, rate.1);
            assert_eq!(label(rate), expected);
            assert_eq!(parse(expected), Some(rate));
        }
    }

    #[test]
    fn vui() {
        let rate = |numerator, denominator| {
            from_vui(VuiFrameRate {
                numerator,
                denominator,
            })
        };
        assert_eq!(rate(50, 2), Some(gst::Fraction::new(25, 1)));
        assert_eq!(rate(60000, 2002), Some(gst::Fraction::new(30000, 1001)));
        assert_eq!(rate(1, 1), Some(gst::Fraction::new(1, 1)));
        assert_eq!(rate(240, 1), Some(gst::Fraction::new(240, 1)));
        for (numerator, denominator) in [(1, 10), (241, 1), (90_000, 1), (4_294_967_294, 2)] {
            assert_eq!(rate(numerator, denominator), None);
        }
    }
}
