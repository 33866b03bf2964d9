// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Numbers with units.

/// A unit: its names, and how many of the smallest unit it is.
pub struct Unit {
    names: &'static [&'static str],
    factor: u64,
}

impl Unit {
    /// Returns a unit that is `factor` of the smallest one.
    pub const fn new(names: &'static [&'static str], factor: u64) -> Self {
        Self { names, factor }
    }
}

/// Digits behind the point that count: as many as any result depends on.
const DECIMALS: usize = 12;

/// Reads the number and unit that `text` begins with. Returns the value in the smallest unit, rounded down, and the rest
/// of the text; or `None` if there is no such number, or if 64 bits cannot state it.
pub fn first<'a>(text: &'a str, units: &[Unit]) -> Option<(u64, &'a str)> {
    let text = text.trim_start();
    let (number, rest) = split_at_end_of(text, |byte| byte.is_ascii_digit() || byte == b'.');
    let (unit, rest) = split_at_end_of(rest.trim_start(), |byte| byte.is_ascii_alphabetic());
    let unit = units.iter().find(|it| it.names.contains(&unit))?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if decimals.is_empty() || decimals.contains('.') {
        return None;
    }
    let factor = u128::from(unit.factor);
    let whole = u128::from(whole.parse::<u64>().ok()?) * factor;
    let decimals = &decimals[..decimals.len().min(DECIMALS)]; // ASCII digits
    let scale = 10u128.pow(decimals.len() as u32);
    let part = u128::from(decimals.parse::<u64>().ok()?) * factor / scale;
    Some((u64::try_from(whole + part).ok()?, rest))
}

/// Reads numbers with units, and returns their sum in the smallest unit; or `None` if there is anything else in `text`,
/// or nothing.
pub fn sum(text: &str, units: &[Unit]) -> Option<u64> {
    let (mut sum, mut rest) = first(text, units)?;
    while !rest.trim_start().is_empty() {
        let (value, after) = first(rest, units)?;
        sum = sum.checked_add(value)?;
        rest = after;
    }
    Some(sum)
}

/// Splits `text` behind its first bytes for which `belongs` holds, all of which are ASCII.
fn split_at_end_of(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !belongs(byte));
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: &[Unit] = &[Unit::new(&["a"], 1000), Unit::new(&["b", "B"], 1)];

    #[test]
    fn values_are_rounded_down() {
        assert_eq!(first("1.9999b rest", UNITS), Some((1, " rest")));
        assert_eq!(first("0.0019a", UNITS), Some((1, "")));
        assert_eq!(
            first("1.0000000000000000000000000001a", UNITS),
            Some((1000, ""))
        );
    }

    #[test]
    fn values_that_are_too_large() {
        assert_eq!(first("18446744073709551615b", UNITS), Some((u64::MAX, "")));
        assert_eq!(first("18446744073709551615a", UNITS), None);
        assert_eq!(first("18446744073709551616b", UNITS), None);
        assert_eq!(sum("18446744073709551615b 1B", UNITS), None);
    }

    #[test]
    fn units_have_several_names() {
        assert_eq!(sum("1a 2b 3B", UNITS), Some(1005));
        assert_eq!(sum("1c", UNITS), None);
        assert_eq!(sum("1ab", UNITS), None);
    }
}
