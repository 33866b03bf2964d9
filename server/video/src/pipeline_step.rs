// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The two ends of a query in the pipeline of the server. Neither awaits: the server gives up a record whose extension
//! takes more than 1 s (1.21.5).

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream;
use reduct_base::error::ReductError;
use reduct_base::ext::{BoxedRecordStream, Commiter, Processor};
use reduct_base::io::{BoxedReadRecord, RecordMeta};

use crate::drain_token::DrainToken;
use crate::error::ExportError;
use crate::guard::{self, Panicked};
use crate::lock::lock;
use crate::panic_injection;
use crate::session::Session;

/// Passes records on, each followed by tokens for the episodes that wait.
#[derive(Debug)]
pub struct VideoProcessor(pub Arc<Mutex<Session>>);

#[async_trait]
impl Processor for VideoProcessor {
    async fn process_record(
        &mut self,
        record: BoxedReadRecord,
    ) -> Result<BoxedRecordStream, ReductError> {
        let stream = guard::run(|| {
            panic_injection::place("record");
            RecordAndTokens {
                meta: record.meta().clone(),
                record: Some(record),
                waiting: usize::MAX,
                session: self.0.clone(),
            }
        });
        match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(panicked) => Err(abort(&self.0, panicked)),
        }
    }
}

/// A record and its tokens. The server commits each item before it takes the next one.
struct RecordAndTokens {
    record: Option<BoxedReadRecord>,
    meta: RecordMeta,
    /// Episodes that waited when the latest token was returned.
    waiting: usize,
    session: Arc<Mutex<Session>>,
}

impl Stream for RecordAndTokens {
    type Item = Result<BoxedReadRecord, ReductError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(record) = self.record.take() {
            return Poll::Ready(Some(Ok(record)));
        }
        let token = guard::run(|| {
            let session = lock(&self.session);
            panic_injection::place("token");
            let waiting = session.waiting();
            // A condition of the step may keep tokens back for ever, so that each one has to fetch an episode. Those
            // for which an answer has no room wait for the next record.
            let is_fetching = waiting > 0 && waiting < self.waiting && session.has_room();
            let token = || Box::new(DrainToken::after(&self.meta)) as BoxedReadRecord;
            (waiting, is_fetching.then(token))
        });
        Poll::Ready(match token {
            Ok((waiting, token)) => {
                self.waiting = waiting;
                token.map(Ok)
            }
            Err(panicked) => Some(Err(abort(&self.session, panicked))),
        })
    }
}

/// Ends a query that panicked, nothing of which is used any more. Returns the error.
pub fn abort(session: &Mutex<Session>, panicked: Panicked) -> ReductError {
    let error = ReductError::from(ExportError::from(panicked));
    let freed = guard::run(|| lock(session).abort(error.clone()));
    if let Err(panicked) = freed {
        log::error!("Files of a query are freed later: {panicked}");
    }
    error
}

/// Turns records into episodes.
#[derive(Debug)]
pub struct VideoCommiter(pub Arc<Mutex<Session>>);

impl VideoCommiter {
    fn call(
        &self,
        work: impl FnOnce(&mut Session) -> Option<Result<BoxedReadRecord, ReductError>>,
    ) -> Option<Result<BoxedReadRecord, ReductError>> {
        guard::run(|| work(&mut lock(&self.0)))
            .unwrap_or_else(|panicked| Some(Err(abort(&self.0, panicked))))
    }
}

#[async_trait]
impl Commiter for VideoCommiter {
    async fn commit_record(
        &mut self,
        record: BoxedReadRecord,
    ) -> Option<Result<BoxedReadRecord, ReductError>> {
        self.call(|session| session.commit(record))
    }

    async fn flush(&mut self) -> Option<Result<BoxedReadRecord, ReductError>> {
        self.call(Session::flush)
    }
}
