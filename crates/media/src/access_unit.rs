// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Access units of any codec, with the facts that containers and players need.

use std::borrow::Borrow;
use std::ops::{Deref, Range};

use bytes::Bytes;

use crate::codec::annexb;
use crate::codec::h264::FrameNumber;
use crate::order::PictureOrder;

/// Video codec of a stream.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// ISO/IEC 14496-10 (ITU-T H.264, AVC).
    #[default]
    H264,
}

/// Configuration that a decoder needs before the first access unit, and a container stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderConfig {
    /// Codec of the stream.
    pub codec: Codec,
    /// Configuration record of the codec: for H.264 the `AVCDecoderConfigurationRecord`
    /// (ISO/IEC 14496-15, 5.3.3.1).
    pub record: Vec<u8>,
    /// Width and height of the pictures as they are shown, in pixels; `None` if they cannot be read.
    pub size: Option<(u32, u32)>,
}

/// Consecutive bytes of a byte stream with the places of the NAL units in them, which are searched for
/// once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Chunk {
    bytes: Bytes,
    nal_units: Vec<Range<usize>>,
}

impl Chunk {
    /// Searches `bytes` of a byte stream for NAL units.
    pub fn new(bytes: Bytes) -> Self {
        let nal_units = annexb::nal_units(&bytes).map(|nal| nal.bytes).collect();
        Self { bytes, nal_units }
    }

    /// Wraps `bytes` whose NAL units are known, in order: from their header to before
    /// `trailing_zero_8bits`.
    pub(crate) fn with_nal_units(bytes: Bytes, nal_units: Vec<Range<usize>>) -> Self {
        debug_assert!(nal_units.iter().all(|nal| nal.end <= bytes.len()));
        Self { bytes, nal_units }
    }

    /// Returns the bytes, start codes included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Takes the bytes, start codes included.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Returns the NAL units, which share the memory of the chunk. None is empty.
    pub fn nal_units(&self) -> impl Iterator<Item = Bytes> + '_ {
        self.nal_units
            .iter()
            .map(|nal| self.bytes.slice(nal.clone()))
    }

    /// Replaces the memory by a copy, so that a small chunk does not pin the large memory that it is
    /// part of.
    pub(crate) fn detach(&mut self) {
        self.bytes = Bytes::copy_from_slice(&self.bytes);
    }

    /// Splits the chunk before the start code at `at`, and returns what follows.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let first = self.nal_units.partition_point(|nal| nal.start < at);
        let nal_units = self.nal_units.split_off(first);
        Self {
            bytes: self.bytes.split_off(at),
            nal_units: (nal_units.into_iter())
                .map(|nal| nal.start - at..nal.end - at)
                .collect(),
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Borrow<[u8]> for Chunk {
    fn borrow(&self) -> &[u8] {
        &self.bytes
    }
}

/// A frame in decoding order: a primary coded picture and all that belongs to it, or the two of a
/// complementary field pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// The bytes of the stream, start codes included: one chunk for each piece of a record that has
    /// some of them. They share the records' memory.
    pub parts: Vec<Chunk>,
    /// The picture is an IDR picture: decoding can start here.
    pub idr: bool,
    /// `recovery_frame_cnt`, if decoding can also start here, but some pictures are not correct.
    pub recovery_point: Option<u32>,
    /// Its place in output order; `None` if it is [undecodable](Integrity::Undecodable).
    pub order: Option<PictureOrder>,
    /// `frame_num` of its first slice; `None` if it is [undecodable](Integrity::Undecodable).
    pub frame_number: Option<FrameNumber>,
    /// All its slices are I or SI slices: it is predicted from no other picture.
    pub intra: bool,
    /// Id of the SPS that it refers to.
    pub sps_id: u8,
    /// Completeness of its slices.
    pub integrity: Integrity,
    /// Pictures before it are missing that others may refer to.
    pub after_loss: bool,
}

/// Completeness of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// All slices that came could be read.
    Whole,
    /// Slices that could not be read are left out.
    Corrupted,
    /// No slice could be read: the access unit has no bytes.
    Undecodable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_split_between_nal_units() {
        let stream = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 7, 0, 0, 0, 1, 0x65, 5];
        let mut chunk = Chunk::new(Bytes::copy_from_slice(&stream));
        let whole: Vec<_> = chunk.nal_units().collect();
        assert_eq!(whole, [&[9, 0xf0][..], &[0x67, 7], &[0x65, 5]]);
        for (at, before) in [(0, 0), (6, 1), (11, 2), (17, 3)] {
            let mut first = chunk.clone();
            let rest = first.split_off(at);
            assert!(
                first.nal_units().eq(whole[..before].iter().cloned()),
                "{at}"
            );
            assert!(rest.nal_units().eq(whole[before..].iter().cloned()), "{at}");
            assert_eq!([&first[..], &rest[..]].concat(), stream);
        }
        let memory = chunk.bytes().as_ptr();
        chunk.detach();
        assert_ne!(chunk.bytes().as_ptr(), memory);
        assert!(chunk.nal_units().eq(whole));
    }
}
