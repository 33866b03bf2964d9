// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! What the bin does with episodes that become records: a thread uploads them one after another,
//! and the end of the stream comes after the last one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use client::{Failure, Flushing, Upload, UploadError, Uploaded, Uploader};
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use media::content::{DURATION_LABEL, FPS_LABEL, FRAMES_LABEL, MP4_TYPE, REASON_LABEL};
use media::cut::Finished;
use media::cut::names::{self, Pattern};
use tempfile::TempDir;

use super::CAT;
use super::address::Address;
use super::backlog::Backlog;
use super::imp::ReductEpisodeSplit;
use super::writing::message;
use crate::errors::{details, resource_error};
use crate::runtime::{block_broken_pipe, runtime};

/// Complete episodes that may wait, besides the one that is uploaded, before the stream waits.
const ROOM: usize = 4;
/// Names of the files in the temporary folder. The index tells apart what has the same time.
const NAMES: &str = "episode_%05d_{start-us}.mp4";

/// What the thread does next.
#[derive(Debug)]
enum Job {
    Upload(Box<Complete>),
    /// EOS of splitmuxsink.
    End(gst::Message),
}

/// An episode that is complete and not acknowledged.
#[derive(Debug)]
struct Complete {
    finished: Finished,
    upload: Upload,
    bytes: u64,
}

/// Uploads of a run.
#[derive(Debug)]
pub struct Uploads {
    address: Address,
    uploader: Uploader,
    backlog: Backlog<Job>,
    flushing: Flushing,
    retries: AtomicU64,
    /// Until the end of the run.
    folder: Mutex<Option<TempDir>>,
}

/// Uploads and their thread. It is stopped with this value.
#[derive(Debug)]
pub struct Running {
    uploads: Arc<Uploads>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.uploads.stop();
    }
}

impl Uploads {
    /// Uploads to an address, of files in a temporary folder.
    fn new(address: Address) -> Result<Self, gst::ErrorMessage> {
        let folder = tempfile::Builder::new()
            .prefix("reductepisodesplit-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|err| {
                gst::error_msg!(
                    gst::ResourceError::OpenWrite,
                    ("Could not make a folder for episodes on their way to the server: {err}. \
                         The environment variable TMPDIR says where")
                )
            })?;
        let place = address.place.clone();
        Ok(Self {
            uploader: Uploader::new(
                runtime()?,
                place.connection,
                place.bucket,
                place.entry,
                address.retries,
            ),
            address,
            backlog: Backlog::new(ROOM),
            flushing: Flushing::default(),
            retries: AtomicU64::new(0),
            folder: Mutex::new(Some(folder)),
        })
    }

    /// Names for the files in the folder.
    fn pattern(&self) -> Option<Pattern> {
        let folder = self.folder.lock().unwrap();
        Pattern::within(folder.as_ref()?.path().to_str()?, NAMES).ok()
    }

    fn stop(&self) {
        self.flushing.start();
        self.backlog.stop();
    }

    /// Episodes that wait, and attempts that failed so far.
    pub fn counts(&self) -> (u64, u64) {
        let waiting = self.backlog.len() as u64;
        (waiting, self.retries.load(Ordering::Relaxed))
    }

    /// Waits until there is room for another episode. Returns `false` if there will be none.
    pub fn wait_for_room(&self) -> bool {
        self.backlog.wait_for_room()
    }

    /// Passes EOS of splitmuxsink after the last record.
    pub fn end(&self, eos: gst::Message) {
        self.backlog.push(Job::End(eos));
    }

    /// Ends waits for room.
    pub fn give_up(&self) {
        self.backlog.give_up();
    }

    /// Gives what waits its final name, as it will not be uploaded. Tells where it is.
    fn keep_what_waits(&self) -> Vec<PathBuf> {
        let mut kept = Vec::new();
        for job in self.backlog.drain() {
            match job {
                Job::Upload(complete) => kept.push(complete.keep()),
                Job::End(_) => {}
            }
        }
        if !kept.is_empty()
            && let Some(folder) = self.folder.lock().unwrap().take()
        {
            let _ = folder.keep();
        }
        kept
    }
}

impl Complete {
    fn keep(self) -> PathBuf {
        let part = self.upload.file;
        let name = PathBuf::from(self.finished.name);
        match fs::rename(&part, &name) {
            Ok(()) => name,
            Err(err) => {
                gst::warning!(CAT, "{} keeps its name: {err}", part.display());
                part
            }
        }
    }
}

/// Says which episodes are not uploaded, and where they are, if there are any.
fn not_uploaded(kept: &[PathBuf]) -> Option<String> {
    let names: Vec<_> = kept.iter().map(|file| file.display().to_string()).collect();
    let names = names.join(", ");
    (!kept.is_empty()).then(|| format!("Complete and not uploaded: {names}"))
}

impl ReductEpisodeSplit {
    /// The uploads of this run, if its episodes become records.
    pub(super) fn uploads(&self) -> Option<Arc<Uploads>> {
        let running = self.uploads.lock().unwrap();
        running.as_ref().map(|running| running.uploads.clone())
    }

