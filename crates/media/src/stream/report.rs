// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Faults of the records of a range, and the verdict on the whole of it.

use std::mem;

use super::config::StreamConfig;
use super::error::StreamError;
use super::faults::{Fault, FaultLog, describe};
use super::finding::Finding;
use super::names::OptionNames;
use super::on_fault::OnFault;
use super::results::Results;
use crate::codec::Damage;
use crate::time::CaptureTime;

/// Faults of a range.
#[derive(Debug)]
pub struct Report {
    on_fault: OnFault,
    is_filtered: bool,
    names: OptionNames,
    log: FaultLog,
    /// The first fault, as long as nothing could be used.
    only_fault: Option<(u64, Fault)>,
    /// Slices were left out, with a warning, as their parameter sets never came.
    lacks_sets: bool,
    /// An IDR picture was among them, so that more than the begin of the stream is missing.
    is_idr_lost: bool,
    are_missing_sets_reported: bool,
}

impl Report {
    /// Returns the report of a range that has not begun.
    pub fn new(config: &StreamConfig) -> Self {
        Self {
            on_fault: config.options.on_fault,
            is_filtered: config.is_filtered,
            names: config.options.names,
            log: FaultLog::new(config.options.names),
            only_fault: None,
            lacks_sets: false,
            is_idr_lost: false,
            are_missing_sets_reported: false,
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
        results: &mut Results,
    ) -> Result<(), StreamError> {
        self.is_idr_lost |= lacks_idr;
        if let Some(damage) = damage {
            // A stream that is joined before its first IDR picture is not broken.
            let is_broken = damage != Damage::NoParameterSets || self.is_idr_lost;
            if is_broken {
                return self.note_fault(time, Fault::Damage(damage), results);
            }
            self.lacks_sets = true;
            results.memory.first_without_sets.get_or_insert(time);
        }
        self.log(time, damage.map(Fault::Damage), results);
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
        results: &mut Results,
    ) -> Result<(), StreamError> {
        let ends_reading = self.on_fault == OnFault::Stop;
        let is_foreign = matches!(fault, Fault::ContentType { .. } | Fault::Time);
        if ends_reading && is_foreign {
            return Err(StreamError::WrongType(describe(time, &fault, &self.names)));
        }
        results.counts.damaged += 1;
        results.find(|| Finding::Damaged {
            time: CaptureTime::from_useconds(time),
            fault: fault.clone(),
        });
        if ends_reading {
            let advice = (self.names.skip_faults)
                .map(|option| format!(". With {option} it would be left out"))
                .unwrap_or_default();
            let text = describe(time, &fault, &self.names);
            return Err(StreamError::Undecodable(text + &advice));
        }
        if !results.memory.is_of_use {
            self.only_fault.get_or_insert_with(|| (time, fault.clone()));
        }
        self.log(time, Some(fault), results);
        Ok(())
    }

    /// Notes that the record at `time`, in µs since the Unix epoch, is of use and has no fault.
    pub fn note_intact(&mut self, time: u64, results: &mut Results) {
        self.log(time, None, results);
        results.memory.is_of_use = true;
    }

    /// Reports the faults that are not reported yet.
    pub fn finish(&mut self, results: &mut Results) {
        let mut texts = Vec::new();
        self.log.finish(&mut texts);
        texts.into_iter().for_each(|text| results.warn(text));
    }

    /// Returns whether a fault explains that there are no frames.
    pub fn explains_emptiness(&self) -> bool {
        self.lacks_sets || self.only_fault.is_some()
    }

    /// Returns a warning about the whole of a range, or `None` at its end. No range `is_last` that others follow, which
    /// may have the parameter sets that were missing.
    ///
    /// # Errors
    ///
    /// The only fault, if nothing could be used: an export of nothing is no success.
    pub fn verdict(
        &mut self,
        is_last: bool,
        results: &Results,
    ) -> Result<Option<String>, StreamError> {
        if results.memory.is_of_use {
            return Ok(None);
        }
        if let Some((time, fault)) = self.only_fault.take() {
            return Err(self.unusable(time, &fault));
        }
        let Some(time) = results.memory.first_without_sets else {
            return Ok(None);
        };
        if !is_last || mem::replace(&mut self.are_missing_sets_reported, true) {
            return Ok(None);
        }
        let fault = Fault::Damage(Damage::NoParameterSets);
        // A condition may leave out the parameter sets on purpose.
        if !self.is_filtered {
            return Err(self.unusable(time, &fault));
        }
        Ok(Some(format!(
            "No record that the condition{} picks can be used. {}. The condition may leave out \
             the records with SPS, PPS and IDR pictures",
            (self.names.condition)
                .map(|option| format!(" ({option})"))
                .unwrap_or_default(),
            describe(time, &fault, &self.names)
        )))
    }

    fn log(&mut self, time: u64, fault: Option<Fault>, results: &mut Results) {
        let mut texts = Vec::new();
        self.log.note(time, fault, &mut texts);
        texts.into_iter().for_each(|text| results.warn(text));
    }

    /// Returns the error for a range of which nothing could be used.
    fn unusable(&self, time: u64, fault: &Fault) -> StreamError {
        let text = describe(time, fault, &self.names);
        let text = format!("No record in the range can be used. {text}");
        match fault {
            Fault::ContentType { .. } => StreamError::WrongType(text),
            Fault::Damage(_) | Fault::Empty | Fault::NoMp4 | Fault::Time => {
                StreamError::Undecodable(text)
            }
        }
    }
}
