// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! The files that splitmuxsink opens and closes: what they are called, how they are completed, and what
//! is posted about them.

use std::io;
use std::sync::atomic::Ordering;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::CAT;
use super::children::{Children, NO_FILE};
use super::files::{Files, Finished, Target};
use super::imp::ReductEpisodeSplit;
use super::location;
use super::moov::{self, Description};
use super::part::{Access, PartFile};
use super::policy::Episode;

impl ReductEpisodeSplit {
    /// Has splitmuxsink ask for each file.
    pub(super) fn name_files_of(&self, children: &Children) {
        let weak = self.downgrade();
        children
            .splitter
            .connect_closure("format-location-full", false, {
                glib::closure!(move |_: &gst::Element, _index: u32, sample: &gst::Sample| {
                    let imp = weak.upgrade();
                    imp.map_or_else(|| NO_FILE.into(), |imp| imp.file_to_open(sample))
                })
            });
    }

    /// The file that splitmuxsink asks for, in its output thread.
    fn file_to_open(&self, sample: &gst::Sample) -> String {
        let target = self.files(Files::open);
        match target {
            Some(Target::File(name)) => self.create_file(&name),
            Some(Target::Nowhere) => NO_FILE.into(),
            // Without a buffer the stream has ended, and splitmuxsink writes a file all the same.
            None => {
                if sample.buffer().is_some() {
                    self.fail(gst::error_msg!(
                        gst::CoreError::Failed,
                        ("splitmuxsink begins a file that no episode belongs to")
                    ));
                }
                NO_FILE.into()
            }
        }
    }

    /// Creates the file of an episode. Returns by what name splitmuxsink opens it.
    fn create_file(&self, name: &str) -> String {
        let access = match self.uploads() {
            Some(_) => Access::Private,
            None => Access::Usual,
        };
        match PartFile::create(name, access) {
            Ok(part) => {
                let to_write = part.to_write();
                *self.part.lock().unwrap() = Some(part);
                to_write
            }
            Err(err) => {
                let part = location::part(name);
                let text = match err.kind() {
                    io::ErrorKind::InvalidInput => format!("Could not write an episode: {err}"),
                    _ => format!("Could not create {part}: {err}"),
                };
                let code = code(&err, gst::ResourceError::OpenWrite);
                self.fail(gst::error_msg!(code, ("{text}")));
                NO_FILE.into()
            }
        }
    }

    /// splitmuxsink has opened a file: the message about it goes on with the file's name.
    pub(super) fn tell_of_opened(&self, opened: &gst::Message) {
        let name = self.files(|files| files.open_name().map(location::part));
        let structure = opened.structure().map(ToOwned::to_owned);
        if let (Some(name), Some(mut structure)) = (name, structure) {
            structure.set("location", name);
            self.post(structure, opened.src());
        }
    }

    /// splitmuxsink has closed a file: it gets its name, and `closed`, the message about it, goes
    /// on with that.
    pub(super) fn complete_file(&self, closed: &gst::Message) {
        // It also says so of a file that it could not write to the end.
        if self.has_failed() {
            return;
        }
        let finished = self.files(Files::close);
        let part = self.part.lock().unwrap().take();
        let (Some(finished), Some(part)) = (finished, part) else {
            return;
        };
        let uploads = self.uploads();
        let Finished { name, episode, .. } = &finished;
        let written = finish(part, &finished.description, uploads.is_none());
        let (bytes, hides) = match written {
            Ok(written) => written,
            Err(err) => {
                let code = code(&err, gst::ResourceError::Write);
                let part = location::part(name);
                self.fail(gst::error_msg!(
                    code,
                    ("Could not finish {part} as {name}: {err}")
                ));
                return;
            }
        };
        if !hides && !self.has_shown_hidden.swap(true, Ordering::SeqCst) {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                (
                    "{name} also shows what only a decoder needs, {} access units: with these \
                     muxer-properties it has no room for an edit list. So may later files, as the \
                     field hidden of their messages says",
                    episode.hidden
                )
            );
        }
        gst::info!(CAT, imp = self, "{name} is complete: {episode:?}");
        if let Some(structure) = closed.structure() {
            let mut structure = structure.to_owned();
            let location = match &uploads {
                None => name.clone(),
                Some(_) => location::part(name),
            };
            structure.set("location", location);
            self.post(structure, closed.src());
        }
        match uploads {
            Some(uploads) => self.queue_upload(&uploads, finished, bytes),
            None => {
                self.count_complete(episode);
                let obj = self.obj();
                self.post(message(name, episode, bytes), Some(obj.upcast_ref()));
            }
        }

        let failure = self.files(Files::take_failure);
        if let Some(error) = failure {
            self.fail(self.location_error(&error));
        }
    }

    /// Names the file that is being written in an error of an element that writes it.
    pub(super) fn with_file_name(&self, message: gst::Message) -> gst::Message {
        let gst::MessageView::Error(view) = message.view() else {
            return message;
        };
        let name = self.files(|files| files.open_name().map(location::part));
        let error = view.error();
        let (Some(name), Some(kind)) = (name, error.kind::<gst::ResourceError>()) else {
            return message;
        };
        if error.message().contains(&name) {
            return message;
        }
        let text = format!("Could not write {name}: {}", error.message());
        gst::message::Error::builder(kind, &text)
            .debug_if_some(view.debug().as_deref())
            .src_if_some(message.src())
            .build()
    }

    /// An episode is where it is to be.
    pub(super) fn count_complete(&self, episode: &Episode) {
        if let Some(cutter) = self.cutter().as_mut() {
            cutter.files.count(episode);
        }
    }
}

/// Returns the code of an error of the file system, `other` if it has none of its own.
fn code(error: &io::Error, other: gst::ResourceError) -> gst::ResourceError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            gst::ResourceError::NoSpaceLeft
        }
        _ => other,
    }
}

/// Completes the header of a file, and gives it its name, if it is `named` now. Returns its size, and
/// whether all is hidden that is to be.
fn finish(mut part: PartFile, description: &Description, named: bool) -> io::Result<(u64, bool)> {
    let hides = moov::describe(part.file(), description)?;
    let bytes = part.size()?;
    if named {
        part.publish()?;
    }
    Ok((bytes, hides))
}

/// The message `reduct-episode` about an episode that is where it is to be.
pub(super) fn message(name: &str, episode: &Episode, bytes: u64) -> gst::Structure {
    gst::Structure::builder("reduct-episode")
        .field("index", episode.index)
        .field("location", name)
        .field_if_some("start", episode.capture.map(|time| time.useconds()))
        .field("duration", episode.duration)
        .field("frames", episode.frames)
        .field("hidden", episode.hidden)
        .field("corrupted", episode.corrupted)
        .field("dropped", episode.dropped)
        .field("bytes", bytes)
        .field("reason", episode.reason.name())
        .build()
}