    /// Prepares uploads to an address. Gives the names of the files that are uploaded.
    pub(super) fn begin_uploads(&self, location: &str) -> Result<Pattern, gst::ErrorMessage> {
        let settings = |text: &str| {
            gst::error_msg!(
                gst::ResourceError::Settings,
                ("The property location '{location}' is no address of an entry: {text}")
            )
        };
        let token = self.settings.lock().unwrap().api_token.clone();
        let address = Address::new(location, &token).map_err(|text| settings(&text))?;
        let uploads = Arc::new(Uploads::new(address)?);
        let pattern = uploads.pattern().ok_or_else(|| {
            gst::error_msg!(
                gst::ResourceError::Settings,
                ("The folder for temporary files, which TMPDIR names, is no UTF-8")
            )
        })?;
        let thread = self.start_worker("reduct-upload", "uploads", {
            let (uploads, weak) = (uploads.clone(), self.downgrade());
            move || upload_all(&uploads, &weak)
        })?;
        *self.uploads.lock().unwrap() = Some(Running {
            uploads,
            thread: Some(thread),
        });
        Ok(pattern)
    }

    /// Ends uploads, also one that is under way. What is not uploaded stays for now.
    pub(super) fn stop_uploads(&self) {
        let thread = {
            let mut running = self.uploads.lock().unwrap();
            let Some(running) = running.as_mut() else {
                return;
            };
            running.uploads.stop();
            running.thread.take()
        };
        if let Some(thread) = thread {
            self.join_worker(thread);
        }
    }

    /// Ends the uploads of a run, also of `open`, a file that is not complete. Tells what is complete
    /// and not uploaded.
    pub(super) fn end_uploads(&self, open: Option<&str>) -> Option<String> {
        self.stop_uploads();
        let running = self.uploads.lock().unwrap().take()?;
        let kept = running.uploads.keep_what_waits();
        if kept.is_empty() {
            let folder = running.uploads.folder.lock().unwrap().take();
            if let Some(Err(err)) = folder.map(TempDir::close) {
                gst::warning!(CAT, imp = self, "The temporary folder stays: {err}");
            }
        } else if let Some(open) = open {
            let _ = fs::remove_file(open);
        }
        not_uploaded(&kept)
    }

    /// An episode's file is complete.
    pub(super) fn queue_upload(&self, uploads: &Uploads, finished: Finished, bytes: u64) {
        let Some(capture) = finished.episode.capture else {
            return; // Without a time the file had no name.
        };
        let episode = &finished.episode;
        let mut labels = vec![
            (DURATION_LABEL, episode.duration.nseconds().to_string()),
            (FRAMES_LABEL, episode.frames.to_string()),
            (REASON_LABEL, episode.reason.name().to_owned()),
        ];
        labels.extend(finished.frame_rate.map(|rate| (FPS_LABEL, rate.label())));
        let upload = Upload {
            file: names::part(&finished.name).into(),
            time: capture.useconds(),
            content_type: MP4_TYPE,
            labels,
        };
        uploads.backlog.push(Job::Upload(Box::new(Complete {
            finished,
            upload,
            bytes,
        })));
    }

    /// The server has the record.
    fn complete_record(&self, uploads: &Uploads, complete: &Complete, uploaded: Uploaded) {
        let Complete {
            finished,
            upload,
            bytes,
        } = complete;
        if let Err(err) = fs::remove_file(&upload.file) {
            gst::warning!(CAT, imp = self, "{} stays: {err}", upload.file.display());
        }
        let address = uploads.address.of_record(upload.time);
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
        gst::info!(
            CAT,
            imp = self,
            "{address} is written: {:?}",
            finished.episode
        );
        self.count_complete(&finished.episode);
        let obj = self.obj();
        let structure = message(&address, &finished.episode, *bytes);
        self.post(structure, Some(obj.upcast_ref()));
    }

    fn warn_of_retry(&self, uploads: &Uploads, text: &str) {
        uploads.retries.fetch_add(1, Ordering::Relaxed);
        gst::element_imp_warning!(self, gst::ResourceError::Write, ("{text}"));
    }

    /// Nothing more is uploaded.
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

/// The thread: uploads what comes, until it is stopped or an error. It holds the bin only while it
/// has something to tell.
fn upload_all(uploads: &Uploads, weak: &glib::subclass::ObjectImplWeakRef<ReductEpisodeSplit>) {
    block_broken_pipe(); // This thread makes TLS handshakes.
    match uploads.uploader.look(&uploads.flushing) {
        Ok(()) => {}
        Err(UploadError::Flushed) => return,
        Err(UploadError::Failed(failure)) => {
            if let Some(imp) = weak.upgrade() {
                imp.fail_uploads(uploads, &failure);
            }
            return;
        }
    }
    while let Some(job) = uploads.backlog.take() {
        let complete = match job {
            Job::Upload(complete) => complete,
            Job::End(message) => {
                if let Some(imp) = weak.upgrade() {
                    imp.pass_eos(message);
                }
                continue;
            }
        };
        let tell = |text: String| {
            if let Some(imp) = weak.upgrade() {
                imp.warn_of_retry(uploads, &text);
            }
        };
        let uploaded = (uploads.uploader).upload(&complete.upload, &uploads.flushing, tell);
        match uploaded {
            Ok(uploaded) => {
                if let Some(imp) = weak.upgrade() {
                    imp.complete_record(uploads, &complete, uploaded);
                }
            }
            Err(error) => {
                uploads.backlog.give_back(Job::Upload(complete));
                if let (UploadError::Failed(failure), Some(imp)) = (error, weak.upgrade()) {
                    imp.fail_uploads(uploads, &failure);
                }
                return;
            }
        }
    }
}
