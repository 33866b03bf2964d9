// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! File names of episodes.

use chrono::DateTime;

use crate::time::CaptureTime;

/// Suffix of a file that is being written, so that it is not mistaken for a complete one.
const PART_SUFFIX: &str = ".part";
/// Largest number of digits of a field width. No file name is longer.
const MAX_WIDTH_DIGITS: usize = 3;

/// A pattern of file names: at most one printf form of `%d` for the index, `{start}` and `{start-us}`
/// for the capture time of the first frame.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Literal beginning of all names.
    folder: String,
    parts: Vec<PatternPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PatternPart {
    Text(String),
    /// Index of the episode.
    Index {
        width: usize,
        fill: Fill,
    },
    /// `{start}`: the capture time in ISO 8601 basic format.
    Start,
    /// `{start-us}`: the capture time in µs since the Unix epoch.
    StartUs,
}

/// Padding of an index that is shorter than its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    SpacesBefore,
    SpacesBehind,
    Zeros,
}

/// Reason for which there is no file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// The pattern has a printf form other than one of `%d`.
    #[error("the pattern may have one printf form of %d, and %% for a percent sign")]
    BadFormat,
    /// The pattern has a capture time and the buffers have none.
    #[error("the pattern has a capture time, and the stream has none")]
    NoCaptureTime,
    /// The pattern gives all episodes one name, and this is not the first.
    #[error("the pattern gives all episodes one name")]
    SameName,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// [`LocationError::BadFormat`].
    pub fn new(text: &str) -> Result<Self, LocationError> {
        let parts = parse(text).ok_or(LocationError::BadFormat)?;
        let is_index = |part: &&PatternPart| matches!(part, PatternPart::Index { .. });
        if parts.iter().filter(is_index).count() > 1 {
            return Err(LocationError::BadFormat);
        }
        Ok(Self {
            folder: String::new(),
            parts,
        })
    }

    /// Parses a pattern of names in a folder, whose own name is no pattern.
    ///
    /// # Errors
    ///
    /// [`LocationError::BadFormat`].
    pub fn within(folder: &str, text: &str) -> Result<Self, LocationError> {
        Ok(Self {
            folder: format!("{folder}/"),
            ..Self::new(text)?
        })
    }

    /// Returns the name of episode `index`, whose first frame was captured at `capture`.
    ///
    /// # Errors
    ///
    /// The pattern has a capture time and `capture` is `None`, or it gives a name that an earlier
    /// episode has.
    pub fn name(&self, index: u32, capture: Option<CaptureTime>) -> Result<String, LocationError> {
        let is_fixed = |part: &PatternPart| matches!(part, PatternPart::Text(_));
        if index > 0 && self.parts.iter().all(is_fixed) {
            return Err(LocationError::SameName);
        }
        let capture = || capture.ok_or(LocationError::NoCaptureTime);
        let mut name = self.folder.clone();
        for part in &self.parts {
            match part {
                PatternPart::Text(text) => name += text,
                PatternPart::Index { width, fill } => name += &fill.pad(index, *width),
                PatternPart::Start => name += &utc(capture()?),
                PatternPart::StartUs => name += &capture()?.useconds().to_string(),
            }
        }
        Ok(name)
    }
}

impl Fill {
    fn pad(self, index: u32, width: usize) -> String {
        match self {
            Self::SpacesBefore => format!("{index:width$}"),
            Self::SpacesBehind => format!("{index:<width$}"),
            Self::Zeros => format!("{index:0width$}"),
        }
    }
}

/// Returns the name of a file while it is being written.
pub fn part(name: &str) -> String {
    format!("{name}{PART_SUFFIX}")
}

/// Splits a pattern into its parts, or returns `None` for an unknown printf form.
fn parse(text: &str) -> Option<Vec<PatternPart>> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (part, after) = if let Some(after) = rest.strip_prefix("%%") {
            literal.push('%');
            rest = after;
            continue;
        } else if let Some(form) = rest.strip_prefix('%') {
            index(form)?
        } else if let Some(after) = rest.strip_prefix("{start}") {
            (PatternPart::Start, after)
        } else if let Some(after) = rest.strip_prefix("{start-us}") {
            (PatternPart::StartUs, after)
        } else {
            literal.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = after;
        parts
            .extend((!literal.is_empty()).then(|| PatternPart::Text(std::mem::take(&mut literal))));
        parts.push(part);
    }
    parts.extend((!literal.is_empty()).then_some(PatternPart::Text(literal)));
    Some(parts)
}

