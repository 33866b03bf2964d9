// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Boxes of the times of a track that are written: `stts`, `ctts` and `edts` (ISO/IEC 14496-12, 8.6).

use mp4_atom::{Ctts, CttsEntry, Edts, Elst, ElstEntry, FixedPoint, Stts, SttsEntry};

/// A part of the media that is shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TickEdit {
    /// Duration in ticks of the movie.
    pub duration: u64,
    /// Begin in ticks of the media, since the first DTS.
    pub media_time: u64,
}

/// Returns the box of the durations of samples, from their runs of equal ones.
pub fn durations(runs: &[(u32, u32)]) -> Stts {
    let entries = runs.iter();
    let entries = entries.map(|&(sample_count, sample_delta)| SttsEntry {
        sample_count,
        sample_delta,
    });
    Stts {
        entries: entries.collect(),
    }
}

/// Returns the box of the distances from DTS to PTS, from their runs of equal ones, unless all are 0.
pub fn offsets<T: Copy + Into<i64>>(runs: &[(u32, T)]) -> Option<Ctts> {
    let entries = runs.iter();
    let entries = entries.map(|&(sample_count, offset)| CttsEntry {
        sample_count,
        sample_offset: offset.into(),
    });
    let entries: Vec<_> = entries.collect();
    let is_reordered = entries.iter().any(|entry| entry.sample_offset != 0);
    is_reordered.then_some(Ctts { entries })
}

/// Returns the box of an edit list.
pub fn edit_list(edits: &[TickEdit]) -> Edts {
    let entries = edits.iter().map(|edit| ElstEntry {
        segment_duration: edit.duration,
        media_time: Some(edit.media_time),
        media_rate: FixedPoint::from(1),
    });
    Edts {
        elst: Some(Elst {
            entries: entries.collect(),
        }),
    }
}
