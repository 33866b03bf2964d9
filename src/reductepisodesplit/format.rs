// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What a file says of all its access units: caps and parameter sets.

use gst::prelude::*;

use crate::h264::{ParameterSets, avc};

/// A field of the caps that differs where the format does. mp4mux takes other caps into the running
/// file, and one sample too late; a field that it does not know makes it refuse them, so that
/// splitmuxsink begins another file.
const EPOCH_FIELD: &str = "reduct-epoch";

/// A format that has come into force.
#[derive(Debug)]
pub struct InForce {
    /// The caps to announce.
    pub caps: gst::Caps,
    /// There was another one before.
    pub changed: bool,
}

/// The format of the running file, and that of the next one: a format comes into force with an IDR.
///
/// h264parse does not tell of parameter sets that change nothing else in its caps, so that they are
/// kept here.
#[derive(Debug)]
pub struct Formats {
    current: Option<Format>,
    next: Format,
    epoch: i32,
    length_size: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Format {
    /// Without `codec_data`.
    caps: gst::Caps,
    parameter_sets: ParameterSets,
}

impl Default for Formats {
    fn default() -> Self {
        Self {
            current: None,
            next: Format {
                caps: gst::Caps::new_empty(),
                parameter_sets: ParameterSets::default(),
            },
            epoch: 0,
            length_size: 4,
        }
    }
}

impl Formats {
    /// Takes over caps of h264parse.
    pub fn set_caps(&mut self, mut caps: gst::Caps) {
        let codec_data = caps.structure(0).and_then(|structure| {
            let codec_data = structure.get::<gst::Buffer>("codec_data").ok()?;
            codec_data.into_mapped_buffer_readable().ok()
        });
        if let Some(codec_data) = codec_data {
            self.length_size = avc::length_size(&codec_data).unwrap_or(self.length_size);
            self.next.parameter_sets = ParameterSets::from_configuration(&codec_data);
        }
        for structure in caps.make_mut().iter_mut() {
            structure.remove_field("codec_data");
        }
        self.next.caps = caps;
    }

    /// Takes over a parameter set that an access unit has.
    pub fn put_parameter_set(&mut self, nal: &[u8]) {
        self.next.parameter_sets.put(nal);
    }

    /// An IDR comes. Gives the next format if it differs from the current one, which it replaces.
    pub fn bring_into_force(&mut self) -> Option<InForce> {
        if self.current.as_ref() == Some(&self.next) {
            return None;
        }
        let changed = self.current.replace(self.next.clone()).is_some();
        self.epoch += i32::from(changed);
        let mut caps = self.next.caps.clone();
        let fields = caps.make_mut();
        fields.set(EPOCH_FIELD, self.epoch);
        if let Some(codec_data) = self.next.parameter_sets.to_configuration() {
            fields.set("codec_data", gst::Buffer::from_slice(codec_data));
        }
        Some(InForce { caps, changed })
    }

    /// Size of the length before each NAL unit.
    pub fn length_size(&self) -> usize {
        self.length_size
    }

    /// The duration of a frame, as the caps have it.
    pub fn frame_duration(&self) -> Option<gst::ClockTime> {
        let structure = self.next.caps.structure(0)?;
        let rate = structure.get::<gst::Fraction>("framerate").ok()?;
        let numerator = u64::try_from(rate.numer()).ok().filter(|rate| *rate > 0)?;
        let denominator = u64::try_from(rate.denom()).ok()?;
        gst::ClockTime::SECOND.mul_div_floor(denominator, numerator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 5] = [0x67, 66, 0, 30, 0b1010_0000];
    const PPS: [u8; 2] = [0x68, 0b1100_0000];
    const OTHER_PPS: [u8; 2] = [0x68, 0b1110_0000];

    fn caps(fps: i32) -> gst::Caps {
        let mut sets = ParameterSets::default();
        sets.put(&SPS);
        sets.put(&PPS);
        let codec_data = gst::Buffer::from_slice(sets.to_configuration().unwrap());
        gst::Caps::builder("video/x-h264")
            .field("framerate", gst::Fraction::new(fps, 1))
            .field("codec_data", codec_data)
            .build()
    }

    fn formats() -> Formats {
        gst::init().unwrap();
        Formats::default()
    }

    fn epoch(in_force: &InForce) -> i32 {
        in_force
            .caps
            .structure(0)
            .unwrap()
            .get(EPOCH_FIELD)
            .unwrap()
    }

    #[test]
    fn the_first_format_changes_nothing() {
        let mut formats = formats();
        formats.set_caps(caps(10));
        let first = formats.bring_into_force().unwrap();
        assert!(!first.changed);
        assert_eq!(epoch(&first), 0);
        assert!(formats.bring_into_force().is_none());
        assert_eq!(
            formats.frame_duration(),
            Some(100 * gst::ClockTime::MSECOND)
        );
    }

    #[test]
    fn the_same_again_is_no_other_format() {
        let mut formats = formats();
        formats.set_caps(caps(10));
        formats.bring_into_force();
        formats.set_caps(caps(10));
        formats.put_parameter_set(&SPS);
        formats.put_parameter_set(&PPS);
        assert!(formats.bring_into_force().is_none());
    }

    #[test]
    fn other_parameter_sets_are_another_format() {
        let mut formats = formats();
        formats.set_caps(caps(10));
        formats.bring_into_force();
        formats.put_parameter_set(&OTHER_PPS);
        let other = formats.bring_into_force().unwrap();
        assert!(other.changed);
        assert_eq!(epoch(&other), 1);
        let structure = other.caps.structure(0).unwrap();
        let codec_data = structure.get::<gst::Buffer>("codec_data").unwrap();
        let codec_data = codec_data.map_readable().unwrap();
        assert!(codec_data.ends_with(&OTHER_PPS));
    }

    #[test]
    fn other_caps_are_another_format() {
        let mut formats = formats();
        formats.set_caps(caps(10));
        formats.bring_into_force();
        formats.set_caps(caps(20));
        assert!(formats.bring_into_force().unwrap().changed);
    }
}
