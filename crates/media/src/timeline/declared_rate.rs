// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Declared frame rates: of records, their entry, the user or the stream.

use super::names::TimelineNames;
use crate::codec::h264::VuiFrameRate;
use crate::frame_rate::FrameRate;

/// Description of a frame rate of labels and attachments, for messages.
pub const EXPECTED: &str = "a number or fraction from 1/3600 to 1000";

/// Place of the declaration of a frame rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateSource {
    /// The label `fps` of a record.
    Label,
    /// `fps` in the attachment `$video` of the entry.
    Attachment,
    /// An option of the reader.
    Option,
    /// The VUI of the stream's SPS.
    Vui,
}

impl RateSource {
    /// Returns the place for a message, with the names of options as users know them.
    pub fn name(self, names: &TimelineNames) -> &'static str {
        match self {
            Self::Label => "label fps",
            Self::Attachment => "fps in the attachment $video",
            Self::Option => names.frame_rate.unwrap_or("frame rate that is set"),
            Self::Vui => "VUI of the stream",
        }
    }
}

/// A frame rate with its source. The times of records may contradict it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredRate {
    /// The declared frame rate.
    pub rate: FrameRate,
    /// Place of the declaration.
    pub source: RateSource,
}

/// Declarations for all records of an entry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Declarations {
    /// `fps` of the attachment `$video`.
    pub attachment: Option<FrameRate>,
    /// The option of the reader.
    pub option: Option<FrameRate>,
}

impl Declarations {
    /// Returns the first plausible frame rate of label, attachment, option and VUI.
    pub fn choose(&self, label: Option<&str>, vui: Option<VuiFrameRate>) -> Option<DeclaredRate> {
        let label = label.and_then(FrameRate::parse);
        let vui = || vui.and_then(FrameRate::from_vui);
        let from = |source| move |rate| DeclaredRate { rate, source };
        label
            .map(from(RateSource::Label))
            .or_else(|| self.attachment.map(from(RateSource::Attachment)))
            .or_else(|| self.option.map(from(RateSource::Option)))
            .or_else(|| vui().map(from(RateSource::Vui)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction(numerator: i32, denominator: i32) -> FrameRate {
        FrameRate::new(numerator, denominator).unwrap()
    }

    fn vui(numerator: u64, denominator: u64) -> Option<VuiFrameRate> {
        Some(VuiFrameRate {
            numerator,
            denominator,
        })
    }

    #[test]
    fn the_first_declaration_counts() {
        let all = Declarations {
            attachment: Some(fraction(12, 1)),
            option: Some(fraction(13, 1)),
        };
        let option = Declarations {
            attachment: None,
            ..all
        };
        let none = Declarations::default();
        let cases = [
            (all, Some("11"), 11, RateSource::Label),
            (all, Some("11 fps"), 12, RateSource::Attachment),
            (all, None, 12, RateSource::Attachment),
            (option, None, 13, RateSource::Option),
            (none, None, 14, RateSource::Vui),
        ];
        for (declarations, label, rate, source) in cases {
            let expected = DeclaredRate {
                rate: fraction(rate, 1),
                source,
            };
            assert_eq!(declarations.choose(label, vui(14, 1)), Some(expected));
        }
        assert_eq!(none.choose(None, None), None);
    }

    #[test]
    fn rates_that_no_camera_has_are_none() {
        for text in [
            "abc", "0", "-5", "30 fps", "nan", "inf", "1e9", "1001", "0.0001", "1/3601",
        ] {
            assert_eq!(FrameRate::parse(text), None, "{text}");
        }
        for text in ["1000", "1/3600", "0.01", "29.97"] {
            assert!(FrameRate::parse(text).is_some(), "{text}");
        }
        let choose = |vui| Declarations::default().choose(None, vui);
        for (numerator, denominator) in [(90_000, 1), (1, 10), (241, 1), (0, 1), (25, 0)] {
            assert_eq!(choose(vui(numerator, denominator)), None);
        }
        for (numerator, denominator) in [(1, 1), (240, 1), (30_000, 1001)] {
            assert!(choose(vui(numerator, denominator)).is_some());
        }
    }
}
