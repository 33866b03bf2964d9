// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Frames of a stream that is recorded: their unchanged bytes, with the facts that readers need.

use std::collections::{BTreeSet, VecDeque};
use std::mem;

use crate::assemble::{Assembler, InputFormat};
use crate::codec::h264::{
    ParameterSets, Sps, VuiFrameRate, insert_parameter_sets, nal_type, nal_unit_type, referred_pps,
};
use crate::codec::{Damage, annexb::nal_units};
use crate::order::PictureOrder;
use crate::record_times::Capture;
use bytes::Bytes;

/// Largest number of buffers without a slice before one that has some.
const MAX_LEADING: usize = 100;

/// A frame to be recorded, or bytes that could not be read as one.
#[derive(Debug)]
pub struct InputFrame {
    /// Bytes. In order they are the frame.
    pub content: Vec<Bytes>,
    /// Capture time with its source.
    pub capture: Capture,
    /// Its place in output order; `None` if it could not be read.
    pub order: Option<PictureOrder>,
    /// An IDR picture: decoding can start here.
    pub idr: bool,
    /// A recovery point: decoding can start here, but some pictures are not correct.
    pub has_recovery_point: bool,
    /// Number of access units: one, unless the buffers do not hold one each.
    pub count: u64,
    /// First damage of its bytes.
    pub damage: Option<Damage>,
}

impl InputFrame {
    fn new(content: Vec<Bytes>, capture: Capture, count: u64, damage: Option<Damage>) -> Self {
        Self {
            content,
            capture,
            order: None,
            idr: false,
            has_recovery_point: false,
            count,
            damage,
        }
    }

    /// Returns whether a reader accepts it as a keyframe.
    pub fn is_keyframe(&self) -> bool {
        self.idr || self.has_recovery_point
    }

    /// Returns the damage that makes the whole frame undecodable. A broken parameter set by itself does not: a
    /// later frame reports that it is missing.
    pub fn undecodable(&self) -> Option<Damage> {
        let is_set = self.count == 0 && self.damage == Some(Damage::BrokenParameterSet);
        self.damage.filter(|_| self.order.is_none() && !is_set)
    }
}

/// Number of bytes of parameter sets that may always be repeated.
const FREE_REPETITION: u64 = 1 << 20;
/// Largest number of repeated bytes of parameter sets for each byte of input.
const MAX_REPETITION: u64 = 4;

/// Assembles frames from buffers that hold an access unit each. The two fields of a frame may be in two.
#[derive(Debug)]
pub struct FrameAssembler {
    assembler: Assembler<()>,
    /// Frames that are not complete, and the number of their access units that are missing.
    open: VecDeque<(InputFrame, usize)>,
    complete: VecDeque<InputFrame>,
    /// Bytes before the next frame that belong to it.
    leading: Vec<Bytes>,
    /// Parameter sets of the stream.
    sets: ParameterSets,
    /// Those that the frames since the last IDR picture have, with its own; `None` before the first one.
    since_idr: Option<ParameterSets>,
    /// Width and height in the last SPS that came.
    size: Option<(u32, u32)>,
    repeated: Repeated,
}

/// Bytes of parameter sets that were repeated, next to those that came: a hostile stream of large sets and tiny
/// pictures would otherwise be recorded a thousand times as large. Where they are not repeated, a reader finds them
/// before the range.
#[derive(Debug, Default)]
struct Repeated {
    taken: u64,
    repeated: u64,
}

impl Repeated {
    /// Notes the bytes of a buffer.
    fn take(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes as u64);
    }

    /// Returns whether so many bytes more may be repeated, and counts them.
    fn allows(&mut self, bytes: usize) -> bool {
        let repeated = self.repeated.saturating_add(bytes as u64);
        let most = FREE_REPETITION.saturating_add(self.taken.saturating_mul(MAX_REPETITION));
        let allows = repeated <= most;
        if allows {
            self.repeated = repeated;
        }
        allows
    }
}

impl Default for FrameAssembler {
    fn default() -> Self {
        let mut assembler = Assembler::default();
        assembler.set_format(InputFormat {
            has_access_units: true,
            ..Default::default()
        });
        Self {
            assembler,
            open: VecDeque::new(),
            complete: VecDeque::new(),
            leading: Vec::new(),
            sets: ParameterSets::default(),
            since_idr: None,
            size: None,
            repeated: Repeated::default(),
        }
    }
}

