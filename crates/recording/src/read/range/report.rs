// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Faults of the records of a range, and the verdict on the whole of it.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use media::codec::Damage;
use media::time::CaptureTime;

use super::super::error::Error;
use super::super::faults::{self, Fault, FaultLog};
use super::super::findings::Finding;
use super::super::item::Item;
use super::super::options::{OnFault, RangeOptions};
use super::super::shared::Shared;

/// Faults of a range.
#[derive(Debug)]
pub struct Report {
    shared: Arc<Shared>,
    log: FaultLog,
    /// The first fault, as long as nothing could be used.
    only_fault: Option<(u64, Fault)>,
    /// Slices were left out, with a warning, as their parameter sets never came.
    lacks_sets: bool,
    /// An IDR picture was among them, so that more than the begin of the stream is missing.
    is_idr_lost: bool,
    are_missing_sets_reported: bool,
    is_empty_reported: bool,
}

impl Report {
    /// Returns the report of a range that has not begun.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            log: FaultLog::new(shared.options.names),
            shared,
            only_fault: None,
            lacks_sets: false,
            is_idr_lost: false,
            are_missing_sets_reported: false,
            is_empty_reported: false,
        }
    }

    /// Counts and reports the damage of the record at `time`, in µs since the Unix epoch.
    ///
    /// # Errors
    ///
    /// The damage, if it ends reading.
    pub fn note_damage(
        &mut self,
        time: u64,
        damage: Option<Damage>,
        lacks_idr: bool,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        self.is_idr_lost |= lacks_idr;
        if let Some(damage) = damage {
            // A stream that is joined before its first IDR picture is not broken.
            let is_broken = damage != Damage::NoParameterSets || self.is_idr_lost;
            if is_broken {
                return self.note_fault(time, Fault::Damage(damage), items);
            }
            self.lacks_sets = true;
            self.shared.first_without_sets.get_or_init(|| time);
        }
        self.log(time, damage.map(Fault::Damage), items);
        Ok(())
    }

    /// Counts and reports the fault of the record at `time`, in µs since the Unix epoch.
    ///
    /// # Errors
    ///
    /// The fault, if it ends reading.
    pub fn note_fault(
        &mut self,
        time: u64,
        fault: Fault,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        self.count(time, &fault);
        if self.shared.options.on_fault == OnFault::Stop {
            let names = &self.shared.options.names;
            let text = faults::describe(time, &fault, names);
            return Err(Error::Undecodable(format!(
                "{text}. With {} it would be left out",
                names.skip_faults
            )));
        }
        self.keep_first(time, &fault);
        self.log(time, Some(fault), items);
        Ok(())
    }

    /// Counts and reports the record at `time`, in µs since the Unix epoch, that is left out as a whole.
    ///
    /// # Errors
    ///
    /// The fault, if it ends reading.
    pub fn leave_out(
        &mut self,
        time: u64,
        fault: Fault,
        items: &mut VecDeque<Item>,
    ) -> Result<(), Error> {
        if self.shared.options.on_fault == OnFault::Stop {
            let names = &self.shared.options.names;
            return Err(Error::WrongType(faults::describe(time, &fault, names)));
        }
        self.count(time, &fault);
        self.keep_first(time, &fault);
        self.log(time, Some(fault), items);
        Ok(())
    }

    /// Notes that the record at `time`, in µs since the Unix epoch, has no fault.
    pub fn note_intact(&mut self, time: u64, items: &mut VecDeque<Item>) {
        self.log(time, None, items);
    }

    /// Reports the faults that are not reported yet.
    pub fn finish(&mut self, items: &mut VecDeque<Item>) {
        let mut texts = Vec::new();
        self.log.finish(&mut texts);
        items.extend(texts.into_iter().map(Item::Warning));
    }

    /// Returns a warning about the whole of a range, or `None` at its end. `is_explained`: frames were put out, or
    /// a warning said why not.
    ///
    /// # Errors
    ///
    /// The only fault, if nothing could be used: an export of nothing is no success.
    pub fn verdict(
        &mut self,
        options: &RangeOptions,
        is_explained: bool,
    ) -> Result<Option<Item>, Error> {
        let has_delivered = self.shared.stats.has_delivered();
        let is_unexplained = !is_explained && !self.lacks_sets && self.only_fault.is_none();
        if is_unexplained
            && let Some(asked) = options.asked
            && !mem::replace(&mut self.is_empty_reported, true)
            && let Some(warning) = self.shared.report_empty(asked)
        {
            return Ok(Some(warning));
        }
        if has_delivered {
            return Ok(None);
        }
        match self.only_fault.take() {
            Some((time, fault)) => Err(self.unusable(time, &fault)),
            None => self.report_missing_sets(options),
        }
    }

    /// Returns a warning, if a condition may leave out the parameter sets on purpose, or an error if nothing of all
    /// ranges was of use without them. A range that comes later may have them.
    fn report_missing_sets(&mut self, options: &RangeOptions) -> Result<Option<Item>, Error> {
        let Some(time) = self.shared.first_without_sets.get().copied() else {
            return Ok(None);
        };
        let is_end = options.is_last && !options.is_sought && !self.shared.access.follows();
        if !is_end || mem::replace(&mut self.are_missing_sets_reported, true) {
            return Ok(None);
        }
        let fault = Fault::Damage(Damage::NoParameterSets);
        if !self.shared.is_filtered {
            return Err(self.unusable(time, &fault));
        }
        Ok(Some(Item::Warning(format!(
            "No record that the condition ({}) picks can be used. {}. The condition may leave out \
             the records with SPS, PPS and IDR pictures",
            self.shared.options.names.condition,
            faults::describe(time, &fault, &self.shared.options.names)
        ))))
    }

    fn count(&self, time: u64, fault: &Fault) {
        self.shared.stats.damaged.fetch_add(1, Ordering::Relaxed);
        self.shared.find(|| Finding::Damaged {
            time: CaptureTime::from_useconds(time),
            fault: fault.clone(),
        });
    }

    fn keep_first(&mut self, time: u64, fault: &Fault) {
        if !self.shared.stats.has_delivered() {
            self.only_fault.get_or_insert_with(|| (time, fault.clone()));
        }
    }

    fn log(&mut self, time: u64, fault: Option<Fault>, items: &mut VecDeque<Item>) {
        let mut texts = Vec::new();
        self.log.note(time, fault, &mut texts);
        items.extend(texts.into_iter().map(Item::Warning));
    }

    /// Returns the error for a range of which nothing could be used.
    fn unusable(&self, time: u64, fault: &Fault) -> Error {
        let names = &self.shared.options.names;
        let text = faults::describe(time, fault, names);
        let text = format!("No record in the range can be used. {text}");
        match fault {
            Fault::ContentType { .. } => Error::WrongType(text),
            Fault::Damage(_) | Fault::NoMp4 | Fault::Time => Error::Undecodable(text),
        }
    }
}
