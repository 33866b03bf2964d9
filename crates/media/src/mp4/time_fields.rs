// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Time headers and edit lists, as boxes of a file state them (ISO/IEC 14496-12, 8.2.2, 8.4.2 and 8.6.6).

use super::boxes::number;

/// Bytes of a box `mvhd` or `mdhd` up to the end of its duration, at most.
pub const TIME_HEADER: u64 = 32;

/// A duration in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDuration {
    /// Ticks per second; not 0.
    pub units: u32,
    /// Duration in ticks; 0 if it is unknown.
    pub ticks: u64,
}

impl FileDuration {
    /// Reads the contents of a box `mvhd` or `mdhd`. Returns `None` if they end too early or have no ticks.
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        let size = field_size(header)?;
        let at = 4 + 2 * size;
        let units = u32::try_from(number(header, at..at + 4)?).ok()?;
        let ticks = known(number(header, at + 4..at + 4 + size)?, size);
        (units > 0).then_some(Self { units, ticks })
    }
}

/// Returns the size of times and durations in a box: version 1 has 64 bits for each.
pub fn field_size(contents: &[u8]) -> Option<usize> {
    Some(if *contents.first()? == 1 { 8 } else { 4 })
}

/// Returns a duration, 0 if it is unknown: all ones.
pub fn known(ticks: u64, size: usize) -> u64 {
    if ticks == ones(size) { 0 } else { ticks }
}

fn ones(size: usize) -> u64 {
    u64::MAX >> (64 - 8 * size)
}

/// An entry of an edit list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEdit {
    /// Duration in ticks of the movie; 0 is until the end of a file in fragments.
    pub duration: u64,
    /// First time in ticks of the media; `None` where nothing is shown.
    pub media_time: Option<u64>,
}

impl FileEdit {
    /// Returns the entries in the contents of a box `elst`, whatever their number is said to be.
    pub(super) fn read_all(elst: &[u8]) -> Option<impl Iterator<Item = Self> + '_> {
        let size = field_size(elst)?;
        let entries = elst.get(8..)?.chunks_exact(2 * size + 4);
        Some(entries.filter_map(move |entry| {
            let media_time = number(entry, size..2 * size)?;
            Some(Self {
                duration: number(entry, 0..size)?,
                // It has a sign, and is -1 where nothing is shown.
                media_time: (media_time != ones(size)).then_some(media_time),
            })
        }))
    }
}
