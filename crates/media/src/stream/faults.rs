// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Rate-limited warnings about records that cannot be read: the first one in a row, and the number of the others.

use super::names::OptionNames;
use crate::codec::Damage;
use crate::time::utc;

/// Last time of a record, in µs since the Unix epoch, that can be counted in ns.
pub const LAST_TIME: u64 = (u64::MAX - 1) / 1000;

/// Fault of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Damage of the stream.
    Damage(Damage),
    /// No content.
    Empty,
    /// No MP4 file, although its content type says so.
    NoMp4,
    /// A time beyond those that can be counted in ns.
    Time,
    /// Another content type.
    ContentType {
        /// The content type.
        found: String,
        /// The content types that are read, for messages.
        expected: &'static str,
    },
}

impl Fault {
    /// Returns whether both are reported together. The expected types may be known only later.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ContentType { found, .. }, Self::ContentType { found: other, .. }) => {
                found == other
            }
            _ => self == other,
        }
    }
}

/// Warnings about faults. Records in a row with the same fault are reported once at the first one, and once after
/// the last one. Records of another content type are one row wherever they are, and so are those without content: both may
/// be among intact ones on purpose.
#[derive(Debug, Default)]
pub struct FaultLog {
    names: OptionNames,
    damage: Option<Row>,
    foreign: Option<Row>,
    empty: Option<Row>,
}

#[derive(Debug)]
struct Row {
    fault: Fault,
    /// Time of the last record, in µs since the Unix epoch.
    last: u64,
    /// Records after the first one.
    more: u64,
}

impl FaultLog {
    /// Returns an empty log, whose messages use these names.
    pub fn new(names: OptionNames) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }

    /// Notes the record at `time`, in µs since the Unix epoch. Appends the warnings that are due to `texts`.
    pub fn note(&mut self, time: u64, fault: Option<Fault>, texts: &mut Vec<String>) {
        let row = match fault {
            Some(Fault::ContentType { .. }) => &mut self.foreign,
            Some(Fault::Empty) => &mut self.empty,
            _ => &mut self.damage,
        };
        if let (Some(row), Some(fault)) = (row.as_mut(), &fault)
            && row.fault.is_like(fault)
        {
            row.last = time;
            row.more += 1;
            return;
        }
        let names = &self.names;
        texts.extend(row.take().and_then(|row| row.rest(names)));
        if let Some(fault) = fault {
            texts.push(describe(time, &fault, names));
            *row = Some(Row {
                fault,
                last: time,
                more: 0,
            });
        }
    }

    /// Ends the rows. Appends the warnings that are due to `texts`.
    pub fn finish(&mut self, texts: &mut Vec<String>) {
        let rows = [self.damage.take(), self.foreign.take(), self.empty.take()];
        let rows = rows.into_iter().flatten();
        texts.extend(rows.filter_map(|row| row.rest(&self.names)));
    }
}

impl Row {
    fn rest(self, names: &OptionNames) -> Option<String> {
        let Self { fault, last, more } = self;
        (more > 0).then(|| {
            let last = describe(last, &fault, names);
            format!("{more} more records have the same fault. The last of them: {last}")
        })
    }
}

/// Returns a message about the record at `time`, in µs since the Unix epoch.
pub fn describe(time: u64, fault: &Fault, names: &OptionNames) -> String {
    let time = format!("{} ({time} µs)", utc(time));
    match fault {
        Fault::Damage(damage @ Damage::NoParameterSets) => format!(
            "The record at {time} is left out: {damage}, and there are none in the time before \
             it ({})",
            names.lookback
        ),
        Fault::Damage(damage) => format!("The record at {time} is damaged: {damage}"),
        Fault::Empty => format!("The record at {time} is empty"),
        Fault::NoMp4 => format!(
            "The record at {time} is damaged: it is no MP4 file with a box 'moov' \
             that can be read"
        ),
        Fault::Time => format!(
            "The record at {time} is left out: times are counted up to {} µs, in the year 2554",
            LAST_TIME
        ),
        Fault::ContentType { found, expected } => {
            let advice = (names.condition)
                .map(|option| {
                    format!(
                        ". An entry with other records needs a condition ({option}) or a range that leaves them out"
                    )
                })
                .unwrap_or_default();
            format!("The record at {time} is '{found}', not {expected}{advice}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damage(damage: Damage) -> Option<Fault> {
        Some(Fault::Damage(damage))
    }

    fn told(records: &[(u64, Option<Fault>)]) -> Vec<String> {
        let (mut log, mut texts) = (FaultLog::default(), Vec::new());
        for (time, fault) in records {
            log.note(*time, fault.clone(), &mut texts);
        }
        log.finish(&mut texts);
        texts
    }

    #[test]
    fn a_single_record_is_told_once() {
        let fault = damage(Damage::ForbiddenBit);
        let texts = told(&[(1, None), (2, fault.clone()), (3, None)]);
        let names = OptionNames::default();
        assert_eq!(texts, [describe(2, &fault.unwrap(), &names)]);
    }

    #[test]
    fn a_row_is_told_at_its_begin_and_end() {
        let fault = || damage(Damage::BrokenSlice);
        let texts = told(&[
            (1, fault()),
            (2, fault()),
            (3, fault()),
            (4, None),
            (5, fault()),
        ]);
        assert_eq!(texts.len(), 3);
        assert!(
            texts[0].starts_with("The record at 1970-01-01T00:00:00.000001Z (1 µs) is damaged"),
            "{}",
            texts[0]
        );
        assert!(texts[1].contains("2 more records"), "{}", texts[1]);
        assert!(texts[1].contains("00.000003Z"), "{}", texts[1]);
        assert!(texts[2].contains("00.000005Z"), "{}", texts[2]);
    }

    #[test]
    fn other_damage_begins_another_row() {
        let (other, lengths) = (Damage::NotByteStream, Damage::LengthPrefixed);
        assert_eq!(told(&[(1, damage(other)), (2, damage(lengths))]).len(), 2);
    }

    #[test]
    fn empty_records_are_one_row_wherever_they_are() {
        let empty = || Some(Fault::Empty);
        let texts = told(&[
            (1, empty()),
            (2, damage(Damage::BrokenSlice)),
            (3, empty()),
            (4, None),
            (5, empty()),
        ]);
        assert_eq!(texts.len(), 3);
        assert!(texts[0].ends_with("00.000001Z (1 µs) is empty"));
        assert!(texts[2].starts_with("2 more records") && texts[2].contains("00.000005Z"));
    }

    #[test]
    fn foreign_records_are_one_row_wherever_they_are() {
        let foreign = || {
            Some(Fault::ContentType {
                found: "image/jpeg".into(),
                expected: "'video/h264'",
            })
        };
        let texts = told(&[
            (1, foreign()),
            (2, None),
            (3, foreign()),
            (4, None),
            (5, foreign()),
        ]);
        assert_eq!(texts.len(), 2);
        assert!(
            texts[0].contains("00.000001Z (1 µs) is 'image/jpeg'"),
            "{}",
            texts[0]
        );
        assert!(texts[1].contains("2 more records") && texts[1].contains("00.000005Z"));
    }
}
