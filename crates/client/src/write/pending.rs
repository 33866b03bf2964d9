// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Records of a batch that are not confirmed, and the effect of answers on them.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Cause, Error};
use crate::write::record::NewRecord;

/// Records of a batch that are not settled, in order.
#[derive(Debug)]
pub struct Pending {
    pub left: Vec<NewRecord>,
    /// A request with some of them had no clear answer.
    pub is_in_doubt: bool,
    /// Complete records have to be looked up before the next write.
    pub may_be_complete: bool,
    /// The last lookup found no complete record.
    looked_in_vain: bool,
    /// Time of the last one that may be begun on the server. The times of such records are taken until they
    /// are removed.
    begun_until: Option<u64>,
    /// Number of writes in a row after which no record was complete.
    pub rewrites: u32,
}

impl Pending {
    /// Creates the state of a batch before its first request. An earlier process may have sent recovered records.
    pub fn new(batch: Vec<NewRecord>) -> Self {
        let recovered = batch.iter().rev().find(|record| record.is_recovered);
        Self {
            is_in_doubt: false,
            may_be_complete: false,
            looked_in_vain: false,
            begun_until: recovered.map(|record| record.time),
            left: batch,
            rewrites: 0,
        }
    }

    /// Puts records in front that were sent before, and may be written. Returns their number.
    pub fn put_in_doubt(&mut self, records: Vec<NewRecord>) -> usize {
        let count = records.len();
        if count > 0 {
            self.left.splice(..0, records);
            self.set_in_doubt(count);
        }
        count
    }

    /// Marks the first records as possibly written or begun.
    ///
    /// They are looked up before the next request, but not again after a lookup without result: the server refuses
    /// those that it has. Behind a proxy that fails periodically the request after the lookup could otherwise fail
    /// each time.
    pub fn set_in_doubt(&mut self, count: usize) {
        self.set_refused(count);
        self.may_be_complete = !std::mem::take(&mut self.looked_in_vain);
    }

    /// Marks the first records as refused by the server or a proxy. Most likely they are not begun.
    pub fn set_refused(&mut self, count: usize) {
        self.is_in_doubt = true;
        let sent = self.left.get(..count).and_then(|sent| sent.last());
        self.begun_until = self.begun_until.max(sent.map(|record| record.time));
    }

    /// Returns whether records at these times may be begun.
    pub fn may_be_begun<'a>(&self, times: impl IntoIterator<Item = &'a u64>) -> bool {
        (times.into_iter()).all(|time| Some(*time) <= self.begun_until)
    }

    /// Returns the times of the records that may be begun.
    pub fn begun(&self) -> Vec<u64> {
        let times = self.left.iter().map(|record| record.time);
        times
            .take_while(|time| Some(*time) <= self.begun_until)
            .collect()
    }

    /// Returns the lengths of the records, in bytes.
    pub fn lengths(&self) -> Vec<u64> {
        self.left.iter().map(NewRecord::length).collect()
    }

    /// Removes and returns the first records.
    pub fn take_first(&mut self, count: usize) -> Vec<NewRecord> {
        self.left.drain(..count.min(self.left.len())).collect()
    }

    /// Removes and returns those of the first records that were not refused.
    pub fn take_accepted(
        &mut self,
        count: usize,
        refused: &BTreeMap<u64, Error>,
    ) -> Vec<NewRecord> {
        let sent = self.take_first(count).into_iter();
        let (left, accepted) = sent.partition(|record| refused.contains_key(&record.time));
        let rest = std::mem::replace(&mut self.left, left);
        self.left.extend(rest);
        accepted
    }

    /// Removes and returns the records that are complete on the server, given by their times and lengths.
    pub fn take_complete(&mut self, complete: &BTreeMap<u64, u64>) -> Vec<NewRecord> {
        let (complete, left) = (std::mem::take(&mut self.left).into_iter())
            .partition(|record| complete.get(&record.time) == Some(&record.length()));
        self.left = left;
        self.may_be_complete = false;
        self.looked_in_vain = complete.is_empty();
        if !complete.is_empty() {
            self.rewrites = 0;
        }
        complete
    }

    /// Returns the time of the first record in whose place the server has another one.
    pub fn conflict(&self, complete: &BTreeMap<u64, u64>) -> Option<u64> {
        let mut times = self.left.iter().map(|record| record.time);
        times.find(|time| complete.contains_key(time))
    }
}

