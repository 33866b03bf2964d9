// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Lookups of a delivery: the state of the bucket and the entry before and between writes.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::try_join;
use tokio::time::sleep;

use super::{Confirmation, Delivery, OpenEntry};
use crate::admin::Entry;
use crate::error::{Cause, Error, Purpose};
use crate::http::pool::{ClientPool, Newest, PooledClient};
use crate::time::utc;
use crate::write::destination::Destination;
use crate::write::options::WriterOptions;
use crate::write::pending::Pending;
use crate::write::record::{Dropped, NewRecord};
use crate::write::shared::{WriterEvent, emit};

/// Age of the newest record of an entry, in µs, up to which there may be another writer.
const RECENT_WRITER_US: u64 = 10_000_000;
/// Time for which the entry is watched in that case.
const WRITER_WATCH: Duration = Duration::from_secs(1);
/// Time for which a lookup of the newest record is valid.
const WRITER_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// First number of records per answer. Each is a line of about 60 bytes in a head, of which proxies may accept 4 KB.
const LOOKUP_RECORDS: u64 = 32;
/// The last time, in µs, after which records can be written for a year and read where times are 64-bit
/// nanoseconds, as in GStreamer.
const LAST_TIME: u64 = u64::MAX / 1000 - 365 * 24 * 3600 * 1_000_000;

/// Returns a text about a time in µs near the end of 64-bit nanoseconds.
fn end_of_time(time: u64, range: &str) -> String {
    match time > u64::MAX / 1000 {
        true => format!("beyond {range}"),
        false => format!("about where {range} ends"),
    }
}

impl Delivery {
    /// Checks or creates the bucket, and finds out whether the token allows to read, once.
    pub(crate) async fn open(&mut self) -> Result<Arc<ClientPool>, Error> {
        if let Some(open) = &self.open {
            return Ok(open.pool.clone());
        }
        let Destination {
            server,
            bucket,
            entry,
        } = self.to.clone();
        let WriterOptions {
            create_bucket,
            quota_size,
            ..
        } = self.options;
        let purpose = Purpose::Write;
        let pool = ClientPool::new(
            server.clone(),
            &bucket,
            &entry,
            1,
            purpose,
            Arc::default(),
            Arc::default(),
        )?;
        let pool = Arc::new(pool);
        let client = pool.take().await?;
        let newest = || client.within_timeout(client.newest());
        let newest = match self.persist(newest).await {
            Err(error) if error.cause == Cause::Status(403) => None,
            newest => Some(newest?),
        };
        drop(client);
        self.was_reached = true;
        let entry = Arc::new(Entry::new(&server, &bucket, &entry));
        // A bucket with a record exists.
        if !matches!(newest, Some(Newest::Time(_))) {
            let make = async || match entry.check_bucket().await {
                Err(error) if error.cause == Cause::Status(404) && create_bucket => {
                    entry.create_bucket(quota_size).await
                }
                bucket => bucket.map(drop),
            };
            self.persist(make).await?;
        }
        let lookup_pool = ClientPool::new(
            server,
            &self.to.bucket,
            &self.to.entry,
            2,
            purpose,
            Arc::default(),
            Arc::default(),
        )?;
        self.open = Some(OpenEntry {
            pool: pool.clone(),
            lookup_pool: Arc::new(lookup_pool),
            entry,
            newest,
        });
        Ok(pool)
    }

