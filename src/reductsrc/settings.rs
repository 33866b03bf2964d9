// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Properties of `reductsrc`, and the settings that they make once they are checked.

use std::time::Duration;

use client::{Limits, Records, Server, depends_on_order};
use gst::glib;
use gst::prelude::*;
use media::codec::h264::EntryPoints;
use media::range::Begin;
use media::time::{CaptureTime, Nanos};
use media::timeline::TimelineNames;
use recording::{
    Asked, Bound, DEFAULT_LOOKBACK, DEFAULT_PAUSE_LIMIT, End, OnFault, OptionNames, ReadOptions,
    StreamOptions, TimeRange,
};
use serde_json::Value as JsonValue;

use super::{KeyframeMode, OnError, OnLoss, StartMode, StopMode};
use crate::connection::{ConnectionSettings, Place, clock_time, get, invalid};
use crate::convert::{ToClockTime, ToNanos};
use crate::property_values;

pub const DEFAULT_POLL_INTERVAL_MS: u32 = 20;

/// Properties by which messages name options of a reader.
pub const OPTION_NAMES: OptionNames = OptionNames {
    lookback: "property parameter-set-lookback",
    timeline: TimelineNames {
        frame_rate: Some("property fps"),
        gap_tolerance: Some("property gap-tolerance"),
        pause_limit: "property pause-limit",
        on_loss: "property on-loss",
        corrupted: "with the flag CORRUPTED",
    },
    condition: Some("property when"),
    skip_faults: Some("on-error=skip"),
    keyframe_before: Some("start-mode=keyframe-before"),
    intra_pictures: Some("keyframe-mode=intra"),
};

/// The properties as they are set.
#[derive(Debug, Clone)]
pub struct Settings {
    pub connection: ConnectionSettings,
    pub start: Option<String>,
    pub stop: Option<String>,
    pub start_mode: StartMode,
    pub stop_mode: StopMode,
    pub keyframe_mode: KeyframeMode,
    pub ranges: Option<String>,
    pub when: Option<String>,
    pub fps: gst::Fraction,
    pub gap_detection: bool,
    pub gap_tolerance: gst::ClockTime,
    pub pause_limit: gst::ClockTime,
    pub on_loss: OnLoss,
    pub on_error: OnError,
    pub lookback: gst::ClockTime,
    pub limits: Limits,
    pub follow: bool,
    pub poll_interval_ms: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connection: ConnectionSettings::default(),
            start: None,
            stop: None,
            start_mode: StartMode::default(),
            stop_mode: StopMode::default(),
            keyframe_mode: KeyframeMode::default(),
            ranges: None,
            when: None,
            fps: gst::Fraction::new(0, 1),
            gap_detection: true,
            gap_tolerance: gst::ClockTime::ZERO,
            pause_limit: DEFAULT_PAUSE_LIMIT.clock_time(),
            on_loss: OnLoss::default(),
            on_error: OnError::default(),
            lookback: DEFAULT_LOOKBACK.clock_time(),
            limits: Limits::default(),
            follow: false,
            poll_interval_ms: DEFAULT_POLL_INTERVAL_MS,
        }
    }
}

/// Settings that can be worked with.
#[derive(Debug)]
pub struct Checked {
    pub connection: Server,
    pub records: Records,
    /// Ranges to read.
    pub program: Vec<TimeRange>,
    pub options: ReadOptions,
}

impl Checked {
    /// Returns whether reading can begin anywhere: a condition on the order chooses records by those before them.
    pub fn is_seekable(&self) -> bool {
        !self.records.when.as_ref().is_some_and(depends_on_order)
    }
}