/// Checks that an answer is about records that were sent, the first of `left`.
///
/// # Errors
///
/// A transient error: the answer belongs to another request, and the records have to be looked up.
pub fn check_answer(sent: &[NewRecord], refused: &BTreeMap<u64, Error>) -> Result<(), Error> {
    let sent: BTreeSet<_> = sent.iter().map(|record| record.time).collect();
    match refused.iter().find(|(time, _)| !sent.contains(time)) {
        None => Ok(()),
        Some((time, error)) => {
            let text = format!(
                "the answer is about a record at {time} µs, which was not sent: {}",
                error.text
            );
            Err(Error::new(Cause::Broken, text))
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::testing::record;

    /// Records at 1, 2, 3…, as long as their times.
    fn records(count: u64) -> Vec<NewRecord> {
        (1..=count)
            .map(|time| record(time, time as usize, false))
            .collect()
    }

    fn times(records: &[NewRecord]) -> Vec<u64> {
        records.iter().map(|record| record.time).collect()
    }

    fn refused(times: &[u64]) -> BTreeMap<u64, Error> {
        let error = Error::new(Cause::Status(409), "taken");
        times.iter().map(|time| (*time, error.clone())).collect()
    }

    #[test]
    fn what_is_refused_stays_before_what_was_not_sent() {
        let mut pending = Pending::new(records(6));
        let accepted = pending.take_accepted(4, &refused(&[1, 3]));
        assert_eq!(times(&accepted), [2, 4]);
        assert_eq!(times(&pending.left), [1, 3, 5, 6]);
        assert_eq!(times(&pending.take_first(3)), [1, 3, 5]);
        assert_eq!(times(&pending.take_first(3)), [6]);
        assert!(pending.left.is_empty());
    }

    #[test]
    fn what_is_complete_has_the_same_length() {
        let mut pending = Pending::new(records(4));
        let there = BTreeMap::from([(1, 1), (3, 7), (9, 9)]);
        assert_eq!(times(&pending.take_complete(&there)), [1]);
        assert_eq!(times(&pending.left), [2, 3, 4]);
        assert_eq!(pending.conflict(&there), Some(3));
        assert_eq!(pending.conflict(&BTreeMap::from([(1, 1)])), None);
    }

    #[test]
    fn what_may_be_begun() {
        let mut batch = records(4);
        let mut pending = Pending::new(batch.clone());
        assert!(pending.begun().is_empty() && !pending.may_be_begun(&[1]));
        pending.set_in_doubt(2);
        assert_eq!(pending.begun(), [1, 2]);
        pending.take_first(1);
        pending.set_in_doubt(1);
        assert_eq!(pending.begun(), [2]);
        assert!(pending.may_be_begun(&[1, 2]) && !pending.may_be_begun(&[2, 3]));
        pending.set_refused(3);
        assert_eq!(pending.begun(), [2, 3, 4]);
        // An earlier process may have sent it.
        batch[2].is_recovered = true;
        let pending = Pending::new(batch);
        assert_eq!(pending.begun(), [1, 2, 3]);
        assert!(!pending.is_in_doubt && !pending.may_be_complete);
    }

    #[test]
    fn the_server_is_not_asked_in_vain_twice_in_a_row() {
        let mut pending = Pending::new(records(4));
        pending.set_refused(2);
        assert!(pending.is_in_doubt && !pending.may_be_complete);
        pending.set_in_doubt(4);
        assert!(pending.may_be_complete);
        pending.take_complete(&BTreeMap::new());
        assert!(!pending.may_be_complete);
        pending.set_in_doubt(4);
        assert!(!pending.may_be_complete);
        pending.set_in_doubt(4);
        assert!(pending.may_be_complete);
        pending.take_complete(&BTreeMap::from([(1, 1)]));
        pending.set_in_doubt(3);
        assert!(pending.may_be_complete);
    }

    #[test]
    fn an_answer_about_other_records_is_none() {
        let sent = records(3);
        assert_eq!(check_answer(&sent, &refused(&[])), Ok(()));
        assert_eq!(check_answer(&sent, &refused(&[1, 3])), Ok(()));
        for other in [0, 4, 123, u64::MAX] {
            let error = check_answer(&sent, &refused(&[2, other])).unwrap_err();
            assert!(error.is_transient(), "{error:?}");
            assert!(error.text.contains(&format!(" {other} µs")), "{error:?}");
        }
    }
}
