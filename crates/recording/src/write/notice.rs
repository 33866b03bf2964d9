// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Warnings and errors about a stream that is recorded.

use std::fmt;
use std::time::{Duration, Instant};

use client::{Dropped, utc};
use media::codec::Damage;
use media::order::TooDeep;
use media::record_times::Event;
use media::time::{CaptureTime, Nanos};

/// Interval of warnings about wrong capture times: a camera may have one every second.
const INTERVAL: Duration = Duration::from_secs(10);

/// A fault of the stream that users should learn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A fault of the timestamps.
    Timestamps(Event),
    /// The system clock, by which frames get their times, was set.
    SystemClock {
        /// Step in µs, negative if it was set back.
        by_us: i64,
    },
    /// More pictures are out of output order than expected.
    Reordering(TooDeep),
    /// A picture cannot be decoded.
    Undecodable {
        /// Capture time.
        time: Option<CaptureTime>,
        /// Cause.
        damage: Damage,
    },
    /// A picture cannot be decoded, and is refused ([`Undecodable::Refuse`](super::options::Undecodable)).
    RefusedUndecodable {
        /// Capture time.
        time: Option<CaptureTime>,
        /// Cause.
        damage: Damage,
    },
    /// No recorded frame can be decoded.
    NothingDecodable {
        /// Number of recorded frames.
        frames: u64,
        /// Cause of the first one.
        damage: Option<Damage>,
    },
    /// Frames were dropped, as the upload queue was full.
    Dropped(Dropped),
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
}

impl fmt::Display for Notice {
    /// Writes the fault and its time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Timestamps(event) => f.write_str(&of_timestamps(event)),
            Self::SystemClock { by_us } => {
                let direction = if by_us < 0 { "back" } else { "forward" };
                let fate = if by_us < 0 {
                    "record times continue at the cadence until it has caught up"
                } else {
                    "frames without capture times of their own have the new time"
                };
                let by = Nanos::from_useconds(by_us.unsigned_abs());
                write!(
                    f,
                    "The system clock was set {direction} by {by} while recording; {fate}"
                )
            }
            Self::Reordering(too_deep) => too_deep.fmt(f),
            Self::Undecodable { time, damage } => write!(
                f,
                "The picture {} cannot be decoded: {damage}. It is recorded as it is, and so are others {}",
                captured(time),
                match damage.is_of_parameter_sets() {
                    true => "until their parameter sets come",
                    false => "with the same fault",
                }
            ),
            Self::RefusedUndecodable { time, damage } => {
                write!(
                    f,
                    "The picture {} cannot be decoded: {damage}",
                    captured(time)
                )
            }
            Self::NothingDecodable { frames, damage } => {
                match (frames, damage.unwrap_or(Damage::NoSlice)) {
                    (0, _) | (_, Damage::NoSlice) => {
                        f.write_str("Nothing that was recorded can be decoded: no slice came")
                    }
                    (frames, damage) if damage.is_of_parameter_sets() => write!(
                        f,
                        "None of the {frames} recorded frames can be decoded: no SPS and PPS came that \
                         their slices refer to"
                    ),
                    (frames, damage) => write!(
                        f,
                        "None of the {frames} recorded frames can be decoded. This is wrong with the \
                         first one: {damage}"
                    ),
                }
            }
            Self::Dropped(Dropped { frames, from, .. }) => {
                write!(f, "Dropped {frames} frames")?;
                if let Some(from) = from {
                    write!(f, ", the first of {}", utc(from))?;
                }
                f.write_str(", as the upload queue was full and the server did not take them")
            }
        }
    }
}

fn captured(time: Option<CaptureTime>) -> String {
    match time {
        Some(time) => format!("of {time}"),
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
            let off = wrong.absdiff(placed);
            let direction = if wrong < placed { "behind" } else { "ahead of" };
            let others = match frames {
                1 => String::new(),
                _ => format!(", as are {} more frames with wrong times", frames - 1),
            };
            format!(
                "The capture time {} is {off} {direction} those of the frames beside it. It is recorded \
                 between them, at {}{others}",
                wrong, placed
            )
        }
        Event::NoRate => "The stream has no timestamps, and neither its caps nor its VUI have a \
                          frame rate from which capture times could be counted"
            .into(),
    }
}

fn jump(from: CaptureTime, to: CaptureTime) -> String {
    let direction = if to < from { "back" } else { "ahead" };
    let by = from.absdiff(to);
    format!("jumped {direction} by {by}, from {} to {}", from, to)
}

/// Wrong capture times that are reported together.
#[derive(Debug, Default)]
pub struct OutlierReport {
    unreported: Option<(CaptureTime, CaptureTime, u64)>,
    /// Time of the last report.
    reported: Option<Instant>,
}

impl OutlierReport {
    /// Adds an event of wrong capture times. Returns any other one.
    pub fn add(&mut self, event: Event) -> Option<Event> {
        let Event::Outliers {
            wrong,
            placed,
            frames,
        } = event
        else {
            return Some(event);
        };
        let (wrong, placed, before) = self.unreported.unwrap_or((wrong, placed, 0));
        self.unreported = Some((wrong, placed, before + frames));
        None
    }

    /// Returns the report that is due now; at the end, everything unreported.
    pub fn take(&mut self, now: Instant, at_end: bool) -> Option<Event> {
        let is_due = at_end
            || self
                .reported
                .is_none_or(|reported| now - reported >= INTERVAL);
        let (wrong, placed, frames) = self.unreported.take_if(|_| is_due)?;
        self.reported = Some(now);
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

    const NOON: CaptureTime = CaptureTime::from_useconds(1_749_816_000_000_000);

    fn us(time: u64) -> CaptureTime {
        CaptureTime::from_useconds(time)
    }

    fn outliers(wrong: CaptureTime, frames: u64) -> Event {
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
        assert_eq!(report.add(outliers(us(1), 1)), None);
        assert_eq!(report.take(begin, false), Some(outliers(us(1), 1)));
        report.add(outliers(us(2), 1));
        report.add(outliers(us(3), 2));
        assert_eq!(report.take(begin + INTERVAL / 2, false), None);
        assert_eq!(
            report.take(begin + INTERVAL, false),
            Some(outliers(us(2), 3))
        );
        report.add(outliers(us(4), 1));
        assert_eq!(
            report.take(begin + INTERVAL, true),
            Some(outliers(us(4), 1))
        );
    }

    #[test]
    fn texts_say_what_and_when() {
        let text = |event| Notice::Timestamps(event).to_string();
        for (found, parts) in [
            (
                text(outliers(NOON + Nanos::from_seconds(10), 1)),
                &[
                    "12:00:10.000000Z",
                    "0:00:10",
                    "ahead of",
                    "12:00:00.000000Z",
                ][..],
            ),
            (
                text(outliers(NOON - Nanos::from_seconds(10), 3)),
                &["11:59:50.000000Z", "behind", "2 more frames"],
            ),
            (
                text(Event::Step {
                    from: NOON,
                    to: NOON - Nanos::from_seconds(3600),
                }),
                &["jumped back by 1:00:00", "2025-06-13T11:00:00.000000Z"],
            ),
            (
                text(Event::Step {
                    from: NOON,
                    to: NOON + Nanos::from_seconds(3600),
                }),
                &["jumped ahead by 1:00:00", "2025-06-13T13:00:00.000000Z"],
            ),
            (
                Notice::SystemClock { by_us: -3_000_000 }.to_string(),
                &["set back by 0:00:03"],
            ),
        ] {
            for part in parts {
                assert!(found.contains(part), "no {part} in {found}");
            }
        }
    }
}
