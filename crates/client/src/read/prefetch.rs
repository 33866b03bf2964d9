// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Prefetch of a range, by several windows at once or by one query.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Weak};

use futures_util::future::{Either, select};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::entry::EntryTimes;
use crate::error::Error;
use crate::read::plan::Plan;
use crate::read::queue::{Chunk, Room};
use crate::read::window::{WindowEnd, WindowEvent, WindowSender, WindowSource};
use crate::task::{Task, catch_panic};

/// A range that is being read.
pub enum Prefetch {
    Windows(Windows),
    Whole(QueryTask),
}

impl Prefetch {
    /// Reads all of a range by one query, into memory for two batches: one is taken while another
    /// one is read.
    pub fn whole(source: Arc<WindowSource>, range: Range<u64>, prefetch_bytes: u64) -> Self {
        let room = Arc::new(Semaphore::new(2));
        // The last record of a batch may go beyond it.
        let batch_bytes = (prefetch_bytes / 3).max(1);
        Self::Whole(QueryTask::new(|pieces| async move {
            let whole = source.read_whole(range, batch_bytes, room, &pieces);
            whole.await
        }))
    }

    /// Returns the next records, or `None` after the last ones. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        match self {
            Self::Windows(windows) => windows.next().await,
            Self::Whole(reading) => reading.next().await,
        }
    }

    /// Continues to read while nothing is consumed. Ends only with an error.
    pub async fn keep_reading(&mut self) -> Error {
        match self {
            Self::Windows(windows) => windows.keep_reading().await,
            Self::Whole(_) => pending().await,
        }
    }
}

/// A query that is being read.
#[derive(Debug)]
pub struct QueryTask {
    _task: Task,
    pieces: mpsc::UnboundedReceiver<Result<WindowEvent, Error>>,
}

impl QueryTask {
    fn new<F>(read: impl FnOnce(WindowSender) -> F) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (sender, pieces) = mpsc::unbounded_channel();
        let reading = read(sender.clone());
        let task = tokio::spawn(async move {
            let end = reading.await.map(|()| WindowEvent::End);
            // The receiver may already be dropped.
            let _ = sender.send(end);
        });
        Self {
            _task: Task(task),
            pieces,
        }
    }

    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        match self.pieces.recv().await {
            Some(Ok(WindowEvent::Records(chunk))) => Ok(Some(chunk)),
            Some(Ok(WindowEvent::End)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(Error::malformed_response()),
        }
    }
}

/// The windows of a range.
pub struct Windows {
    source: Arc<WindowSource>,
    plan: Plan,
    /// In the order of the range.
    parts: VecDeque<Part>,
    event_sender: mpsc::UnboundedSender<TaskEvent>,
    events: mpsc::UnboundedReceiver<TaskEvent>,
    /// The windows in memory.
    in_memory: Vec<(Id, Weak<MemorySlot>)>,
    next_id: Id,
    /// Request for the time of the newest record.
    asking: Option<Task>,
}

/// Number of a window. Two windows may begin at the same time.
type Id = u64;

#[derive(Debug)]
enum Part {
    Unread(Range<u64>),
    Window(WindowTask),
}

/// A window that is being read, or is read and waits for its turn.
#[derive(Debug)]
struct WindowTask {
    id: Id,
    range: Range<u64>,
    reading: QueryTask,
    /// Permission to read, once there is memory for it.
    go: Option<oneshot::Sender<Room>>,
}

/// The memory of a window, until its last record is consumed.
#[derive(Debug)]
struct MemorySlot(mpsc::UnboundedSender<TaskEvent>);

impl Drop for MemorySlot {
    fn drop(&mut self) {
        // The receiver may already be dropped.
        let _ = self.0.send(TaskEvent::Freed);
    }
}

impl Part {
    fn is_window(&self) -> bool {
        matches!(self, Self::Window(_))
    }

    /// Returns whether it is a window that may not read yet.
    fn waits(&self) -> bool {
        matches!(self, Self::Window(task) if task.go.is_some())
    }

    fn has_memory(&self) -> bool {
        self.is_window() && !self.waits()
    }
}

/// Event of a task.
#[derive(Debug)]
enum TaskEvent {
    /// A window is read.
    Read(Id, WindowEnd),
    /// The times of the oldest and the newest record.
    Times(Result<EntryTimes, Error>),
    /// There is room for another window.
    Freed,
}

impl Windows {
    /// Creates the windows of a range. Reading begins with the first call of `next`.
    pub fn new(source: Arc<WindowSource>, plan: Plan, range: Range<u64>) -> Self {
        let (event_sender, events) = mpsc::unbounded_channel();
        Self {
            source,
            plan,
            parts: [Part::Unread(range)].into(),
            event_sender,
            events,
            in_memory: Vec::new(),
            next_id: 0,
            asking: None,
        }
    }

    /// Requests the time of the newest record in advance, by `ask`.
    pub fn expecting_much<F>(mut self, ask: F) -> Self
    where
        F: Future<Output = Result<EntryTimes, Error>> + Send + 'static,
    {
        self.ask_for_newest(ask);
        self
    }

