// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The extension, as the server loads it.

use std::mem;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use reduct_base::error::ReductError;
use reduct_base::ext::{BoxedCommiter, BoxedProcessor, IoExtension, IoExtensionInfo};
use reduct_base::msg::entry_api::QueryEntry;

use crate::at_end::AtEnd;
use crate::error::ExportError;
use crate::exporter::QueryRange;
use crate::guard;
use crate::parameters::{NAME, Parameters};
use crate::pipeline_step::{VideoCommiter, VideoProcessor};
use crate::query_check;
use crate::registry::Registry;
use crate::remaining::{self, REMAINING, RemainingCommiter, RemainingProcessor};
use crate::session::{Session, SessionConfig};
use crate::spool::SpoolSettings;

/// Lifetime of a query that states none, as the server has it.
const DEFAULT_TTL: Duration = Duration::from_secs(60);

/// The extension `video`: exports H.264 as MP4 episodes.
#[derive(Debug)]
pub struct VideoExtension {
    info: IoExtensionInfo,
    spool: SpoolSettings,
    registry: Registry<Session>,
    /// Export whose remaining episodes the next step takes. The server registers the steps of a query one after the
    /// other, and one query at a time (1.21.5).
    before_remaining: Weak<Mutex<Session>>,
}

impl VideoExtension {
    /// Creates the extension. Episodes are in `spool` until they are sent.
    pub fn new(spool: SpoolSettings) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self {
            info: IoExtensionInfo::builder()
                .name(NAME)
                .version(version)
                .build(),
            spool,
            registry: Registry::new(),
            before_remaining: Weak::new(),
        }
    }

    fn session(&self, query: &QueryEntry) -> Result<Session, ExportError> {
        query_check::check(query)?;
        let ext = query.ext.clone().unwrap_or_default();
        let parameters = Parameters::read(&ext)?;
        let at_end = match remaining::follows_export(query) {
            true => AtEnd::All,
            false => AtEnd::One,
        };
        if parameters.index && at_end == AtEnd::One {
            return Err(ExportError::Refused(format!(
                "parameter 'index' is true, expected with the step '{REMAINING}' behind the export: the server takes \
                 one record from it at the end of a query, and the index is the one after the last episode"
            )));
        }
        Ok(Session::new(SessionConfig {
            parameters,
            range: QueryRange {
                start: query.start,
                stop: query.stop,
                is_filtered: query_check::is_filtered(query),
            },
            ext,
            spool: self.spool.clone(),
            ttl: query.ttl.map_or(DEFAULT_TTL, Duration::from_secs),
            at_end,
            ends_without_output: query.entries.is_some(),
        }))
    }
}

impl IoExtension for VideoExtension {
    fn info(&self) -> &IoExtensionInfo {
        &self.info
    }

    fn query(
        &mut self,
        _bucket: &str,
        _entry: &str,
        query: &QueryEntry,
    ) -> Result<(BoxedProcessor, BoxedCommiter), ReductError> {
        guard::install();
        let before_remaining = mem::take(&mut self.before_remaining).upgrade();
        let step = query.ext.as_ref().filter(|step| remaining::is_step(step));
        if let Some(step) = step {
            let checked = guard::run(|| remaining::check(step, query));
            checked.map_err(ExportError::from).flatten()?;
            let session = before_remaining.ok_or_else(|| {
                ExportError::Refused("the export before the remaining episodes is missing".into())
            })?;
            let processor = RemainingProcessor(session);
            return Ok((Box::new(processor), Box::new(RemainingCommiter)));
        }
        let session = guard::run(|| {
            let session = Arc::new(Mutex::new(self.session(query)?));
            self.registry.add(&session);
            Ok(session)
        });
        let session = session.map_err(ExportError::from).flatten()?;
        self.before_remaining = Arc::downgrade(&session);
        let processor = VideoProcessor(session.clone());
        Ok((Box::new(processor), Box::new(VideoCommiter(session))))
    }
}
