// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reports ranges that do not fit the entry: outside of it, without frames, or given in another unit than µs.
//!
//! Times are in µs since the Unix epoch.

use std::ops::RangeInclusive;

use client::utc;
use media::time::CaptureTime;

/// Distance from the entry, in µs, up to which a bound is no reason for a warning: the newest record may last for
/// some time, and the time of the oldest one is seldom known to the µs.
const MARGIN: u64 = 10_000_000;
/// Distance from the entry, in µs, up to which a number is plausible in another unit.
const NEAR: u64 = 10 * 366 * 86_400_000_000;

/// A bound of a range, as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Name of the option that it is given by.
    option: &'static str,
    /// The time in µs since the Unix epoch, which may be beyond those that can be counted in ns.
    value: u64,
    /// The time is given as a number.
    is_number: bool,
}

impl Bound {
    /// Returns a bound that is given as a time.
    pub fn new(option: &'static str, time: CaptureTime) -> Self {
        Self {
            option,
            value: time.useconds(),
            is_number: false,
        }
    }

    /// Parses the bound that is given by an option, or returns `None` if it is no time.
    ///
    /// Numbers that can only be nanoseconds are bounds as well, to be reported when the times of the entry are
    /// known.
    pub fn parse(option: &'static str, text: &str) -> Option<Self> {
        let number = text.trim().parse::<u64>().ok();
        let number = number.filter(|number| i64::try_from(*number).is_ok());
        let value = match number {
            Some(number) => number,
            None => text.parse::<CaptureTime>().ok()?.useconds(),
        };
        Some(Self {
            option,
            value,
            is_number: number.is_some(),
        })
    }

    /// Returns whether the time, as it is given, is before another one.
    pub fn is_before(&self, other: &Self) -> bool {
        self.value < other.value
    }

    /// Returns the time, at most [`CaptureTime::MAX_INPUT`].
    pub fn time(&self) -> CaptureTime {
        CaptureTime::from_useconds(self.value).min(CaptureTime::MAX_INPUT)
    }

    /// Returns a text about the unit in which the number would be in the entry or not far from it, and the distance.
    fn in_other_unit(&self, entry: &RangeInclusive<u64>) -> Option<(u64, String)> {
        let distance = |time: u64| {
            let before = entry.start().saturating_sub(time);
            before.max(time.saturating_sub(*entry.end()))
        };
        let units = [
            ("seconds", self.value.checked_mul(1_000_000)),
            ("milliseconds", self.value.checked_mul(1000)),
            ("nanoseconds", Some(self.value / 1000)),
        ];
        let times = units
            .into_iter()
            .filter_map(|(unit, time)| Some((unit, time?)));
        let (unit, time) = times.min_by_key(|(_, time)| distance(*time))?;
        let own = distance(self.value);
        let is_plausible = distance(time) <= NEAR && distance(time) <= own / 10;
        (self.is_number && own > 0 && is_plausible).then(|| {
            let Self { option, value, .. } = self;
            let text = format!(
                "{value} in {option} looks like {unit} ({}), but numbers are µs since the Unix \
                 epoch: {time}",
                utc(time)
            );
            (distance(time), text)
        })
    }
}

/// A range, as it is given. It ends with the entry where it has no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// First time; the oldest record if `None`.
    pub start: Option<Bound>,
    /// First time that does not belong to it; the end of the entry if `None`.
    pub stop: Option<Bound>,
}

impl Asked {
    /// Checks that the range has a length. An option is a `noun` in messages, such as `property`.
    ///
    /// # Errors
    ///
    /// A text that names both bounds, and a unit that one may be in.
    pub fn check(&self, noun: &str) -> Result<(), String> {
        let (Some(start), Some(stop)) = (&self.start, &self.stop) else {
            return Ok(());
        };
        if start.value < stop.value {
            return Ok(());
        }
        let at = |bound: &Bound| bound.value..=bound.value;
        let units = [
            start.in_other_unit(&at(stop)),
            stop.in_other_unit(&at(start)),
        ];
        let unit = units.into_iter().flatten().min();
        Err(format!(
            "The {noun} {} is {}, which is not a time after {}{}",
            stop.option,
            utc(stop.value),
            match start.option == stop.option {
                true => utc(start.value),
                false => format!("the {noun} {}, {}", start.option, utc(start.value)),
            },
            unit.map(|(_, unit)| format!(". {unit}"))
                .unwrap_or_default()
        ))
    }

