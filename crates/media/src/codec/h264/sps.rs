// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Sequence parameter sets (ITU-T H.264, 7.3.2.1.1 and E.1.1).
//!
//! The type of h264-reader refuses sets that decoders accept, such as a picture larger than the level
//! allows or a truncated VUI. This one checks the fields that are used.

use h264_reader::rbsp::{BitRead, BitReaderError};

use super::nal::bits;
use crate::order::Reordering;

/// Fields of a sequence parameter set that are used (ISO/IEC 14496-10, 7.3.2.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// `seq_parameter_set_id`.
    pub id: u8,
    profile_idc: u8,
    constraint_flags: u8,
    level_idc: u8,
    /// `chroma_format_idc`.
    pub chroma_format_idc: u32,
    /// `separate_colour_plane_flag`.
    pub separate_colour_planes: bool,
    /// `bit_depth_luma_minus8` and `bit_depth_chroma_minus8`.
    pub bit_depths_minus8: [u32; 2],
    /// `qpprime_y_zero_transform_bypass_flag`.
    transform_bypass: bool,
    /// `seq_scaling_list`, each `None` where the fall-back rule holds; empty without a matrix.
    scaling_lists: Vec<Option<Vec<u8>>>,
    /// Bits of `frame_num`.
    pub frame_num_bits: u32,
    /// Type of picture order count and its parameters (8.2.1).
    pub picture_order: PictureOrderType,
    max_num_ref_frames: u32,
    /// `gaps_in_frame_num_value_allowed_flag`: values of `frame_num` may be left out on purpose.
    pub frame_num_gaps_allowed: bool,
    /// All pictures are frames of frame macroblocks: nothing is interlaced.
    pub frame_mbs_only: bool,
    mb_adaptive_frame_field: bool,
    direct_8x8_inference: bool,
    /// Offsets in crop units: left, right, top, bottom.
    crop: [u32; 4],
    /// Size of the picture that is shown, in pixels.
    pub width: u32,
    /// Height of the cropped picture in pixels.
    pub height: u32,
    /// Size of a coded frame.
    macroblocks: u64,
    /// Video usability information (Annex E).
    pub vui: Vui,
}

/// Type of picture order count with its parameters (8.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureOrderType {
    /// Type 0: by this number of low bits.
    Lsb { bits: u32 },
    /// Type 1: by `frame_num` and a cycle of offsets.
    Cycle {
        delta_always_zero: bool,
        offset_for_non_ref_pic: i32,
        offset_for_top_to_bottom_field: i32,
        offsets_for_ref_frame: Vec<i32>,
    },
    /// Type 2: output order is decoding order.
    DecodingOrder,
}

/// Fields of the video usability information that are used (E.1.1), `None` where absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vui {
    /// Width and height of a pixel.
    pub pixel_aspect_ratio: Option<(u16, u16)>,
    pub colour: Option<Colour>,
    pub frame_rate: Option<VuiFrameRate>,
    overscan_appropriate: Option<bool>,
    /// `video_format` and `video_full_range_flag`.
    video_signal: Option<(u8, bool)>,
    /// `chroma_sample_loc_type` of both fields.
    chroma_location: Option<[u32; 2]>,
    max_num_reorder_frames: Option<u32>,
    max_dec_frame_buffering: Option<u32>,
}

/// Colour description (ITU-T H.273 code points).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// `video_full_range_flag`.
    pub full_range: bool,
    /// `colour_primaries`.
    pub primaries: u8,
    /// `transfer_characteristics`.
    pub transfer: u8,
    /// `matrix_coefficients`.
    pub matrix: u8,
}

/// Frame rate in frames per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VuiFrameRate {
    /// `time_scale`
    pub numerator: u64,
    /// 2 × `num_units_in_tick`: a tick is a field
    pub denominator: u64,
}

