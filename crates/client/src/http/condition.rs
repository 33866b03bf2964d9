// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Conditional queries: the condition of the user, and the additions of the reader.
//!
//! The language: <https://www.reduct.store/docs/conditional-query>.

use serde_json::Value as JsonValue;

use crate::schema::Schema;

/// Operators that judge a record by itself. Others (`$limit`, `$each_n`, `$each_t`, `$gate`) count
/// the records before it.
const STATELESS_OPERATORS: &[&str] = &[
    "$abs",
    "$add",
    "$all_of",
    "$and",
    "$any_of",
    "$cast",
    "$contains",
    "$day",
    "$div",
    "$div_num",
    "$ends_with",
    "$eq",
    "$exists",
    "$gt",
    "$gte",
    "$has",
    "$hour",
    "$id",
    "$in",
    "$lt",
    "$lte",
    "$minute",
    "$month",
    "$mult",
    "$ne",
    "$nin",
    "$none_of",
    "$not",
    "$one_of",
    "$or",
    "$ref",
    "$rem",
    "$second",
    "$starts_with",
    "$sub",
    "$timestamp",
    "$weekday",
    "$xor",
    "$year",
];
/// Directives that do not change the set of records. `#ctx_before` and `#ctx_after` do, and `#ext` may.
const STATELESS_DIRECTIVES: &[&str] = &[
    "#select_labels",
    "#batch_size",
    "#batch_records",
    "#batch_metadata_size",
    "#batch_timeout",
    "#record_timeout",
    "#io_timeout",
];

/// Limit of a batch's record headers, in bytes: hyper accepts a head of 400 KB at most.
const BATCH_HEADER_BYTES: u64 = 256 << 10;

/// Bounds of a query's answers, as directives.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Limit of records of the whole query; `None` if the reader must not limit them.
    pub records: Option<u64>,
    /// Limit of a batch, in bytes. It may have one record more.
    pub batch_bytes: u64,
    pub batch_records: u64,
}

/// Returns whether records are chosen by the records before them, so that a range cannot be read in pieces.
///
/// An unknown operator counts as such.
pub fn depends_on_order(when: &JsonValue) -> bool {
    match when {
        JsonValue::Object(members) => members
            .iter()
            .any(|(key, value)| !is_stateless(key) || depends_on_order(value)),
        JsonValue::Array(values) => values.iter().any(depends_on_order),
        JsonValue::String(text) => !is_stateless(text),
        JsonValue::Null | JsonValue::Bool(_) | JsonValue::Number(_) => false,
    }
}

/// Keys may be operators, directives or operands; strings operators or operands.
fn is_stateless(text: &str) -> bool {
    match text.as_bytes() {
        [b'$', b'$', ..] => true, // an escaped dollar sign
        [b'$', ..] => STATELESS_OPERATORS.contains(&text),
        [b'#', ..] => STATELESS_DIRECTIVES.contains(&text),
        _ => true,
    }
}

/// Returns the user's condition, limited to records whose label marks them as keyframes.
pub fn of_keyframes(when: Option<&JsonValue>, schema: &Schema) -> JsonValue {
    let is_true = JsonValue::from_iter([("$eq", true)]);
    let is_keyframe = JsonValue::from_iter([(format!("&{}", schema.keyframe), is_true)]);
    let members = match when {
        Some(JsonValue::Object(members)) => members.clone(),
        _ => Default::default(),
    };
    // Each operator in an object of its own: there can be one about the same label.
    let (directives, operators): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|(key, _)| key.starts_with('#'));
    let operators = operators.into_iter();
    let all: Vec<_> = (operators.map(|operator| JsonValue::from_iter([operator])))
        .chain([is_keyframe])
        .collect();
    let all = ("$and".to_owned(), JsonValue::from(all));
    directives.into_iter().chain([all]).collect()
}

/// Returns the condition of a query: that of the user, bounds, and a selection of the labels in use.
pub fn condition(when: Option<&JsonValue>, bounds: Bounds, schema: &Schema) -> JsonValue {
    let mut members = match when {
        Some(JsonValue::Object(members)) => members.clone(),
        _ => Default::default(),
    };
    let mut add = |key: &str, value: JsonValue| members.insert(key.into(), value);
    add(
        "#select_labels",
        vec![schema.frame_rate, schema.keyframe, schema.duration].into(),
    );
    add("#batch_size", bounds.batch_bytes.into());
    add("#batch_records", bounds.batch_records.into());
    add("#batch_metadata_size", BATCH_HEADER_BYTES.into());
    // After the user's operators: it counts the records that they let pass.
    if let Some(records) = bounds.records {
        add("$limit", records.into());
    }
    JsonValue::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::VIDEO;

    fn json(text: &str) -> JsonValue {
        text.parse().unwrap()
    }

    #[test]
    fn conditions_on_a_record_by_itself() {
        for when in [
            r#"{}"#,
            r#"{"&good": {"$eq": true}}"#,
            r#"{"$and": [{"$gt": ["&speed", 1.5]}, {"&mode": {"$eq": "auto"}}]}"#,
            r#"{"&note": {"$eq": "$$limit"}}"#,
            r##"{"#select_labels": ["fps"], "#batch_size": "1MB", "$exists": "&x"}"##,
        ] {
            assert!(!depends_on_order(&json(when)), "{when}");
        }
    }

    #[test]
    fn conditions_on_what_came_before() {
        for when in [
            r#"{"$limit": 5}"#,
            r#"{"$and": [true, {"$each_n": 10}]}"#,
            r#"{"&good": {"$eq": true}, "$each_t": "1s"}"#,
            r#"{"$or": [{"$not": {"$gate": ["&x"]}}]}"#,
            r##"{"#ctx_before": 2, "&good": {"$eq": true}}"##,
            r##"{"#ext": {"video": {}}}"##,
            r#"{"$of_a_later_version": 1}"#,
        ] {
            assert!(depends_on_order(&json(when)), "{when}");
        }
    }

    #[test]
    fn keyframes_of_what_the_user_asks_for() {
        let when = json(r##"{"&keyframe":{"$eq":true},"$and":[true],"#batch_size":5}"##);
        assert_eq!(
            of_keyframes(Some(&when), &VIDEO).to_string(),
            r##"{"#batch_size":5,"$and":[{"&keyframe":{"$eq":true}},{"$and":[true]},{"&keyframe":{"$eq":true}}]}"##
        );
        assert_eq!(
            of_keyframes(None, &VIDEO).to_string(),
            r#"{"$and":[{"&keyframe":{"$eq":true}}]}"#
        );
    }

    #[test]
    fn bounds_come_after_what_the_user_asks_for() {
        let bounds = Bounds {
            records: Some(7),
            batch_bytes: 1000,
            batch_records: 20,
        };
        let when = json(r##"{"&good":{"$eq":true},"#select_labels":["good"]}"##);
        assert_eq!(
            condition(Some(&when), bounds, &VIDEO).to_string(),
            r##"{"&good":{"$eq":true},"#select_labels":["fps","keyframe","duration"],"#batch_size":1000,"#batch_records":20,"#batch_metadata_size":262144,"$limit":7}"##
        );
    }
}