    async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            self.start_windows();
            let Some(first) = self.parts.front_mut() else {
                return Ok(None);
            };
            let first = async {
                match first {
                    Part::Window(task) => task.reading.next().await,
                    // Its windows are not known yet.
                    Part::Unread(_) => pending().await,
                }
            };
            let (events, records) = match select(pin!(self.events.recv()), pin!(first)).await {
                Either::Left((events, _)) => (Some(events), None),
                Either::Right((records, _)) => (None, Some(records?)),
            };
            if let Some(events) = events {
                self.handle_event(events)?;
            }
            match records {
                Some(Some(chunk)) => return Ok(Some(chunk)),
                Some(None) => self.end_first()?,
                None => {}
            }
        }
    }

    /// Continues behind the first window, whose task reports its end before it ends.
    fn end_first(&mut self) -> Result<(), Error> {
        while let Ok(events) = self.events.try_recv() {
            self.handle_event(Some(events))?;
        }
        self.parts.pop_front();
        Ok(())
    }

    async fn keep_reading(&mut self) -> Error {
        loop {
            self.start_windows();
            let events = self.events.recv().await;
            if let Err(error) = self.handle_event(events) {
                return error;
            }
        }
    }

    /// Starts as many windows as possible, and lets the first ones read.
    fn start_windows(&mut self) {
        let most = self.plan.queries(self.source.pool.is_far());
        while let Some((index, start)) = self.first_unread()
            && !(self.asking.is_some() && self.plan.needs_newest(start))
        {
            let waiting = self.parts.iter().filter(|part| part.waits()).count();
            if self.count_in_memory() + waiting < most {
                self.begin_window(index);
            } else if !self.give_up_after(index, Part::is_window) {
                break;
            }
        }
        while let Some(index) = self.parts.iter().position(Part::waits) {
            if self.count_in_memory() < self.plan.windows() {
                self.let_read(index);
            } else if !self.give_up_after(index, Part::has_memory) {
                break;
            }
        }
    }

    fn count_in_memory(&mut self) -> usize {
        self.in_memory.retain(|(_, slot)| slot.strong_count() > 0);
        self.in_memory.len()
    }

    /// Gives up the last window whose place an earlier one needs. Returns whether there is one.
    fn give_up_after(&mut self, index: usize, which: impl Fn(&Part) -> bool) -> bool {
        let last = self.parts.iter().rposition(which);
        let Some(last) = last.filter(|last| *last > index) else {
            return false;
        };
        if let Part::Window(task) = &self.parts[last] {
            let (id, range) = (task.id, task.range.clone());
            self.in_memory.retain(|(other, _)| *other != id);
            self.parts[last] = Part::Unread(range);
        }
        true
    }

    fn let_read(&mut self, index: usize) {
        if let Part::Window(task) = &mut self.parts[index]
            && let Some(go) = task.go.take()
        {
            let slot = Arc::new(MemorySlot(self.event_sender.clone()));
            self.in_memory.push((task.id, Arc::downgrade(&slot)));
            // A task that has failed needs no room.
            let _ = go.send(slot);
        }
    }

    /// Returns the index of the first part that is not read, and its start.
    fn first_unread(&self) -> Option<(usize, u64)> {
        let mut parts = self.parts.iter().enumerate();
        parts.find_map(|(index, part)| match part {
            Part::Unread(range) => Some((index, range.start)),
            Part::Window(_) => None,
        })
    }

    fn begin_window(&mut self, index: usize) {
        let Part::Unread(range) = &mut self.parts[index] else {
            return;
        };
        let window = self.plan.cut(range);
        if range.is_empty() {
            self.parts.remove(index);
        }
        let range = window.range.clone();
        let (source, events) = (self.source.clone(), self.event_sender.clone());
        let id = self.next_id;
        self.next_id += 1;
        let (go, room) = oneshot::channel();
        let reading = QueryTask::new(|pieces| async move {
            let end = source.read_window(window, room, &pieces).await?;
            let _ = events.send(TaskEvent::Read(id, end));
            Ok(())
        });
        let task = WindowTask {
            id,
            range,
            reading,
            go: Some(go),
        };
        self.parts.insert(index, Part::Window(task));
    }

    fn handle_event(&mut self, events: Option<TaskEvent>) -> Result<(), Error> {
        match events.ok_or_else(Error::malformed_response)? {
            TaskEvent::Read(id, end) => self.update_plan(id, end),
            TaskEvent::Times(times) => {
                self.asking = None;
                let times = times?;
                self.plan.set_newest(times.newest);
                if let Some(Part::Unread(first)) = self.parts.front_mut() {
                    first.start = first.start.max(times.oldest).min(first.end);
                }
            }
            TaskEvent::Freed => {}
        }
        Ok(())
    }

    /// Updates the plan with the result of a window, and queues the rest of it.
    fn update_plan(&mut self, id: Id, end: WindowEnd) {
        let windows = self.parts.iter_mut().enumerate();
        let mut ended = windows.filter_map(|(index, part)| match part {
            Part::Window(task) if task.id == id => Some((index, &mut task.range)),
            _ => None,
        });
        // The result of a window that was given up does not count.
        let Some((index, range)) = ended.next() else {
            return;
        };
        let until = end.until.unwrap_or(range.end);
        self.plan.update(range.start..until, end.found, end.took);
        if let Some(rest) = end.rest.filter(|rest| *rest < range.end) {
            let unread = rest..range.end;
            range.end = rest;
            self.parts.insert(index + 1, Part::Unread(unread));
            if self.plan.needs_newest(rest) && self.asking.is_none() {
                let source = self.source.clone();
                self.ask_for_newest(async move { source.entry.times().await });
            }
        }
    }

    fn ask_for_newest<F>(&mut self, ask: F)
    where
        F: Future<Output = Result<EntryTimes, Error>> + Send + 'static,
    {
        let events = self.event_sender.clone();
        self.asking = Some(Task(tokio::spawn(async move {
            let times = catch_panic(ask).await.and_then(|times| times);
            let _ = events.send(TaskEvent::Times(times));
        })));
    }
}

