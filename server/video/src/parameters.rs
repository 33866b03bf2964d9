// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Parameters of an export, as a query has them.

use std::fmt;

use media::cut::{KeyframeMode, SplitMode};
use media::frame_rate::FrameRate;
use media::time::Nanos;
use media::timeline::OnLoss;
use serde_json::{Map, Value};

use crate::{duration, size};

/// Name of the extension, which is the key of its parameters in `#ext`.
pub const NAME: &str = "video";
/// Key of the parameters of an export.
pub const EXPORT: &str = "export";
/// Key of the attachments of entries, which the server adds.
pub const ATTACHMENTS: &str = "attachments";
/// Largest number of characters of a value in an error.
const MAX_SHOWN: usize = 100;

/// Parameters of an export: the value of `export`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Frame rate of records without the label `fps`, unless the attachment `$video` of their entry has one.
    pub frame_rate: Option<FrameRate>,
    /// Limit of the duration of an episode.
    pub duration: Option<Nanos>,
    /// Limit of the size of an episode in bytes.
    pub size: Option<u64>,
    /// Episodes end at gaps.
    pub gap_detection: bool,
    /// Time that has to be missing for a gap, besides a frame duration; by the rhythm of the records if `None`.
    pub gap_tolerance: Option<Nanos>,
    /// Position of cuts relative to the limits.
    pub split_mode: SplitMode,
    /// Access units with which an episode can begin.
    pub keyframe_mode: KeyframeMode,
    /// Treatment of pictures that refer to lost ones.
    pub on_loss: OnLoss,
    /// Layout of the files.
    pub layout: Layout,
    /// Each episode is followed by an index of its frames.
    pub index: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            frame_rate: None,
            duration: None,
            size: None,
            gap_detection: true,
            gap_tolerance: None,
            split_mode: SplitMode::default(),
            keyframe_mode: KeyframeMode::default(),
            on_loss: OnLoss::default(),
            layout: Layout::default(),
            index: false,
        }
    }
}

/// Layout of an MP4 file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// The description of the samples stands behind them.
    #[default]
    Plain,
    /// It stands before them, so that a player can begin before it has the whole file.
    FastStart,
    /// In fragments of whole groups of pictures.
    Fragmented,
}

/// Fault of the parameters. Its text names the parameter, its value, and the values that are allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Extension 'video': {0}")]
pub struct ParameterError(String);

impl Parameters {
    /// Reads the parameters of a query: the value of `ext`, or of `#ext` in a condition, such as
    /// `{"video": {"export": {"duration": "2s"}}}`.
    ///
    /// # Errors
    ///
    /// Parameters that are unknown, or have a value that is not allowed.
    pub fn read(ext: &Value) -> Result<Self, ParameterError> {
        let video = object(ext.get(NAME).unwrap_or(&Value::Null), NAME)?;
        let unknown = video
            .keys()
            .find(|key| ![EXPORT, ATTACHMENTS].contains(&key.as_str()));
        if let Some(key) = unknown {
            return Err(fault(format_args!(
                "unknown key '{key}', expected '{EXPORT}'"
            )));
        }
        let Some(export) = video.get(EXPORT) else {
            return Err(fault(format_args!("the key '{EXPORT}' is missing")));
        };
        let mut parameters = Self::default();
        let mut layout = LayoutChoice::default();
        for (name, value) in object(export, EXPORT)? {
            parameters.set(&mut layout, name, value)?;
        }
        parameters.layout = layout.layout()?;
        Ok(parameters)
    }

