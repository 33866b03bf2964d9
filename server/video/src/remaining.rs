// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The step behind an export, which takes the episodes that are left at the end of a query.
//!
//! The server takes one record at most from each step at the end of a query (1.21.5), and passes it to the next step.
//! Of that one it takes as many as it returns for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream;
use reduct_base::error::ReductError;
use reduct_base::ext::{BoxedRecordStream, Commiter, Processor};
use reduct_base::io::BoxedReadRecord;
use reduct_base::msg::entry_api::QueryEntry;
use serde_json::Value;

use crate::error::ExportError;
use crate::guard;
use crate::lock::lock;
use crate::panic_injection;
use crate::parameters::{ATTACHMENTS, EXPORT, NAME};
use crate::pipeline_step::abort;
use crate::session::Session;

/// Key of the step.
pub const REMAINING: &str = "remaining";

/// Returns whether a step is for the remaining episodes: `{"video": {"remaining": {}}}`.
pub fn is_step(step: &Value) -> bool {
    let video = step.get(NAME);
    video.is_some_and(|video| video.get(REMAINING).is_some())
}

/// Returns whether such a step follows the export in the condition of a query.
pub fn follows_export(query: &QueryEntry) -> bool {
    let steps = query.when.as_ref().and_then(|when| when.get("#ext"));
    let Some(Value::Array(steps)) = steps else {
        return false;
    };
    let is_export = |step: &Value| step.get(NAME).is_some_and(|it| it.get(EXPORT).is_some());
    let mut pairs = steps.windows(2);
    pairs.any(|pair| matches!(pair, [first, second] if is_export(first) && is_step(second)))
}

/// Checks the parameters of the step.
///
/// # Errors
///
/// Parameters: there are none. A step that follows no export, or is not in the condition of the query, where the export
/// finds it.
pub fn check(step: &Value, query: &QueryEntry) -> Result<(), ExportError> {
    if !follows_export(query) {
        return Err(ExportError::Refused(format!(
            "a step '{REMAINING}' is expected behind the step with '{EXPORT}', in the list '#ext' of the condition"
        )));
    }
    let video = step.get(NAME).and_then(Value::as_object);
    for (key, value) in video.into_iter().flatten() {
        let is_known = match key.as_str() {
            REMAINING => value.as_object().is_some_and(|it| it.is_empty()),
            other => other == ATTACHMENTS,
        };
        if !is_known {
            return Err(ExportError::Refused(format!(
                "'{key}' has a value in the step '{REMAINING}', expected \"{REMAINING}\": {{}} only"
            )));
        }
    }
    Ok(())
}

/// Passes episodes on. The last one of the export is followed by those that are left.
#[derive(Debug)]
pub struct RemainingProcessor(pub Arc<Mutex<Session>>);

#[async_trait]
impl Processor for RemainingProcessor {
    async fn process_record(
        &mut self,
        record: BoxedReadRecord,
    ) -> Result<BoxedRecordStream, ReductError> {
        Ok(Box::new(EpisodeAndRest {
            episode: Some(record),
            session: self.0.clone(),
        }))
    }
}

/// An episode, and those that are left at the end of the query.
struct EpisodeAndRest {
    episode: Option<BoxedReadRecord>,
    session: Arc<Mutex<Session>>,
}

impl Stream for EpisodeAndRest {
    type Item = Result<BoxedReadRecord, ReductError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(episode) = self.episode.take() {
            return Poll::Ready(Some(Ok(episode)));
        }
        let next = guard::run(|| {
            let mut session = lock(&self.session);
            panic_injection::place("remaining");
            session.next_remaining()
        });
        Poll::Ready(next.unwrap_or_else(|panicked| Some(Err(abort(&self.session, panicked)))))
    }
}

/// Takes episodes as they are.
#[derive(Debug)]
pub struct RemainingCommiter;

#[async_trait]
impl Commiter for RemainingCommiter {
    async fn commit_record(
        &mut self,
        record: BoxedReadRecord,
    ) -> Option<Result<BoxedReadRecord, ReductError>> {
        Some(Ok(record))
    }

    async fn flush(&mut self) -> Option<Result<BoxedReadRecord, ReductError>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(steps: Value) -> QueryEntry {
        QueryEntry {
            when: Some(json!({ "#ext": steps })),
            ..QueryEntry::default()
        }
    }

    #[test]
    fn the_step_follows_an_export() {
        let export = json!({ "video": { "export": {} } });
        let other = json!({ "select": {} });
        let remaining = json!({ "video": { "remaining": {} } });
        assert!(follows_export(&query(json!([export, remaining]))));
        assert!(follows_export(&query(json!([other, export, remaining]))));
        for steps in [
            json!([remaining, export]),
            json!([export, other, remaining]),
            json!([export]),
            json!([remaining]),
            export.clone(),
            remaining.clone(),
        ] {
            assert!(!follows_export(&query(steps.clone())), "{steps}");
        }
        assert!(!follows_export(&QueryEntry::default()));
    }

    #[test]
    fn the_step_has_no_parameters() {
        let steps = query(json!([
            { "video": { "export": {} } },
            { "video": { "remaining": {} } },
        ]));
        let check = |video| {
            check(&json!({ "video": video }), &steps)
                .map_err(|error| ReductError::from(error).message)
        };
        assert_eq!(check(json!({ "remaining": {} })), Ok(()));
        assert_eq!(
            check(json!({ "remaining": {}, "attachments": { "cam": {} } })),
            Ok(())
        );
        for (video, key) in [
            (json!({ "remaining": 1 }), "remaining"),
            (json!({ "remaining": { "duration": "1s" } }), "remaining"),
            (json!({ "remaining": {}, "export": {} }), "export"),
        ] {
            let text = check(video).expect_err("a parameter");
            assert!(text.contains(&format!("'{key}' has a value")), "{text}");
        }
    }
}
