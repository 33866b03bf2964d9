// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Warnings and errors about the stream that is recorded.

use std::time::{Duration, Instant};

use client::utc;
use media::codec::h264::{Damage, TooDeep};
use media::record_times::Event;

/// Interval of warnings about wrong capture times: a camera may have one every second.
const INTERVAL: Duration = Duration::from_secs(10);

/// Something about the stream that users have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// About the timestamps.
    Timestamps(Event),
    /// The system clock was set by so many µs.
    SystemClock { by: i64 },
    /// More pictures are out of output order than expected.
    Reordering(TooDeep),
    /// A picture cannot be decoded: its capture time and why.
    Undecodable { time: Option<u64>, damage: Damage },
    /// The same, where `on-error` makes that an error.
    RefusedUndecodable { time: Option<u64>, damage: Damage },
    /// None of so many recorded frames can be decoded, first because of this damage.
    NothingDecodable { frames: u64, damage: Option<Damage> },
}

impl Notice {
    /// Returns whether recording ends with it.
    pub fn is_error(&self) -> bool {
        matches!(
            self,
            Self::Timestamps(Event::NoRate)
                | Self::RefusedUndecodable { .. }
                | Self::NothingDecodable { .. }
        )
    }

    /// Returns the number of clock steps in it.
    pub fn clock_jumps(&self) -> u64 {
        match self {
            Self::Timestamps(Event::Step { .. } | Event::Excursion { .. })
            | Self::SystemClock { .. } => 1,
            _ => 0,
        }
    }

    /// Returns the number of frames with a wrong capture time in it.
    pub fn outliers(&self) -> u64 {
        match self {
            Self::Timestamps(Event::Excursion { frames, .. } | Event::Outliers { frames, .. }) => {
                *frames
            }
            _ => 0,
        }
    }

    /// Returns what is wrong, when, and what to do.
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
            Self::Reordering(too_deep) => too_deep.to_string(),
            Self::Undecodable { time, damage } => format!(
                "The picture {} cannot be decoded: {damage}. It is recorded as it is, and so are others \
                 {}. {}, or set on-error=stop",
                captured(time),
                match damage.is_of_parameter_sets() {
                    true => "until their parameter sets come",
                    false => "with the same fault",
                },
                remedy(damage)
            ),
            Self::RefusedUndecodable { time, damage } => format!(
                "The picture {} cannot be decoded: {damage}. {}, or set on-error=record",
                captured(time),
                remedy(damage)
            ),
            Self::NothingDecodable { frames, damage } => {
                let damage = damage.unwrap_or(Damage::NoSlice);
                let what = match (frames, damage) {
                    (0, _) | (_, Damage::NoSlice) => {
                        "Nothing that was recorded can be decoded: no slice came".into()
                    }
                    (frames, damage) if damage.is_of_parameter_sets() => format!(
                        "None of the {frames} recorded frames can be decoded: no SPS and PPS came that \
                         their slices refer to"
                    ),
                    (frames, damage) => format!(
                        "None of the {frames} recorded frames can be decoded. This is wrong with the \
                         first one: {damage}"
                    ),
                };
                format!("{what}. {}", remedy(damage))
            }
        }
    }
}

