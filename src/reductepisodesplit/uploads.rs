// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Uploads of episodes that become records: their thread, and the messages about them. EOS follows the last one.

use std::fs;
use std::sync::Arc;

use client::{Failure, Uploaded};
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use media::cut::Finished;
use media::cut::names::{self, Pattern};
use recording::{EpisodeFile, EpisodeUploader, UploadEvent};
use tempfile::TempDir;

use super::CAT;
use super::address::Address;
use super::element::ReductEpisodeSplit;
use super::messages::reduct_episode;
use super::upload_state::{Running, Uploads, not_uploaded};
use crate::errors::{details, resource_error};
use crate::lock::lock;
use crate::runtime::block_broken_pipe;

impl ReductEpisodeSplit {
    /// Returns the uploads of this run, or `None` if its episodes are files.
    pub(super) fn uploads(&self) -> Option<Arc<Uploads>> {
        let running = lock(&self.uploads);
        running.as_ref().map(|running| running.uploads.clone())
    }

    /// Prepares uploads to an address and starts their thread. Returns the pattern of names of the temporary files.
    pub(super) fn begin_uploads(&self, location: &str) -> Result<Pattern, gst::ErrorMessage> {
        let settings = |text: &str| {
            gst::error_msg!(
                gst::ResourceError::Settings,
                ("The property location '{location}' is no address of an entry: {text}")
            )
        };
        let token = lock(&self.settings).api_token.clone();
        let address = Address::new(location, &token).map_err(|text| settings(&text))?;
        let (uploads, uploader) = Uploads::new(address)?;
        let uploads = Arc::new(uploads);
        let pattern = uploads.pattern().ok_or_else(|| {
            gst::error_msg!(
                gst::ResourceError::Settings,
                ("The folder for temporary files, which TMPDIR names, is no UTF-8")
            )
        })?;
        let thread = self.start_worker("reduct-upload", "uploads", {
            let (uploads, weak) = (uploads.clone(), self.downgrade());
            move || upload_all(&uploads, uploader, &weak)
        })?;
        *lock(&self.uploads) = Some(Running {
            uploads,
            thread: Some(thread),
        });
        Ok(pattern)
    }

    /// Cancels uploads, also one in progress. The files of the others stay for now.
    pub(super) fn stop_uploads(&self) {
        let (uploads, thread) = {
            let mut running = lock(&self.uploads);
            let Some(running) = running.as_mut() else {
                return;
            };
            (running.uploads.clone(), running.thread.take())
        };
        uploads.stop();
        if let Some(thread) = thread {
            self.join_worker(thread);
        }
    }

    /// Ends the uploads of a run and removes `open`, an incomplete file. Returns a text that names the files that are
    /// complete and not uploaded.
    pub(super) fn end_uploads(&self, open: Option<&str>) -> Option<String> {
        self.stop_uploads();
        let running = lock(&self.uploads).take()?;
        let kept = running.uploads.keep_what_waits();
        if kept.is_empty() {
            let folder = lock(&running.uploads.folder).take();
            if let Some(Err(err)) = folder.map(TempDir::close) {
                gst::warning!(CAT, imp = self, "The temporary folder stays: {err}");
            }
        } else if let Some(open) = open {
            let _ = fs::remove_file(open);
        }
        not_uploaded(&kept)
    }

    /// Queues the upload of a complete file.
    pub(super) fn queue_upload(&self, uploads: &Uploads, finished: Finished, bytes: u64) {
        let queued = uploads.queue.push(EpisodeFile {
            path: names::part(&finished.name).into(),
            bytes,
            episode: finished.episode,
            frame_rate: finished.frame_rate,
        });
        if let Err(err) = queued {
            gst::error!(CAT, imp = self, "{err}"); // Without a time the file had no name.
        }
    }

    fn handle_upload_event(&self, uploads: &Uploads, event: UploadEvent) {
        match event {
            UploadEvent::Uploaded {
                file,
                time,
                uploaded,
            } => {
                let address = uploads.address.of_record(time.useconds());
                self.complete_record(&address, &file, uploaded);
            }
            UploadEvent::Retrying(text) => {
                gst::element_imp_warning!(self, gst::ResourceError::Write, ("{text}"));
            }
            UploadEvent::Mark => {
                if let Some(eos) = uploads.take_eos() {
                    self.pass_eos(eos);
                }
            }
            UploadEvent::Failed(failure) => self.fail_uploads(uploads, &failure),
        }
    }

    /// Posts the message about a record that the server has acknowledged, and removes its file.
    fn complete_record(&self, address: &str, file: &EpisodeFile, uploaded: Uploaded) {
        let EpisodeFile {
            path,
            bytes,
            episode,
            ..
        } = file;
        if let Err(err) = fs::remove_file(path) {
            gst::warning!(CAT, imp = self, "{} stays: {err}", path.display());
        }
        let remark = match uploaded {
            Uploaded::Written => None,
            Uploaded::WasThere => {
                Some("is there already, with the same length, and is not written again")
            }
            Uploaded::Presumed => Some(
                "is taken for written: the answer to its upload was lost, there is a record of its time, \
                 and the API token does not allow to look at it",
            ),
        };
        if let Some(remark) = remark {
            gst::element_imp_warning!(self, gst::ResourceError::Write, ("{address} {remark}"));
        }
        gst::info!(CAT, imp = self, "{address} is written: {episode:?}");
        self.count_complete(episode);
        let obj = self.obj();
        let structure = reduct_episode(address, episode, *bytes, None);
        self.post(structure, Some(obj.upcast_ref()));
    }

    /// Posts the error that ends the uploads, with the files that are left.
    fn fail_uploads(&self, uploads: &Uploads, failure: &Failure) {
        let Failure { text, .. } = failure;
        let (kind, debug) = (resource_error(failure), details(failure));
        let rest = not_uploaded(&uploads.keep_what_waits());
        let more = rest.as_ref().map_or("".into(), |rest| format!(". {rest}"));
        let is_told = self.fail(gst::error_msg!(kind, ("{text}{more}"), ["{debug}"]));
        if let Some(rest) = rest.filter(|_| !is_told) {
            gst::element_imp_warning!(self, gst::ResourceError::Write, ("{rest}"));
        }
    }
}

/// Uploads queued episodes until the queue is stopped, or an error. It keeps a reference to the bin only while it
/// posts, which is not done by the runtime: a handler of the application may block, or stop the pipeline.
fn upload_all(
    uploads: &Uploads,
    mut uploader: EpisodeUploader,
    weak: &glib::subclass::ObjectImplWeakRef<ReductEpisodeSplit>,
) {
    block_broken_pipe(); // This thread makes TLS handshakes.
    while let Some(event) = uploads.runtime.block_on(uploader.next()) {
        if let Some(imp) = weak.upgrade() {
            imp.handle_upload_event(uploads, event);
        }
    }
}
