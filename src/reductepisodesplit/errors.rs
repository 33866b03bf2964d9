// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors of the bin: the first one of a run is posted, and stops its work.

use std::sync::atomic::Ordering;

use gst::subclass::prelude::*;
use media::cut::names::LocationError;

use super::element::ReductEpisodeSplit;
use super::{CAT, address};
use crate::lock::lock;

impl ReductEpisodeSplit {
    /// Posts an error, unless there was one before, whose consequence it may be. Returns whether it was posted.
    pub(super) fn fail(&self, message: gst::ErrorMessage) -> bool {
        let is_first = self.begin_to_fail();
        if is_first {
            gst::error!(CAT, imp = self, "{message}");
            self.post_error_message(message);
        }
        is_first
    }

    /// Marks the run as failed. Returns whether it was not before.
    pub(super) fn begin_to_fail(&self) -> bool {
        let is_first = !self.failed.swap(true, Ordering::SeqCst);
        if let Some(uploads) = self.uploads() {
            uploads.give_up();
        }
        self.give_up_publishing();
        is_first
    }

    /// Returns whether there was an error in this run.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    pub(super) fn location_error(&self, error: &LocationError) -> gst::ErrorMessage {
        let location = lock(&self.settings).location.clone();
        if address::is_address(&location) && *error == LocationError::NoCaptureTime {
            return gst::error_msg!(
                gst::ResourceError::Settings,
                ("An episode cannot become a record of {location}: the time of a record is the \
                  capture time, and the buffers have none (GstReferenceTimestampMeta with the caps \
                  timestamp/x-unix)")
            );
        }
        let why = match error {
            LocationError::BadFormat => {
                "is no file name pattern: it may have one printf form of %d, and other % as %%"
            }
            LocationError::NoCaptureTime => {
                "has a capture time, but the buffers have none (GstReferenceTimestampMeta with the \
                 caps timestamp/x-unix)"
            }
            LocationError::SameName => {
                "gives two episodes one name, and the second would overwrite the first: add %05d"
            }
        };
        gst::error_msg!(
            gst::ResourceError::Settings,
            ("The property location '{location}' {why}")
        )
    }
}
