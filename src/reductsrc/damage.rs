// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What is told of records that are damaged: the first one in a row, and how many follow it.

use crate::h264::Damage;

/// Records in a row with the same damage are told of once when they begin, and once when they end.
#[derive(Debug, Default)]
pub struct DamageLog {
    row: Option<Row>,
}

#[derive(Debug)]
struct Row {
    damage: Damage,
    /// Time of the last record, in µs since the Unix epoch.
    last: u64,
    /// Records after the first one.
    more: u64,
}

impl DamageLog {
    /// Notes the record at `time`. Appends what there is to tell to `texts`.
    pub fn note(&mut self, time: u64, damage: Option<Damage>, texts: &mut Vec<String>) {
        if let (Some(row), Some(damage)) = (&mut self.row, damage)
            && row.damage == damage
        {
            row.last = time;
            row.more += 1;
            return;
        }
        self.finish(texts);
        if let Some(damage) = damage {
            texts.push(describe(time, damage));
            self.row = Some(Row {
                damage,
                last: time,
                more: 0,
            });
        }
    }

    /// There are no more records.
    pub fn finish(&mut self, texts: &mut Vec<String>) {
        if let Some(Row { damage, last, more }) = self.row.take()
            && more > 0
        {
            texts.push(format!(
                "The same of {more} more records, the last one at {last} µs: {damage}"
            ));
        }
    }
}

/// What is wrong with the record at `time`.
pub fn describe(time: u64, damage: Damage) -> String {
    match damage {
        Damage::NoParameterSets => format!(
            "The record at {time} µs is left out: {damage}, and there are none in the time before \
             it (property parameter-set-lookback)"
        ),
        _ => format!("The record at {time} µs is damaged: {damage}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(records: &[(u64, Option<Damage>)]) -> Vec<String> {
        let (mut log, mut texts) = (DamageLog::default(), Vec::new());
        for (time, damage) in records {
            log.note(*time, *damage, &mut texts);
        }
        log.finish(&mut texts);
        texts
    }

    #[test]
    fn a_single_record_is_told_once() {
        let texts = told(&[(1, None), (2, Some(Damage::ForbiddenBit)), (3, None)]);
        assert_eq!(texts, [describe(2, Damage::ForbiddenBit)]);
    }

    #[test]
    fn a_row_is_told_at_its_begin_and_end() {
        let damage = Some(Damage::BrokenSlice);
        let texts = told(&[
            (1, damage),
            (2, damage),
            (3, damage),
            (4, None),
            (5, damage),
        ]);
        assert_eq!(texts.len(), 3);
        assert_eq!(texts[0], describe(1, Damage::BrokenSlice));
        assert!(
            texts[1].contains("2 more records, the last one at 3 µs"),
            "{}",
            texts[1]
        );
        assert_eq!(texts[2], describe(5, Damage::BrokenSlice));
    }

    #[test]
    fn other_damage_begins_another_row() {
        let texts = told(&[
            (1, Some(Damage::NotByteStream)),
            (2, Some(Damage::LengthPrefixed)),
        ]);
        assert_eq!(texts.len(), 2);
    }
}