    /// Returns the misfit with an entry that has records of these times, as a part of a sentence.
    fn misfit(&self, entry: &RangeInclusive<u64>, follows: bool) -> Option<&'static str> {
        // People ask for everything by 0.
        let is_early = |time: u64| time > 0 && time.saturating_add(MARGIN) < *entry.start();
        let is_late = |time: u64| !follows && time > entry.end().saturating_add(MARGIN);
        let start = self.start.as_ref().map(|bound| bound.value);
        let stop = self.stop.as_ref().map(|bound| bound.value);
        let begins_early = start.is_some_and(is_early);
        let ends_late = stop.is_some_and(is_late);
        if start.is_some_and(is_late) || stop.is_some_and(|stop| stop <= *entry.start()) {
            Some("has no record")
        } else if begins_early && ends_late {
            Some("begins before the entry and ends after it")
        } else if begins_early {
            Some("begins before the entry")
        } else if ends_late {
            Some("ends after the entry")
        } else {
            None
        }
    }

    fn describe(&self) -> String {
        let start = self.start.as_ref().map(|bound| utc(bound.value));
        let stop = self.stop.as_ref().map(|bound| utc(bound.value));
        format!(
            "from {} to {}",
            start.as_deref().unwrap_or("the oldest record"),
            stop.as_deref().unwrap_or("the newest record")
        )
    }

    /// Returns a warning about a range without a frame, or `None` if its misfit was reported before.
    pub(super) fn empty(&self, entry: &RangeInclusive<u64>, follows: bool) -> Option<String> {
        let is_told = self.misfit(entry, follows).is_some();
        (!is_told).then(|| {
            format!(
                "The range {} has no frame. {}",
                self.describe(),
                extent(entry)
            )
        })
    }
}

fn extent(entry: &RangeInclusive<u64>) -> String {
    format!(
        "The records of the entry are from {} to {}",
        utc(*entry.start()),
        utc(*entry.end())
    )
}

