// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The attachment `$video` of an entry, which the server adds to the parameters of a query.

use media::content::{ATTACHMENT, FPS_LABEL};
use serde_json::Value;

/// Returns the frame rate of the attachment `$video` of `entry` as it is written there, or the reason for which the
/// attachment cannot be read. `ext` has the parameters of the query, and the attachments of all entries by their name.
pub fn frame_rate(ext: &Value, name: &str, entry: &str) -> Result<Option<String>, String> {
    let attached = |keys: &[&str]| keys.iter().try_fold(ext, |value, key| value.get(key));
    match attached(&[name, "attachments", entry, ATTACHMENT]) {
        None => Ok(None),
        Some(Value::Object(video)) => Ok(video.get(FPS_LABEL).map(|rate| match rate {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })),
        Some(_) => Err("it is not a JSON object".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_entry_has_attachments_of_its_own() {
        let ext = json!({ "video": { "export": {}, "attachments": {
            "front": { "$video": { "fps": 29.97, "codec": "h264" } },
            "rear": { "$video": { "fps": "30000/1001" }, "other": 5 },
            "none": { "$video": {} },
            "wrong": { "$video": "fps=30" },
        } } });
        let rate = |entry| frame_rate(&ext, "video", entry);
        assert_eq!(rate("front"), Ok(Some("29.97".into())));
        assert_eq!(rate("rear"), Ok(Some("30000/1001".into())));
        assert_eq!(rate("none"), Ok(None));
        assert_eq!(rate("missing"), Ok(None));
        assert!(rate("wrong").is_err());
        assert_eq!(
            frame_rate(&json!({ "video": { "export": {} } }), "video", "front"),
            Ok(None)
        );
    }
}