impl Settings {
    /// Sets a property.
    pub fn set(&mut self, property: &str, value: &glib::Value) {
        if self.connection.set(property, value) {
            return;
        }
        match property {
            "start" => self.start = get(value),
            "stop" => self.stop = get(value),
            "start-mode" => self.start_mode = get(value),
            "stop-mode" => self.stop_mode = get(value),
            "keyframe-mode" => self.keyframe_mode = get(value),
            "ranges" => self.ranges = get(value),
            "when" => self.when = get(value),
            "fps" => self.fps = get(value),
            "gap-detection" => self.gap_detection = get(value),
            "gap-tolerance" => self.gap_tolerance = clock_time(value),
            "pause-limit" => self.pause_limit = clock_time(value),
            "on-loss" => self.on_loss = get(value),
            "on-error" => self.on_error = get(value),
            "parameter-set-lookback" => self.lookback = clock_time(value),
            "retries" => self.limits.retries = get(value),
            "connections" => self.limits.connections = get(value),
            "prefetch-bytes" => self.limits.prefetch_bytes = get(value),
            "max-record-bytes" => self.limits.max_record_bytes = get(value),
            "follow" => self.follow = get(value),
            "poll-interval" => self.poll_interval_ms = get(value),
            _ => unimplemented!(),
        }
    }

    /// Returns these settings with other values of some properties.
    pub fn with(mut self, values: &[(&'static str, glib::Value)]) -> Self {
        for (property, value) in values {
            self.set(property, value);
        }
        self
    }

    /// Returns the value of a property.
    pub fn get(&self, property: &str) -> glib::Value {
        if let Some(value) = self.connection.get(property) {
            return value;
        }
        match property {
            "start" => self.start.to_value(),
            "stop" => self.stop.to_value(),
            "start-mode" => self.start_mode.to_value(),
            "stop-mode" => self.stop_mode.to_value(),
            "keyframe-mode" => self.keyframe_mode.to_value(),
            "ranges" => self.ranges.to_value(),
            "when" => self.when.to_value(),
            "fps" => self.fps.to_value(),
            "gap-detection" => self.gap_detection.to_value(),
            "gap-tolerance" => self.gap_tolerance.nseconds().to_value(),
            "pause-limit" => self.pause_limit.nseconds().to_value(),
            "on-loss" => self.on_loss.to_value(),
            "on-error" => self.on_error.to_value(),
            "parameter-set-lookback" => self.lookback.nseconds().to_value(),
            "retries" => self.limits.retries.to_value(),
            "connections" => self.limits.connections.to_value(),
            "prefetch-bytes" => self.limits.prefetch_bytes.to_value(),
            "max-record-bytes" => self.limits.max_record_bytes.to_value(),
            "follow" => self.follow.to_value(),
            "poll-interval" => self.poll_interval_ms.to_value(),
            _ => unimplemented!(),
        }
    }

    /// Checks the settings. No I/O.
    ///
    /// # Errors
    ///
    /// A text that names the property, its value and the valid ones.
    pub fn check(&self) -> Result<Checked, String> {
        let Place {
            connection,
            bucket,
            entry,
        } = self.connection.check()?;
        let when = self.when.as_deref().map(condition).transpose()?;
        if self.follow {
            self.check_follow(when.as_ref())?;
        }
        let asked = self.asked()?;

        Ok(Checked {
            connection,
            program: self.program(&asked),
            records: Records {
                bucket,
                entry,
                when,
                poll_interval: self.follow.then(|| self.poll_interval()),
                limits: self.limits,
            },
            options: ReadOptions {
                stream: StreamOptions {
                    entry_points: match self.keyframe_mode {
                        KeyframeMode::Idr => EntryPoints::Idr,
                        KeyframeMode::RecoveryPoint => EntryPoints::RecoveryPoints,
                        KeyframeMode::Intra => EntryPoints::IntraPictures,
                    },
                    on_fault: match self.on_error {
                        OnError::Skip => OnFault::Skip,
                        OnError::Stop => OnFault::Stop,
                    },
                    on_loss: self.on_loss.into(),
                    // DISCONT marks what follows an unreadable frame.
                    marks_faults: false,
                    frame_rate: property_values::fps(self.fps)?,
                    gap_detection: self.gap_detection,
                    gap_tolerance: Some(self.gap_tolerance.nanos()).filter(|time| !time.is_zero()),
                    pause_limit: self.pause_limit.nanos(),
                    names: OPTION_NAMES,
                },
                lookback: self.lookback.nanos(),
                asked,
            },
        })
    }

    /// Checks settings that do not go with `follow`.
    fn check_follow(&self, when: Option<&JsonValue>) -> Result<(), String> {
        if self.ranges.is_some() {
            return Err(
                "The property follow goes with one range, from start to stop, and ranges is set"
                    .into(),
            );
        }
        if when.is_some_and(depends_on_order) {
            let when = self.when.as_deref().unwrap_or_default();
            let expected = "a condition on each record by itself, as follow needs it";
            return Err(invalid("when", when, expected));
        }
        Ok(())
    }

    /// Returns the interval of requests for new records.
    pub fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms.into())
    }