/// What helps against damage, as the begin of a sentence.
fn remedy(damage: Damage) -> &'static str {
    match damage {
        Damage::LengthPrefixed | Damage::NotByteStream => {
            "Have h264parse convert the stream, by caps that say what it really is"
        }
        damage if damage.is_of_parameter_sets() => {
            "Have the encoder repeat SPS and PPS with each IDR picture, or begin to record before it \
             begins"
        }
        _ => "Look for what damages the stream before it comes to this element",
    }
}

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
                1 => String::new(),
                _ => format!(", as are {} more frames with wrong times", frames - 1),
            };
            format!(
                "The capture time {} is {off} {direction} those of the frames beside it. It is recorded \
                 between them, at {}{others}",
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

/// Wrong capture times that are reported together.
#[derive(Debug, Default)]
pub struct OutlierReport {
    untold: Option<(u64, u64, u64)>,
    told: Option<Instant>,
}

impl OutlierReport {
    /// Adds an event if it is one of wrong capture times, else gives it back.
    pub fn add(&mut self, event: Event) -> Option<Event> {
        let Event::Outliers {
            wrong,
            placed,
            frames,
        } = event
        else {
            return Some(event);
        };
        let (wrong, placed, before) = self.untold.unwrap_or((wrong, placed, 0));
        self.untold = Some((wrong, placed, before + frames));
        None
    }

    /// Returns the report that is due now; at the end, everything unreported.
    pub fn take(&mut self, now: Instant, at_end: bool) -> Option<Event> {
        let is_due = at_end || self.told.is_none_or(|told| now - told >= INTERVAL);
        let (wrong, placed, frames) = self.untold.take_if(|_| is_due)?;
        self.told = Some(now);
        Some(Event::Outliers {
            wrong,
            placed,
            frames,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_749_816_000_000_000;

    fn outliers(wrong: u64, frames: u64) -> Event {
        Event::Outliers {
            wrong,
            placed: NOON,
            frames,
        }
    }

    #[test]
    fn wrong_times_are_told_now_and_then_and_all_of_them() {
        let mut report = OutlierReport::default();
        let begin = Instant::now();
        assert_eq!(report.add(Event::NoRate), Some(Event::NoRate));
        assert_eq!(report.take(begin, true), None);
        assert_eq!(report.add(outliers(1, 1)), None);
        assert_eq!(report.take(begin, false), Some(outliers(1, 1)));
        report.add(outliers(2, 1));
        report.add(outliers(3, 2));
        assert_eq!(report.take(begin + INTERVAL / 2, false), None);
        assert_eq!(report.take(begin + INTERVAL, false), Some(outliers(2, 3)));
        report.add(outliers(4, 1));
        assert_eq!(report.take(begin + INTERVAL, true), Some(outliers(4, 1)));
    }

    #[test]
    fn texts_say_why_nothing_can_be_decoded() {
        for (frames, damage, parts) in [
            (
                9,
                Some(Damage::NoParameterSets),
                ["None of the 9", "no SPS and PPS"],
            ),
            (
                9,
                Some(Damage::LengthPrefixed),
                ["None of the 9", "length-prefixed"],
            ),
            (9, Some(Damage::NotByteStream), ["Annex B", "h264parse"]),
            (2, Some(Damage::NoSlice), ["Nothing", "no slice"]),
            (0, None, ["Nothing", "no slice"]),
        ] {
            let notice = Notice::NothingDecodable { frames, damage };
            assert!(notice.is_error());
            let text = notice.text();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn texts_say_what_and_when() {
        let text = |event| Notice::Timestamps(event).text();
        for (found, parts) in [
            (
                text(outliers(NOON + 10_000_000, 1)),
                &[
                    "12:00:10.000000Z",
                    "0:00:10",
                    "ahead of",
                    "12:00:00.000000Z",
                ][..],
            ),
            (
                text(outliers(NOON - 10_000_000, 3)),
                &["11:59:50.000000Z", "behind", "2 more frames"],
            ),
            (
                text(Event::Step {
                    from: NOON,
                    to: NOON - 3_600_000_000,
                }),
                &["jumped back by 1:00:00", "2025-06-13T11:00:00.000000Z"],
            ),
            (
                text(Event::Step {
                    from: NOON,
                    to: NOON + 3_600_000_000,
                }),
                &["jumped ahead by 1:00:00", "2025-06-13T13:00:00.000000Z"],
            ),
            (text(Event::NoRate), &["fps=25/1"]),
            (
                Notice::SystemClock { by: -3_000_000 }.text(),
                &["set back by 0:00:03"],
            ),
        ] {
            for part in parts {
                assert!(found.contains(part), "no {part} in {found}");
            }
        }
    }
}