    fn set(
        &mut self,
        layout: &mut LayoutChoice,
        name: &str,
        value: &Value,
    ) -> Result<(), ParameterError> {
        let parameter = Parameter { name, value };
        match name {
            "fps" => self.frame_rate = Some(parameter.frame_rate()?),
            "duration" => self.duration = Some(parameter.limit(parameter.duration()?)?),
            "size" => self.size = Some(parameter.limit(parameter.size()?)?),
            "gap_detection" => self.gap_detection = parameter.switch()?,
            "gap_tolerance" => {
                self.gap_tolerance = Some(parameter.duration()?).filter(|it| !it.is_zero());
            }
            "split_mode" => self.split_mode = parameter.one_of(SPLIT_MODES)?,
            "keyframe_mode" => self.keyframe_mode = parameter.one_of(KEYFRAME_MODES)?,
            "on_loss" => self.on_loss = parameter.one_of(ON_LOSS)?,
            "faststart" => layout.is_fast_start = parameter.switch()?,
            "fragmented" => layout.is_fragmented = parameter.switch()?,
            "index" => self.index = parameter.switch()?,
            _ => {
                let known = PARAMETERS.join(", ");
                return Err(fault(format_args!(
                    "unknown parameter '{name}', expected one of {known}"
                )));
            }
        }
        Ok(())
    }
}

/// Names of all parameters.
const PARAMETERS: &[&str] = &[
    "fps",
    "duration",
    "size",
    "gap_detection",
    "gap_tolerance",
    "split_mode",
    "keyframe_mode",
    "on_loss",
    "faststart",
    "fragmented",
    "index",
];
// The names are those of the elements' properties.
const SPLIT_MODES: &[(&str, SplitMode)] = &[
    ("next-keyframe", SplitMode::NextKeyframe),
    ("at-most", SplitMode::AtMost),
];
const KEYFRAME_MODES: &[(&str, KeyframeMode)] = &[
    ("idr", KeyframeMode::Idr),
    ("recovery-point", KeyframeMode::RecoveryPoint),
    ("intra", KeyframeMode::Intra),
];
const ON_LOSS: &[(&str, OnLoss)] = &[
    ("auto", OnLoss::Auto),
    ("drop", OnLoss::Drop),
    ("keep", OnLoss::Keep),
];

/// The two parameters that decide the layout of files.
#[derive(Debug, Default)]
struct LayoutChoice {
    is_fast_start: bool,
    is_fragmented: bool,
}

impl LayoutChoice {
    fn layout(&self) -> Result<Layout, ParameterError> {
        match (self.is_fast_start, self.is_fragmented) {
            (false, false) => Ok(Layout::Plain),
            (true, false) => Ok(Layout::FastStart),
            (false, true) => Ok(Layout::Fragmented),
            (true, true) => Err(fault(format_args!(
                "'faststart' and 'fragmented' are both true, expected one of them: \
                 a fragmented file needs no other part before the first fragment"
            ))),
        }
    }
}

/// A parameter whose value is read.
struct Parameter<'a> {
    name: &'a str,
    value: &'a Value,
}

impl Parameter<'_> {
    fn frame_rate(&self) -> Result<FrameRate, ParameterError> {
        let number = self.value.is_number().then(|| self.value.to_string());
        let rate = number.and_then(|number| FrameRate::parse(&number));
        rate.ok_or_else(|| self.fault("a number from 1/3600 to 1000"))
    }

    fn duration(&self) -> Result<Nanos, ParameterError> {
        let duration = self.value.as_str().and_then(duration::parse);
        duration.ok_or_else(|| self.fault(duration::EXPECTED))
    }

    fn size(&self) -> Result<u64, ParameterError> {
        let size = self.value.as_str().and_then(size::parse);
        size.ok_or_else(|| self.fault(size::EXPECTED))
    }

    /// Returns a limit unless it is 0.
    fn limit<T: Default + PartialEq>(&self, limit: T) -> Result<T, ParameterError> {
        match limit == T::default() {
            true => Err(self.fault("more than 0; without a limit leave it out")),
            false => Ok(limit),
        }
    }

    fn switch(&self) -> Result<bool, ParameterError> {
        (self.value.as_bool()).ok_or_else(|| self.fault("true or false"))
    }

    fn one_of<T: Copy>(&self, values: &[(&str, T)]) -> Result<T, ParameterError> {
        let value = self.value.as_str();
        let found = values.iter().find(|(name, _)| Some(*name) == value);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = values
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            self.fault(&format!("one of {}", names.join(", ")))
        })
    }

    fn fault(&self, expected: &str) -> ParameterError {
        let Self { name, value } = self;
        fault(format_args!(
            "parameter '{name}' is {}, expected {expected}",
            shown(value)
        ))
    }
}

fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, ParameterError> {
    value.as_object().ok_or_else(|| {
        fault(format_args!(
            "'{name}' is {}, expected an object of parameters",
            shown(value)
        ))
    })
}

/// Returns a value for an error, which is cut if it is long.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn fault(text: fmt::Arguments<'_>) -> ParameterError {
    ParameterError(text.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(export: Value) -> Result<Parameters, String> {
        Parameters::read(&json!({ "video": { "export": export } })).map_err(|it| it.to_string())
    }

    #[test]
    fn no_parameters_are_the_defaults() {
        let defaults = read(json!({})).expect("no parameters");
        assert_eq!(defaults, Parameters::default());
        assert!(defaults.gap_detection);
    }

    #[test]
    fn documented_parameters() {
        let read =
            read(json!({ "fps": 10, "duration": "1h 30m", "size": "1GB", "gap_detection": false }));
        let expected = Parameters {
            frame_rate: FrameRate::new(10, 1),
            duration: Some(Nanos::from_seconds(5400)),
            size: Some(1_000_000_000),
            gap_detection: false,
            ..Parameters::default()
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn further_parameters() {
        let read = read(json!({
            "gap_tolerance": "200ms",
            "split_mode": "at-most",
            "keyframe_mode": "recovery-point",
            "on_loss": "keep",
            "fragmented": true,
            "faststart": false,
            "index": true,
        }));
        let expected = Parameters {
            gap_tolerance: Some(Nanos::from_mseconds(200)),
            split_mode: SplitMode::AtMost,
            keyframe_mode: KeyframeMode::RecoveryPoint,
            on_loss: OnLoss::Keep,
            layout: Layout::Fragmented,
            index: true,
            ..Parameters::default()
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn values_at_the_limits_of_their_range() {
        let rate = |export| read(export).expect("a rate").frame_rate;
        assert_eq!(rate(json!({ "fps": 29.97 })), FrameRate::new(30_000, 1001));
        assert_eq!(rate(json!({ "fps": 0.5 })), FrameRate::new(1, 2));
        assert_eq!(rate(json!({ "fps": 1000 })), FrameRate::new(1000, 1));
        // As the property of the element: by the rhythm of the records.
        assert_eq!(
            read(json!({ "gap_tolerance": "0s" })),
            Ok(Parameters::default())
        );
        let fast_start = read(json!({ "faststart": true })).expect("a layout");
        assert_eq!(fast_start.layout, Layout::FastStart);
    }

    #[test]
    fn attachments_are_those_of_the_server() {
        let ext = json!({ "video": { "export": {}, "attachments": { "cam": { "$video": { "fps": 10 } } } } });
        assert_eq!(Parameters::read(&ext), Ok(Parameters::default()));
    }

    #[test]
    fn faults_name_the_parameter_its_value_and_what_is_allowed() {
        for (export, text) in [
            (
                json!({ "fps": 0 }),
                "parameter 'fps' is 0, expected a number from 1/3600 to 1000",
            ),
            (
                json!({ "fps": -1 }),
                "parameter 'fps' is -1, expected a number from 1/3600 to 1000",
            ),
            (
                json!({ "fps": 1000.5 }),
                "parameter 'fps' is 1000.5, expected a number from 1/3600 to 1000",
            ),
            (
                json!({ "fps": "10" }),
                "parameter 'fps' is \"10\", expected a number from 1/3600 to 1000",
            ),
            (
                json!({ "fps": null }),
                "parameter 'fps' is null, expected a number from 1/3600 to 1000",
            ),
            (
                json!({ "duration": 2 }),
                "parameter 'duration' is 2, expected a duration with units (ms, s, m, h, d), such as \
                 \"30s\", \"1m\" or \"1h 30m\"",
            ),
            (
                json!({ "duration": "2 seconds" }),
                "parameter 'duration' is \"2 seconds\", expected a duration with units (ms, s, m, h, d), such \
                 as \"30s\", \"1m\" or \"1h 30m\"",
            ),
            (
                json!({ "duration": "0s" }),
                "parameter 'duration' is \"0s\", expected more than 0; without a limit leave it out",
            ),
            (
                json!({ "size": "100" }),
                "parameter 'size' is \"100\", expected a size with a unit (B, KB, MB, GB, TB, KiB, MiB, GiB, \
                 TiB), such as \"100MB\" or \"1GB\"",
            ),
            (
                json!({ "size": "0MB" }),
                "parameter 'size' is \"0MB\", expected more than 0; without a limit leave it out",
            ),
            (
                json!({ "gap_detection": "true" }),
                "parameter 'gap_detection' is \"true\", expected true or false",
            ),
            (
                json!({ "faststart": 1 }),
                "parameter 'faststart' is 1, expected true or false",
            ),
            (
                json!({ "fragmented": [] }),
                "parameter 'fragmented' is [], expected true or false",
            ),
            (
                json!({ "index": "parquet" }),
                "parameter 'index' is \"parquet\", expected true or false",
            ),
            (
                json!({ "split_mode": "never" }),
                "parameter 'split_mode' is \"never\", expected one of \"next-keyframe\", \"at-most\"",
            ),
            (
                json!({ "keyframe_mode": true }),
                "parameter 'keyframe_mode' is true, expected one of \"idr\", \"recovery-point\", \"intra\"",
            ),
            (
                json!({ "on_loss": "Drop" }),
                "parameter 'on_loss' is \"Drop\", expected one of \"auto\", \"drop\", \"keep\"",
            ),
            (
                json!({ "gap_tolerance": "-1s" }),
                "parameter 'gap_tolerance' is \"-1s\", expected a duration with units (ms, s, m, h, d), such as \
                 \"30s\", \"1m\" or \"1h 30m\"",
            ),
            (
                json!({ "faststart": true, "fragmented": true }),
                "'faststart' and 'fragmented' are both true, expected one of them: a fragmented file needs no \
                 other part before the first fragment",
            ),
            (
                json!({ "length": "2s" }),
                "unknown parameter 'length', expected one of fps, duration, size, gap_detection, gap_tolerance, \
                 split_mode, keyframe_mode, on_loss, faststart, fragmented, index",
            ),
            (
                json!("2s"),
                "'export' is \"2s\", expected an object of parameters",
            ),
            (
                json!(null),
                "'export' is null, expected an object of parameters",
            ),
        ] {
            assert_eq!(read(export), Err(format!("Extension 'video': {text}")));
        }
    }

    #[test]
    fn faults_of_the_extension_itself() {
        for (ext, text) in [
            (json!({ "video": {} }), "the key 'export' is missing"),
            (
                json!({ "video": { "export": {}, "import": {} } }),
                "unknown key 'import', expected 'export'",
            ),
            (
                json!({ "video": 5 }),
                "'video' is 5, expected an object of parameters",
            ),
            (
                json!(null),
                "'video' is null, expected an object of parameters",
            ),
        ] {
            let error = Parameters::read(&ext).expect_err("a fault").to_string();
            assert_eq!(error, format!("Extension 'video': {text}"));
        }
    }

    #[test]
    fn a_long_value_is_cut_in_an_error() {
        let long = "é".repeat(1000);
        let error = read(json!({ "duration": long })).expect_err("no duration");
        assert!(error.chars().count() < 300, "{error}");
        assert!(error.contains("..."), "{error}");
    }
}