    /// Returns the ranges as they are read.
    fn program(&self, asked: &[Asked]) -> Vec<TimeRange> {
        let begin = match self.start_mode {
            StartMode::KeyframeAfter => Begin::KeyframeAfter,
            StartMode::KeyframeBefore => Begin::KeyframeBefore,
            StartMode::Exact => Begin::Exact,
        };
        let end = match self.stop_mode {
            StopMode::Exact => End::Exact,
            StopMode::Keyframe => End::Keyframe,
        };
        let piece = |range: &Asked| {
            let stop = range.stop.as_ref().map(Bound::time);
            let start = range.start.as_ref().map(Bound::time);
            // Both may be beyond what can be counted.
            let latest = stop.map_or(CaptureTime::MAX, |stop| stop - Nanos::USECOND);
            TimeRange::new(start.map(|start| start.min(latest)), stop, begin, end)
        };
        asked.iter().map(piece).collect()
    }

    /// Parses the ranges, by whichever properties they are given.
    fn asked(&self) -> Result<Vec<Asked>, String> {
        let Some(ranges) = &self.ranges else {
            let bound = |property, text: &Option<String>| {
                let text = text.as_deref();
                text.map(|text| property_values::bound(property, text))
                    .transpose()
            };
            let range = Asked {
                start: bound("start", &self.start)?,
                stop: bound("stop", &self.stop)?,
            };
            range.check("property")?;
            return Ok(vec![range]);
        };
        if let Some((property, _)) = [("start", &self.start), ("stop", &self.stop)]
            .into_iter()
            .find(|(_, time)| time.is_some())
        {
            return Err(format!(
                "The properties ranges and {property} are both set: set only one of them"
            ));
        }
        let mut end_of_last: Option<Bound> = None;
        let ranges = ranges.split(',').map(|text| {
            let pair = text.split_once('/');
            let (start, stop) = pair.ok_or_else(|| invalid("ranges", text, "START/STOP"))?;
            let start = property_values::bound("ranges", start)?;
            let stop = property_values::bound("ranges", stop)?;
            if end_of_last.as_ref().is_some_and(|end| start.is_before(end)) {
                let expected = "a range that begins where the one before it has ended";
                return Err(invalid("ranges", text, expected));
            }
            end_of_last = Some(stop.clone());
            let range = Asked {
                start: Some(start),
                stop: Some(stop),
            };
            range.check("property")?;
            Ok(range)
        });
        ranges.collect()
    }
}

fn condition(text: &str) -> Result<JsonValue, String> {
    let parsed = text.parse::<JsonValue>();
    parsed.ok().filter(JsonValue::is_object).ok_or_else(|| {
        invalid(
            "when",
            text,
            r#"a JSON object such as {"&good": {"$eq": true}}"#,
        )
    })
}

#[cfg(test)]
mod tests {
    use media::frame_rate::FrameRate;

