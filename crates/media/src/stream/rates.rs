// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Declared frame rates of records, and the warnings about those that cannot be used.

use std::mem;

use super::config::StreamConfig;
use super::finding::Finding;
use super::record_tag::RecordTag;
use super::results::Results;
use crate::codec::h264::VuiFrameRate;
use crate::frame_rate::FrameRate;
use crate::time::CaptureTime;
use crate::timeline::{Declarations, DeclaredRate, EXPECTED, Timeline, TimelineNames};

/// Characters of text from outside that a message repeats.
const MAX_SHOWN: usize = 100;

/// Declared frame rates of a range.
#[derive(Debug)]
pub struct DeclaredRates {
    declarations: Declarations,
    is_filtered: bool,
    names: TimelineNames,
}

impl DeclaredRates {
    /// Returns the rates of a range of which the attachment is not known yet.
    pub fn new(config: &StreamConfig) -> Self {
        Self {
            declarations: Declarations {
                attachment: None,
                option: config.options.frame_rate,
            },
            is_filtered: config.is_filtered,
            names: config.options.names.timeline,
        }
    }

    /// Takes over the frame rate in the attachment `$video`, if it has one.
    pub fn set_attachment(
        &mut self,
        attached: &Result<Option<String>, String>,
        results: &mut Results,
    ) {
        let fault = match attached {
            Ok(None) => return,
            Ok(Some(text)) => match FrameRate::parse(text) {
                Some(rate) => {
                    self.declarations.attachment = Some(rate);
                    return;
                }
                None => {
                    let text: String = text.chars().take(MAX_SHOWN).collect();
                    format!("fps in the attachment $video is no frame rate, {EXPECTED}: {text:?}")
                }
            },
            Err(fault) => format!("The attachment $video is not used: {fault}"),
        };
        self.declarations.attachment = None;
        report_unreadable(results, || fault);
    }

    /// Returns the declared rate of a record: label, attachment, option, VUI, the first that is a frame rate.
    pub fn declared(
        &self,
        record: &RecordTag,
        vui: Option<VuiFrameRate>,
        results: &mut Results,
    ) -> Option<DeclaredRate> {
        let label = record.frame_rate.as_deref();
        if let Some(label) = label
            && FrameRate::parse(label).is_none()
        {
            let time = CaptureTime::from_useconds(record.time);
            results.find(|| Finding::FrameRateLabel {
                time,
                label: label.chars().take(MAX_SHOWN).collect(),
            });
            report_unreadable(results, || {
                format!(
                    "The label fps of the record at {time} is no frame rate, {EXPECTED}: {label:?}. It has no \
                     effect, in other records either"
                )
            });
        }
        self.declarations.choose(label, vui)
    }

    /// Warns once of a declared rate that record times contradict.
    pub fn report(&self, timeline: &mut Timeline, results: &mut Results) {
        let Some(contradiction) = timeline.take_contradiction() else {
            return;
        };
        results.find(|| Finding::FrameRate(contradiction));
        let text = format!(
            "At {} {}",
            contradiction.time,
            contradiction.describe(&self.names)
        );
        // Records that a condition leaves out are no contradiction.
        let is_reported =
            self.is_filtered || mem::replace(&mut results.memory.is_contradiction_reported, true);
        if is_reported {
            tracing::info!("{text}");
            return;
        }
        results.warn(text);
    }
}

/// Warns of a declared rate that is none, once.
fn report_unreadable(results: &mut Results, fault: impl FnOnce() -> String) {
    if !mem::replace(&mut results.memory.is_unreadable_rate_reported, true) {
        results.warn(fault());
    }
}
