// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What a file says of all its access units: caps and parameter sets.

use gst::prelude::*;

use crate::h264::{ParameterSets, Sps};

/// A field of the caps that differs where the format does. A file has one format: caps with another
/// number are refused at the muxer's pad, so that splitmuxsink begins another file.
pub const EPOCH_FIELD: &str = "reduct-epoch";

/// How the format of an IDR differs from that of the running file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    None,
    /// There are further parameter sets. The running file is right without them, as the access
    /// units have them, too.
    MoreParameterSets,
    /// The running file cannot go on, or there is none.
    Other,
}

/// The format of the running file, and that of the next one: a format comes into force with a
/// keyframe.
#[derive(Debug)]
pub struct Formats {
    current: Option<Format>,
    /// Caps of the stream that comes in.
    upstream: gst::Caps,
    parameter_sets: ParameterSets,
    frame_duration: Option<gst::ClockTime>,
    epoch: i32,
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
            upstream: gst::Caps::new_empty_simple("video/x-h264"),
            parameter_sets: ParameterSets::default(),
            frame_duration: None,
            epoch: 0,
        }
    }
}

impl Formats {
    /// Takes over the caps of the stream.
    pub fn set_caps(&mut self, mut caps: gst::Caps) {
        if let Some(codec_data) = codec_data(&caps) {
            self.parameter_sets = ParameterSets::from_configuration(&codec_data);
        }
        for structure in caps.make_mut().iter_mut() {
            structure.remove_fields(["codec_data", "streamheader"]);
        }
        self.frame_duration = frame_duration(&caps);
        self.upstream = caps;
    }

    /// Takes over a parameter set that an access unit has.
    pub fn put_parameter_set(&mut self, nal: &[u8]) {
        self.parameter_sets.put(nal);
    }

    /// What would change with a file that begins with a keyframe that refers to the SPS `sps_id`.
    pub fn difference(&mut self, sps_id: u8) -> Difference {
        let next = self.next(sps_id);
        match &self.current {
            Some(current) if *current == next => Difference::None,
            Some(current)
                if current.caps == next.caps
                    && next.parameter_sets.extends(&current.parameter_sets) =>
            {
                Difference::MoreParameterSets
            }
            _ => Difference::Other,
        }
    }

    /// A file begins with a keyframe that refers to the SPS `sps_id`. Gives the caps to announce,
    /// if they are not those of the file before.
    pub fn bring_into_force(&mut self, sps_id: u8) -> Option<gst::Caps> {
        let next = self.next(sps_id);
        if self.current.as_ref() == Some(&next) {
            return None;
        }
        let mut caps = next.caps.clone();
        self.epoch += i32::from(self.current.is_some());
        let fields = caps.make_mut();
        fields.set(EPOCH_FIELD, self.epoch);
        if let Some(codec_data) = next.parameter_sets.to_configuration(sps_id) {
            fields.set("codec_data", gst::Buffer::from_slice(codec_data));
        }
        self.current = Some(next);
        Some(caps)
    }

    /// The duration of a frame, as the caps have it.
    pub fn frame_duration(&self) -> Option<gst::ClockTime> {
        self.frame_duration
    }

    /// The frame rate of the running file.
    pub fn frame_rate(&self) -> Option<gst::Fraction> {
        self.current
            .as_ref()
            .and_then(|current| frame_rate(&current.caps))
    }

    /// What the stream says of itself, and of the rest what the SPS says.
    fn next(&mut self, sps_id: u8) -> Format {
        let mut caps = self.upstream.clone();
        let sps = self.parameter_sets.sps(sps_id);
        if let Some(structure) = caps.make_mut().structure_mut(0) {
            structure.set("stream-format", "avc");
            structure.set("alignment", "au");
            structure.set("parsed", true);
            if let Some(sps) = sps.and_then(|nal| Sps::parse(nal).ok()) {
                describe(&sps, structure);
            }
        }
        self.frame_duration = frame_duration(&caps);
        Format {
            caps,
            parameter_sets: self.parameter_sets.clone(),
        }
    }
}

