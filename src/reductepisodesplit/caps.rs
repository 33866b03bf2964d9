// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Caps of the stream as a declared format, and the caps that splitmuxsink gets for each file.

use media::codec::h264::{Colour, ParameterSets};
use media::cut::{DeclaredFormat, FileFormat, PictureFormat};
use media::frame_rate::FrameRate;
use media::mp4::Timescale;

use super::marks::{EPOCH_FIELD, TIMESCALE_FIELD};
use crate::convert::{self, ToFraction};

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

/// Caps of a stream without its parameter sets.
#[derive(Debug, Clone)]
pub struct StreamCaps(gst::Caps);

impl StreamCaps {
    /// Returns what caps declare beside parameter sets.
    pub fn new(mut caps: gst::Caps) -> Self {
        for structure in caps.make_mut().iter_mut() {
            structure.remove_fields(["codec_data", "streamheader"]);
        }
        Self(caps)
    }

    /// Returns the fields of which a file has one value each.
    fn fields_of_file(&self) -> Option<gst::Structure> {
        let structure = self.0.structure(0)?;
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
}

impl Default for StreamCaps {
    fn default() -> Self {
        Self(gst::Caps::new_empty_simple("video/x-h264"))
    }
}

impl DeclaredFormat for StreamCaps {
    fn complete(&mut self, stated: &PictureFormat) {
        let Some(structure) = self.0.make_mut().structure_mut(0) else {
            return;
        };
        if let Some((width, height)) = stated.size {
            let size = |pixels| i32::try_from(pixels).unwrap_or(i32::MAX);
            structure.set("width", size(width));
            structure.set("height", size(height));
        }
        if let Some((width, height)) = stated.pixel_aspect_ratio
            && let (Ok(width), Ok(height @ 1..)) = (i32::try_from(width), i32::try_from(height))
            && !structure.has_field("pixel-aspect-ratio")
        {
            structure.set("pixel-aspect-ratio", gst::Fraction::new(width, height));
        }
        if let Some(rate) = stated.frame_rate
            && !structure.has_field("framerate")
        {
            structure.set("framerate", rate.fraction());
        }
        if let Some(colour) = stated.colour
            && !structure.has_field("colorimetry")
        {
            structure.set("colorimetry", colorimetry(colour).to_string());
        }
    }

    fn frame_rate(&self) -> Option<FrameRate> {
        let rate = self.0.structure(0)?.get::<gst::Fraction>("framerate");
        convert::frame_rate(rate.ok()?)
    }

    fn shares_file_with(&self, other: &Self) -> bool {
        self.fields_of_file() == other.fields_of_file()
    }
}

fn colorimetry(colour: Colour) -> gst_video::VideoColorimetry {
    gst_video::VideoColorimetry::new(
        if colour.full_range {
            gst_video::VideoColorRange::Range0_255
        } else {
            gst_video::VideoColorRange::Range16_235
        },
        gst_video::VideoColorMatrix::from_iso(colour.matrix.into()),
        gst_video::VideoTransferFunction::from_iso(colour.transfer.into()),
        gst_video::VideoColorPrimaries::from_iso(colour.primaries.into()),
    )
}

/// Returns the `AVCDecoderConfigurationRecord` in caps.
pub fn codec_data(caps: &gst::CapsRef) -> Option<gst::MappedBuffer<gst::buffer::Readable>> {
    let codec_data = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    codec_data.into_mapped_buffer_readable().ok()
}

/// Returns the parameter sets in caps.
pub fn parameter_sets(caps: &gst::CapsRef) -> Option<ParameterSets> {
    codec_data(caps).map(|record| ParameterSets::from_configuration(&record))
}

/// Caps that were announced to splitmuxsink.
#[derive(Debug, Default)]
pub struct AnnouncedCaps {
    /// The last ones, without the epoch.
    caps: Option<gst::Caps>,
    epoch: i32,
}

impl AnnouncedCaps {
    /// Returns the caps to announce for a file, if they are not those of the file before.
    pub fn next(
        &mut self,
        format: &FileFormat<StreamCaps>,
        timescale: Timescale,
    ) -> Option<gst::Caps> {
        let mut caps = format.declared.0.clone();
        let fields = caps.make_mut();
        fields.set("stream-format", "avc");
        fields.set("alignment", "au");
        fields.set("parsed", true);
        fields.set(TIMESCALE_FIELD, timescale.units());
        if let Some(config) = &format.config {
            fields.set("codec_data", gst::Buffer::from_slice(config.record.clone()));
        }
        if self.caps.as_ref() == Some(&caps) {
            return None;
        }
        self.epoch += i32::from(self.caps.is_some());
        self.caps = Some(caps.clone());
        caps.make_mut().set(EPOCH_FIELD, self.epoch);
        Some(caps)
    }
}

#[cfg(test)]
mod tests {
    use media::cut::Formats;

    use super::*;

