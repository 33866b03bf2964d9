// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Stream format of a file: what its surroundings declare, and its parameter sets.

use std::collections::BTreeSet;

use super::picture_format::{DeclaredFormat, PictureFormat};
use crate::access_unit::{Codec, DecoderConfig};
use crate::codec::h264::{ParameterSets, SetsDifference, Sps};
use crate::frame_rate::FrameRate;
use crate::time::Nanos;

/// The format with which a file begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFormat<D> {
    /// The declared format at the first keyframe of the file, completed by its SPS.
    pub declared: D,
    /// Configuration for the decoder; `None` if parameter sets are missing. Sets that come later are in
    /// [`Description::configuration`](crate::mp4::Description::configuration).
    pub config: Option<DecoderConfig>,
}

/// The format of the running file, and that of the next one: a format comes into force with a
/// keyframe.
#[derive(Debug, Default)]
pub struct Formats<D> {
    current: Option<RunningFormat<D>>,
    /// Declared format of the stream that comes in.
    declared: D,
    parameter_sets: ParameterSets,
    frame_duration: Option<Nanos>,
    /// The configuration with which a file began last.
    initial: Option<DecoderConfig>,
}

/// The format of the running file.
#[derive(Debug)]
struct RunningFormat<D> {
    declared: D,
    sps_id: u8,
    /// The parameter sets that the file is to have.
    sets: ParameterSets,
    /// PPSs that its access units refer to.
    used: BTreeSet<u8>,
}

impl<D: DeclaredFormat> Formats<D> {
    /// Takes over the declared format of the access units that follow. `sets` are parameter sets beside
    /// the stream, which replace all that came before.
    pub fn declare(&mut self, declared: D, sets: Option<ParameterSets>) {
        if let Some(sets) = sets {
            self.parameter_sets = sets;
        }
        self.frame_duration = declared.frame_rate().map(FrameRate::frame_duration);
        self.declared = declared;
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
        !pps_ids.iter().all(is_compatible) || !self.next(sps_id).shares_file_with(&current.declared)
    }

    /// Takes over the declared rate of a keyframe that refers to the SPS `sps_id`.
    pub fn learn_rate(&mut self, sps_id: u8) {
        let rate = self.next(sps_id).frame_rate();
        self.frame_duration = rate.map(FrameRate::frame_duration);
    }

