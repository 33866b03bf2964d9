// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Searches the parameter sets of a stream that begins without them.
//!
//! The time before the stream is read in windows until one has an SPS and a PPS or the reach is exhausted.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

use bytes::Bytes;
use media::codec::annexb::nal_units;
use media::codec::h264::{Aligned, Aligner, ParameterSets};

use super::backward::Windows;

/// The first window, in µs.
const FIRST_WINDOW: u64 = 1_000_000;
/// Records in which a parameter set may continue.
const MAX_HEAD: usize = 64;

/// A search for the last parameter sets before a time. Times are in µs since the Unix epoch.
#[derive(Debug)]
pub struct ParameterSetSearch {
    oldest: u64,
    windows: Windows,
    /// Begin of the last window.
    begin: u64,
    found: ParameterSets,
    found_in_window: ParameterSets,
    aligner: Aligner<()>,
    /// The records of the window, and of the one after it, up to the first that begins a NAL unit.
    head: Vec<Vec<Bytes>>,
    later_head: Vec<Vec<Bytes>>,
    is_in_head: bool,
}

impl ParameterSetSearch {
    /// Returns a search from `time` back to `reach` before it.
    pub fn new(time: u64, reach: u64) -> Self {
        Self {
            oldest: time.saturating_sub(reach),
            windows: Windows::new(FIRST_WINDOW),
            begin: time,
            found: ParameterSets::default(),
            found_in_window: ParameterSets::default(),
            aligner: Aligner::new(true),
            head: Vec::new(),
            later_head: Vec::new(),
            is_in_head: false,
        }
    }

    /// Returns the window to read next, or `None` at the end of the search.
    pub fn next_window(&mut self) -> Option<Range<u64>> {
        // A parameter set at the end of the window continues in the one that was read before it.
        for chunks in mem::take(&mut self.later_head) {
            self.push(chunks);
        }
        let mut aligned = VecDeque::new();
        mem::replace(&mut self.aligner, Aligner::new(true)).end(false, &mut aligned);
        self.find(aligned);
        self.later_head = mem::take(&mut self.head);
        self.is_in_head = true;
        self.found.fill_from(mem::take(&mut self.found_in_window));
        if self.found.has_active() || self.begin <= self.oldest {
            return None;
        }
        let window = self.windows.before(self.begin, self.oldest);
        self.begin = window.start;
        Some(window)
    }

    /// Adds the next record of the window.
    pub fn add(&mut self, chunks: Vec<Bytes>) {
        if self.is_in_head {
            self.head.push(chunks.clone());
            let begins_nal_unit = chunks.iter().any(|chunk| nal_units(chunk).next().is_some());
            self.is_in_head = !begins_nal_unit && self.head.len() < MAX_HEAD;
        }
        self.push(chunks);
    }

    fn push(&mut self, chunks: Vec<Bytes>) {
        let mut aligned = VecDeque::new();
        self.aligner.push((), chunks, &mut aligned);
        self.find(aligned);
    }

    fn find(&mut self, aligned: VecDeque<Aligned<()>>) {
        for piece in aligned.iter().flat_map(|aligned| &aligned.pieces) {
            for nal in nal_units(piece) {
                self.found_in_window.put(&piece[nal.bytes]);
            }
        }
    }

    /// Returns the parameter sets, or `None` without a PPS that has its SPS.
    pub fn into_sets(self) -> Option<ParameterSets> {
        Some(self.found).filter(ParameterSets::has_active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    /// An SPS of 16x16 pixels and PPSs that refer to it: all ids are 0.
    const SPS: &[u8] = &[0, 0, 1, 0x67, 66, 0, 30, 0xda, 0x79];
    const PPS: &[u8] = &[0, 0, 1, 0x68, 0xce, 0x38, 0x80];
    const OTHER_PPS: &[u8] = &[0, 0, 1, 0x68, 0xce, 0x3c, 0x80];

    #[test]
    fn windows_grow_as_far_as_the_reach() {
        let mut search = ParameterSetSearch::new(100 * SECOND, 10 * SECOND);
        let windows: Vec<_> = std::iter::from_fn(|| search.next_window()).collect();
        let expected = [99..100, 97..99, 93..97, 90..93]
            .map(|window: Range<u64>| window.start * SECOND..window.end * SECOND);
        assert_eq!(windows, expected);
        assert_eq!(search.into_sets(), None);
    }

    #[test]
    fn nothing_is_before_the_epoch() {
        let mut search = ParameterSetSearch::new(SECOND / 2, u64::MAX);
        assert_eq!(search.next_window(), Some(0..SECOND / 2));
        assert_eq!(search.next_window(), None);
        assert_eq!(ParameterSetSearch::new(SECOND, 0).next_window(), None);
    }

    #[test]
    fn the_last_sets_count() {
        let mut search = ParameterSetSearch::new(100 * SECOND, 60 * SECOND);
        search.next_window();
        search.add(vec![OTHER_PPS.into()]);
        search.add(vec![PPS.into()]);
        assert!(search.next_window().is_some());
        search.add(vec![[SPS, OTHER_PPS].concat().into()]);
        assert_eq!(search.next_window(), None);
        let sets = search.into_sets().unwrap();
        assert!(sets.iter().eq([&SPS[3..], &PPS[3..]]));
    }
    #[test]
    fn sets_that_are_cut() {
        let mut search = ParameterSetSearch::new(100 * SECOND, 60 * SECOND);
        search.next_window();
        let bytes = [PPS, &[0, 0, 1, 0x65, 0x88]].concat();
        search.add(vec![bytes[3..5].to_vec().into()]);
        search.add(vec![bytes[5..].to_vec().into()]);
        assert!(search.next_window().is_some());
        search.add(vec![SPS[..6].into()]);
        search.add(vec![[&SPS[6..], &PPS[..3]].concat().into()]);
        assert_eq!(search.next_window(), None);
        let sets = search.into_sets().unwrap();
        assert!(sets.iter().eq([&SPS[3..], &PPS[3..]]));
    }
}