#[cfg(test)]
mod tests {
    use crate::read::query::View;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::admin::Entry;
    use crate::error::Purpose;
    use crate::http::pool::ClientPool;
    use crate::read::plan::Yield;
    use crate::schema::VIDEO;
    use crate::server::{Server, ServerOptions};
    use crate::testing::runtime;

    const RANGE: Range<u64> = 1000..1_000_000;

    /// Windows of a server that is not there.
    fn windows() -> Windows {
        let url = "http://127.0.0.1:1";
        let server = Server::new(ServerOptions {
            url: url.into(),
            timeout: None,
            ..ServerOptions::new(VIDEO)
        })
        .unwrap();
        let entry = Arc::new(Entry::new(&server, "b", "e"));
        let source = WindowSource {
            pool: Arc::new(
                ClientPool::new(
                    server,
                    "b",
                    "e",
                    8,
                    Purpose::Read,
                    Arc::default(),
                    Arc::default(),
                )
                .unwrap(),
            ),
            entry,
            when: None,
            view: View::Range,
            is_urgent: std::sync::atomic::AtomicBool::default(),
            batch_size: Arc::default(),
            max_record_bytes: u64::MAX,
            stats: Arc::default(),
        };
        let mut plan = Plan::new(8, 1_000_000);
        plan.set_newest(RANGE.end);
        Windows::new(Arc::new(source), plan, RANGE)
    }

    fn range(part: &Part) -> Range<u64> {
        match part {
            Part::Unread(range) => range.clone(),
            Part::Window(task) => task.range.clone(),
        }
    }

    /// Fails unless the parts follow `start` without holes.
    fn assert_covers(windows: &Windows, start: u64) {
        let mut next = start;
        for part in &windows.parts {
            let range = range(part);
            assert!(
                range.start == next && range.end >= next,
                "{:?}",
                windows.parts
            );
            next = range.end;
        }
        assert!(next == RANGE.end, "{:?}", windows.parts);
    }

    proptest! {
        /// Each time is in one part, in any order of the ends of windows.
        #[test]
        fn nothing_is_left_out(
            ends in prop::collection::vec((any::<prop::sample::Index>(), 0u64..6, 0u64..9), 1..60),
        ) {
            let _runtime = runtime().enter();
            let mut windows = windows();
            let mut ended = Vec::new();
            let mut start = RANGE.start;
            for (which, records, part) in ends {
                windows.start_windows();
                assert_covers(&windows, start);
                let open: Vec<_> = (windows.parts.iter())
                    .filter_map(|part| match part {
                        Part::Window(task) if !ended.contains(&task.id) => {
                            Some((task.id, task.range.clone()))
                        }
                        _ => None,
                    })
                    .collect();
                prop_assume!(!open.is_empty());
                let (id, range) = which.get(&open).clone();
                // Put off, left somewhere, or read to the end.
                let rest = range.start + (range.end - range.start) * part / 6;
                let rest = Some(rest).filter(|_| part < 8);
                windows.update_plan(id, WindowEnd {
                    found: Yield {
                        first: Some(range.start).filter(|_| records > 0),
                        records,
                        bytes: records * 10_000,
                    },
                    until: rest.map(|rest| rest.max(range.start + 1)),
                    rest,
                    took: Duration::ZERO,
                });
                // What it did not read is none of its any more.
                let left = windows.parts.iter().find_map(|part| match part {
                    Part::Window(task) if task.id == id => Some(task.range.clone()),
                    _ => None,
                });
                let end = rest.map_or(range.end, |rest| rest.min(range.end));
                prop_assert_eq!(left, Some(range.start..end));
                ended.push(id);
                while let Some(Part::Window(task)) = windows.parts.front()
                    && ended.contains(&task.id)
                {
                    start = task.range.end;
                    windows.parts.pop_front();
                }
                assert_covers(&windows, start);
                if start == RANGE.end {
                    break;
                }
            }
        }
    }
}