/// Adds what `sps` says to caps that do not have it.
fn describe(sps: &Sps, structure: &mut gst::StructureRef) {
    let size = |pixels| i32::try_from(pixels).unwrap_or(i32::MAX);
    structure.set("width", size(sps.width));
    structure.set("height", size(sps.height));
    let vui = &sps.vui;
    if let Some((width, height)) = vui.pixel_aspect_ratio
        && !structure.has_field("pixel-aspect-ratio")
    {
        let ratio = gst::Fraction::new(width.into(), height.into());
        structure.set("pixel-aspect-ratio", ratio);
    }
    let rate = vui.frame_rate.and_then(|rate| rate.reduced());
    if let Some((numerator, denominator)) = rate
        && !structure.has_field("framerate")
    {
        structure.set("framerate", gst::Fraction::new(numerator, denominator));
    }
    if let Some(colour) = vui.colour
        && !structure.has_field("colorimetry")
    {
        let colorimetry = gst_video::VideoColorimetry::new(
            if colour.full_range {
                gst_video::VideoColorRange::Range0_255
            } else {
                gst_video::VideoColorRange::Range16_235
            },
            gst_video::VideoColorMatrix::from_iso(colour.matrix.into()),
            gst_video::VideoTransferFunction::from_iso(colour.transfer.into()),
            gst_video::VideoColorPrimaries::from_iso(colour.primaries.into()),
        );
        structure.set("colorimetry", colorimetry.to_string());
    }
}

/// The `AVCDecoderConfigurationRecord` in caps.
pub fn codec_data(caps: &gst::CapsRef) -> Option<gst::MappedBuffer<gst::buffer::Readable>> {
    let codec_data = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    codec_data.into_mapped_buffer_readable().ok()
}

fn frame_rate(caps: &gst::Caps) -> Option<gst::Fraction> {
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    (rate.numer() > 0 && rate.denom() > 0).then_some(rate)
}

fn frame_duration(caps: &gst::Caps) -> Option<gst::ClockTime> {
    let rate = frame_rate(caps)?;
    let numerator = u64::try_from(rate.numer()).ok()?;
    let denominator = u64::try_from(rate.denom()).ok()?;
    gst::ClockTime::SECOND.mul_div_floor(denominator, numerator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 5] = [0x67, 66, 0, 30, 0b1010_0000];
    const PPS: [u8; 2] = [0x68, 0b1100_0000];
    const OTHER_PPS: [u8; 2] = [0x68, 0b1110_0000];
    /// The other's id is 1.
    const SECOND_PPS: [u8; 2] = [0x68, 0b0101_0000];

    fn caps(fps: i32) -> gst::Caps {
        let mut sets = ParameterSets::default();
        sets.put(&SPS);
        sets.put(&PPS);
        let codec_data = gst::Buffer::from_slice(sets.to_configuration(0).unwrap());
        gst::Caps::builder("video/x-h264")
            .field("framerate", gst::Fraction::new(fps, 1))
            .field("codec_data", codec_data)
            .build()
    }

    /// Formats of which the first is in force.
    fn formats() -> Formats {
        gst::init().unwrap();
        let mut formats = Formats::default();
        formats.set_caps(caps(10));
        assert_eq!(formats.difference(0), Difference::Other);
        assert_eq!(epoch(&formats.bring_into_force(0).unwrap()), 0);
        formats
    }

    fn epoch(caps: &gst::Caps) -> i32 {
        caps.structure(0).unwrap().get(EPOCH_FIELD).unwrap()
    }

    #[test]
    fn the_same_again_is_no_other_format() {
        let mut formats = formats();
        formats.set_caps(caps(10));
        formats.put_parameter_set(&SPS);
        formats.put_parameter_set(&PPS);
        assert_eq!(formats.difference(0), Difference::None);
        assert_eq!(formats.bring_into_force(0), None);
        let frame = 100 * gst::ClockTime::MSECOND;
        assert_eq!(formats.frame_duration(), Some(frame));
        assert_eq!(formats.frame_rate(), Some(gst::Fraction::new(10, 1)));
    }

    #[test]
    fn other_parameter_sets_are_another_format() {
        let mut formats = formats();
        formats.put_parameter_set(&OTHER_PPS);
        assert_eq!(formats.difference(0), Difference::Other);
        let caps = formats.bring_into_force(0).unwrap();
        assert_eq!(epoch(&caps), 1);
        let structure = caps.structure(0).unwrap();
        let codec_data = structure.get::<gst::Buffer>("codec_data").unwrap();
        let codec_data = codec_data.map_readable().unwrap();
        assert!(codec_data.ends_with(&OTHER_PPS));
    }

    #[test]
    fn more_parameter_sets_can_wait() {
        let mut formats = formats();
        formats.put_parameter_set(&SECOND_PPS);
        assert_eq!(formats.difference(0), Difference::MoreParameterSets);
        assert!(formats.bring_into_force(0).is_some());
        assert_eq!(formats.difference(0), Difference::None);
    }

    #[test]
    fn other_caps_are_another_format() {
        let mut formats = formats();
        formats.set_caps(caps(20));
        assert_eq!(formats.difference(0), Difference::Other);
        assert_eq!(formats.frame_rate(), Some(gst::Fraction::new(10, 1)));
        formats.bring_into_force(0);
        assert_eq!(formats.frame_rate(), Some(gst::Fraction::new(20, 1)));
    }
}
