// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! File names of episodes.

use chrono::DateTime;

use crate::time::Nanos;

/// Written while an episode grows: nobody takes half a file for a whole one.
const PART_SUFFIX: &str = ".part";

/// A pattern of file names: at most one printf `%d` form for the index, `{start}` and `{start-us}`
/// for the capture time of the first frame.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// What all names begin with, as it is.
    folder: String,
    text: String,
    /// The text has a printf form for the index.
    numbered: bool,
}

/// Why there is no file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationError {
    /// The pattern has a printf form other than one of `%d`.
    BadFormat,
    /// The pattern has a capture time and the buffers have none.
    NoCaptureTime,
    /// The pattern gives all episodes one name, and this is not the first.
    SameName,
}

impl Pattern {
    /// Checks a pattern.
    pub fn new(text: &str) -> Result<Self, LocationError> {
        if has_absurd_width(text) {
            return Err(LocationError::BadFormat);
        }
        let plain = expand(text, "", "");
        let numbered = match (print(&plain, &[&0]), print(&plain, &[])) {
            (Some(_), _) => true,
            (None, Some(_)) => false,
            (None, None) => return Err(LocationError::BadFormat),
        };
        Ok(Self {
            folder: String::new(),
            text: text.to_owned(),
            numbered,
        })
    }

    /// Checks a pattern of names in a folder, whose own name is no pattern.
    pub fn within(folder: &str, text: &str) -> Result<Self, LocationError> {
        Ok(Self {
            folder: format!("{folder}/"),
            ..Self::new(text)?
        })
    }

    /// The name of episode `index`, whose first frame was captured at `capture`.
    pub fn name(&self, index: u32, capture: Option<Nanos>) -> Result<String, LocationError> {
        let timed = self.text.contains("{start}") || self.text.contains("{start-us}");
        if !timed && !self.numbered && index > 0 {
            return Err(LocationError::SameName);
        }
        let (utc, microseconds) = match capture {
            Some(time) => (utc(time), time.useconds().to_string()),
            None if timed => return Err(LocationError::NoCaptureTime),
            None => Default::default(),
        };
        let text = expand(&self.text, &utc, &microseconds);
        let printed = if self.numbered {
            print(&text, &[&index])
        } else {
            print(&text, &[])
        };
        let folder = &self.folder;
        let name = printed.map(|name| format!("{folder}{name}"));
        name.ok_or(LocationError::BadFormat)
    }
}

/// The name of the file while it is written.
pub fn part(name: &str) -> String {
    format!("{name}{PART_SUFFIX}")
}

fn expand(text: &str, utc: &str, microseconds: &str) -> String {
    text.replace("{start}", utc)
        .replace("{start-us}", microseconds)
}

/// Returns whether a printf form would print more than any file name has.
fn has_absurd_width(text: &str) -> bool {
    let text = text.replace("%%", "");
    let mut forms = text.split('%').skip(1);
    forms.any(|form| {
        let width = form.chars().take_while(|c| !c.is_alphabetic());
        width.filter(char::is_ascii_digit).count() > 3
    })
}

fn print(format: &str, values: &[&dyn sprintf::Printf]) -> Option<String> {
    sprintf::vsprintf(format, values).ok()
}

/// ISO 8601 basic format with microseconds: `20250613T083053.273752Z`.
fn utc(time: Nanos) -> String {
    i64::try_from(time.useconds())
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .map(|time| time.format("%Y%m%dT%H%M%S%.6fZ").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURE: Nanos = Nanos::from_useconds(1_749_803_453_273_752);

    fn name(pattern: &str, index: u32) -> Result<String, LocationError> {
        Pattern::new(pattern)?.name(index, Some(CAPTURE))
    }

    #[test]
    fn patterns() {
        let cases = [
            ("episode_%05d.mp4", "episode_00007.mp4"),
            ("%d", "7"),
            ("a/%3d.mp4", "a/  7.mp4"),
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
        for pattern in ["%s.mp4", "%d_%d.mp4", "%", "%q", "%99999999d"] {
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
        let name = pattern.name(0, Some(Nanos::from_seconds(1)));
        assert_eq!(name.as_deref(), Ok("19700101T000001.000000Z"));
    }
}
