// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Makes input of the cutter: groups of pictures, segments and pauses.

use bytes::Bytes;

use crate::codec::h264::FrameNumber;
use crate::codec::h264::testing::{FRAME_NUMBER, Order, SPS, SpsSpec, pps, sps};
use crate::cut::{InputSegment, InputUnit, PictureFacts};
use crate::time::{CaptureTime, Nanos};

/// A step of the input.
#[derive(Debug, Clone)]
pub enum Step {
    Segment(InputSegment),
    Pause,
    Undecodable,
    Unit(InputUnit<u64>),
}

/// Kind of the access units with which groups begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Idr,
    /// An IDR picture with another format than the one before.
    OtherFormat,
    /// A recovery point with a refresh of so many frames.
    Refresh(u32),
}

/// Order of the frames of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reorder {
    /// They are decoded as they are shown.
    None,
    /// Every other one is shown before the one that it follows.
    Pairs,
    /// A B-pyramid: of four frames, the last one is decoded first, and then the second one.
    Pyramid,
}

impl Reorder {
    /// Returns by how many frames the first one is shown after it is decoded.
    pub fn delay(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Pairs => 1,
            Self::Pyramid => 2,
        }
    }

    /// Returns by how many frames a frame of a group of `frames` is shown after it is decoded.
    pub fn late(self, index: u64, frames: u64) -> u64 {
        match (self, index % 2, index % 4) {
            (Self::None, ..) => 0,
            _ if index == 0 => self.delay(),
            (Self::Pairs, 1, _) if index + 1 < frames => 2,
            (Self::Pairs, 0, _) => 0,
            (Self::Pairs, ..) => 1,
            // The rest after the last four is not reordered.
            (Self::Pyramid, ..) if (index - 1) / 4 == (frames - 1) / 4 => 2,
            (Self::Pyramid, _, 1) => 5,
            (Self::Pyramid, _, 2) => 2,
            (Self::Pyramid, _, 3) => 0,
            (Self::Pyramid, ..) => 1,
        }
    }
}

/// Makes the input of the cutter.
#[derive(Debug, Default)]
pub struct Camera {
    pub steps: Vec<Step>,
    pub time: Nanos,
    frame_number: u32,
    units: u64,
    is_other_format: bool,
}

impl Camera {
    pub fn segment(&mut self, lead: Nanos, shown_until: Option<Nanos>) {
        self.steps.push(Step::Segment(InputSegment {
            late: Nanos::ZERO,
            lead,
            shown_from: self.time + lead,
            shown_until,
        }));
    }

    /// Adds an access unit with its PTS so many frames after its DTS. Returns it for changes.
    pub fn unit(&mut self, frame: Nanos, late: u64) -> &mut InputUnit<u64> {
        let number = FrameNumber {
            frame_num: self.frame_number % FRAME_NUMBER.modulus,
            ..FRAME_NUMBER
        };
        let unit = InputUnit {
            payload: self.units,
            bytes: 100 + self.units as usize,
            pts: Some(self.time + late * frame),
            dts: Some(self.time),
            duration: Some(frame),
            capture: Some(CaptureTime::from_useconds(1_000_000_000_000) + self.time + late * frame),
            is_discont: false,
            is_corrupted: self.units % 7 == 3,
            picture: PictureFacts {
                frame_number: Some(number),
                pps_ids: vec![0],
                ..Default::default()
            },
        };
        self.units += 1;
        self.frame_number += 1;
        self.time += frame;
        self.steps.push(Step::Unit(unit));
        let Some(Step::Unit(unit)) = self.steps.last_mut() else {
            unreachable!("a unit was pushed");
        };
        unit
    }

    /// Adds a group of frames.
    pub fn group(&mut self, start: Start, frames: u64, frame: Nanos, reorder: Reorder) {
        if start == Start::OtherFormat {
            self.is_other_format = !self.is_other_format;
        }
        let is_other_format = self.is_other_format;
        let is_idr = !matches!(start, Start::Refresh(_));
        if is_idr {
            self.frame_number = 0;
        }
        for index in 0..frames {
            let late = reorder.late(index, frames);
            let is_reference = reorder != Reorder::Pyramid || late > 1;
            let unit = self.unit(frame, late);
            let picture = &mut unit.picture;
            if let Some(number) = &mut picture.frame_number {
                number.reference = is_reference;
            }
            if index == 0 {
                match start {
                    Start::Refresh(frames) => picture.recovery_point = Some(frames),
                    Start::Idr | Start::OtherFormat => {
                        picture.idr = true;
                        picture.parameter_sets = parameter_sets(is_other_format);
                    }
                }
            }
            // The next picture has the number of one that no other refers to.
            self.frame_number -= u32::from(!is_reference);
        }
    }
}

fn parameter_sets(is_other_format: bool) -> Vec<Bytes> {
    let order = match is_other_format {
        true => Order::Decoding,
        false => Order::Lsb,
    };
    vec![sps(SpsSpec { order, ..SPS }).into(), pps(0).into()]
}
