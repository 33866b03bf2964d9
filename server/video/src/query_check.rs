// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Checks of a query when it is registered.

use std::collections::BTreeSet;

use reduct_base::msg::entry_api::QueryEntry;
use serde_json::Value;

use crate::error::ExportError;
use crate::panic_injection;
use crate::remaining;

/// Checks that a query can be exported.
///
/// # Errors
///
/// A query that has no end, and one of several entries: the server takes one episode at the end of a query, and each
/// entry would have one. A pattern may match one entry only, which its records show.
pub fn check(query: &QueryEntry) -> Result<(), ExportError> {
    panic_injection::place("registration");
    if query.continuous == Some(true) {
        return Err(ExportError::Refused(
            "the query is continuous, expected one with an end: episodes end where their records do".into(),
        ));
    }
    let entries = query.entries.as_deref().unwrap_or_default();
    let names: BTreeSet<_> = entries.iter().filter(|entry| is_name(entry)).collect();
    if names.len() > 1 {
        let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
        return Err(ExportError::Refused(format!(
            "the query has {} entries ({}), expected one",
            names.len(),
            names.join(", ")
        )));
    }
    Ok(())
}

/// Returns whether records are missing on purpose, because a condition picks the others.
pub fn is_filtered(query: &QueryEntry) -> bool {
    let Some(Value::Object(when)) = &query.when else {
        return false;
    };
    // The others are directives, of which `#ext` can have a condition of its own. That of the remaining episodes picks
    // no records.
    let has_condition = |step: &Value| step.get("when").is_some() && !remaining::is_step(step);
    let is_step_filtered = match when.get("#ext") {
        Some(Value::Array(steps)) => steps.iter().any(has_condition),
        Some(step) => has_condition(step),
        None => false,
    };
    is_step_filtered || when.keys().any(|key| !key.starts_with('#'))
}

/// Returns whether this is the name of an entry, no pattern and no exception.
fn is_name(entry: &str) -> bool {
    !entry.ends_with('*') && !entry.starts_with('!')
}

#[cfg(test)]
mod tests {
    use reduct_base::error::ReductError;
    use serde_json::json;

    use super::*;

    fn entries(entries: &[&str]) -> Result<(), String> {
        let entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let query = QueryEntry {
            entries: Some(entries),
            ..QueryEntry::default()
        };
        check(&query).map_err(|error| ReductError::from(error).message)
    }

    #[test]
    fn a_query_of_several_entries_is_refused() {
        let text = "Extension 'video': the query has 2 entries (front, rear), expected one";
        assert_eq!(entries(&["front", "rear"]), Err(text.into()));
        assert_eq!(entries(&["rear", "cam*", "front"]), Err(text.into()));
    }

    #[test]
    fn a_query_that_may_have_one_entry_is_not_refused() {
        for names in [
            &["cam"][..],
            &["cam", "cam"],
            &["*"],
            &["cam*"],
            &["cam", "!rear", "!front"],
            &[],
        ] {
            assert_eq!(entries(names), Ok(()), "{names:?}");
        }
        assert!(check(&QueryEntry::default()).is_ok());
    }

    #[test]
    fn a_continuous_query_is_refused() {
        let query = |continuous| QueryEntry {
            continuous,
            ..QueryEntry::default()
        };
        assert!(check(&query(Some(false))).is_ok());
        let error = ReductError::from(check(&query(Some(true))).expect_err("no end"));
        let text = "Extension 'video': the query is continuous, expected one with an end: episodes end where their \
                    records do";
        assert_eq!(error.message, text);
    }

    #[test]
    fn conditions_besides_the_extension() {
        let is_filtered = |when| {
            is_filtered(&QueryEntry {
                when,
                ..QueryEntry::default()
            })
        };
        let video = json!({ "video": { "export": {} } });
        assert!(!is_filtered(None));
        assert!(!is_filtered(Some(
            json!({ "#ext": video, "#batch_records": 1 })
        )));
        assert!(is_filtered(Some(
            json!({ "#ext": video, "&keyframe": { "$eq": true } })
        )));
        assert!(is_filtered(Some(
            json!({ "#ext": { "when": {}, "video": {} } })
        )));
        assert!(is_filtered(Some(
            json!({ "#ext": [{ "when": {}, "video": {} }] })
        )));
        assert!(!is_filtered(Some(
            json!({ "#ext": [{ "video": {} }, { "when": {}, "video": { "remaining": {} } }] })
        )));
    }
}
