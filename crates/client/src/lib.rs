// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A client of ReductStore: records are read ahead, followed, written in batches and uploaded from files, with retries.
//!
//! - [`RecordReader`] reads a range of an [`EntrySource`], by [`recv`](RecordReader::recv) or blocking.
//! - [`RecordWriter`] queues records for a [`Destination`] and writes them in the background, by [`WriterOptions`].
//! - [`Uploader`] writes files as records.
//!
//! Blocking calls end with a [`Canceller`] from any thread, and dropping a value stops its work without blocking. All
//! I/O runs on the tokio runtime whose handle the caller passes in. Requests are logged by `tracing`.
//!
//! GStreamer and the names of its properties are not known here; the names of labels are those of a [`Schema`].

#![deny(missing_docs)]

mod address;
mod admin;
mod canceller;
mod entry;
mod error;
mod http;
mod lock;
mod names;
mod read;
mod record;
mod retry;
mod schema;
mod server;
mod task;
mod time;
mod uri;
mod write;

pub use crate::http::condition::depends_on_order;
pub use address::{AddressError, AddressPart, EntryAddress};
pub use canceller::{Cancelled, Canceller};
pub use entry::{EntryInfo, EntryTimes, FrameRate};
pub use error::{Cause, Error, Failure, Purpose};
pub use names::SettingNames;
pub use read::query::{Limits, Query, Records, View};
pub use read::queue::ReaderStats;
pub use read::reader::{Event, ReadError, RecordReader};
pub use read::source::EntrySource;
pub use record::Record;
pub use schema::Schema;
pub use server::{Server, ServerError, ServerOptions, Token, without_secrets};
pub use time::utc;
pub use uri::{EntryUri, SCHEMES, UriError};
pub use write::destination::Destination;
pub use write::options::{
    DEFAULT_MAX_LATENCY, DEFAULT_QUEUE_BYTES, DEFAULT_RETRIES, Existing, SpoolOptions,
    WriterOptions,
};
pub use write::record::{Content, Dropped, NewRecord, is_label_name, is_label_value};
pub use write::shared::{EventHandler, WriterEvent, WriterStats};
pub use write::spool::SpoolSync;
pub use write::upload::{OngoingUpload, Upload, UploadStep, Uploaded, Uploader};
pub use write::writer::{DetachedWriter, Overflow, PushError, RecordWriter};

#[cfg(test)]
mod testing;
