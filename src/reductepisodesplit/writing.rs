// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Files that splitmuxsink opens and closes: their names, their completion, and the messages about them.

use std::io;
use std::sync::atomic::Ordering;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use media::cut::policy::Episode;
use media::cut::{FileTarget, Files, Finished, names};

use super::CAT;
use super::children::{Children, NO_FILE};
use super::complete;
use super::element::ReductEpisodeSplit;
use super::part::{Access, PartFile};
use super::publish_queue::Closed;
use crate::lock::lock;

impl ReductEpisodeSplit {
    /// Connects to the signal by which splitmuxsink asks for the name of each file.
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

    /// Returns the name of the next file. Called in the output thread of splitmuxsink.
    fn file_to_open(&self, sample: &gst::Sample) -> String {
        let target = self.files(Files::open);
        match target {
            Some(FileTarget::File(name)) => self.create_file(&name),
            Some(FileTarget::Nowhere) => NO_FILE.into(),
            // Without a buffer the stream has ended, and splitmuxsink still writes a file.
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

    /// Creates the file of an episode. Returns the name by which splitmuxsink opens it.
    fn create_file(&self, name: &str) -> String {
        let access = match self.uploads() {
            Some(_) => Access::Private,
            None => Access::Usual,
        };
        match PartFile::create(name, access) {
            Ok(part) => {
                let to_write = part.to_write();
                *lock(&self.part) = Some(part);
                to_write
            }
            Err(err) => {
                let part = names::part(name);
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

    /// Posts the message of splitmuxsink about a file that it has opened, with the name of the file.
    pub(super) fn tell_of_opened(&self, opened: &gst::Message) {
        let name = self.files(|files| files.open_name().map(names::part));
        let structure = opened.structure().map(ToOwned::to_owned);
        if let (Some(name), Some(mut structure)) = (name, structure) {
            structure.set("location", name);
            self.post(structure, opened.src());
        }
    }

    pub(super) fn post(&self, structure: gst::Structure, src: Option<&gst::Object>) {
        let message = gst::message::Element::builder(structure)
            .src_if_some(src)
            .build();
        if let Err(err) = self.obj().post_message(message) {
            gst::debug!(CAT, imp = self, "{err}");
        }
    }

    /// Takes over a file that splitmuxsink has closed. The message about it, `closed`, is posted when the file
    /// has its name, or is queued for upload.
    pub(super) fn take_closed(&self, closed: &gst::Message) {
        // splitmuxsink also closes a file that it could not write to the end.
        if self.has_failed() {
            return;
        }
        let finished = self.files(Files::close);
        let written = self.children().map(|children| children.take_written());
        if let Some((finished, written)) = finished.as_ref().zip(written)
            && written != finished.episode.samples()
        {
            self.fail_to_cut(finished, written);
            return;
        }
        let part = lock(&self.part).take();
        let (Some(finished), Some(mut part)) = (finished, part) else {
            return;
        };
        match self.uploads() {
            Some(uploads) => match self.complete(&mut part, &finished) {
                Ok(bytes) => {
                    self.tell_of_closed(closed, &names::part(&finished.name));
                    self.queue_upload(&uploads, finished, bytes);
                }
                Err(err) => self.fail_to_finish(&finished.name, &err),
            },
            None => {
                let captures =
                    (self.run().as_mut()).and_then(|run| run.take_captures(finished.episode.index));
                self.publish(Closed {
                    part,
                    finished,
                    captures,
                    message: closed.clone(),
                });
            }
        }
        if let Some(error) = self.files(Files::take_failure) {
            match self.uploads() {
                Some(_) => {
                    self.fail(self.location_error(&error));
                }
                None => self.fail_after_files(error),
            }
        }
    }

    /// Posts that a file has other access units than its episode.
    fn fail_to_cut(&self, finished: &Finished, written: u64) {
        let part = names::part(&finished.name);
        let samples = finished.episode.samples();
        self.fail(gst::error_msg!(
            gst::CoreError::Failed,
            (
                "splitmuxsink has not cut where an episode begins: {part} has {written} access units, and its \
                 episode {samples}"
            )
        ));
    }

    /// Waits until there is room for another complete file. No lock may be held.
    pub(super) fn wait_for_room(&self) -> Result<(), gst::FlowError> {
        let has_room = match self.uploads() {
            Some(uploads) => uploads.wait_for_room(),
            None => self.has_room_to_publish(),
        };
        has_room.then_some(()).ok_or(gst::FlowError::Flushing)
    }

    /// Queues EOS of splitmuxsink behind the episodes before it.
    pub(super) fn take_eos(&self, eos: gst::Message) {
        match self.uploads() {
            Some(uploads) => uploads.end(eos),
            None => self.end_after_files(eos),
        }
    }

    /// Completes the header of a file. Returns its size in bytes.
    pub(super) fn complete(&self, part: &mut PartFile, finished: &Finished) -> io::Result<u64> {
        let hides = complete::describe(part.file(), &finished.description)?;
        if !hides && !self.has_shown_hidden.swap(true, Ordering::SeqCst) {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                (
                    "{} also shows what only a decoder needs, {} access units: with these \
                     muxer-properties it has no room for an edit list. So may later files, as the \
                     field hidden of their messages says",
                    finished.name,
                    finished.episode.hidden
                )
            );
        }
        part.size()
    }

    /// Posts that a file could not be completed.
    pub(super) fn fail_to_finish(&self, name: &str, error: &io::Error) {
        let code = code(error, gst::ResourceError::Write);
        let part = names::part(name);
        self.fail(gst::error_msg!(
            code,
            ("Could not finish {part} as {name}: {error}")
        ));
    }

    /// Posts the message of splitmuxsink about a file that it has closed, with the name that the file has now.
    pub(super) fn tell_of_closed(&self, closed: &gst::Message, name: &str) {
        if let Some(structure) = closed.structure() {
            let mut structure = structure.to_owned();
            structure.set("location", name);
            self.post(structure, closed.src());
        }
    }

    /// Adds the name of the open file to an error of the elements that write it.
    pub(super) fn with_file_name(&self, message: gst::Message) -> gst::Message {
        let gst::MessageView::Error(view) = message.view() else {
            return message;
        };
        let name = self.files(|files| files.open_name().map(names::part));
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

    /// Counts an episode that is complete under its final name or address.
    pub(super) fn count_complete(&self, episode: &Episode) {
        if let Some(run) = self.run().as_mut() {
            run.files.count(episode);
        }
    }
}

/// Returns the code of an error of the file system, `other` if it has none of its own.
pub(super) fn code(error: &io::Error, other: gst::ResourceError) -> gst::ResourceError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            gst::ResourceError::NoSpaceLeft
        }
        _ => other,
    }
}