impl FrameAssembler {
    /// Adds the next buffer. The frames that it completes are returned by [`pop`](Self::pop).
    pub fn push(&mut self, data: Bytes, capture: Capture) {
        self.repeated.take(data.len());
        let pushed = self.assembler.push(data.clone(), (), |(), ()| ()).pushed;
        let could_not_be_read = pushed.damage.is_some();
        if pushed.begun == 0 && pushed.continues && !self.open.is_empty() {
            if let Some((frame, _)) = self.open.back_mut() {
                frame.content.push(data);
                frame.damage = frame.damage.or(pushed.damage);
            }
        } else if pushed.begun > 0 || pushed.continues || could_not_be_read {
            let mut content = mem::take(&mut self.leading);
            content.push(data);
            // What cannot be read has the time of its buffer, as a frame has.
            let is_unreadable = pushed
                .damage
                .is_some_and(|damage| !damage.is_of_parameter_sets());
            let count = match pushed.begun {
                0 => u64::from(is_unreadable && !pushed.continues),
                begun => begun as u64,
            };
            let frame = InputFrame::new(content, capture, count, pushed.damage);
            self.open.push_back((frame, pushed.begun));
        } else {
            self.leading.push(data);
            if self.leading.len() >= MAX_LEADING {
                let content = mem::take(&mut self.leading);
                let frame = InputFrame::new(content, capture, 1, Some(Damage::NoSlice));
                self.open.push_back((frame, 0));
            }
        }
        self.settle();
    }

    /// Completes the frames that are open: nothing more comes for them.
    pub fn end(&mut self, capture: Capture) {
        self.assembler.end_run();
        self.settle();
        if !self.leading.is_empty() {
            let content = mem::take(&mut self.leading);
            self.complete
                .push_back(InputFrame::new(content, capture, 0, None));
        }
    }

    /// Returns the next frame that is complete.
    pub fn pop(&mut self) -> Option<InputFrame> {
        self.complete.pop_front()
    }

    /// Returns the frame rate of the stream, if its VUI has one.
    pub fn vui_frame_rate(&self) -> Option<VuiFrameRate> {
        self.assembler.splitter().vui_frame_rate()
    }

    /// Returns width and height of the pictures as they are shown, as far as the stream says.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// Completes frames whose access units are known, in order.
    fn settle(&mut self) {
        while let Some((frame, missing)) = self.open.front_mut() {
            while *missing > 0
                && let Some((unit, _)) = self.assembler.pop()
            {
                if *missing as u64 == frame.count {
                    frame.order = unit.order;
                }
                frame.has_recovery_point |= unit.recovery_point.is_some();
                *missing -= 1;
            }
            if *missing > 0 {
                return;
            }
            if let Some((frame, _)) = self.open.pop_front() {
                self.complete(frame);
            }
        }
    }

    /// Adds the parameter sets that a frame refers to and that a reader which begins with the IDR picture before it,
    /// or with itself, would lack. Others are not added: there may be hundreds.
    fn complete(&mut self, mut frame: InputFrame) {
        let mut own = ParameterSets::default();
        let mut referred = BTreeSet::new();
        for part in &frame.content {
            for nal in nal_units(part) {
                let nal = &part[nal.bytes];
                match nal_unit_type(nal[0]) {
                    nal_type::SLICE_IDR => {
                        frame.idr = true;
                        referred.extend(referred_pps(nal));
                    }
                    nal_type::SLICE | nal_type::SLICE_PARTITION_A => {
                        referred.extend(referred_pps(nal))
                    }
                    nal_type::SPS => {
                        own.put(nal);
                        let sps = Sps::parse(nal).ok();
                        self.size = sps.map(|sps| (sps.width, sps.height)).or(self.size);
                    }
                    nal_type::PPS | nal_type::SPS_EXTENSION => own.put(nal),
                    _ => {}
                }
            }
        }
        if frame.idr {
            self.since_idr = Some(ParameterSets::default());
        }
        if let Some(since_idr) = &mut self.since_idr {
            let missing = self.sets.referred(&referred).missing_in(&own);
            let missing = missing.missing_in(since_idr);
            if self.repeated.allows(missing.iter().map(<[u8]>::len).sum()) {
                insert_parameter_sets(&mut frame.content, &missing);
                since_idr.fill_from(missing);
            }
            since_idr.fill_from(own.clone());
        }
        if !own.is_empty() {
            own.fill_from(mem::take(&mut self.sets));
            self.sets = own;
        }
        self.complete.push_back(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::testing::{IDR, P, SPS, SliceSpec, pps, record, slice, sps};
    use crate::record_times::testing::capture;

    const DELIMITER: &[u8] = &[9, 0xf0];
    const SEI: &[u8] = &[6, 5, 1, 1, 0x80];

    fn idr() -> Vec<u8> {
        slice(IDR)
    }

    fn other(frame_num: u8) -> Vec<u8> {
        slice(SliceSpec {
            frame_num,
            order: 2 * frame_num,
            ..P
        })
    }

    /// The frames that buffers make, after each of them and at the end. The n-th is captured at n.
    fn run(buffers: &[Bytes]) -> Vec<Vec<InputFrame>> {
        let mut assembler = FrameAssembler::default();
        let mut frames = Vec::new();
        for (time, buffer) in (0..).zip(buffers) {
            assembler.push(buffer.clone(), capture(time));
            frames.push(std::iter::from_fn(|| assembler.pop()).collect());
        }
        assembler.end(capture(buffers.len() as u64));
        frames.push(std::iter::from_fn(|| assembler.pop()).collect());
        frames
    }

    #[test]
    fn a_frame_is_there_with_its_buffer() {
        let (sps, pps) = (sps(SPS), pps(0));
        let buffers = [
            record(&[DELIMITER, &sps, &pps, &idr()]),
            record(&[DELIMITER, &other(1)]),
        ];
        let frames = run(&buffers);
        assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 0]);
        let mut assembler = FrameAssembler::default();
        assembler.push(buffers[0].clone(), capture(0));
        assert_eq!(assembler.size(), Some((64, 64)));
        for (index, (frames, buffer)) in frames.iter().zip(&buffers).enumerate() {
            let frame = &frames[0];
            assert_eq!(frame.content, [buffer]);
            assert_eq!(frame.content[0].as_ptr(), buffer.as_ptr(), "no copy");
            assert_eq!(frame.capture, capture(index as u64));
            assert_eq!((frame.idr, frame.count), (index == 0, 1));
            assert!(frame.order.is_some());
        }
    }

