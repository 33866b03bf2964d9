// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Properties of `reductsink`, and their checked form.

use std::time::Duration;

use client::{self, SpoolOptions, Token, WriterOptions, is_label_name, is_label_value};
use gst::glib;
use gst::prelude::*;
use media::content::{FPS_LABEL, KEYFRAME_LABEL};
use media::time::CaptureTime;
use recording::{RecorderOptions, Undecodable};

use super::{Existing, OnError, Overflow, RecordUnit, SpoolSync};
use crate::connection::{ConnectionSettings, Place, get};
use crate::convert::ToClockTime as _;
use crate::property_values;

pub const DEFAULT_MAX_LATENCY_MS: u32 = client::DEFAULT_MAX_LATENCY.as_millis() as u32;

/// Values of the properties, as they are set.
#[derive(Debug, Clone)]
pub struct Settings {
    pub connection: ConnectionSettings,
    pub create_bucket: bool,
    pub quota_size: u64,
    pub record_unit: RecordUnit,
    pub labels: Option<gst::Structure>,
    pub start: Option<String>,
    pub fps: gst::Fraction,
    pub on_error: OnError,
    pub max_latency_ms: u32,
    pub queue_bytes: u64,
    pub overflow: Overflow,
    pub existing: Existing,
    pub retries: u32,
    pub spool_dir: Option<String>,
    pub spool_sync: SpoolSync,
}

impl Default for Settings {
    fn default() -> Self {
        let token = ["REDUCT_SINK_API_TOKEN", "REDUCT_API_TOKEN"];
        let token = token.into_iter().find_map(|name| std::env::var(name).ok());
        Self {
            connection: ConnectionSettings {
                api_token: Token::new(token),
                ..Default::default()
            },
            create_bucket: true,
            quota_size: 0,
            record_unit: RecordUnit::default(),
            labels: None,
            start: None,
            fps: gst::Fraction::new(0, 1),
            on_error: OnError::default(),
            max_latency_ms: DEFAULT_MAX_LATENCY_MS,
            queue_bytes: client::DEFAULT_QUEUE_BYTES,
            overflow: Overflow::default(),
            existing: Existing::default(),
            retries: client::DEFAULT_RETRIES,
            spool_dir: None,
            spool_sync: SpoolSync::default(),
        }
    }
}

/// Checked settings.
#[derive(Debug)]
pub struct Checked {
    pub place: Place,
    pub recorder: RecorderOptions,
    /// Capture time of running time 0.
    pub start: Option<gst::ClockTime>,
    pub overflow: Overflow,
}

impl Settings {
    /// Sets a property.
    pub fn set(&mut self, property: &str, value: &glib::Value) {
        if self.connection.set(property, value) {
            return;
        }
        match property {
            "create-bucket" => self.create_bucket = get(value),
            "quota-size" => self.quota_size = get(value),
            "record-unit" => self.record_unit = get(value),
            "labels" => self.labels = get(value),
            "start" => self.start = get(value),
            "fps" => self.fps = get(value),
            "on-error" => self.on_error = get(value),
            "max-latency" => self.max_latency_ms = get(value),
            "queue-bytes" => self.queue_bytes = get(value),
            "overflow" => self.overflow = get(value),
            "existing" => self.existing = get(value),
            "retries" => self.retries = get(value),
            "spool-dir" => self.spool_dir = get(value),
            "spool-sync" => self.spool_sync = get(value),
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
            "create-bucket" => self.create_bucket.to_value(),
            "quota-size" => self.quota_size.to_value(),
            "record-unit" => self.record_unit.to_value(),
            "labels" => self.labels.to_value(),
            "start" => self.start.to_value(),
            "fps" => self.fps.to_value(),
            "on-error" => self.on_error.to_value(),
            "max-latency" => self.max_latency_ms.to_value(),
            "queue-bytes" => self.queue_bytes.to_value(),
            "overflow" => self.overflow.to_value(),
            "existing" => self.existing.to_value(),
            "retries" => self.retries.to_value(),
            "spool-dir" => self.spool_dir.to_value(),
            "spool-sync" => self.spool_sync.to_value(),
            _ => unimplemented!(),
        }
    }

