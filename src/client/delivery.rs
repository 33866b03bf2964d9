// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Brings records that wait to the server, batch by batch, until each is there once.
//!
//! ReductStore 1.21 begins all records of a batch before it has their contents. If the connection
//! breaks meanwhile, records that are never complete stay behind: they are in no query, and their
//! times are taken (409). So after anything but an answer it is asked what is complete, and what is
//! not, but begun, is removed and written anew.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use tokio::time::{sleep, timeout};

use super::attempts::Attempts;
use super::entry::Entry;
use super::error::{Cause, Error, Purpose, Target};
use super::lane::{Lane, Lanes, Newest};
use super::outbox::{BatchLimits, Dropped, Due, Outgoing};
use super::spool::{Loaded, Spool, SpoolSync, load};
use super::writer::{Shared, Told, fail, tell};
use super::writing::{MOST_BYTES, MOST_RECORDS};
use super::{Connection, without_blocking};

const LIMITS: BatchLimits = BatchLimits {
    records: MOST_RECORDS,
    bytes: MOST_BYTES,
};
/// A record that was begun and is not complete for so long never will be.
const ABANDONED: Duration = Duration::from_secs(1);
/// An entry whose newest record is so little older, in µs, than the first one to be written may have
/// another writer.
const RECENT: u64 = 10_000_000;
/// For how long the entry is watched then.
const WATCH: Duration = Duration::from_secs(1);
/// For how long a look at the newest record is good.
const JUST_NOW: Duration = Duration::from_millis(20);
/// For how long to wait for a spool that somebody uses, and how often to look.
const SPOOL_PATIENCE: Duration = Duration::from_secs(30);
const SPOOL_AGAIN: Duration = Duration::from_millis(100);
/// How often a batch is written in a row if some of it was begun before.
const ROUNDS: u32 = 3;
/// How much later, in µs, than what an entry has records go on if they cannot be where they belong.
const MOVED_BY: u64 = 100_000;

/// Where records go.
#[derive(Debug, Clone)]
pub struct Destination {
    pub connection: Connection,
    pub bucket: String,
    pub entry: String,
    /// Make the bucket if it is missing.
    pub create_bucket: bool,
    /// Size in bytes from which on a bucket that is made loses its oldest records.
    pub quota_size: Option<u64>,
    /// How long a record may wait for others to be written with it.
    pub max_latency: Duration,
    /// Attempts in a row before an error: at a server that was never reached, and when nothing
    /// follows. Otherwise there is no end to them.
    pub retries: u32,
    pub existing: Existing,
    /// Folder where records are kept until they are written, so that they survive the process.
    pub spool_folder: Option<PathBuf>,
    /// When what is in it is synced to the disk.
    pub spool_sync: SpoolSync,
}

/// What becomes of records that the entry may have already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// They are an error.
    #[default]
    Refuse,
    /// Those that it has are left out.
    Skip,
}

impl Destination {
    /// What errors are about.
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            connection: &self.connection,
            bucket: &self.bucket,
            entry: &self.entry,
            purpose: Purpose::Write,
        }
    }
}

/// Delivers what waits in an outbox.
pub struct Delivery {
    to: Destination,
    shared: Arc<Shared>,
    attempts: Attempts,
    /// They are for what is left at the end of the stream.
    is_ending: bool,
    /// The bucket is there, and it is known what the entry has.
    open: Option<Open>,
    /// The server answered once.
    was_reached: bool,
    /// Time of the newest record that is ours or was there before.
    newest: Option<u64>,
    /// The same before anything was written.
    first_newest: Option<Option<u64>>,
    /// The first record of this process comes after it.
    has_place: bool,
    /// When it was seen last that nobody else writes.
    looked: Option<Instant>,
    /// So many records of the batch under way need nothing more.
    done: usize,
    /// By how much later than they say records are written, in µs.
    moved_by: u64,
    /// Run that the last two are about: one that was left unsent, else this one.
    run: Option<u64>,
    /// That is stored in the spool.
    is_placement_stored: bool,
}

