// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Life cycle of the bin: its children, and the begin and end of a run.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use gst::prelude::*;
use gst::subclass::prelude::*;
use media::cut::names::{self, Pattern};
use media::cut::policy::Config;
use media::cut::{FileSettings, Files, KeyframeMode};
use media::mp4::Timescale;

use super::children::Children;
use super::element::ReductEpisodeSplit;
use super::run::Run;
use super::{CAT, IndexFormat, SplitMode, address, messages};
use crate::convert::ToNanos;
use crate::lock::lock;

impl ReductEpisodeSplit {
    /// Returns the state of this run. Nothing may be called while it is locked.
    pub(super) fn run(&self) -> MutexGuard<'_, Option<Run>> {
        lock(&self.run)
    }

    /// Applies a function to the files of this run.
    pub(super) fn files<T>(&self, ask: impl FnOnce(&mut Files) -> Option<T>) -> Option<T> {
        ask(&mut self.run().as_mut()?.files)
    }

    pub(super) fn children(&self) -> Option<Children> {
        lock(&self.children).clone()
    }

    pub(super) fn make_children(&self) -> Result<(), gst::ErrorMessage> {
        let children = Children::new()?;
        let obj = self.obj();
        let added = children.add_to(obj.upcast_ref());
        added.map_err(|err| gst::error_msg!(gst::CoreError::Failed, ["{err}"]))?;

        if let Err(err) = self.sink_pad.set_target(Some(&children.input)) {
            return Err(gst::error_msg!(gst::CoreError::Failed, ["{err}"]));
        }
        self.name_files_of(&children);
        *lock(&self.children) = Some(children);
        Ok(())
    }

    pub(super) fn remove_children(&self) {
        self.has_run.store(false, Ordering::SeqCst);
        let children = lock(&self.children).take();
        if let Some(children) = children {
            let _ = self.sink_pad.set_target(None::<&gst::Pad>);
            if let Err(err) = children.remove_from(self.obj().upcast_ref()) {
                gst::warning!(CAT, imp = self, "{err}");
            }
        }
    }

    /// Sets the state of splitmuxsink, which is locked, before that of the other children.
    pub(super) fn change_splitter_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<(), gst::StateChangeError> {
        let Some(children) = self.children() else {
            return Ok(());
        };
        match transition {
            gst::StateChange::ReadyToPaused => children.start_splitter(),
            gst::StateChange::PausedToReady | gst::StateChange::ReadyToNull => {
                // On the way down, an error does not keep the other children from stopping.
                if let Err(err) = children.stop_splitter(transition.next()) {
                    gst::warning!(CAT, imp = self, "{err}");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Prepares a run: checks the settings and makes its state.
    pub(super) fn begin_run(&self) -> Result<(), gst::ErrorMessage> {
        self.failed.store(false, Ordering::SeqCst);
        self.has_shown_hidden.store(false, Ordering::SeqCst);
        *lock(&self.eos) = None;
        if self.has_run.swap(false, Ordering::SeqCst) {
            // splitmuxsink 1.22 keeps state of its last stream in READY.
            self.remove_children();
            self.make_children()?;
        }
        let settings = lock(&self.settings).clone();
        if media::cut::KeyframeMode::from(settings.keyframe_mode) != KeyframeMode::Idr
            && settings.split_mode == SplitMode::AtMost
        {
            // Whether a group begins an episode is known at its end, when its pictures to be dropped have been
            // pushed.
            return Err(gst::error_msg!(
                gst::ResourceError::Settings,
                (
                    "keyframe-mode={} does not go with split-mode=at-most",
                    messages::keyframe_mode(settings.keyframe_mode.into()).1
                )
            ));
        }
        if settings.index != IndexFormat::None && address::is_address(&settings.location) {
            return Err(gst::error_msg!(
                gst::ResourceError::Settings,
                (
                    "index=parquet does not go with location={}: an index is a file beside the file of an \
                     episode, and these episodes become records",
                    settings.location
                )
            ));
        }
        if let (Some(children), Some(properties)) =
            (self.children(), settings.muxer_properties.as_ref())
        {
            children.configure_muxer(properties)?;
        }
        let config = Config {
            mode: settings.split_mode.into(),
            keyframes: settings.keyframe_mode.into(),
            duration: settings.duration.nanos(),
            size: settings.size,
            gap_detection: settings.gap_detection,
        };
        let pattern = match address::is_address(&settings.location) {
            true => self.begin_uploads(&settings.location)?,
            false => {
                let pattern = Pattern::new(&settings.location);
                let pattern = pattern.map_err(|error| self.location_error(&error))?;
                self.begin_publishing()?;
                pattern
            }
        };
        let timescale = settings.muxer_properties.as_ref().and_then(|properties| {
            let units = properties.value("trak-timescale").ok()?;
            let units = match units.get::<&str>() {
                Ok(text) => text.parse().ok()?,
                Err(_) => units.transform::<u32>().ok()?.get::<u32>().ok()?,
            };
            Timescale::new(units)
        });
        let files = FileSettings {
            timescale,
            header: self
                .children()
                .map_or_else(Default::default, |it| it.header()),
        };
        *self.run() = Some(Run::new(config, pattern, files, settings.index));
        Ok(())
    }

    pub(super) fn end_run(&self) {
        self.has_run.store(true, Ordering::SeqCst);
        *lock(&self.part) = None;
        self.end_publishing();
        let open = self.files(|files| files.open_name().map(names::part));
        let is_uploaded = self.uploads().is_some();
        let rest = self.end_uploads(open.as_deref());
        let incomplete = match open.filter(|_| !self.has_failed()) {
            Some(_) if is_uploaded => Some("the last episode is incomplete and lost".to_owned()),
            Some(part) => Some(format!("the last episode is incomplete and stays {part}")),
            None => None,
        };
        let text = match (incomplete, rest) {
            (None, None) => return,
            (None, Some(rest)) => rest,
            (Some(incomplete), None) => {
                format!("Stopped before the end of the stream: {incomplete}")
            }
            (Some(incomplete), Some(rest)) => {
                format!("Stopped before the end of the stream: {incomplete}. {rest}")
            }
        };
        gst::element_imp_warning!(self, gst::ResourceError::Write, ("{text}"));
    }

    /// Forwards EOS of splitmuxsink, after all files and records.
    pub(super) fn pass_eos(&self, message: gst::Message) {
        *lock(&self.eos) = Some(message.clone());
        self.parent_handle_message(message);
    }

    /// Repeats EOS in PLAYING: GstBin drops it in PAUSED and expects sinks to post it again, but splitmuxsink stays
    /// in PLAYING.
    pub(super) fn repeat_eos(&self) {
        let eos = lock(&self.eos).clone();
        if let Some(eos) = eos {
            self.parent_handle_message(eos);
        }
    }
}