    const SPS: [u8; 5] = [0x67, 66, 0, 30, 0b1010_0000];
    const PPS: [u8; 2] = [0x68, 0b1100_0000];
    const OTHER_PPS: [u8; 2] = [0x68, 0b1110_0000];
    /// The other's id is 1.
    const SECOND_PPS: [u8; 2] = [0x68, 0b0101_0000];

    /// Formats of a stream, and the caps that were announced.
    struct Announcer {
        formats: Formats<StreamCaps>,
        announced: AnnouncedCaps,
    }

    impl Announcer {
        /// Returns formats of which the first is in force.
        fn new() -> Self {
            gst::init().unwrap();
            let mut announcer = Self {
                formats: Formats::default(),
                announced: AnnouncedCaps::default(),
            };
            announcer.set_caps(caps(10));
            assert_eq!(epoch(&announcer.begin().unwrap()), 0);
            announcer.formats.add(&[0], true);
            announcer
        }

        fn set_caps(&mut self, caps: gst::Caps) {
            let sets = parameter_sets(&caps);
            self.formats.declare(StreamCaps::new(caps), sets);
        }

        fn begin(&mut self) -> Option<gst::Caps> {
            self.formats.learn_rate(0);
            self.formats.begin_file(0);
            self.announce(Timescale::default())
        }

        fn announce(&mut self, timescale: Timescale) -> Option<gst::Caps> {
            self.formats.fix_configuration();
            let format = self.formats.file_format();
            self.announced.next(&format, timescale)
        }
    }

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

    fn epoch(caps: &gst::Caps) -> i32 {
        caps.structure(0).unwrap().get(EPOCH_FIELD).unwrap()
    }

    #[test]
    fn the_same_format_is_announced_once() {
        let mut announcer = Announcer::new();
        announcer.set_caps(caps(10));
        announcer.formats.put_parameter_set(&SPS);
        assert!(!announcer.formats.is_new(0, &[0]));
        announcer.formats.add(&[0], true);
        assert_eq!(announcer.begin(), None);
        assert_eq!(
            announcer.formats.frame_duration(),
            FrameRate::new(10, 1).map(FrameRate::frame_duration)
        );
    }

    #[test]
    fn other_parameter_sets_are_announced() {
        let mut announcer = Announcer::new();
        announcer.formats.put_parameter_set(&OTHER_PPS);
        let caps = announcer.begin().unwrap();
        assert_eq!(epoch(&caps), 1);
        assert!(codec_data(&caps).unwrap().ends_with(&OTHER_PPS));
    }

    #[test]
    fn more_parameter_sets_are_announced_with_the_next_file() {
        let mut announcer = Announcer::new();
        announcer.formats.put_parameter_set(&SECOND_PPS);
        announcer.formats.add(&[1], true);
        assert!(announcer.begin().is_some());
        assert_eq!(announcer.begin(), None);
    }

    #[test]
    fn another_declared_rate_is_announced() {
        let mut announcer = Announcer::new();
        announcer.set_caps(caps(20));
        assert!(!announcer.formats.is_new(0, &[0]));
        assert!(announcer.begin().is_some());
        assert_eq!(announcer.formats.frame_rate(), FrameRate::new(20, 1));
    }

    #[test]
    fn other_pixels_are_another_format() {
        let mut announcer = Announcer::new();
        let with_ratio = |width| {
            let mut caps = caps(10);
            let ratio = gst::Fraction::new(width, 1);
            caps.make_mut().set("pixel-aspect-ratio", ratio);
            caps
        };
        announcer.set_caps(with_ratio(1));
        assert!(!announcer.formats.is_new(0, &[0]));
        announcer.set_caps(with_ratio(2));
        assert!(announcer.formats.is_new(0, &[0]));
    }

    #[test]
    fn another_time_scale_is_announced() {
        let mut announcer = Announcer::new();
        announcer.formats.begin_file(0);
        assert_eq!(announcer.announce(Timescale::default()), None);
        let timescale = Timescale::new(20_000).unwrap();
        assert_eq!(epoch(&announcer.announce(timescale).unwrap()), 1);
    }

    #[test]
    fn properties_of_the_sps_do_not_replace_declared_ones() {
        gst::init().unwrap();
        let stated = PictureFormat {
            size: Some((64, 48)),
            pixel_aspect_ratio: Some((4, 3)),
            frame_rate: FrameRate::new(25, 1),
            colour: Some(Colour {
                full_range: false,
                primaries: 1,
                transfer: 1,
                matrix: 1,
            }),
        };
        let mut completed = StreamCaps::new(caps(10));
        completed.complete(&stated);
        let expected = gst::Caps::builder("video/x-h264")
            .field("framerate", gst::Fraction::new(10, 1))
            .field("width", 64)
            .field("height", 48)
            .field("pixel-aspect-ratio", gst::Fraction::new(4, 3))
            .field("colorimetry", "bt709")
            .build();
        assert_eq!(completed.0, expected);
        // A variable rate is declared, too.
        let mut variable = StreamCaps::new(caps(0));
        variable.complete(&stated);
        assert_eq!(variable.frame_rate(), None);
    }
}
