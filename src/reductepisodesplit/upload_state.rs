// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! State of the uploads of a run: the queue, and the folder with the files until they are records.

use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use client::{Canceller, Uploader};
use media::cut::names::Pattern;
use recording::{EpisodeFile, EpisodeQueue, EpisodeUploader};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::CAT;
use super::address::Address;
use crate::lock::lock;
use crate::runtime::runtime;

/// Pattern of names in the temporary folder. The index distinguishes episodes of the same time.
const NAMES: &str = "episode_%05d_{start-us}.mp4";

/// Uploads of a run.
#[derive(Debug)]
pub struct Uploads {
    pub address: Address,
    pub runtime: &'static Handle,
    pub queue: EpisodeQueue,
    /// Ends waits for room.
    room_waits: Canceller,
    /// EOS of splitmuxsink, each with a mark in the queue.
    eos: Mutex<VecDeque<gst::Message>>,
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
    /// Returns uploads to an address, of files in a new temporary folder, and the uploader for their thread.
    pub fn new(address: Address) -> Result<(Self, EpisodeUploader), gst::ErrorMessage> {
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
        let (queue, uploader) = EpisodeUploader::new(Uploader::new(
            place.connection,
            place.bucket,
            place.entry,
            address.retries,
        ));
        let uploads = Self {
            address,
            runtime: runtime()?,
            queue,
            room_waits: Canceller::default(),
            eos: Mutex::default(),
            folder: Mutex::new(Some(folder)),
        };
        Ok((uploads, uploader))
    }

    /// Returns the pattern of names of files in the folder.
    pub fn pattern(&self) -> Option<Pattern> {
        let folder = lock(&self.folder);
        Pattern::within(folder.as_ref()?.path().to_str()?, NAMES).ok()
    }

    /// Cancels the uploads, also one in progress, and ends waits for room.
    pub fn stop(&self) {
        self.queue.stop();
        self.give_up();
    }

    /// Waits until there is room for another episode. Returns `false` if there will be none.
    pub fn wait_for_room(&self) -> bool {
        let has_room = self.queue.wait_for_room(self.runtime, &self.room_waits);
        has_room.is_ok()
    }

    /// Queues EOS of splitmuxsink behind pending uploads.
    pub fn end(&self, eos: gst::Message) {
        lock(&self.eos).push_back(eos);
        self.queue.push_mark();
    }

    /// Returns the EOS whose turn it is.
    pub fn take_eos(&self) -> Option<gst::Message> {
        lock(&self.eos).pop_front()
    }

    /// Ends waits for room.
    pub fn give_up(&self) {
        self.room_waits.cancel();
    }

    /// Renames the files of pending uploads, which are cancelled, to their final names. Returns their paths.
    pub fn keep_what_waits(&self) -> Vec<PathBuf> {
        let rest = self.queue.take_rest();
        let kept: Vec<_> = rest.into_iter().map(keep).collect();
        if !kept.is_empty()
            && let Some(folder) = lock(&self.folder).take()
        {
            let _ = folder.keep();
        }
        kept
    }
}

/// Renames a file to its final name. Returns its path.
fn keep(file: EpisodeFile) -> PathBuf {
    let part = file.path;
    let name = part.with_extension(""); // It has that of `names::part`.
    match fs::rename(&part, &name) {
        Ok(()) => name,
        Err(err) => {
            gst::warning!(CAT, "{} keeps its name: {err}", part.display());
            part
        }
    }
}

/// Returns a text that names the episodes that were not uploaded, or `None` if there are none.
pub fn not_uploaded(kept: &[PathBuf]) -> Option<String> {
    let names: Vec<_> = kept.iter().map(|file| file.display().to_string()).collect();
    let names = names.join(", ");
    (!kept.is_empty()).then(|| format!("Complete and not uploaded: {names}"))
}
