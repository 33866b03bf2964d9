// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Publishes episodes that are files: completes, syncs and renames them in order.
//!
//! A thread does so, as the stream would otherwise wait for the disk at each cut.

use std::sync::Arc;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use media::cut::Finished;
use media::cut::names::LocationError;
use media::time::CaptureTime;

use super::CAT;
use super::backlog::Backlog;
use super::element::ReductEpisodeSplit;
use super::index_file;
use super::messages::reduct_episode;
use super::part::{PartFile, publish};
use super::publish_queue::{Closed, Job, Publishing, ROOM};
use super::writing::code;
use crate::lock::lock;

impl ReductEpisodeSplit {
    /// Starts the thread.
    pub(super) fn begin_publishing(&self) -> Result<(), gst::ErrorMessage> {
        let backlog = Arc::new(Backlog::new(ROOM));
        let thread = self.start_worker("reduct-files", "files", {
            let (backlog, weak) = (backlog.clone(), self.downgrade());
            move || publish_all(&backlog, &weak)
        })?;
        *lock(&self.publishing) = Some(Publishing {
            backlog,
            thread: Some(thread),
        });
        Ok(())
    }

    /// Waits until all files are published, and ends the thread.
    pub(super) fn end_publishing(&self) {
        let publishing = lock(&self.publishing).take();
        if let Some(mut publishing) = publishing {
            publishing.backlog.finish();
            if let Some(thread) = publishing.thread.take() {
                self.join_worker(thread);
            }
        }
    }

    /// Ends waits for room: the stream stops.
    pub(super) fn give_up_publishing(&self) {
        if let Some(backlog) = self.publications() {
            backlog.give_up();
        }
    }

    /// Waits until there is room for another file. Returns `false` if there will be none.
    pub(super) fn has_room_to_publish(&self) -> bool {
        (self.publications()).is_none_or(|backlog| backlog.wait_for_room())
    }

    /// Queues a file to be published.
    pub(super) fn publish(&self, closed: Closed) {
        self.queue_job(Job::Publish(Box::new(closed)));
    }

    /// Queues an error to be posted after the files before it.
    pub(super) fn fail_after_files(&self, error: LocationError) {
        self.queue_job(Job::Fail(error));
    }

    /// Queues EOS, to be passed after the files before it.
    pub(super) fn end_after_files(&self, eos: gst::Message) {
        self.queue_job(Job::End(eos));
    }

    fn queue_job(&self, job: Job) {
        if let Some(backlog) = self.publications() {
            backlog.push(job);
        }
    }

    fn publications(&self) -> Option<Arc<Backlog<Job>>> {
        let publishing = lock(&self.publishing);
        publishing
            .as_ref()
            .map(|publishing| publishing.backlog.clone())
    }

    /// Completes files, gives them their names, writes their indexes, and posts the messages about them.
    fn publish_now(&self, closed: Vec<Closed>) {
        let mut parts = Vec::new();
        let mut complete = Vec::new();
        for Closed {
            mut part,
            finished,
            captures,
            message,
        } in closed
        {
            if captures.is_some() {
                index_file::remove_old(&finished.name);
            }
            match self.complete(&mut part, &finished) {
                Ok(bytes) => {
                    parts.push(part);
                    complete.push((finished, bytes, captures, message));
                }
                Err(err) => self.fail_to_finish(&finished.name, &err),
            }
        }
        let published = publish(&parts);
        for ((mut part, complete), published) in parts.into_iter().zip(complete).zip(published) {
            let (finished, bytes, captures, message) = complete;
            let Finished { name, episode, .. } = &finished;
            if let Err(err) = published {
                self.fail_to_finish(name, &err);
                continue;
            }
            gst::info!(CAT, imp = self, "{name} is complete: {episode:?}");
            self.tell_of_closed(&message, name);
            self.count_complete(episode);
            let index = captures.and_then(|captures| self.write_index(&mut part, &captures));
            let structure = reduct_episode(name, episode, bytes, index.as_deref());
            let obj = self.obj();
            self.post(structure, Some(obj.upcast_ref()));
        }
    }

    /// Writes the index of a complete file. Returns its name, or posts a warning: the episode stays.
    fn write_index(&self, part: &mut PartFile, captures: &[Option<CaptureTime>]) -> Option<String> {
        let written = index_file::write(part, captures);
        written
            .inspect_err(|err| {
                let (name, code) = (part.name(), code(err, gst::ResourceError::Write));
                let index = frame_index::file_name(name);
                gst::element_imp_warning!(
                    self,
                    code,
                    ("{name} is complete and has no index. Could not write {index}: {err}")
                );
            })
            .ok()
    }
}

/// Does the jobs of a run: publishes files, those that wait together, and the others in order. It refers to the bin
/// only while it needs it.
fn publish_all(
    backlog: &Backlog<Job>,
    weak: &glib::subclass::ObjectImplWeakRef<ReductEpisodeSplit>,
) {
    while let Some(jobs) = backlog.take_all() {
        let Some(imp) = weak.upgrade() else {
            return;
        };
        let mut closed = Vec::new();
        for job in jobs {
            match job {
                Job::Publish(file) => closed.push(*file),
                Job::Fail(error) => {
                    imp.publish_now(std::mem::take(&mut closed));
                    imp.fail(imp.location_error(&error));
                }
                Job::End(eos) => {
                    imp.publish_now(std::mem::take(&mut closed));
                    imp.pass_eos(eos);
                }
            }
        }
        imp.publish_now(closed);
    }
}