struct Open {
    lanes: Arc<Lanes>,
    entry: Entry,
    /// The token allows to see what the entry has.
    can_look: bool,
}

impl Delivery {
    /// A delivery that has asked nothing of the server yet.
    pub fn new(to: Destination, shared: Arc<Shared>) -> Self {
        Self {
            attempts: Attempts::new(to.retries),
            is_ending: false,
            to,
            shared,
            open: None,
            was_reached: false,
            newest: None,
            first_newest: None,
            has_place: false,
            looked: None,
            done: 0,
            moved_by: 0,
            run: None,
            is_placement_stored: false,
        }
    }

    /// Delivers until the outbox is left and empty, or an error is final.
    pub async fn run(mut self) {
        if let Err(error) = self.recover().await {
            fail(&self.shared, error.message(self.to.target())).await;
            return;
        }
        while let Some(batch) = self.next_batch().await {
            if let Err(error) = self.deliver(batch).await {
                self.give_up(&error).await;
                return;
            }
        }
    }

    /// Tells that nothing more is written.
    async fn give_up(&self, error: &Error) {
        let (is_left, waiting, in_memory) = {
            let state = self.shared.lock();
            let waiting = state.outbox.len() - self.done;
            let in_memory = state.outbox.records_in_memory().min(waiting);
            (state.is_left, waiting, in_memory)
        };
        let lost = match (&self.to.spool_folder, waiting - in_memory, in_memory) {
            (None, ..) => format!("{waiting} records are lost"),
            (_, kept, 0) => format!("{kept} records are not written, and stay in spool-dir"),
            (_, kept, lost) => format!(
                "{kept} records are not written, and stay in spool-dir, and {lost} records that it \
                 did not take are lost"
            ),
        };
        if is_left {
            let why = error.explain(self.to.target());
            let text = format!("{lost} after the stop. {why}");
            tell(&self.shared, Told::Warning(text)).await;
        } else {
            let message = error.message_with(self.to.target(), &lost);
            fail(&self.shared, message).await;
        }
    }

    /// Opens the folder where records are kept, and has those wait that were left there.
    async fn recover(&self) -> Result<(), Error> {
        let Some(folder) = self.to.spool_folder.clone() else {
            return Ok(());
        };
        let begin = Instant::now();
        let (count, warning, recovery) = loop {
            let shared = self.shared.clone();
            let (folder, shown) = (folder.clone(), folder.display().to_string());
            let (bucket, entry) = (self.to.bucket.clone(), self.to.entry.clone());
            let sync = self.to.spool_sync;
            let opened = without_blocking(move || {
                let opened = Spool::open(&folder, &bucket, &entry, sync);
                let opened = opened.map(|(spool, mut recovery)| {
                    let left = std::mem::take(&mut recovery.records);
                    let count = left.len();
                    (count, shared.begin_to_keep(spool, left), recovery)
                });
                match opened {
                    Err(err) if err.kind() == ErrorKind::WouldBlock => Ok(None),
                    opened => opened.map(Some).map_err(|err| {
                        Error::new(Cause::Content, format!("spool-dir '{shown}': {err}"))
                    }),
                }
            });
            match opened.await? {
                Some(opened) => break opened,
                // A sink that was stopped may still write what it has there.
                None if begin.elapsed() < SPOOL_PATIENCE => sleep(SPOOL_AGAIN).await,
                None => {
                    let text = "another sink uses the same spool-dir";
                    return Err(Error::new(Cause::Content, text));
                }
            }
        };
        if count > 0 {
            let text = format!("{count} records that were not written are found in spool-dir");
            tell(&self.shared, Told::Warning(text)).await;
        }
        self.shared.count_damaged(recovery.lost());
        for text in recovery.warnings() {
            tell(&self.shared, Told::Damaged(text)).await;
        }
        if let Some(text) = warning {
            tell(&self.shared, Told::Warning(text)).await;
        }
        Ok(())
    }

