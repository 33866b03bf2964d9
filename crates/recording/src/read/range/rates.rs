// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Declared frame rates of records, and the warnings about those that cannot be used.

use std::collections::VecDeque;
use std::sync::Arc;

use client::Record;
use media::codec::h264::VuiFrameRate;
use media::frame_rate::FrameRate;
use media::time::CaptureTime;
use media::timeline::{Declarations, DeclaredRate, EXPECTED, Timeline};

use super::super::findings::Finding;
use super::super::item::Item;
use super::super::shared::Shared;

/// Characters of text from outside that a message repeats.
const MAX_SHOWN: usize = 100;

/// Declared frame rates of a range.
#[derive(Debug)]
pub struct DeclaredRates {
    shared: Arc<Shared>,
    declarations: Declarations,
}

impl DeclaredRates {
    /// Returns the rates of a range of which the attachment is not known yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        let declarations = Declarations {
            attachment: None,
            option: shared.options.frame_rate,
        };
        Self {
            shared,
            declarations,
        }
    }

    /// Takes over the frame rate in the attachment `$video`, if it has one.
    pub fn set_attachment(
        &mut self,
        attached: &Result<Option<String>, String>,
        items: &mut VecDeque<Item>,
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
        if self.shared.stats.rates.is_first_unreadable() {
            items.push_back(Item::Warning(fault));
        }
    }

    /// Returns the declared rate of a record: label, attachment, option, VUI, the first that is a frame rate.
    pub fn declared(
        &self,
        record: &Record,
        vui: Option<VuiFrameRate>,
        items: &mut VecDeque<Item>,
    ) -> Option<DeclaredRate> {
        let label = record.frame_rate.as_deref();
        if let Some(label) = label
            && FrameRate::parse(label).is_none()
        {
            let time = CaptureTime::from_useconds(record.time);
            self.shared.find(|| Finding::FrameRateLabel {
                time,
                label: label.chars().take(MAX_SHOWN).collect(),
            });
            if self.shared.stats.rates.is_first_unreadable() {
                items.push_back(Item::Warning(format!(
                    "The label fps of the record at {time} is no frame rate, {EXPECTED}: {label:?}. It has no \
                     effect, in other records either"
                )));
            }
        }
        self.declarations.choose(label, vui)
    }

    /// Updates the rates in the counters, and warns once of a declared one that record times contradict.
    pub fn report(&self, timeline: &mut Timeline, items: &mut VecDeque<Item>) {
        let (declared, observed) = timeline.rates();
        let declared = declared.map(|declared| declared.rate);
        self.shared.stats.rates.set(declared, observed);
        let Some(contradiction) = timeline.take_contradiction() else {
            return;
        };
        self.shared.find(|| Finding::FrameRate(contradiction));
        let names = &self.shared.options.names.timeline;
        let text = format!(
            "At {} {}",
            contradiction.time,
            contradiction.describe(names)
        );
        // Records that a condition leaves out are no contradiction.
        if self.shared.is_filtered || !self.shared.stats.rates.is_first_contradiction() {
            tracing::info!("{text}");
            return;
        }
        items.push_back(Item::Warning(text));
    }
}