impl VuiFrameRate {
    /// Returns the rate as a fraction in lowest terms, or `None` where it is out of any camera's range.
    pub fn reduced(self) -> Option<(i32, i32)> {
        let divisor = gcd(self.numerator, self.denominator);
        let numerator = i32::try_from(self.numerator.checked_div(divisor)?).ok()?;
        let denominator = i32::try_from(self.denominator / divisor).ok()?;
        (numerator > 0 && denominator > 0).then_some((numerator, denominator))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The set cannot be read, or has a value that the standard does not allow.
#[derive(Debug)]
pub struct Broken;

impl From<BitReaderError> for Broken {
    fn from(_: BitReaderError) -> Self {
        Self
    }
}

impl Sps {
    /// Reads the NAL unit `nal`.
    pub fn parse(nal: &[u8]) -> Result<Self, Broken> {
        let r = &mut bits(nal);
        let profile_idc = r.read::<8, u8>("profile_idc")?;
        let constraint_flags = r.read::<8, u8>("constraint_set_flags")?;
        let level_idc = r.read::<8, u8>("level_idc")?;
        let id = at_most(r.read_ue("seq_parameter_set_id")?, 31)? as u8;
        let mut chroma_format_idc = 1;
        let mut separate_colour_planes = false;
        let mut bit_depths_minus8 = [0; 2];
        let mut transform_bypass = false;
        let mut scaling_lists = Vec::new();
        if has_chroma_format(profile_idc) {
            chroma_format_idc = at_most(r.read_ue("chroma_format_idc")?, 3)?;
            if chroma_format_idc == 3 {
                separate_colour_planes = r.read_bit("separate_colour_plane_flag")?;
            }
            bit_depths_minus8[0] = r.read_ue("bit_depth_luma_minus8")?;
            bit_depths_minus8[1] = r.read_ue("bit_depth_chroma_minus8")?;
            transform_bypass = r.read_bit("qpprime_y_zero_transform_bypass_flag")?;
            if r.read_bit("seq_scaling_matrix_present_flag")? {
                let lists = if chroma_format_idc == 3 { 12 } else { 8 };
                for list in 0..lists {
                    scaling_lists.push(if r.read_bit("seq_scaling_list_present_flag")? {
                        Some(read_scaling_list(r, if list < 6 { 16 } else { 64 })?)
                    } else {
                        None
                    });
                }
            }
        }
        let frame_num_bits = 4 + at_most(r.read_ue("log2_max_frame_num_minus4")?, 12)?;
        let picture_order = PictureOrderType::read(r)?;
        let max_num_ref_frames = r.read_ue("max_num_ref_frames")?;
        let frame_num_gaps_allowed = r.read_bit("gaps_in_frame_num_value_allowed_flag")?;
        // Larger pictures are beyond any level, and their sizes in pixels beyond 32 bits.
        let width_in_mbs = 1 + at_most(r.read_ue("pic_width_in_mbs_minus1")?, 0xffff)?;
        let height_in_map_units =
            1 + at_most(r.read_ue("pic_height_in_map_units_minus1")?, 0xffff)?;
        let frame_mbs_only = r.read_bit("frame_mbs_only_flag")?;
        let mb_adaptive_frame_field =
            !frame_mbs_only && r.read_bit("mb_adaptive_frame_field_flag")?;
        let direct_8x8_inference = r.read_bit("direct_8x8_inference_flag")?;
        let mut crop = [0; 4];
        if r.read_bit("frame_cropping_flag")? {
            for offset in &mut crop {
                *offset = r.read_ue("frame_crop_offset")?;
            }
        }

        let fields = if frame_mbs_only { 1 } else { 2 };
        let chroma_array_type = if separate_colour_planes {
            0
        } else {
            chroma_format_idc
        };
        // CropUnitX and CropUnitY (7.4.2.1.1).
        let unit_x = if matches!(chroma_array_type, 1 | 2) {
            2
        } else {
            1
        };
        let unit_y = if chroma_array_type == 1 { 2 } else { 1 } * fields;
        // Decoders show all of a picture of which nothing would be left.
        let shown = |macroblocks: u32, unit: u32, before: u32, after: u32| {
            let hidden = u64::from(unit) * (u64::from(before) + u64::from(after));
            let coded = 16 * u64::from(macroblocks);
            let left = coded.checked_sub(hidden).filter(|pixels| *pixels > 0);
            left.unwrap_or(coded) as u32
        };
        let height_in_mbs = height_in_map_units * fields;
        Ok(Self {
            id,
            profile_idc,
            constraint_flags,
            level_idc,
            chroma_format_idc,
            separate_colour_planes,
            bit_depths_minus8,
            transform_bypass,
            scaling_lists,
            frame_num_bits,
            picture_order,
            max_num_ref_frames,
            frame_num_gaps_allowed,
            frame_mbs_only,
            mb_adaptive_frame_field,
            direct_8x8_inference,
            crop,
            width: shown(width_in_mbs, unit_x, crop[0], crop[1]),
            height: shown(height_in_mbs, unit_y, crop[2], crop[3]),
            macroblocks: u64::from(width_in_mbs) * u64::from(height_in_mbs),
            vui: Vui::read(r),
        })
    }

    /// Returns the set without the fields that change no decoded picture: id, level and the timing of
    /// the VUI. Values that mean the same as an absent one are `None`.
    pub fn meaning(&self) -> Self {
        let mut meaning = self.clone();
        meaning.id = 0;
        meaning.level_idc = 0;
        if has_level_1b_by_flag(self.profile_idc) {
            meaning.constraint_flags &= !CONSTRAINT_SET3;
        }
        let vui = &mut meaning.vui;
        vui.frame_rate = None;
        vui.pixel_aspect_ratio = vui
            .pixel_aspect_ratio
            .filter(|(width, height)| width != height);
        vui.video_signal = vui
            .video_signal
            .filter(|signal| *signal != (UNSPECIFIED_FORMAT, false));
        let is_specified = |colour: &Colour| {
            [colour.primaries, colour.transfer, colour.matrix] != [UNSPECIFIED; 3]
        };
        vui.colour = vui.colour.filter(is_specified);
        vui.chroma_location = vui.chroma_location.filter(|location| *location != [0; 2]);
        meaning
    }

    /// Returns the level as a number that grows with it, level 1b between 1 and 1.1.
    pub fn level_rank(&self) -> u32 {
        let is_1b = self.level_idc == 9
            || self.level_idc == 11
                && has_level_1b_by_flag(self.profile_idc)
                && self.constraint_flags & CONSTRAINT_SET3 != 0;
        if is_1b {
            105
        } else {
            u32::from(self.level_idc) * 10
        }
    }

    /// Returns `ChromaArrayType`: the kind of chroma samples in slices, 0 for none.
    pub fn chroma_array_type(&self) -> u32 {
        if self.separate_colour_planes {
            0
        } else {
            self.chroma_format_idc
        }
    }

    /// Returns the reorder depth: `max_num_reorder_frames`, or the value that E.2.1 infers without it.
    pub fn reordering(&self) -> Reordering {
        let declared = |frames| Reordering {
            frames,
            declared: true,
        };
        let has_constraint_set3 = self.constraint_flags & CONSTRAINT_SET3 != 0;
        let intra_only = matches!(self.profile_idc, 44 | 86 | 100 | 110 | 122 | 244);
        if self.picture_order == PictureOrderType::DecodingOrder
            || (intra_only && has_constraint_set3)
        {
            return declared(0);
        }
        match self.vui.max_num_reorder_frames {
            Some(frames) => declared(frames.min(MAX_DPB_FRAMES) as usize),
            None => Reordering {
                frames: self.max_dpb_frames(),
                declared: false,
            },
        }
    }

    /// Returns `MaxDpbFrames` (A.3.1, Table A-1). Streams exceed their level, but have to keep their own
    /// reference frames.
    fn max_dpb_frames(&self) -> usize {
        let has_constraint_set3 = self.constraint_flags & CONSTRAINT_SET3 != 0;
        let max_dpb_macroblocks: u64 = match self.level_idc {
            11 if has_constraint_set3 && matches!(self.profile_idc, 66 | 77 | 88) => 396,
            9 | 10 => 396,
            11 => 900,
            12 | 13 | 20 => 2376,
            21 => 4752,
            22 | 30 => 8100,
            31 => 18_000,
            32 => 20_480,
            40 | 41 => 32_768,
            42 => 34_816,
            50 => 110_400,
            51 | 52 => 184_320,
            _ => 696_320,
        };
        let frames = (max_dpb_macroblocks / self.macroblocks) as u32;
        frames.max(self.max_num_ref_frames).min(MAX_DPB_FRAMES) as usize
    }
}

/// `constraint_set3_flag` among the flags that follow the profile.
const CONSTRAINT_SET3: u8 = 0x10;

/// Returns whether `constraint_set3_flag` makes level 1.1 level 1b (A.3.1).
fn has_level_1b_by_flag(profile_idc: u8) -> bool {
    matches!(profile_idc, 66 | 77 | 88)
}

/// Largest number of frames in a decoded picture buffer (A.3.1).
const MAX_DPB_FRAMES: u32 = 16;

impl PictureOrderType {
    fn read(r: &mut impl BitRead) -> Result<Self, Broken> {
        Ok(match r.read_ue("pic_order_cnt_type")? {
            0 => Self::Lsb {
                bits: 4 + at_most(r.read_ue("log2_max_pic_order_cnt_lsb_minus4")?, 12)?,
            },
            1 => Self::Cycle {
                delta_always_zero: r.read_bit("delta_pic_order_always_zero_flag")?,
                offset_for_non_ref_pic: r.read_se("offset_for_non_ref_pic")?,
                offset_for_top_to_bottom_field: r.read_se("offset_for_top_to_bottom_field")?,
                offsets_for_ref_frame: {
                    let count = r.read_ue("num_ref_frames_in_pic_order_cnt_cycle")?;
                    let offsets =
                        (0..at_most(count, 255)?).map(|_| r.read_se("offset_for_ref_frame"));
                    offsets.collect::<Result<_, _>>()?
                },
            },
            2 => Self::DecodingOrder,
            _ => return Err(Broken),
        })
    }
}

impl Vui {
    /// Reads the bits that exist.
    fn read(r: &mut impl BitRead) -> Self {
        let mut vui = Self::default();
        let _ = vui.fill(r);
        vui
    }

    fn fill(&mut self, r: &mut impl BitRead) -> Result<(), Broken> {
        if !r.read_bit("vui_parameters_present_flag")? {
            return Ok(());
        }
        if r.read_bit("aspect_ratio_info_present_flag")? {
            let idc = r.read::<8, u8>("aspect_ratio_idc")?;
            let ratio = match idc {
                EXTENDED_SAR => (
                    r.read::<16, u16>("sar_width")?,
                    r.read::<16, u16>("sar_height")?,
                ),
                _ => PIXEL_ASPECT_RATIOS
                    .get(usize::from(idc))
                    .copied()
                    .unwrap_or((0, 0)),
            };
            self.pixel_aspect_ratio = Some(ratio).filter(|ratio| ratio.0 > 0 && ratio.1 > 0);
        }
        if r.read_bit("overscan_info_present_flag")? {
            self.overscan_appropriate = Some(r.read_bit("overscan_appropriate_flag")?);
        }
        if r.read_bit("video_signal_type_present_flag")? {
            let video_format = r.read::<3, u8>("video_format")?;
            let full_range = r.read_bit("video_full_range_flag")?;
            self.video_signal = Some((video_format, full_range));
            if r.read_bit("colour_description_present_flag")? {
                self.colour = Some(Colour {
                    full_range,
                    primaries: r.read::<8, u8>("colour_primaries")?,
                    transfer: r.read::<8, u8>("transfer_characteristics")?,
                    matrix: r.read::<8, u8>("matrix_coefficients")?,
                });
            }
        }
        if r.read_bit("chroma_loc_info_present_flag")? {
            self.chroma_location = Some([
                r.read_ue("chroma_sample_loc_type_top_field")?,
                r.read_ue("chroma_sample_loc_type_bottom_field")?,
            ]);
        }
        if r.read_bit("timing_info_present_flag")? {
            let units_in_tick = r.read::<32, u32>("num_units_in_tick")?;
            let rate = VuiFrameRate {
                numerator: r.read::<32, u32>("time_scale")?.into(),
                denominator: 2 * u64::from(units_in_tick),
            };
            r.read_bit("fixed_frame_rate_flag")?;
            self.frame_rate = Some(rate).filter(|rate| rate.numerator > 0 && rate.denominator > 0);
        }
        let has_nal_hrd = r.read_bit("nal_hrd_parameters_present_flag")?;
        if has_nal_hrd {
            skip_hrd(r)?;
        }
        let has_vcl_hrd = r.read_bit("vcl_hrd_parameters_present_flag")?;
        if has_vcl_hrd {
            skip_hrd(r)?;
        }
        if has_nal_hrd || has_vcl_hrd {
            r.read_bit("low_delay_hrd_flag")?;
        }
        r.read_bit("pic_struct_present_flag")?;
        if r.read_bit("bitstream_restriction_flag")? {
            r.read_bit("motion_vectors_over_pic_boundaries_flag")?;
            for name in [
                "max_bytes_per_pic_denom",
                "max_bits_per_mb_denom",
                "log2_max_mv_length_horizontal",
                "log2_max_mv_length_vertical",
            ] {
                r.read_ue(name)?;
            }
            self.max_num_reorder_frames = Some(r.read_ue("max_num_reorder_frames")?);
            self.max_dec_frame_buffering = Some(r.read_ue("max_dec_frame_buffering")?);
        }
        Ok(())
    }
}

/// `video_format` "unspecified" (Table E-2).
const UNSPECIFIED_FORMAT: u8 = 5;
/// Colour code point "unspecified" (Tables E-3 to E-5).
const UNSPECIFIED: u8 = 2;

/// `aspect_ratio_idc` `Extended_SAR`: the ratio follows.
const EXTENDED_SAR: u8 = 255;

/// Table E-1.
const PIXEL_ASPECT_RATIOS: [(u16, u16); 17] = [
    (0, 0),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// Profiles whose sets have a chroma format (7.3.2.1.1).
fn has_chroma_format(profile_idc: u8) -> bool {
    matches!(
        profile_idc,
        // 144 is High 4:4:4 of the edition of 2003, which later ones replace by 244.
        100 | 110 | 122 | 144 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    )
}

/// Reads a scaling list (7.3.2.1.1.1). Empty stands for the default list.
fn read_scaling_list(r: &mut impl BitRead, size: usize) -> Result<Vec<u8>, Broken> {
    let mut list = Vec::with_capacity(size);
    let mut last = 8u8;
    while list.len() < size {
        let delta = r.read_se("delta_scale")?;
        let next = (i64::from(last) + i64::from(delta)).rem_euclid(256) as u8;
        if next == 0 {
            let rest = if list.is_empty() { 0 } else { size };
            list.resize(rest, last);
            break;
        }
        list.push(next);
        last = next;
    }
    Ok(list)
}

fn skip_hrd(r: &mut impl BitRead) -> Result<(), Broken> {
    let count = 1 + at_most(r.read_ue("cpb_cnt_minus1")?, 31)?;
    r.skip(8, "bit_rate_scale and cpb_size_scale")?;
    for _ in 0..count {
        r.read_ue("bit_rate_value_minus1")?;
        r.read_ue("cpb_size_value_minus1")?;
        r.read_bit("cbr_flag")?;
    }
    r.skip(20, "lengths of delays and of the time offset")?;
    Ok(())
}

/// Returns a value within the limits of the standard, else an error.
pub fn at_most(value: u32, limit: u32) -> Result<u32, Broken> {
    if value <= limit {
        Ok(value)
    } else {
        Err(Broken)
    }
}