    #[test]
    fn idr_pictures_get_their_parameter_sets() {
        let (sps, pps) = (sps(SPS), pps(0));
        let frames = run(&[
            record(&[&sps, &pps, &idr()]),
            record(&[DELIMITER, &idr()]),
            record(&[&idr()]),
            record(&[&sps, &idr()]),
        ]);
        let contents: Vec<_> = frames
            .iter()
            .flatten()
            .map(|it| it.content.concat())
            .collect();
        assert_eq!(contents[1], record(&[DELIMITER, &sps, &pps, &idr()]));
        assert_eq!(contents[2], record(&[&sps, &pps, &idr()]));
        assert_eq!(contents[3], record(&[&pps, &sps, &idr()]));
    }

    #[test]
    fn only_sets_that_a_picture_refers_to_are_repeated() {
        let (sps, pps): (_, Vec<_>) = (sps(SPS), (0..200).map(pps).collect());
        let all = [std::slice::from_ref(&sps), &pps[..]].concat();
        let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        let slice_of = |pps, header| slice(SliceSpec { pps, ..header });
        let slices = [
            (7, IDR),
            (150, IDR),
            (7, P),
            (9, P),
            (9, P),
            (150, IDR),
            (9, P),
        ];
        let mut buffers = vec![record(&all)];
        buffers.extend(slices.map(|(pps, header)| record(&[&slice_of(pps, header)])));
        let frames = run(&buffers);
        let inserted = |frame: usize, sets: &[&[u8]]| {
            let (pps, header) = slices[frame];
            let expected = record(&[sets, &[&slice_of(pps, header)[..]]].concat());
            let found = frames.iter().flatten().nth(frame).unwrap();
            assert_eq!(found.content.concat(), expected, "{frame}");
        };
        let first = frames.iter().flatten().next().unwrap();
        assert_eq!(first.content.concat(), buffers[..2].concat());
        inserted(1, &[&sps, &pps[150]]);
        // A reader that begins with that IDR picture would lack these, once.
        inserted(2, &[&pps[7]]);
        inserted(3, &[&pps[9]]);
        inserted(4, &[]);
        inserted(5, &[&sps, &pps[150]]);
        inserted(6, &[&pps[9]]);
    }

    #[test]
    fn pictures_before_the_first_idr_stay_as_they_are() {
        let (sps, pps) = (sps(SPS), pps(0));
        let buffers = [record(&[&sps, &pps, &other(0)]), record(&[&other(1)])];
        let frames: Vec<_> = run(&buffers).into_iter().flatten().collect();
        let contents: Vec<_> = frames.iter().map(|frame| frame.content.concat()).collect();
        assert_eq!(contents, buffers);
    }

    #[test]
    fn what_is_no_picture_goes_with_the_next_one() {
        let (sps, pps) = (sps(SPS), pps(0));
        let buffers = [
            record(&[&sps, &pps]),
            record(&[SEI]),
            record(&[&idr()]),
            record(&[SEI]),
        ];
        let frames = run(&buffers);
        assert_eq!(
            frames.iter().map(Vec::len).collect::<Vec<_>>(),
            [0, 0, 1, 0, 1]
        );
        assert_eq!(frames[2][0].content.concat(), buffers[..3].concat());
        assert_eq!((frames[4][0].count, frames[4][0].order), (0, None));
    }

