// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queue of complete episodes that become records, with the folder that has their files until then.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use client::{Canceller, Upload, Uploader};
use media::cut::Finished;
use media::cut::names::Pattern;
use tempfile::TempDir;

use super::CAT;
use super::address::Address;
use super::backlog::Backlog;
use crate::lock::lock;
use crate::runtime::runtime;

/// Maximum number of queued episodes, besides the one that is uploaded, before the stream waits.
const ROOM: usize = 4;
/// Pattern of names in the temporary folder. The index distinguishes episodes of the same time.
const NAMES: &str = "episode_%05d_{start-us}.mp4";

/// Next step of the thread.
#[derive(Debug)]
pub enum Job {
    Upload(Box<Complete>),
    /// EOS of splitmuxsink.
    End(gst::Message),
}

/// An episode that is complete and not acknowledged.
#[derive(Debug)]
pub struct Complete {
    pub finished: Finished,
    pub upload: Upload,
    pub bytes: u64,
}

/// Uploads of a run.
#[derive(Debug)]
pub struct Uploads {
    pub address: Address,
    pub uploader: Uploader,
    pub backlog: Backlog<Job>,
    pub flushing: Canceller,
    pub retries: AtomicU64,
    /// Until the end of the run.
    pub folder: Mutex<Option<TempDir>>,
}

/// Uploads and their thread, which is stopped on drop.
#[derive(Debug)]
pub struct Running {
    pub uploads: Arc<Uploads>,
    pub thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.uploads.stop();
    }
}

impl Uploads {
    /// Returns uploads to an address, of files in a new temporary folder.
    pub fn new(address: Address) -> Result<Self, gst::ErrorMessage> {
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
            flushing: Canceller::default(),
            retries: AtomicU64::new(0),
            folder: Mutex::new(Some(folder)),
        })
    }

    /// Returns the pattern of names of files in the folder.
    pub fn pattern(&self) -> Option<Pattern> {
        let folder = lock(&self.folder);
        Pattern::within(folder.as_ref()?.path().to_str()?, NAMES).ok()
    }

    pub fn stop(&self) {
        self.flushing.cancel();
        self.backlog.stop();
    }

    /// Returns the number of queued episodes, and of failed attempts.
    pub fn counts(&self) -> (u64, u64) {
        let waiting = self.backlog.len() as u64;
        (waiting, self.retries.load(Ordering::Relaxed))
    }

    /// Waits until there is room for another episode. Returns `false` if there will be none.
    pub fn wait_for_room(&self) -> bool {
        self.backlog.wait_for_room()
    }

    /// Queues EOS of splitmuxsink behind pending uploads.
    pub fn end(&self, eos: gst::Message) {
        self.backlog.push(Job::End(eos));
    }

    /// Ends waits for room.
    pub fn give_up(&self) {
        self.backlog.give_up();
    }

    /// Renames the files of pending uploads, which are cancelled, to their final names. Returns their paths.
    pub fn keep_what_waits(&self) -> Vec<PathBuf> {
        let mut kept = Vec::new();
        for job in self.backlog.drain() {
            match job {
                Job::Upload(complete) => kept.push(complete.keep()),
                Job::End(_) => {}
            }
        }
        if !kept.is_empty()
            && let Some(folder) = lock(&self.folder).take()
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

/// Returns a text that names the episodes that were not uploaded, or `None` if there are none.
pub fn not_uploaded(kept: &[PathBuf]) -> Option<String> {
    let names: Vec<_> = kept.iter().map(|file| file.display().to_string()).collect();
    let names = names.join(", ");
    (!kept.is_empty()).then(|| format!("Complete and not uploaded: {names}"))
}
