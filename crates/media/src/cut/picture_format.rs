// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Properties of pictures, as a stream and its surroundings declare them.

use crate::codec::h264::{Colour, Sps};
use crate::frame_rate::FrameRate;

/// Format that the surroundings of a stream declare, such as caps, a sample entry or labels. It takes
/// precedence over the parameter sets.
pub trait DeclaredFormat: Clone {
    /// Adds the properties of an SPS that are not declared.
    fn complete(&mut self, stated: &PictureFormat);

    /// Returns the frame rate, or `None` if it is unknown or variable.
    fn frame_rate(&self) -> Option<FrameRate>;

    /// Returns whether pictures of both formats can be in one file, as far as parameter sets do not
    /// decide that. Both are complete.
    fn shares_file_with(&self, other: &Self) -> bool;
}

/// Properties of pictures, each `None` if it is not stated.
///
/// For streams without any other declaration it is a [`DeclaredFormat`], too.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PictureFormat {
    /// Width and height of the pictures as they are shown, in pixels.
    pub size: Option<(u32, u32)>,
    /// Width and height of a pixel.
    pub pixel_aspect_ratio: Option<(u32, u32)>,
    /// Frame rate, whether plausible or not.
    pub frame_rate: Option<FrameRate>,
    /// Colour description.
    pub colour: Option<Colour>,
}

impl From<&Sps> for PictureFormat {
    fn from(sps: &Sps) -> Self {
        let rate = sps.vui.frame_rate.and_then(|rate| rate.reduced());
        let ratio = sps.vui.pixel_aspect_ratio;
        Self {
            size: Some((sps.width, sps.height)),
            pixel_aspect_ratio: ratio.map(|(width, height)| (width.into(), height.into())),
            frame_rate: rate.and_then(|(numer, denom)| FrameRate::new(numer, denom)),
            colour: sps.vui.colour,
        }
    }
}

impl DeclaredFormat for PictureFormat {
    fn complete(&mut self, stated: &PictureFormat) {
        self.size = self.size.or(stated.size);
        self.pixel_aspect_ratio = self.pixel_aspect_ratio.or(stated.pixel_aspect_ratio);
        self.frame_rate = self.frame_rate.or(stated.frame_rate);
        self.colour = self.colour.or(stated.colour);
    }

    fn frame_rate(&self) -> Option<FrameRate> {
        self.frame_rate
    }

    fn shares_file_with(&self, other: &Self) -> bool {
        // Pixels are square unless the stream says otherwise.
        let is_square = |ratio: &(u32, u32)| ratio.0 == ratio.1;
        let ratio = |format: &Self| format.pixel_aspect_ratio.filter(|ratio| !is_square(ratio));
        ratio(self) == ratio(other) && self.colour == other.colour
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::testing::{SPS, SpsSpec, sps};

    #[test]
    fn declared_properties_take_precedence() {
        let sps = sps(SpsSpec {
            frame_rate: Some((50, 1)),
            ..SPS
        });
        let stated = PictureFormat::from(&Sps::parse(&sps).unwrap());
        assert_eq!(stated.size, Some((64, 64)));
        assert_eq!(stated.frame_rate, FrameRate::new(25, 1));
        let mut declared = PictureFormat {
            frame_rate: FrameRate::new(10, 1),
            ..Default::default()
        };
        declared.complete(&stated);
        let expected = PictureFormat {
            frame_rate: FrameRate::new(10, 1),
            ..stated
        };
        assert_eq!(declared, expected);
    }
}
