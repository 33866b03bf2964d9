// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Opens a recorder for an entry.

use std::fmt;
use std::sync::Arc;

use client::{
    AddressError, Destination, DetachedWriter, EntryAddress, EventHandler, RecordWriter, Server,
    WriterEvent,
};
use tokio::runtime::Handle;

use super::options::RecorderOptions;
use super::recorder::Recorder;

/// A builder of a [`Recorder`]: the entry and the options to open it with.
#[must_use = "nothing is recorded before `open` is called"]
pub struct RecorderBuilder<'a> {
    server: &'a Server,
    bucket: &'a str,
    entry: &'a str,
    options: RecorderOptions,
    after: Option<DetachedWriter>,
    handler: EventHandler,
}

impl Recorder {
    /// Returns a builder of a recorder for an entry, which [`open`](RecorderBuilder::open) completes.
    ///
    /// ```no_run
    /// # use client::{Canceller, Overflow};
    /// # use media::time::CaptureTime;
    /// # use recording::{RecordUnit, Recorder, RecorderOptions};
    /// #
    /// # async fn example(server: client::Server, units: Vec<(bytes::Bytes, CaptureTime)>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut recorder = Recorder::builder(&server, "robot", "camera")
    ///     .options(RecorderOptions {
    ///         record_unit: RecordUnit::Gop,
    ///         ..Default::default()
    ///     })
    ///     .on_event(|event| eprintln!("{event}"))
    ///     .open()?;
    /// let canceller = Canceller::default();
    /// for (unit, capture_time) in units {
    ///     recorder.push_at(unit, capture_time);
    ///     // Drops the oldest groups of pictures if the queue is full. With `Overflow::Block` it would wait.
    ///     recorder.hand_over(Overflow::DropGroups, &canceller)?;
    /// }
    /// for notice in recorder.finish().await? {
    ///     eprintln!("{notice}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder<'a>(server: &'a Server, bucket: &'a str, entry: &'a str) -> RecorderBuilder<'a> {
        RecorderBuilder {
            server,
            bucket,
            entry,
            options: RecorderOptions::default(),
            after: None,
            handler: Arc::new(log),
        }
    }
}

impl RecorderBuilder<'_> {
    /// Sets the options.
    pub fn options(mut self, options: RecorderOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the handler of retries, warnings and errors of the writer. It is called on threads of the runtime, and may
    /// block. Without one they are logged.
    pub fn on_event(mut self, handler: impl Fn(WriterEvent) + Send + Sync + 'static) -> Self {
        self.handler = Arc::new(handler);
        self
    }

    /// Writes nothing before a [detached](Recorder::detach) recorder is done. One that continues its entry needs this,
    /// as an entry has one writer.
    pub fn after(mut self, detached: impl Into<Option<DetachedWriter>>) -> Self {
        self.after = detached.into();
        self
    }

    /// Returns the recorder, which runs on the present tokio runtime. The server is not asked yet.
    ///
    /// # Errors
    ///
    /// Names that a bucket or an entry cannot have.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, as [`Handle::current`].
    pub fn open(self) -> Result<Recorder, AddressError> {
        let EntryAddress { bucket, entry } =
            EntryAddress::new(Some(self.bucket), Some(self.entry))?;
        let destination = Destination {
            server: self.server.clone(),
            bucket,
            entry,
        };
        let writer = RecordWriter::new(
            &Handle::current(),
            destination,
            self.options.writer.clone(),
            self.after,
            self.handler,
        );
        Ok(Recorder::new(writer, self.options))
    }
}

impl fmt::Debug for RecorderBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderBuilder")
            .field("server", self.server)
            .field("bucket", &self.bucket)
            .field("entry", &self.entry)
            .field("options", &self.options)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// Logs an event of the writer.
fn log(event: WriterEvent) {
    match event {
        WriterEvent::Failed(_) | WriterEvent::Abandoned(_) => tracing::error!("{event}"),
        WriterEvent::Retrying(_) | WriterEvent::Warning(_) | WriterEvent::Damaged(_) => {
            tracing::warn!("{event}");
        }
    }
}