    /// Returns whether the token allows to read the entry.
    pub(crate) fn can_look(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.newest.is_some())
    }

    /// Looks up the newest record before the first write, and checks the range of times.
    pub(crate) async fn begin(
        &mut self,
        client: &PooledClient<'_>,
        left: &[NewRecord],
    ) -> Result<(), Error> {
        // This was requested a moment ago.
        let newest = match self.open.as_ref().and_then(|open| open.newest) {
            Some(Newest::Time(time)) => Some(time),
            Some(Newest::Nothing) => None,
            Some(Newest::Unfinished) | None => self.look(client).await?,
        };
        let range = self.to.server.names().time_range;
        if let Some(newest) = newest.filter(|newest| *newest > LAST_TIME) {
            let text = format!(
                "its newest record is at {newest} µs, which is {}. Nothing can be recorded after it. Remove \
                 that record, or set another entry",
                end_of_time(newest, range)
            );
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        let first = left.first().map_or(0, |record| record.time);
        if first > LAST_TIME {
            let text = format!(
                "the first record would be at {first} µs, which is {}. Give other capture times, or set the \
                 clock of the camera",
                end_of_time(first, range)
            );
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        if newest.is_some_and(|newest| newest.saturating_add(RECENT_WRITER_US) >= first) {
            sleep(WRITER_WATCH).await;
            if let Some(other) = self.look(client).await?
                && newest != Some(other)
            {
                return Err(Error::other_writer(other));
            }
        }
        self.newest = newest;
        self.first_newest = Some(newest);
        Ok(())
    }

    /// Fails if the entry has a newer record than those of this writer.
    pub(crate) async fn assert_only_writer(
        &mut self,
        client: &PooledClient<'_>,
    ) -> Result<(), Error> {
        if self
            .last_check
            .is_some_and(|last_check| last_check.elapsed() < WRITER_CHECK_INTERVAL)
        {
            return Ok(());
        }
        match self.look(client).await? {
            Some(newest) if Some(newest) > self.newest => Err(Error::other_writer(newest)),
            _ => Ok(()),
        }
    }

    /// Looks up, beside a request with further records, those of the previous request and the newest record.
    pub(super) async fn look_beside(&self, sent: &[NewRecord]) -> Confirmation {
        let (Some(last), Some(open)) = (self.unconfirmed.last(), &self.open) else {
            return Confirmation::Nothing;
        };
        let newest = async {
            let client = open.lookup_pool.take().await?;
            client.within_timeout(client.newest()).await
        };
        // The newest record is likely to be an unfinished one of the concurrent request, so that it confirms nothing.
        let is_complete = async {
            let client = open.lookup_pool.take().await?;
            client.within_timeout(client.is_complete(last.time)).await
        };
        let is_ours = |time| sent.iter().any(|record| record.time == time);
        match try_join(newest, is_complete).await {
            Ok((Newest::Time(time), is_complete)) if time > last.time && !is_ours(time) => {
                Confirmation::OtherWriter { time, is_complete }
            }
            Ok((_, true)) => Confirmation::Complete,
            Ok((_, false)) | Err(_) => Confirmation::Unknown,
        }
    }

    /// Returns the time of the newest record.
    async fn look(&mut self, client: &PooledClient<'_>) -> Result<Option<u64>, Error> {
        let newest = || client.within_timeout(client.newest());
        match self.persist(newest).await? {
            Newest::Time(time) => Ok(Some(time)),
            Newest::Nothing => Ok(None),
            Newest::Unfinished => {
                let Some(entry) = self.open.as_ref().map(|open| open.entry.clone()) else {
                    return Ok(None);
                };
                let times = self.persist(|| entry.times()).await?;
                Ok(Some(times.newest))
            }
        }
    }

    /// Returns whether the entry may have had some of these records before the first write.
    pub(crate) fn may_have(&self, left: &[NewRecord]) -> bool {
        let first = left.first().map(|record| record.time);
        first <= self.first_newest.flatten()
    }

    /// Removes complete records from a batch, as far as they are known after a number of failed attempts.
    pub(crate) async fn skip_complete(
        &mut self,
        client: &PooledClient<'_>,
        pending: &mut Pending,
        max_failures: Option<u32>,
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (pending.left.first(), pending.left.last()) else {
            return Ok(());
        };
        let times = first.time..=last.time;
        let complete = self.find_complete(client, times, max_failures).await?;
        let there = pending.take_complete(&complete);
        if pending.is_in_doubt {
            self.count(&there);
        } else {
            self.done += there.len();
            let existing = &self.shared.stats.existing;
            existing.fetch_add(there.len() as u64, Ordering::Relaxed);
        }
        if let Some(time) = pending.conflict(&complete) {
            let text = format!("it has another record at {}", utc(time));
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        if pending.is_in_doubt {
            return Ok(());
        }
        let is_late = |record: &NewRecord| self.may_have(std::slice::from_ref(record));
        let late = pending.left.partition_point(is_late);
        let Some(first) = pending.left.first().filter(|_| late > 0) else {
            return Ok(());
        };
        let first_time = utc(first.time);
        if !first.is_recovered {
            let text =
                format!("it has records after {first_time}, and the one of that time is missing");
            return Err(Error::new(Cause::OutOfOrder, text));
        }
        // They were dropped before, or removed.
        self.done += late;
        let late = pending.take_first(late);
        let dropped =
            (late.iter()).fold(Dropped::default(), |dropped, record| dropped.with(record));
        self.shared.count_dropped(dropped);
        let text = format!(
            "Dropped {} frames of {}, the first of {first_time}: '{}/{}' has later ones",
            dropped.frames,
            self.spool_name(),
            self.to.bucket,
            self.to.entry
        );
        emit(&self.shared, WriterEvent::Warning(text)).await;
        Ok(())
    }

    /// Returns the times and lengths of the records in a range of time, or of those that were found after a number of
    /// failed attempts.
    async fn find_complete(
        &mut self,
        client: &PooledClient<'_>,
        times: RangeInclusive<u64>,
        max_failures: Option<u32>,
    ) -> Result<BTreeMap<u64, u64>, Error> {
        let mut complete = BTreeMap::new();
        let mut at_once = LOOKUP_RECORDS;
        let mut failures = 0;
        loop {
            let known = complete.len();
            let found = client.find_complete(times.clone(), at_once, &mut complete);
            match found.await {
                Err(error) if error.cause == Cause::Status(404) => return Ok(complete),
                Err(error) => {
                    if complete.len() == known {
                        // The head of the answer may be too long.
                        at_once = (at_once / 2).max(1);
                    }
                    self.wait_after(error).await?;
                    failures += 1;
                    if max_failures.is_some_and(|most| failures >= most) {
                        return Ok(complete);
                    }
                }
                Ok(()) => return Ok(complete),
            }
        }
    }
}