    #[test]
    fn nothing_is_left_out() {
        let broken = record(&[&[0x21]]);
        let unknown = record(&[&other(3)]);
        let (sps, pps) = (sps(SPS), pps(0));
        let whole = record(&[&sps, &pps, &idr()]);
        let buffers = [
            unknown,
            broken.clone(),
            whole,
            broken,
            Bytes::from_static(b"{}"),
        ];
        let frames: Vec<_> = run(&buffers).into_iter().flatten().collect();
        let contents: Vec<_> = frames.iter().map(|frame| frame.content.concat()).collect();
        assert_eq!(contents.concat(), buffers.concat());
        assert!(
            frames
                .iter()
                .all(|frame| frame.order.is_some() == frame.idr)
        );
    }

    #[test]
    fn large_sets_of_tiny_pictures_are_not_repeated_for_ever() {
        // A PPS may have any data after it that this version does not know.
        let pps = [pps(0), vec![0x55; 60_000]].concat();
        let mut buffers = vec![record(&[&sps(SPS), &pps, &slice(IDR)])];
        buffers.extend((0..2000).map(|_| record(&[&slice(IDR)])));
        let frames = run(&buffers);
        let frames: Vec<_> = frames.iter().flatten().collect();
        assert_eq!(frames.len(), 2001);
        let written: usize = frames
            .iter()
            .map(|frame| frame.content.concat().len())
            .sum();
        let came: usize = buffers.iter().map(Bytes::len).sum();
        assert!(written < 5 * came + (1 << 20), "{written} of {came}");
        // Usual ones are.
        let mut buffers = vec![record(&[&sps(SPS), &self::pps(0), &slice(IDR)])];
        buffers.extend((0..2000).map(|_| record(&[&slice(IDR)])));
        let frames = run(&buffers);
        let first = frames.iter().flatten().next().unwrap().content.concat();
        let all = frames.iter().flatten().map(|frame| frame.content.concat());
        assert!(all.into_iter().all(|content| content.len() == first.len()));
    }

    #[test]
    fn what_is_no_byte_stream_cannot_be_decoded() {
        let lengths =
            |unit: &[u8]| Bytes::from([&(unit.len() as u32).to_be_bytes(), unit].concat());
        let (sps, pps) = (sps(SPS), pps(0));
        for (buffer, damage) in [
            (lengths(&other(1)), Damage::LengthPrefixed),
            (
                Bytes::from_static(b"no video at all"),
                Damage::NotByteStream,
            ),
            (record(&[&[0xff, 1, 2, 3]]), Damage::ForbiddenBit),
            (record(&[&[0xe1, 1, 2, 3]]), Damage::ForbiddenBit),
        ] {
            for frame in run(&[buffer.clone(), buffer]).iter().flatten() {
                assert_eq!((frame.undecodable(), frame.count), (Some(damage), 1));
            }
        }
        // Once parameter sets have come, slices are looked into.
        let frames = run(&[
            record(&[&sps, &pps, &idr()]),
            record(&[&[0x21]]),
            record(&[&idr()]),
        ]);
        let found: Vec<_> = frames
            .iter()
            .flatten()
            .map(InputFrame::undecodable)
            .collect();
        assert_eq!(found, [None, Some(Damage::BrokenSlice), None]);
    }

    #[test]
    fn buffers_without_slices_do_not_wait_for_ever() {
        let frames = run(&vec![record(&[DELIMITER]); 2 * MAX_LEADING + 1]);
        let frames: Vec<_> = frames.iter().flatten().collect();
        let found: Vec<_> = frames.iter().map(|frame| frame.undecodable()).collect();
        assert_eq!(found, [Some(Damage::NoSlice), Some(Damage::NoSlice), None]);
        let buffers: Vec<_> = frames.iter().map(|frame| frame.content.len()).collect();
        assert_eq!(buffers, [MAX_LEADING, MAX_LEADING, 1]);
    }

    #[test]
    fn parameter_sets_that_never_came_are_missed() {
        let (sps, pps) = (sps(SPS), pps(0));
        let frames = run(&[
            record(&[&idr()]),
            record(&[&sps, &idr()]),
            record(&[&pps, &idr()]),
            record(&[&other(1)]),
        ]);
        let missing: Vec<_> = frames
            .iter()
            .flatten()
            .map(InputFrame::undecodable)
            .collect();
        let none = Some(Damage::NoParameterSets);
        assert_eq!(missing[0], none);
        assert!(missing[1].is_some());
        assert_eq!(missing[2..], [None, None]);
    }
}
