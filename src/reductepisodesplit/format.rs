// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Stream format of a file: caps and parameter sets.

use std::collections::BTreeSet;

use media::codec::h264::{ParameterSets, SetsDifference, Sps};
use media::frame_rate::FrameRate;
use media::mp4::Timescale;
use media::time::Nanos;

use super::marks::{EPOCH_FIELD, TIMESCALE_FIELD};
use crate::convert;

/// Fields of the caps of which a file has one value each. All others follow from the parameter sets, or
/// change no picture.
const FIELDS_OF_FILE: [&str; 6] = [
    "pixel-aspect-ratio",
    "colorimetry",
    "mastering-display-info",
    "content-light-level",
    "multiview-mode",
    "multiview-flags",
];

/// The format of the running file, and that of the next one: a format comes into force with a
/// keyframe.
#[derive(Debug)]
pub struct Formats {
    current: Option<Format>,
    /// Caps of the stream that comes in.
    upstream: gst::Caps,
    parameter_sets: ParameterSets,
    frame_duration: Option<Nanos>,
    /// The caps that were announced last, without the epoch.
    announced: Option<gst::Caps>,
    epoch: i32,
}

/// The format of a file.
#[derive(Debug)]
struct Format {
    /// Without parameter sets.
    caps: gst::Caps,
    sps_id: u8,
    /// The parameter sets that the file is to have.
    sets: ParameterSets,
    /// PPSs that its access units refer to.
    used: BTreeSet<u8>,
}