    /// Waits for the next batch; `None` if nothing comes any more.
    async fn next_batch(&self) -> Option<Vec<Outgoing>> {
        loop {
            let due = {
                let mut state = self.shared.lock();
                let at_once = state.is_draining || state.is_left;
                let due = match state.outbox.due(LIMITS, self.to.max_latency) {
                    Due::In(_) if at_once => Due::Now,
                    due => due,
                };
                match due {
                    Due::Now => return Some(state.outbox.take_batch(LIMITS)),
                    Due::Never if state.is_left => return None,
                    due => due,
                }
            };
            let work = self.shared.work.notified();
            match due {
                // What comes meanwhile may make a full batch.
                Due::In(wait) => drop(timeout(wait, work).await),
                _ => work.await,
            }
        }
    }

    /// Writes a batch, however often that has to be tried.
    async fn deliver(&mut self, batch: Vec<Outgoing>) -> Result<(), Error> {
        self.done = 0;
        let mut batch = self.load(batch).await?;
        if let Some(first) = batch.first().filter(|first| has_no_place(first))
            && first.unsent_run != self.run
        {
            self.run = first.unsent_run;
            self.moved_by = 0;
            self.has_place = false;
            self.is_placement_stored = false;
        }
        for record in batch.iter_mut().filter(|record| has_no_place(record)) {
            record.time = record.time.saturating_add(self.moved_by);
        }
        let mut progress = Progress {
            left: batch,
            is_in_doubt: false,
        };
        while let Err(error) = self.attempt(&mut progress).await {
            self.wait_after(error).await?;
        }
        self.attempts.reset();
        self.is_ending = false;
        {
            let mut state = self.shared.lock();
            state.outbox.acknowledge();
            self.done = 0;
            self.shared.count_queue(&state.outbox);
        }
        self.shared.progress.notify_one();
        Ok(())
    }

    /// Reads what of a batch is in files. What cannot be read there is lost.
    async fn load(&mut self, batch: Vec<Outgoing>) -> Result<Vec<Outgoing>, Error> {
        if batch.iter().all(Outgoing::is_in_memory) {
            return Ok(batch);
        }
        let loaded = without_blocking(move || {
            load(batch).map_err(|err| Error::new(Cause::Content, format!("spool-dir: {err}")))
        });
        let Loaded { records, lost } = loaded.await?;
        for lost in lost {
            self.done += usize::try_from(lost.lost.records).unwrap_or(0);
            self.shared.count_damaged(lost.lost);
            if let Some(text) = lost.warning(utc) {
                tell(&self.shared, Told::Damaged(text)).await;
            }
        }
        Ok(records)
    }

