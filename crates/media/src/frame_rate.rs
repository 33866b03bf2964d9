// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Frame rates as records, attachments and streams name them.

use std::ops::RangeInclusive;

use crate::codec::h264::VuiFrameRate;
use crate::time::Nanos;

/// Frame rates of labels, attachments and options, in frames a second: from one frame an
/// hour on.
const PLAUSIBLE: RangeInclusive<f64> = 1.0 / 3600.0..=1000.0;
/// Plausible frame rates of a VUI, which many encoders fill in wrongly, in frames a second.
const PLAUSIBLE_VUI: RangeInclusive<f64> = 1.0..=240.0;
/// Largest deviation of a decimal from the NTSC rate that it rounds, relative to the rate: 23.98 is
/// 24000/1001, but 0.004 is not 0/1001.
const NTSC_ROUNDING: f64 = 5e-4;
/// Largest deviation of a fraction from the decimal that it stands for.
const DECIMAL_ROUNDING: f64 = 1e-19;

/// A frame rate in frames per second: a positive fraction in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRate {
    numer: i32,
    denom: i32,
}

impl FrameRate {
    /// Returns `numer`/`denom` frames per second in lowest terms, or `None` unless both are positive.
    pub fn new(numer: i32, denom: i32) -> Option<Self> {
        (numer > 0 && denom > 0).then(|| {
            let divisor = gcd(numer, denom);
            Self {
                numer: numer / divisor,
                denom: denom / divisor,
            }
        })
    }

    /// Returns the numerator of the fraction in lowest terms.
    pub const fn numer(self) -> i32 {
        self.numer
    }

    /// Returns the denominator of the fraction in lowest terms.
    pub const fn denom(self) -> i32 {
        self.denom
    }

    /// Reads a frame rate from a label or an attachment: `30`, `29.97` or `30000/1001`.
    ///
    /// Decimals that round an NTSC rate (n × 1000/1001) mean that rate: `29.97` is 30000/1001, without
    /// which ten hours drift by 36 ms. Returns `None` outside 1/3600 to 1000 frames per second.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((numer, denom)) = text.split_once('/') {
            let (numer, denom) = (numer.trim().parse(), denom.trim().parse());
            return Self::new(numer.ok()?, denom.ok()?).filter(|rate| rate.is_plausible());
        }
        if let Ok(whole) = text.parse() {
            return Self::new(whole, 1).filter(|rate| rate.is_plausible());
        }
        let rate: f64 = text.parse().ok()?;
        if !PLAUSIBLE.contains(&rate) {
            return None;
        }
        let nominal = (rate * 1.001).round();
        let is_ntsc = nominal >= 1.0 && (nominal / 1.001 - rate).abs() < rate * NTSC_ROUNDING;
        if rate.fract() != 0.0 && is_ntsc {
            return Self::new(nominal as i32 * 1000, 1001);
        }
        Self::approximate(rate).filter(|rate| rate.is_plausible())
    }

    /// Returns the frame rate of a VUI, or `None` outside 1 to 240 frames per second.
    ///
    /// `time_scale` and `num_units_in_tick` describe a clock tick (ISO/IEC 14496-10, E.2.1); many
    /// encoders write 90000 and 1.
    pub fn from_vui(rate: VuiFrameRate) -> Option<Self> {
        let (numer, denom) = rate.reduced()?;
        Self::new(numer, denom).filter(|rate| PLAUSIBLE_VUI.contains(&rate.per_second()))
    }

    /// Returns whether a camera may have this rate: 1/3600 to 1000 frames per second.
    pub fn is_plausible(self) -> bool {
        PLAUSIBLE.contains(&self.per_second())
    }

    /// Returns the rate as a label: as a decimal if that means the same rate, as `29.97` does for
    /// 30000/1001.
    pub fn label(self) -> String {
        let text = format!("{:.3}", self.per_second());
        let text = text.trim_end_matches('0').trim_end_matches('.');
        match Self::parse(text) == Some(self) {
            true => text.to_owned(),
            false => format!("{}/{}", self.numer, self.denom),
        }
    }

    /// Returns the rate in frames per second.
    pub fn per_second(self) -> f64 {
        f64::from(self.numer) / f64::from(self.denom)
    }

    /// Returns the time from one frame to the next, rounded down to ns.
    pub fn frame_duration(self) -> Nanos {
        let (numer, denom) = (self.numer.unsigned_abs(), self.denom.unsigned_abs());
        Nanos::SECOND * u64::from(denom) / u64::from(numer)
    }

    /// Returns the fraction that a decimal stands for, by its continued fraction.
    fn approximate(rate: f64) -> Option<Self> {
        let (mut before, mut fraction) = ((0, 1), (1, 0));
        let mut rest = rate;
        for _ in 0..30 {
            let whole = rest as i64; // saturates, and is refused below then
            let next = (
                whole.saturating_mul(fraction.0).saturating_add(before.0),
                whole.saturating_mul(fraction.1).saturating_add(before.1),
            );
            if next.0 > i32::MAX.into() || next.1 > i32::MAX.into() {
                break;
            }
            (before, fraction) = (fraction, next);
            let is_close = (fraction.0 as f64 / fraction.1 as f64 - rate).abs() < DECIMAL_ROUNDING;
            let part = rest - whole as f64;
            if is_close || part < 1.0 / f64::from(i32::MAX) {
                break;
            }
            rest = part.recip();
        }
        Self::new(fraction.0.try_into().ok()?, fraction.1.try_into().ok()?)
    }
}

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
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
            let expected = expected.map(|(n, d)| FrameRate::new(n, d).unwrap());
            assert_eq!(FrameRate::parse(text), expected, "{text:?}");
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
            let rate = FrameRate::new(rate.0, rate.1).unwrap();
            assert_eq!(rate.label(), expected);
            assert_eq!(FrameRate::parse(expected), Some(rate));
        }
    }

    #[test]
    fn vui() {
        let rate = |numerator, denominator| {
            FrameRate::from_vui(VuiFrameRate {
                numerator,
                denominator,
            })
        };
        assert_eq!(rate(50, 2), FrameRate::new(25, 1));
        assert_eq!(rate(60000, 2002), FrameRate::new(30000, 1001));
        assert_eq!(rate(1, 1), FrameRate::new(1, 1));
        assert_eq!(rate(240, 1), FrameRate::new(240, 1));
        for (numerator, denominator) in [(1, 10), (241, 1), (90_000, 1), (4_294_967_294, 2)] {
            assert_eq!(rate(numerator, denominator), None);
        }
    }
}
