// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Recovery points in supplemental enhancement information (ITU-T H.264, Annex D).

use h264_reader::nal::sei::{HeaderType, SeiReader};
use h264_reader::rbsp::{BitRead, BitReader};

use crate::codec::rbsp::Rbsp;

/// Returns `recovery_frame_cnt` of the recovery point message in the SEI NAL unit `nal`: the distance in
/// `frame_num` to the picture from which on output is right if decoding begins here (D.2.8).
pub fn recovery_frame_count(nal: &[u8]) -> Option<u32> {
    let mut scratch = Vec::new();
    let mut messages = SeiReader::from_rbsp_bytes(Rbsp::new(nal), &mut scratch);
    while let Ok(Some(message)) = messages.next() {
        if message.payload_type == HeaderType::RecoveryPoint {
            let mut bits = BitReader::new(message.payload);
            return bits.read_ue("recovery_frame_cnt").ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User data, unregistered: type 5, two bytes for a test.
    const USER_DATA: [u8; 4] = [5, 2, 0xab, 0xcd];

    #[test]
    fn recovery_point_among_others() {
        // recovery_frame_cnt 2 (011), exact_match_flag 1, broken_link_flag 0, two bits, stop bit.
        let recovery = [6, 1, 0b0111_0001];
        let nal = [&[6][..], &USER_DATA, &recovery, &[0x80]].concat();
        assert_eq!(recovery_frame_count(&nal), Some(2));
    }

    #[test]
    fn no_recovery_point() {
        assert_eq!(
            recovery_frame_count(&[&[6][..], &USER_DATA, &[0x80]].concat()),
            None
        );
        assert_eq!(recovery_frame_count(&[6]), None);
        assert_eq!(recovery_frame_count(&[6, 6, 200, 1]), None);
    }
}