/// Returns a warning about ranges that do not fit an entry with records of these times. Where the
/// entry is followed, it may have later ones.
pub fn misfits(asked: &[Asked], entry: &RangeInclusive<u64>, follows: bool) -> Option<String> {
    let mut misfits = asked
        .iter()
        .filter_map(|range| Some((range, range.misfit(entry, follows)?)));
    let (range, how) = misfits.next()?;
    let more = match misfits.count() {
        0 => String::new(),
        more => format!(" {more} more ranges do not fit it."),
    };
    let bounds = [&range.start, &range.stop].into_iter().flatten();
    let units = bounds.filter_map(|bound| bound.in_other_unit(entry));
    let units: String = units.map(|(_, unit)| format!(". {unit}")).collect();
    let (described, extent) = (range.describe(), extent(entry));
    Some(format!(
        "The range {described} {how}.{more} {extent}{units}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-06-15T15:06:40.123457Z, and 2 s later.
    const OLDEST: u64 = 1_750_000_000_123_457;
    const NEWEST: u64 = OLDEST + 2_000_000;
    const ENTRY: RangeInclusive<u64> = OLDEST..=NEWEST;
    const HOUR: u64 = 3_600_000_000;

    fn range(start: &str, stop: &str) -> Asked {
        let bound =
            |option, text: &str| (!text.is_empty()).then(|| Bound::parse(option, text).unwrap());
        Asked {
            start: bound("start", start),
            stop: bound("stop", stop),
        }
    }

    fn told(start: &str, stop: &str) -> String {
        misfits(&[range(start, stop)], &ENTRY, false).unwrap_or_default()
    }

    #[test]
    fn ranges_that_fit() {
        let text = |time: u64| time.to_string();
        for (start, stop) in [
            (String::new(), String::new()),
            (text(OLDEST), text(NEWEST + 1)),
            (text(OLDEST - MARGIN), text(NEWEST + MARGIN)),
            (text(NEWEST + MARGIN), String::new()),
            ("0".into(), text(NEWEST + 1)),
        ] {
            assert_eq!(told(&start, &stop), "", "{start} {stop}");
        }
    }

    #[test]
    fn other_units_are_named() {
        let us = OLDEST + 1_000_000;
        for (number, unit) in [
            (us / 1_000_000, "seconds"),
            (us / 1000, "milliseconds"),
            (us * 1000, "nanoseconds"),
            // Half a year later.
            ((us + HOUR * 24 * 180) / 1_000_000, "seconds"),
        ] {
            for (start, stop) in [
                (number.to_string(), ""),
                (String::new(), &*number.to_string()),
            ] {
                let told = told(&start, stop);
                assert!(told.contains(&format!("looks like {unit} (202")), "{told}");
                assert!(told.contains("2025-06-15T15:06:40.123457Z"), "{told}");
            }
        }
    }

    #[test]
    fn bounds_outside() {
        let text = |time: u64| time.to_string();
        for (start, stop, how) in [
            (text(NEWEST + HOUR), String::new(), "has no record"),
            (String::new(), text(OLDEST - HOUR), "has no record"),
            (String::new(), text(OLDEST), "has no record"),
            (text(OLDEST - HOUR), String::new(), "begins before"),
            (String::new(), text(NEWEST + HOUR), "ends after"),
            (text(OLDEST - HOUR), text(NEWEST + HOUR), "and ends after"),
        ] {
            let told = told(&start, &stop);
            assert!(told.contains(how), "{told}");
            assert!(!told.contains("looks like"), "{told}");
        }
    }

    #[test]
    fn dates_have_no_unit() {
        let told = told("1970-01-21T06:06:40Z", "");
        assert!(
            told.contains("begins before") && !told.contains("looks like"),
            "{told}"
        );
    }

    #[test]
    fn what_is_followed_may_grow() {
        for (start, stop) in [(NEWEST + HOUR, NEWEST + 2 * HOUR), (OLDEST, NEWEST + HOUR)] {
            let range = range(&start.to_string(), &stop.to_string());
            assert_eq!(misfits(&[range], &ENTRY, true), None);
        }
        let early = range(&(OLDEST / 1000).to_string(), "");
        assert!(misfits(&[early], &ENTRY, true).is_some());
    }

    #[test]
    fn several_ranges_are_one_text() {
        let late = range(&(NEWEST + HOUR).to_string(), "");
        let fits = range(&OLDEST.to_string(), "");
        let told = misfits(&[fits.clone(), late.clone(), fits, late], &ENTRY, false).unwrap();
        assert!(told.contains("1 more range"), "{told}");
    }

    #[test]
    fn an_empty_range_is_told_once() {
        let hole = range(&(OLDEST + 1).to_string(), &(OLDEST + 2).to_string());
        let told = hole.empty(&ENTRY, false).unwrap();
        assert!(told.contains("2025-06-15T15:06:40.123458Z"), "{told}");
        assert!(told.contains("2025-06-15T15:06:42.123457Z"), "{told}");
        let late = range(&(NEWEST + HOUR).to_string(), "");
        assert_eq!(late.empty(&ENTRY, false), None);
    }

    #[test]
    fn ranges_without_length() {
        assert_eq!(range("5", "6").check("property"), Ok(()));
        let error = range("6", "5").check("property").unwrap_err();
        assert!(
            error.contains("property stop") && error.contains("property start"),
            "{error}"
        );
        let (ns, us) = ((OLDEST * 1000).to_string(), NEWEST.to_string());
        let error = range(&ns, &us).check("property").unwrap_err();
        assert!(error.contains("in start looks like nano"), "{error}");
        let s = (NEWEST / 1_000_000).to_string();
        let error = range(&OLDEST.to_string(), &s)
            .check("property")
            .unwrap_err();
        assert!(error.contains("in stop looks like seconds"), "{error}");
    }

    #[test]
    fn numbers_that_are_no_times() {
        for text in ["", "-5", "1.5", "yesterday", "18446744073709551615"] {
            assert_eq!(Bound::parse("start", text), None, "{text}");
        }
        let bound = Bound::parse("start", "1750000001123457000").unwrap();
        assert_eq!(bound.time(), CaptureTime::MAX_INPUT);
    }
}
