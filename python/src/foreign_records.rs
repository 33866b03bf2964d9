// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Counts of the records whose type is not that of the entry, which are left out.

use media::content::{ContentKind, H264_TYPE, MP4_TYPE};

/// Numbers of records of other types than the expected one.
#[derive(Debug, Clone, Copy)]
pub struct ForeignRecords {
    expected: ContentKind,
    of_video: u64,
    others: u64,
}

impl ForeignRecords {
    /// Returns counts for an entry of this content.
    pub fn new(expected: ContentKind) -> Self {
        Self {
            expected,
            of_video: 0,
            others: 0,
        }
    }

    /// Counts a record if it has another content. Returns whether it has.
    pub fn note(&mut self, content: Option<ContentKind>) -> bool {
        match content {
            Some(content) if content == self.expected => return false,
            Some(_) => self.of_video += 1,
            None => self.others += 1,
        }
        true
    }

    /// Returns a text for each type of records that were counted.
    pub fn warnings(&self) -> Vec<String> {
        let (expected, other) = match self.expected {
            ContentKind::H264 => (H264_TYPE, MP4_TYPE),
            ContentKind::Episode => (MP4_TYPE, H264_TYPE),
        };
        let kinds = [
            (self.of_video, format!("'{other}', not '{expected}'")),
            (self.others, "no video".to_owned()),
        ];
        let counted = kinds.into_iter().filter(|(count, _)| *count > 0);
        counted
            .map(|(count, kind)| match count {
                1 => format!("1 record is left out, as it is {kind}"),
                _ => format!("{count} records are left out, as they are {kind}"),
            })
            .collect()
    }
}
