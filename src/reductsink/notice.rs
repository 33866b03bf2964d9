// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! What the sink has to say about the stream that it records.

use crate::client::utc;
use crate::h264::Damage;

use super::outliers::Event;

/// Something about the stream that users have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// About the timestamps.
    Timestamps(Event),
    /// The system clock was set by so many µs.
    SystemClock { by: i64 },
    /// A picture cannot be decoded: its capture time and why.
    Undecodable { time: Option<u64>, damage: Damage },
    /// The same, where `on-error` makes that an error.
    RefusedUndecodable { time: Option<u64>, damage: Damage },
    /// None of so many recorded frames can be decoded.
    NothingDecodable { frames: u64 },
}

impl Notice {
    /// Whether recording ends with it.
    pub fn is_error(&self) -> bool {
        matches!(
            self,
            Self::Timestamps(Event::NoRate)
                | Self::RefusedUndecodable { .. }
                | Self::NothingDecodable { .. }
        )
    }

    /// How many steps of a clock it tells of.
    pub fn clock_jumps(&self) -> u64 {
        match self {
            Self::Timestamps(Event::Step { .. } | Event::Excursion { .. })
            | Self::SystemClock { .. } => 1,
            _ => 0,
        }
    }

    /// How many frames with a wrong capture time it tells of.
    pub fn outliers(&self) -> u64 {
        match self {
            Self::Timestamps(Event::Excursion { frames, .. } | Event::Outliers { frames, .. }) => {
                *frames
            }
            _ => 0,
        }
    }

    /// What is wrong, when, and what to do.
    pub fn text(&self) -> String {
        match *self {
            Self::Timestamps(event) => of_timestamps(event),
            Self::SystemClock { by } => {
                let direction = if by < 0 { "back" } else { "forward" };
                let fate = if by < 0 {
                    "record times continue at the cadence until it has caught up"
                } else {
                    "frames without capture times of their own have the new time"
                };
                let by = duration(by.unsigned_abs());
                format!("The system clock was set {direction} by {by} while recording; {fate}")
            }
            Self::Undecodable { time, damage } => format!(
                "The picture {} cannot be decoded: {damage}. It is recorded as it is, and so are others \
                 until their parameter sets come. {REMEDY}, or set on-error=stop",
                captured(time)
            ),
            Self::RefusedUndecodable { time, damage } => format!(
                "The picture {} cannot be decoded: {damage}. {REMEDY}, or set on-error=record",
                captured(time)
            ),
            Self::NothingDecodable { frames } => format!(
                "None of the {frames} recorded frames can be decoded: no SPS and PPS came that their \
                 slices refer to. {REMEDY}"
            ),
        }
    }
}

const REMEDY: &str = "Have the encoder repeat SPS and PPS with each IDR picture, or begin to record \
                      before it begins";

fn captured(time: Option<u64>) -> String {
    match time {
        Some(time) => format!("of {}", utc(time)),
        None => "without a timestamp".into(),
    }
}

fn of_timestamps(event: Event) -> String {
    match event {
        Event::Step { from, to } => {
            let fate = if to < from {
                "Record times continue at the cadence until it has caught up"
            } else {
                "What follows is recorded at its capture times"
            };
            format!("The clock of the capture times {}. {fate}", jump(from, to))
        }
        Event::Excursion { from, to, frames } => format!(
            "The clock of the capture times {}, and returned after {frames} frames. They are recorded \
             between their neighbours",
            jump(from, to)
        ),
        Event::Outliers {
            wrong,
            placed,
            frames,
        } => {
            let off = duration(wrong.abs_diff(placed));
            let direction = if wrong < placed { "behind" } else { "ahead of" };
            let others = match frames {
                1 => "It is".into(),
                _ => format!("It and {} more frames with wrong times are", frames - 1),
            };
            format!(
                "The capture time {} is {off} {direction} those of the frames beside it. {others} \
                 recorded between their neighbours, at {}",
                utc(wrong),
                utc(placed)
            )
        }
        Event::NoRate => "The stream has no timestamps, and neither its caps nor its VUI have a \
                          frame rate from which capture times could be counted. Set the property \
                          fps of this element, as in fps=25/1"
            .into(),
    }
}

fn jump(from: u64, to: u64) -> String {
    let direction = if to < from { "back" } else { "ahead" };
    let by = duration(from.abs_diff(to));
    format!(
        "jumped {direction} by {by}, from {} to {}",
        utc(from),
        utc(to)
    )
}

fn duration(us: u64) -> String {
    match us.checked_mul(1000) {
        Some(ns) => gst::ClockTime::from_nseconds(ns.min(u64::MAX - 1)).to_string(),
        None => format!("{us} µs"),
    }
}
