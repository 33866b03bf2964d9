// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Compares the labels `keyframe` of records with the access units that begin in them.

use std::sync::Arc;

use super::record_tag::RecordTag;

/// Comparison of the labels of a range.
#[derive(Debug, Default)]
pub struct LabelCheck {
    /// The record that the last access unit begins in.
    open: Option<OpenRecord>,
}

#[derive(Debug)]
struct OpenRecord {
    record: Arc<RecordTag>,
    /// A keyframe begins in it; `None` if one of its access units could not be read.
    has_keyframe: Option<bool>,
}

impl LabelCheck {
    /// Notes an access unit that begins in a record; `None` if it could not be read. Returns the record before, if its
    /// label is wrong.
    pub fn note(
        &mut self,
        record: &Arc<RecordTag>,
        is_keyframe: Option<bool>,
    ) -> Option<Arc<RecordTag>> {
        if let Some(open) = &mut self.open
            && Arc::ptr_eq(&open.record, record)
        {
            let has_keyframe = open.has_keyframe.zip(is_keyframe);
            open.has_keyframe = has_keyframe.map(|(before, now)| before || now);
            return None;
        }
        let wrong = self.finish();
        self.open = Some(OpenRecord {
            record: record.clone(),
            has_keyframe: is_keyframe,
        });
        wrong
    }

    /// Ends the last record. Returns it, if its label is wrong.
    pub fn finish(&mut self) -> Option<Arc<RecordTag>> {
        let OpenRecord {
            record,
            has_keyframe,
        } = self.open.take()?;
        let labels = record.keyframe.zip(has_keyframe);
        let is_wrong = labels.is_some_and(|(label, has_keyframe)| label != has_keyframe);
        is_wrong.then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the times of the records with a wrong label, in each of which these access units begin.
    fn wrong(records: &[(Option<bool>, &[Option<bool>])]) -> Vec<u64> {
        let mut check = LabelCheck::default();
        let mut wrong = Vec::new();
        for (time, (label, units)) in (0..).zip(records) {
            let record = Arc::new(RecordTag {
                time,
                keyframe: *label,
                ..RecordTag::default()
            });
            wrong.extend(units.iter().filter_map(|unit| check.note(&record, *unit)));
        }
        wrong.extend(check.finish());
        wrong.iter().map(|record| record.time).collect()
    }

    #[test]
    fn labels_are_of_whole_records() {
        let (yes, no) = (Some(true), Some(false));
        let right = [
            (yes, &[yes, no][..]),
            (yes, &[no, yes]),
            (no, &[no, no]),
            (None, &[yes]),
            (None, &[no]),
        ];
        assert!(wrong(&right).is_empty());
        let records = [(no, &[no, yes][..]), (no, &[no]), (yes, &[no, no])];
        assert_eq!(wrong(&records), [0, 2]);
    }

    #[test]
    fn what_cannot_be_read_proves_nothing() {
        let (yes, no) = (Some(true), Some(false));
        assert!(wrong(&[(yes, &[None, no]), (yes, &[no, None])]).is_empty());
    }
}