    /// Waits until it is time to try again what failed, if that may help.
    async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        // A proxy may answer for a server that is away, and a bucket may be made again.
        let was_there = match error.cause {
            Cause::Foreign => true,
            Cause::Status(404) => self.to.create_bucket,
            _ => false,
        };
        let may_pass = error.is_transient() || self.was_reached && was_there;
        let (is_left, is_draining) = {
            let state = self.shared.lock();
            (state.is_left, state.is_draining)
        };
        // What was tried before the stream ended was not for the rest of it.
        if is_draining && !std::mem::replace(&mut self.is_ending, is_draining) {
            self.attempts.reset();
        }
        let delay = if !may_pass || is_left {
            None
        } else if self.was_reached && !is_draining {
            self.attempts.another_delay()
        } else {
            self.attempts.next_delay()
        };
        let Some(delay) = delay else {
            return Err(error);
        };
        self.open = None;
        self.shared.stats.retries.note(&error);
        let text = format!(
            "{}. Trying again in {:.1} s, attempt {}",
            error.explain(self.to.target()),
            delay.as_secs_f32(),
            self.attempts.made(),
        );
        tell(&self.shared, Told::Retrying(text)).await;
        sleep(delay).await;
        Ok(())
    }

    /// Writes what is left of a batch.
    async fn attempt(&mut self, progress: &mut Progress) -> Result<(), Error> {
        if self.open.is_none() {
            self.open = Some(self.open().await?);
            self.was_reached = true;
        }
        let Some(open) = self.open.as_ref() else {
            return Err(Error::makes_no_sense());
        };
        let (lanes, can_look) = (open.lanes.clone(), open.can_look);
        let lane = lanes.take().await?;
        if can_look && !progress.left.is_empty() {
            if self.first_newest.is_none() {
                self.begin(&lane, &progress.left).await?;
            } else if !progress.is_in_doubt {
                self.assert_only_writer(&lane).await?;
            }
            if !progress.is_in_doubt {
                self.find_place(&mut progress.left).await?;
            }
            if progress.is_in_doubt || self.may_have(&progress.left) {
                self.leave_out_complete(&lane, progress).await?;
            }
        }
        let has_no_place = progress.left.first().is_some_and(has_no_place);
        if has_no_place && !self.is_placement_stored {
            self.shared.set_placement(self.run, self.moved_by).await;
            self.is_placement_stored = true;
        }
        // Whoever left it may have begun to write it.
        progress.is_in_doubt |= progress.left.iter().any(|record| record.is_recovered);
        for _ in 0..ROUNDS {
            if progress.left.is_empty() {
                progress.is_in_doubt = false;
                return self.describe().await;
            }
            self.write_once(&lane, can_look, progress).await?;
        }
        let text = "it has records that are begun and neither completed nor removed";
        Err(Error::new(Cause::Broken, text))
    }

    /// Writes what is left of a batch by one request. What is refused because it was begun before is
    /// removed.
    async fn write_once(
        &mut self,
        lane: &Lane<'_>,
        can_look: bool,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let was_in_doubt = progress.is_in_doubt;
        let refused = match lane.write(&progress.left).await {
            Ok(refused) => refused,
            Err(error) => {
                // What it has begun then cannot be told by a token that may not read. A server that
                // is busy has begun nothing.
                progress.is_in_doubt |= can_look || !is_refusal(&error);
                return Err(error);
            }
        };
        self.shared.stats.batches.fetch_add(1, Ordering::Relaxed);
        let Some((time, _)) = refused.first_key_value() else {
            return self.make_sure(lane, can_look, progress).await;
        };
        progress.is_in_doubt = true;
        let batch = std::mem::take(&mut progress.left).into_iter();
        let (left, written): (Vec<_>, Vec<_>) =
            batch.partition(|record| refused.contains_key(&record.time));
        self.count(&written);
        progress.left = left;
        if !was_in_doubt && refused.values().all(is_taken) {
            let text = format!("it has a record at {} already", utc(*time));
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        if let Some(error) = refused.into_values().find(|error| !is_taken(error)) {
            return Err(error);
        }
        // The server may still be busy with what it was sent before.
        sleep(ABANDONED).await;
        if can_look {
            self.leave_out_complete(lane, progress).await?;
        }
        if progress.left.is_empty() {
            return Ok(());
        }
        lane.remove(progress.left.iter().map(|record| record.time))
            .await
    }

    /// Counts what was written, if it is there: the server says so, too, where its disk was full.
    async fn make_sure(
        &mut self,
        lane: &Lane<'_>,
        can_look: bool,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let last = progress.left.last().map(|record| record.time);
        // Without an answer it is ours that may be the newest one.
        progress.is_in_doubt = can_look;
        let is_there = !can_look
            || match lane.within_timeout(lane.newest()).await? {
                Newest::Time(newest) => Some(newest) >= last,
                Newest::Nothing | Newest::Unfinished => false,
            };
        progress.is_in_doubt = !is_there;
        if !is_there {
            return self.leave_out_complete(lane, progress).await;
        }
        self.looked = Some(Instant::now());
        self.count(&std::mem::take(&mut progress.left));
        Ok(())
    }

    /// Makes sure of the bucket, and finds out what the token allows.
    async fn open(&self) -> Result<Open, Error> {
        let Destination {
            connection,
            bucket,
            entry,
            ..
        } = &self.to;
        let purpose = Purpose::Write;
        let lanes = Lanes::new(
            connection.clone(),
            bucket,
            entry,
            1,
            purpose,
            Arc::default(),
        )?;
        let lanes = Arc::new(lanes);
        let lane = lanes.take().await?;
        let can_look = match lane.within_timeout(lane.newest()).await {
            Err(error) if error.cause == Cause::Status(403) => false,
            newest => newest.map(|_| true)?,
        };
        drop(lane);
        let entry = Entry::new(connection, bucket, entry);
        match entry.check_bucket().await {
            Err(error) if error.cause == Cause::Status(404) && self.to.create_bucket => {
                entry.create_bucket(self.to.quota_size).await?;
            }
            checked => checked?,
        }
        Ok(Open {
            lanes,
            entry,
            can_look,
        })
    }

    /// Looks for what is there before the first records are written.
    async fn begin(&mut self, lane: &Lane<'_>, left: &[Outgoing]) -> Result<(), Error> {
        let newest = self.look(lane).await?;
        let first = left.first().map_or(0, |record| record.time);
        if newest.is_some_and(|newest| newest.saturating_add(RECENT) >= first) {
            sleep(WATCH).await;
            if let Some(other) = self.look(lane).await?
                && newest != Some(other)
            {
                return Err(other_writer(other));
            }
        }
        self.newest = newest;
        self.first_newest = Some(newest);
        Ok(())
    }

    /// Makes sure, once, that records come after those that are there.
    async fn find_place(&mut self, left: &mut [Outgoing]) -> Result<(), Error> {
        let Some(first) = left.first().filter(|first| has_no_place(first)) else {
            return Ok(());
        };
        let (first, is_recovered) = (first.time, first.is_recovered);
        let was_found = std::mem::replace(&mut self.has_place, true);
        let (Some(newest), Existing::Refuse) = (self.newest, self.to.existing) else {
            return Ok(());
        };
        if was_found || newest < first {
            return Ok(());
        }
        if left.iter().any(|record| record.has_fixed_time) {
            if is_recovered {
                return Ok(()); // Those that the entry does not have are dropped.
            }
            let text = format!(
                "its newest record is of {}, and the first one to be written of {}. Records that \
                 are late make ReductStore slow",
                utc(newest),
                utc(first)
            );
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        self.moved_by = newest.saturating_add(MOVED_BY).saturating_sub(first);
        for record in left {
            record.time = record.time.saturating_add(self.moved_by);
        }
        let text = format!(
            "'{}/{}' has records up to {}, which is after the clock's time. {} {:.3} s later than it \
             says",
            self.to.bucket,
            self.to.entry,
            utc(newest),
            match is_recovered {
                true => "What was found in spool-dir is",
                false => "All that is recorded is",
            },
            Duration::from_micros(self.moved_by).as_secs_f64()
        );
        tell(&self.shared, Told::Warning(text)).await;
        Ok(())
    }

    /// Fails if there is a record after ours.
    async fn assert_only_writer(&self, lane: &Lane<'_>) -> Result<(), Error> {
        if self
            .looked
            .is_some_and(|looked| looked.elapsed() < JUST_NOW)
        {
            return Ok(());
        }
        match self.look(lane).await? {
            Some(newest) if Some(newest) > self.newest => Err(other_writer(newest)),
            _ => Ok(()),
        }
    }

    /// The time of the newest record.
    async fn look(&self, lane: &Lane<'_>) -> Result<Option<u64>, Error> {
        match (lane.within_timeout(lane.newest()).await?, &self.open) {
            (Newest::Time(time), _) => Ok(Some(time)),
            (Newest::Unfinished, Some(open)) => Ok(Some(open.entry.times().await?.newest)),
            (Newest::Nothing | Newest::Unfinished, _) => Ok(None),
        }
    }

    /// Whether the entry had some of these records before anything was written.
    fn may_have(&self, left: &[Outgoing]) -> bool {
        let first = left.first().map(|record| record.time);
        first <= self.first_newest.flatten()
    }

    /// Leaves out of a batch what the entry has.
    async fn leave_out_complete(
        &mut self,
        lane: &Lane<'_>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (progress.left.first(), progress.left.last()) else {
            return Ok(());
        };
        let complete = match lane.complete(first.time..=last.time).await {
            Err(error) if error.cause == Cause::Status(404) => BTreeMap::new(),
            complete => complete?,
        };
        let batch = std::mem::take(&mut progress.left).into_iter();
        let (there, left): (Vec<_>, Vec<_>) =
            batch.partition(|record| complete.get(&record.time) == Some(&record.length()));
        progress.left = left;
        if progress.is_in_doubt {
            self.count(&there);
        } else {
            self.done += there.len();
            let existing = &self.shared.stats.existing;
            existing.fetch_add(there.len() as u64, Ordering::Relaxed);
        }
        if let Some(other) = (progress.left.iter()).find(|it| complete.contains_key(&it.time)) {
            let text = format!("it has another record at {}", utc(other.time));
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        if progress.is_in_doubt {
            return Ok(());
        }
        let is_late = |record: &Outgoing| self.may_have(std::slice::from_ref(record));
        let late = progress.left.partition_point(is_late);
        let Some(first) = progress.left.first().filter(|_| late > 0) else {
            return Ok(());
        };
        let first_time = utc(first.time);
        if !first.is_recovered {
            let text =
                format!("it has records after {first_time}, and the one of that time is missing");
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        // They were given up before, or removed.
        self.done += late;
        let late = progress.left.drain(..late);
        let dropped = late.fold(Dropped::default(), |dropped, record| dropped.with(&record));
        self.shared.count_dropped(dropped);
        let text = format!(
            "Dropped {} frames of spool-dir, the first of {first_time}: '{}/{}' has later ones",
            dropped.frames, self.to.bucket, self.to.entry
        );
        tell(&self.shared, Told::Warning(text)).await;
        Ok(())
    }

    /// Counts records that are written.
    fn count(&mut self, written: &[Outgoing]) {
        let stats = &self.shared.stats;
        let add = |counter: &AtomicU64, count| counter.fetch_add(count, Ordering::Relaxed);
        add(&stats.records, written.len() as u64);
        add(&stats.frames, written.iter().map(|it| it.frames).sum());
        add(&stats.bytes, written.iter().map(Outgoing::length).sum());
        self.done += written.len();
        self.newest = self.newest.max(written.last().map(|last| last.time));
    }

    /// Has the entry get the attachment that it is to have.
    async fn describe(&mut self) -> Result<(), Error> {
        let video = self.shared.lock().video.clone();
        let (Some(video), Some(open)) = (video, &self.open) else {
            return Ok(());
        };
        match open.entry.describe(&video).await {
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                let text = format!(
                    "Could not attach {video} to '{}/{}' as $video: {error}",
                    self.to.bucket, self.to.entry
                );
                tell(&self.shared, Told::Warning(text)).await;
            }
            Ok(()) => {}
        }
        let mut state = self.shared.lock();
        if state.video.as_ref() == Some(&video) {
            state.video = None;
        }
        Ok(())
    }
}

/// Returns whether a record's time may have to be moved behind those that the entry has: nothing of its
/// run was sent before this process.
fn has_no_place(record: &Outgoing) -> bool {
    !record.is_recovered || record.unsent_run.is_some()
}

/// How far a batch is.
struct Progress {
    left: Vec<Outgoing>,
    /// Some of what is left may be there, in whole or in part.
    is_in_doubt: bool,
}

/// Whether the server refused a request before it did anything.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.cause,
        Cause::Status(401 | 403 | 404 | 408 | 429 | 503)
    )
}

/// Whether a record was refused because there is one at its time.
fn is_taken(error: &Error) -> bool {
    error.cause == Cause::Status(409)
}

fn other_writer(newest: u64) -> Error {
    let text = format!(
        "something else writes to it, last at {}. An entry has one writer",
        utc(newest)
    );
    Error::new(Cause::OutOfOrder, text)
}

/// A time in µs since the Unix epoch, for a person.
pub fn utc(time: u64) -> String {
    let known = i64::try_from(time).ok();
    let known = known.and_then(DateTime::from_timestamp_micros);
    known.map_or_else(
        || format!("{time} µs"),
        |time| time.to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}