    use super::*;
    use crate::connection::DEFAULT_URL;

    fn settings() -> Settings {
        Settings {
            connection: ConnectionSettings {
                url: DEFAULT_URL.into(),
                bucket: Some("b".into()),
                entry: Some("robot/cam-1".into()),
                ..Default::default()
            },
            ..Default::default()
        }
    }

    #[test]
    fn ranges() {
        let range = |start: &str, stop: &str| Settings {
            start: Some(start.into()),
            stop: Some(stop.into()),
            ..settings()
        };
        let checked = range("1000000", "1970-01-01T00:00:02Z").check().unwrap();
        assert_eq!(checked.program.len(), 1);
        let seconds = |count: u64| Some(CaptureTime::from_useconds(count * 1_000_000));
        assert_eq!(checked.program[0].start, seconds(1));
        assert_eq!(checked.program[0].stop, seconds(2));
        assert!(range("4", "5").check().is_ok());
        for (start, stop) in [("5", "5"), ("6", "5")] {
            assert!(range(start, stop).check().unwrap_err().contains("stop"));
        }
    }

    #[test]
    fn several_ranges() {
        let ranges = |ranges: &str| {
            let settings = Settings {
                ranges: Some(ranges.into()),
                ..settings()
            };
            settings.check().map(|checked| {
                let pieces = checked.program.iter();
                pieces
                    .map(|piece| [piece.start, piece.stop].map(|time| time.unwrap().useconds()))
                    .collect::<Vec<_>>()
            })
        };
        let found = ranges("1970-01-01T00:00:01Z/2000000,2000000/3000000");
        assert_eq!(
            found,
            Ok(vec![[1_000_000, 2_000_000], [2_000_000, 3_000_000]])
        );
        for bad in [
            "", "5", "5/", "/5", "5/5", "6/5", "5/7,6/8", "7/8,5/6", "5/6,", "5/6/7", "a/b",
        ] {
            assert!(ranges(bad).unwrap_err().contains("ranges"), "{bad}");
        }
        let both = Settings {
            ranges: Some("5/6".into()),
            start: Some("5".into()),
            ..settings()
        };
        assert!(both.check().unwrap_err().contains("start"));
    }

    #[test]
    fn what_can_be_followed() {
        let follow = Settings {
            follow: true,
            ..settings()
        };
        let checked = follow.check().unwrap();
        assert_eq!(
            checked.records.poll_interval,
            Some(Duration::from_millis(20))
        );
        assert_eq!(settings().check().unwrap().records.poll_interval, None);
        let ranges = Settings {
            ranges: Some("5/6".into()),
            ..follow.clone()
        };
        assert!(ranges.check().unwrap_err().contains("ranges"));
        let by_order = Settings {
            when: Some(r#"{"$each_n": 2}"#.into()),
            ..follow.clone()
        };
        assert!(by_order.check().unwrap_err().contains("$each_n"));
        let by_label = Settings {
            when: Some(r#"{"&good": {"$eq": true}}"#.into()),
            ..follow
        };
        assert!(by_label.check().is_ok());
    }

    #[test]
    fn frame_rates_that_no_camera_has() {
        let check = |n, d| {
            let fps = gst::Fraction::new(n, d);
            Settings { fps, ..settings() }
                .check()
                .map(|checked| checked.options.stream.frame_rate)
        };
        assert_eq!(check(0, 1), Ok(None));
        assert_eq!(check(25, 1), Ok(FrameRate::new(25, 1)));
        for (n, d) in [(2000, 1), (1, 100_000)] {
            assert!(check(n, d).unwrap_err().contains("property fps"));
        }
    }

    #[test]
    fn conditions_are_objects() {
        assert!(condition(r#"{"&a": {"$gt": 1}}"#).is_ok());
        for text in ["", "[]", "1", "{", "&a > 1"] {
            assert!(condition(text).is_err(), "{text}");
        }
    }
}
