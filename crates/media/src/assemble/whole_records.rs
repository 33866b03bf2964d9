// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Observes if records hold whole access units, so that the last one of a record need not wait for the next record.

use crate::codec::h264::{Next, Pushed};

/// Records with the begin of an access unit that are evidence of whole ones: the first may be the end of one that is
/// cut in parts, and the second the begin of another.
const EVIDENCE: usize = 3;

/// Begin and end of the records of a stream.
#[derive(Debug, Default)]
pub struct WholeRecords {
    begun: usize,
    is_disproved: bool,
}

impl WholeRecords {
    /// Returns records that are presumed to hold whole access units, until one does not.
    pub fn presumed() -> Self {
        Self {
            begun: EVIDENCE - 1,
            is_disproved: false,
        }
    }

    /// Notes the access units of a record. Returns whether the last one is complete.
    pub fn note(&mut self, pushed: Pushed) -> bool {
        // A field is a record of its own as well.
        let has_part = pushed.continues || pushed.begun == 0;
        let has_next = pushed.begun_before || pushed.next != Next::Unknown;
        self.is_disproved |= has_part && !pushed.completes_pair || has_next;
        self.begun += usize::from(pushed.begun > 0);
        self.are_whole()
    }

    /// Notes that a record ended within a NAL unit.
    pub fn note_cut(&mut self) {
        self.is_disproved = true;
    }

    /// Returns whether the next record may complete the evidence.
    pub fn may_end_here(&self) -> bool {
        self.begun + 1 >= EVIDENCE && !self.is_disproved
    }

    /// Returns whether there is evidence of whole access units, and none of others.
    pub fn are_whole(&self) -> bool {
        self.begun >= EVIDENCE && !self.is_disproved
    }

    /// Returns whether a record was not whole.
    #[cfg(test)]
    pub fn are_disproved(&self) -> bool {
        self.is_disproved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many access units begin in each record, and whether it continues one before.
    fn run(records: &[(usize, bool)]) -> Vec<bool> {
        let mut whole = WholeRecords::default();
        let note = |&(begun, continues): &(usize, bool)| {
            whole.note(Pushed {
                begun,
                continues,
                ..Default::default()
            })
        };
        records.iter().map(note).collect()
    }

    #[test]
    fn whole_access_units() {
        let expected = [false, false, true, true];
        assert_eq!(run(&[(1, false); 4]), expected);
        assert_eq!(run(&[(10, false); 4]), expected);
    }

    #[test]
    fn presumed_whole_access_units() {
        let whole = Pushed {
            begun: 10,
            ..Default::default()
        };
        let part = Pushed {
            continues: true,
            ..whole
        };
        let mut records = WholeRecords::presumed();
        assert!(records.may_end_here());
        let noted = [whole, whole, part, whole].map(|pushed| records.note(pushed));
        assert_eq!(noted, [true, true, false, false]);
        assert!(!records.may_end_here());
    }

    #[test]
    fn slices() {
        // From the last of four slices on.
        let mut records = vec![(1, false)];
        records.extend([(1, false), (0, true), (0, true), (0, true)].repeat(3));
        assert!(!run(&records).contains(&true));
    }

    #[test]
    fn parameter_sets_by_themselves() {
        let records = [(1, false), (1, false), (0, false), (1, false), (1, false)];
        assert!(!run(&records).contains(&true));
    }

    #[test]
    fn records_that_are_cut_anywhere() {
        let records = [(3, false), (3, true), (3, true), (3, false), (3, false)];
        assert!(!run(&records).contains(&true));
    }

    #[test]
    fn parameter_sets_with_the_picture_before() {
        let mut whole = WholeRecords::default();
        let pushed = Pushed {
            begun: 1,
            next: Next::Here,
            ..Default::default()
        };
        assert!((0..8).all(|_| !whole.note(pushed)));
    }

    #[test]
    fn nal_units_that_are_cut() {
        let mut whole = WholeRecords::default();
        let pushed = Pushed {
            begun: 1,
            ..Default::default()
        };
        assert!(
            (0..8)
                .map(|_| whole.note(pushed))
                .last()
                .is_some_and(|it| it)
        );
        whole.note_cut();
        assert!(!whole.note(pushed));
    }

    #[test]
    fn fields() {
        let mut whole = WholeRecords::default();
        let fields = (0..8).map(|field| Pushed {
            begun: usize::from(field % 2 == 0),
            continues: field % 2 == 1,
            completes_pair: field % 2 == 1,
            ..Default::default()
        });
        let complete: Vec<_> = fields.map(|field| whole.note(field)).collect();
        assert_eq!(complete[..4], [false; 4]);
        assert_eq!(complete[4..], [true; 4]);
    }
}