impl Default for Formats {
    fn default() -> Self {
        Self {
            current: None,
            upstream: gst::Caps::new_empty_simple("video/x-h264"),
            parameter_sets: ParameterSets::default(),
            frame_duration: None,
            announced: None,
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

    /// Returns whether a keyframe that refers to these parameter sets is of another format than the
    /// running file.
    pub fn is_new(&self, sps_id: u8, pps_ids: &[u8]) -> bool {
        let Some(current) = &self.current else {
            return true;
        };
        let is_compatible = |pps_id: &u8| {
            let difference =
                (current.sets).difference(&current.used, &self.parameter_sets, *pps_id);
            difference == SetsDifference::Compatible
        };
        !pps_ids.iter().all(is_compatible)
            || fields_of_file(&current.caps) != fields_of_file(&self.next(sps_id))
    }

    /// Takes over the declared rate of a keyframe that refers to the SPS `sps_id`.
    pub fn learn_rate(&mut self, sps_id: u8) {
        self.frame_duration = frame_duration(&self.next(sps_id));
    }

    /// Begins a file with a keyframe that refers to the SPS `sps_id`.
    pub fn begin_file(&mut self, sps_id: u8) {
        self.current = Some(Format {
            caps: self.next(sps_id),
            sps_id,
            sets: self.parameter_sets.clone(),
            used: BTreeSet::new(),
        });
    }

    /// Adds an access unit that refers to these PPSs to the running file.
    pub fn add(&mut self, pps_ids: &[u8], has_parameter_sets: bool) {
        let Some(current) = &mut self.current else {
            return;
        };
        if has_parameter_sets {
            current.sets.absorb(&current.used, &self.parameter_sets);
        }
        current.used.extend(pps_ids);
    }

    /// Returns the caps to announce for the running file, if they are not those of the file before.
    pub fn caps(&mut self, timescale: Timescale) -> Option<gst::Caps> {
        let current = self.current.as_ref()?;
        let mut caps = current.caps.clone();
        let fields = caps.make_mut();
        fields.set(TIMESCALE_FIELD, timescale.units());
        if let Some(codec_data) = current.sets.to_configuration(current.sps_id) {
            fields.set("codec_data", gst::Buffer::from_slice(codec_data));
        }
        if self.announced.as_ref() == Some(&caps) {
            return None;
        }
        self.epoch += i32::from(self.announced.is_some());
        self.announced = Some(caps.clone());
        caps.make_mut().set(EPOCH_FIELD, self.epoch);
        Some(caps)
    }

    /// Returns the `AVCDecoderConfigurationRecord` that the running file has to get, if it is not the one
    /// that was announced.
    pub fn configuration(&self) -> Option<Vec<u8>> {
        let current = self.current.as_ref()?;
        let configuration = current.sets.to_configuration(current.sps_id)?;
        let announced = self.announced.as_ref().and_then(|caps| codec_data(caps));
        let is_announced = announced.is_some_and(|announced| *announced == configuration[..]);
        (!is_announced).then_some(configuration)
    }

    /// Returns the duration of a frame, as the caps have it.
    pub fn frame_duration(&self) -> Option<Nanos> {
        self.frame_duration
    }

    /// Returns the declared frame rate of the running file.
    pub fn frame_rate(&self) -> Option<FrameRate> {
        self.current
            .as_ref()
            .and_then(|current| frame_rate(&current.caps))
    }

    /// Returns the fields that the stream declares, and the others by the SPS.
    fn next(&self, sps_id: u8) -> gst::Caps {
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
        caps
    }
}

/// Returns the fields of which a file has one value each.
fn fields_of_file(caps: &gst::CapsRef) -> Option<gst::Structure> {
    let structure = caps.structure(0)?;
    let mut fields = gst::Structure::new_empty("fields");
    for name in FIELDS_OF_FILE {
        if let Ok(value) = structure.value(name) {
            fields.set_value(name, value.clone());
        }
    }
    // Pixels are square unless the stream says otherwise.
    if fields.get("pixel-aspect-ratio") == Ok(gst::Fraction::from_integer(1)) {
        fields.remove_field("pixel-aspect-ratio");
    }
    Some(fields)
}

/// Adds the values of `sps` to caps that do not have them.
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

/// Returns the `AVCDecoderConfigurationRecord` in caps.
pub fn codec_data(caps: &gst::CapsRef) -> Option<gst::MappedBuffer<gst::buffer::Readable>> {
    let codec_data = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    codec_data.into_mapped_buffer_readable().ok()
}

fn frame_rate(caps: &gst::Caps) -> Option<FrameRate> {
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    convert::frame_rate(rate)
}

fn frame_duration(caps: &gst::Caps) -> Option<Nanos> {
    frame_rate(caps).map(FrameRate::frame_duration)
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
        assert!(formats.is_new(0, &[0]));
        assert_eq!(epoch(&begin(&mut formats).unwrap()), 0);
        formats.add(&[0], true);
        formats
    }

    fn begin(formats: &mut Formats) -> Option<gst::Caps> {
        formats.learn_rate(0);
        formats.begin_file(0);
        formats.caps(Timescale::default())
    }

    fn epoch(caps: &gst::Caps) -> i32 {
        caps.structure(0).unwrap().get(EPOCH_FIELD).unwrap()
    }

    #[test]
    fn the_same_again_is_no_other_format() {
        let mut formats = formats();
        formats.set_caps(caps(10));
        formats.put_parameter_set(&SPS);
        formats.put_parameter_set(&[&PPS[..], &[0, 0]].concat());
        assert!(!formats.is_new(0, &[0]));
        formats.add(&[0], true);
        assert_eq!(formats.configuration(), None);
        assert_eq!(begin(&mut formats), None);
        let frame = 100 * Nanos::MSECOND;
        assert_eq!(formats.frame_duration(), Some(frame));
        assert_eq!(formats.frame_rate(), FrameRate::new(10, 1));
    }

    #[test]
    fn other_parameter_sets_are_another_format() {
        let mut formats = formats();
        formats.put_parameter_set(&OTHER_PPS);
        assert!(formats.is_new(0, &[0]));
        let caps = begin(&mut formats).unwrap();
        assert_eq!(epoch(&caps), 1);
        let structure = caps.structure(0).unwrap();
        let codec_data = structure.get::<gst::Buffer>("codec_data").unwrap();
        let codec_data = codec_data.map_readable().unwrap();
        assert!(codec_data.ends_with(&OTHER_PPS));
    }

    #[test]
    fn more_parameter_sets_come_into_the_file() {
        let mut formats = formats();
        formats.put_parameter_set(&SECOND_PPS);
        assert!(!formats.is_new(0, &[1]));
        formats.add(&[1], true);
        assert!(formats.configuration().unwrap().ends_with(&SECOND_PPS));
        assert!(begin(&mut formats).is_some());
        assert_eq!(formats.configuration(), None);
    }

    #[test]
    fn another_declared_rate_is_no_other_format() {
        let mut formats = formats();
        formats.set_caps(caps(20));
        assert!(!formats.is_new(0, &[0]));
        assert_eq!(formats.frame_rate(), FrameRate::new(10, 1));
        assert!(begin(&mut formats).is_some());
        assert_eq!(formats.frame_rate(), FrameRate::new(20, 1));
    }

    #[test]
    fn other_pixels_are_another_format() {
        let mut formats = formats();
        let with_ratio = |width| {
            let mut caps = caps(10);
            let ratio = gst::Fraction::new(width, 1);
            caps.make_mut().set("pixel-aspect-ratio", ratio);
            caps
        };
        formats.set_caps(with_ratio(1));
        assert!(!formats.is_new(0, &[0]));
        formats.set_caps(with_ratio(2));
        assert!(formats.is_new(0, &[0]));
    }

    #[test]
    fn another_time_scale_is_announced() {
        let mut formats = formats();
        formats.begin_file(0);
        assert_eq!(formats.caps(Timescale::default()), None);
        let caps = formats.caps(Timescale::new(20_000).unwrap()).unwrap();
        assert_eq!(epoch(&caps), 1);
    }
}