/// Parses what follows the percent sign of `%d`, `%i` or `%u` with flags and field width. Returns the
/// rest of the pattern, too.
fn index(form: &str) -> Option<(PatternPart, &str)> {
    let width = form.trim_start_matches(['-', '0']);
    let flags = &form[..form.len() - width.len()];
    let fill = match flags {
        flags if flags.contains('-') => Fill::SpacesBehind,
        "" => Fill::SpacesBefore,
        _ => Fill::Zeros,
    };
    let conversion = width.trim_start_matches(|c: char| c.is_ascii_digit());
    let width = &width[..width.len() - conversion.len()];
    if flags.len() + width.len() > MAX_WIDTH_DIGITS {
        return None;
    }
    let width = match width {
        "" => 0,
        width => width.parse().ok()?,
    };
    let rest = conversion.strip_prefix(['d', 'i', 'u'])?;
    Some((PatternPart::Index { width, fill }, rest))
}

/// Returns a time in ISO 8601 basic format with microseconds: `20250613T083053.273752Z`.
fn utc(time: CaptureTime) -> String {
    i64::try_from(time.useconds())
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .map(|time| time.format("%Y%m%dT%H%M%S%.6fZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURE: CaptureTime = CaptureTime::from_useconds(1_749_803_453_273_752);

    fn name(pattern: &str, index: u32) -> Result<String, LocationError> {
        Pattern::new(pattern)?.name(index, Some(CAPTURE))
    }

    #[test]
    fn patterns() {
        let cases = [
            ("episode_%05d.mp4", "episode_00007.mp4"),
            ("%d", "7"),
            ("a/%3d.mp4", "a/  7.mp4"),
            ("a/%-3d.mp4", "a/7  .mp4"),
            ("ä%i{", "ä7{"),
            ("%u-%%.mp4", "7-%.mp4"),
            ("{start}.mp4", "20250613T083053.273752Z.mp4"),
            ("{start-us}_%02d.mp4", "1749803453273752_07.mp4"),
            ("100%%_{start-us}.mp4", "100%_1749803453273752.mp4"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(name(pattern, 7).as_deref(), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn the_name_of_a_folder_is_no_pattern() {
        let folder = "/tmp/{start}%d%%{start-us}";
        let pattern = Pattern::within(folder, "%d_{start-us}").unwrap();
        let expected = format!("{folder}/7_{}", CAPTURE.useconds());
        assert_eq!(pattern.name(7, Some(CAPTURE)), Ok(expected));
    }

    #[test]
    fn one_name_for_one_episode() {
        assert_eq!(name("clip.mp4", 0).as_deref(), Ok("clip.mp4"));
        assert_eq!(name("clip.mp4", 1), Err(LocationError::SameName));
    }

    #[test]
    fn bad_patterns() {
        for pattern in ["%s.mp4", "%d_%d.mp4", "%", "%q", "%99999999d", "%d%", "%5"] {
            assert_eq!(name(pattern, 0), Err(LocationError::BadFormat), "{pattern}");
        }
    }

    #[test]
    fn a_time_in_the_name_needs_one() {
        let pattern = Pattern::new("{start}.mp4").unwrap();
        assert_eq!(pattern.name(0, None), Err(LocationError::NoCaptureTime));
        let pattern = Pattern::new("%d.mp4").unwrap();
        assert_eq!(pattern.name(0, None).as_deref(), Ok("0.mp4"));
    }

    #[test]
    fn whole_seconds_keep_their_microseconds() {
        let pattern = Pattern::new("{start}").unwrap();
        let name = pattern.name(0, Some(CaptureTime::from_useconds(1_000_000)));
        assert_eq!(name.as_deref(), Ok("19700101T000001.000000Z"));
    }
}