    /// Checks the settings. No I/O.
    ///
    /// # Errors
    ///
    /// A text that names the property, its value and the valid ones.
    pub fn check(&self) -> Result<Checked, String> {
        let place = self.connection.check()?;
        let labels = self.labels.as_deref().map(labels).transpose()?;
        let start = self
            .start
            .as_deref()
            .map(|text| property_values::capture_time("start", text));
        let fps = property_values::fps(self.fps)?;
        Ok(Checked {
            place,
            recorder: RecorderOptions {
                record_unit: match self.record_unit {
                    RecordUnit::AccessUnit => recording::RecordUnit::AccessUnit,
                    RecordUnit::Gop => recording::RecordUnit::Gop,
                    RecordUnit::Record => recording::RecordUnit::Record,
                },
                labels: labels.unwrap_or_default().into(),
                frame_rate: fps,
                undecodable: match self.on_error {
                    OnError::Record => Undecodable::Record,
                    OnError::Stop => Undecodable::Refuse,
                },
                writer: self.writer(),
            },
            start: start.transpose()?.map(CaptureTime::clock_time),
            overflow: self.overflow,
        })
    }

    /// Returns the options of the writer.
    fn writer(&self) -> WriterOptions {
        let sync = match self.spool_sync {
            SpoolSync::None => client::SpoolSync::None,
            SpoolSync::Interval => client::SpoolSync::Interval,
            SpoolSync::Record => client::SpoolSync::Record,
        };
        let spool = |folder: &String| SpoolOptions {
            folder: folder.into(),
            sync,
        };
        WriterOptions {
            create_bucket: self.create_bucket,
            quota_size: (self.quota_size > 0).then_some(self.quota_size),
            max_latency: Duration::from_millis(self.max_latency_ms.into()),
            queue_bytes: self.queue_bytes,
            retries: self.retries,
            existing: match self.existing {
                Existing::Error => client::Existing::Refuse,
                Existing::Skip => client::Existing::Skip,
            },
            spool: self.spool_dir.as_ref().map(spool),
        }
    }
}

/// Returns the fields of a structure as labels.
fn labels(structure: &gst::StructureRef) -> Result<Vec<(String, String)>, String> {
    let label = |(name, value): (&glib::GStr, &glib::SendValue)| {
        let wrong = |expected| format!("The property labels has '{name}', which is not {expected}");
        if [FPS_LABEL, KEYFRAME_LABEL].contains(&name.as_str()) {
            return Err(wrong("allowed: this label is set from the stream"));
        }
        if !is_label_name(name) {
            return Err(wrong(
                "a name of a label, made of lower case letters, digits, '-' and '_'",
            ));
        }
        let text = match value.type_() {
            glib::Type::STRING => value.get::<Option<String>>().ok().flatten(),
            glib::Type::BOOL
            | glib::Type::I32
            | glib::Type::U32
            | glib::Type::I64
            | glib::Type::U64
            | glib::Type::F64 => value.serialize().ok().map(Into::into),
            _ => None,
        };
        let text = text.filter(|text| is_label_value(text));
        let text =
            text.ok_or_else(|| wrong("a label with a number or a text in ASCII without quotes"))?;
        Ok((name.to_string(), text))
    };
    structure.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_a_writer() {
        assert_eq!(Settings::default().writer(), WriterOptions::default());
    }

    fn with_labels(labels: &str) -> Result<Vec<(String, String)>, String> {
        gst::init().unwrap();
        let settings = Settings {
            connection: ConnectionSettings {
                bucket: Some("b".into()),
                entry: Some("e".into()),
                ..Default::default()
            },
            labels: Some(labels.parse().unwrap()),
            ..Default::default()
        };
        settings
            .check()
            .map(|checked| checked.recorder.labels.to_vec())
    }

    #[test]
    fn labels_of_a_structure() {
        let found = with_labels("labels,camera=\"front, left\",site=3,night=true,gain=0.5");
        let expected = [
            ("camera", "front, left"),
            ("site", "3"),
            ("night", "true"),
            ("gain", "0.5"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found, Ok(expected.to_vec()));
        assert_eq!(with_labels("labels"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_label() {
        for (labels, about) in [
            ("labels,fps=3", "fps"),
            ("labels,keyframe=true", "keyframe"),
            ("labels,Camera=front", "Camera"),
            ("labels,camera=\"fr\\\"ont\"", "camera"),
            ("labels,camera=\"für\"", "camera"),
            ("labels,list=<1,2>", "list"),
        ] {
            let error = with_labels(labels).unwrap_err();
            assert!(error.contains(about), "{labels}: {error}");
        }
    }
}