    /// Begins a file with a keyframe that refers to the SPS `sps_id`.
    pub fn begin_file(&mut self, sps_id: u8) {
        self.current = Some(RunningFormat {
            declared: self.next(sps_id),
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

    /// Takes what the running file has so far for the configuration that it begins with.
    pub fn fix_configuration(&mut self) {
        self.initial = self.current.as_ref().and_then(RunningFormat::config);
    }

    /// Returns the format with which the running file begins.
    pub fn file_format(&self) -> FileFormat<D> {
        let current = self.current.as_ref().map(|current| &current.declared);
        FileFormat {
            declared: current.unwrap_or(&self.declared).clone(),
            config: self.initial.clone(),
        }
    }

    /// Returns the configuration record that the running file has to get, if it is not the one that it
    /// began with.
    pub fn later_configuration(&self) -> Option<Vec<u8>> {
        let current = self.current.as_ref()?;
        let record = current.sets.to_configuration(current.sps_id)?;
        let initial = self.initial.as_ref().map(|config| &config.record);
        (initial != Some(&record)).then_some(record)
    }

    /// Returns the declared duration of a frame.
    pub fn frame_duration(&self) -> Option<Nanos> {
        self.frame_duration
    }

    /// Returns the declared frame rate of the running file.
    pub fn frame_rate(&self) -> Option<FrameRate> {
        self.current.as_ref()?.declared.frame_rate()
    }

    /// Returns the format that is declared for a picture that refers to the SPS `sps_id`.
    fn next(&self, sps_id: u8) -> D {
        let mut declared = self.declared.clone();
        let sps = self.parameter_sets.sps(sps_id);
        if let Some(sps) = sps.and_then(|nal| Sps::parse(nal).ok()) {
            declared.complete(&PictureFormat::from(&sps));
        }
        declared
    }
}

impl<D> RunningFormat<D> {
    fn config(&self) -> Option<DecoderConfig> {
        let sps = self.sets.sps(self.sps_id)?;
        Some(DecoderConfig {
            codec: Codec::H264,
            record: self.sets.to_configuration(self.sps_id)?,
            size: Sps::parse(sps).ok().map(|sps| (sps.width, sps.height)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 5] = [0x67, 66, 0, 30, 0b1010_0000];
    const PPS: [u8; 2] = [0x68, 0b1100_0000];
    const OTHER_PPS: [u8; 2] = [0x68, 0b1110_0000];
    /// The other's id is 1.
    const SECOND_PPS: [u8; 2] = [0x68, 0b0101_0000];

    fn declared(fps: i32) -> PictureFormat {
        PictureFormat {
            frame_rate: FrameRate::new(fps, 1),
            ..Default::default()
        }
    }

    fn sets() -> Option<ParameterSets> {
        let mut sets = ParameterSets::default();
        sets.put(&SPS);
        sets.put(&PPS);
        Some(sets)
    }

    /// Formats of which the first is in force.
    fn formats() -> Formats<PictureFormat> {
        let mut formats = Formats::default();
        formats.declare(declared(10), sets());
        assert!(formats.is_new(0, &[0]));
        let begun = begin(&mut formats);
        assert_eq!(begun.declared.frame_rate, FrameRate::new(10, 1));
        formats.add(&[0], true);
        formats
    }

    fn begin(formats: &mut Formats<PictureFormat>) -> FileFormat<PictureFormat> {
        formats.learn_rate(0);
        formats.begin_file(0);
        formats.fix_configuration();
        formats.file_format()
    }

    #[test]
    fn the_same_again_is_no_other_format() {
        let mut formats = formats();
        let before = formats.file_format();
        formats.declare(declared(10), sets());
        formats.put_parameter_set(&SPS);
        formats.put_parameter_set(&[&PPS[..], &[0, 0]].concat());
        assert!(!formats.is_new(0, &[0]));
        formats.add(&[0], true);
        assert_eq!(formats.later_configuration(), None);
        assert_eq!(begin(&mut formats), before);
        let frame = 100 * Nanos::MSECOND;
        assert_eq!(formats.frame_duration(), Some(frame));
        assert_eq!(formats.frame_rate(), FrameRate::new(10, 1));
    }

    #[test]
    fn other_parameter_sets_are_another_format() {
        let mut formats = formats();
        let before = formats.file_format();
        formats.put_parameter_set(&OTHER_PPS);
        assert!(formats.is_new(0, &[0]));
        let config = begin(&mut formats).config.unwrap();
        assert_ne!(Some(&config), before.config.as_ref());
        assert_eq!(config.codec, Codec::H264);
        assert!(config.record.ends_with(&OTHER_PPS));
    }

    #[test]
    fn more_parameter_sets_come_into_the_file() {
        let mut formats = formats();
        let before = formats.file_format();
        formats.put_parameter_set(&SECOND_PPS);
        assert!(!formats.is_new(0, &[1]));
        formats.add(&[1], true);
        assert_eq!(formats.file_format(), before, "it began without them");
        let later = formats.later_configuration().unwrap();
        assert!(later.ends_with(&SECOND_PPS));
        assert_eq!(begin(&mut formats).config.unwrap().record, later);
        assert_eq!(formats.later_configuration(), None);
    }

    #[test]
    fn another_declared_rate_is_no_other_format() {
        let mut formats = formats();
        formats.declare(declared(20), None);
        assert!(!formats.is_new(0, &[0]));
        assert_eq!(formats.frame_rate(), FrameRate::new(10, 1));
        begin(&mut formats);
        assert_eq!(formats.frame_rate(), FrameRate::new(20, 1));
    }

    #[test]
    fn other_pixels_are_another_format() {
        let mut formats = formats();
        let with_ratio = |width| PictureFormat {
            pixel_aspect_ratio: Some((width, 1)),
            ..declared(10)
        };
        formats.declare(with_ratio(1), None);
        assert!(!formats.is_new(0, &[0]));
        formats.declare(with_ratio(2), None);
        assert!(formats.is_new(0, &[0]));
    }

    #[test]
    fn a_configuration_has_the_size_of_its_pictures() {
        use crate::codec::h264::testing::{SPS, pps, sps};

        let mut formats = Formats::<PictureFormat>::default();
        formats.put_parameter_set(&sps(SPS));
        formats.begin_file(0);
        formats.fix_configuration();
        assert_eq!(formats.file_format().config, None, "there is no PPS");
        formats.put_parameter_set(&pps(0));
        let format = begin(&mut formats);
        assert_eq!(format.config.unwrap().size, Some((64, 64)));
        assert_eq!(format.declared.size, Some((64, 64)));
    }
}
