// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Parameter sets with any contents, one by one, in a configuration record and in a byte stream.

#![no_main]

use std::slice;

use std::collections::VecDeque;

use bytes::Bytes;
use gst_plugin_reduct_fuzz::codec::annexb::nal_units;
use gst_plugin_reduct_fuzz::codec::h264::{AccessUnitSplitter, ParameterSets, Sps};
use libfuzzer_sys::fuzz_target;

/// More sequence parameter sets are not in a configuration record (ISO/IEC 14496-15, 5.3.3.1).
const MAX_IN_CONFIGURATION: usize = 31;

fuzz_target!(|input: &[u8]| {
    check_sps(input);
    check_sets(&ParameterSets::from_configuration(input));

    let mut splitter = AccessUnitSplitter::default();
    let mut sets = ParameterSets::default();
    for nal in nal_units(input) {
        let nal = &input[nal.bytes];
        check_sps(nal);
        let before = sets.clone();
        sets.put(nal);
        splitter.put_parameter_set(nal);
        let mut both = before.clone();
        both.fill_from(sets.clone());
        assert!(has_all(&both, &before));
        assert!(both.iter().count() >= sets.iter().count());
    }
    check_sets(&sets);

    let stream = Bytes::copy_from_slice(input);
    let mut new = AccessUnitSplitter::default();
    let lacks = new.lacks_parameter_sets(slice::from_ref(&stream));
    let pushed = new.push(&stream, &mut VecDeque::new());
    assert!(!lacks || pushed.damage.is_some());
    assert!(!splitter.lacks_parameter_sets(slice::from_ref(&stream)) || lacks);
});

fn check_sps(nal: &[u8]) {
    if let Ok(sps) = Sps::parse(nal) {
        assert!(sps.width > 0 && sps.height > 0);
        assert!(sps.reordering().frames <= 16);
        let rate = sps.vui.frame_rate;
        assert!(rate.is_none_or(|rate| rate.numerator > 0 && rate.denominator > 0));
    }
}

fn check_sets(sets: &ParameterSets) {
    let is_sps = |nal: &&[u8]| nal[0] & 0x1f == 7;
    if let Some(record) = sets.to_configuration(0) {
        let again = ParameterSets::from_configuration(&record);
        assert!(has_all(sets, &again));
        let is_pps = |nal: &&[u8]| nal[0] & 0x1f == 8;
        let pictures = sets.iter().filter(is_pps).count();
        if sets.iter().filter(is_sps).count() <= MAX_IN_CONFIGURATION && pictures <= 255 {
            // SPS extensions (type 13) are in the records of High profiles only.
            let kept = sets.iter().filter(|nal| nal[0] & 0x1f != 13);
            assert!(kept.eq(again.iter().filter(|nal| nal[0] & 0x1f != 13)));
        }
    }
}

fn has_all(sets: &ParameterSets, others: &ParameterSets) -> bool {
    let has = |other| sets.iter().any(|nal| nal == other);
    others.iter().all(has)
}
