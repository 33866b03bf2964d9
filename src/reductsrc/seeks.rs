// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Seek events on their way through GstBaseSrc, which passes on their segments only.

use std::sync::{Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use gst::ClockTime;

use crate::lock::lock;

/// Span of a seek, in stream time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: ClockTime,
    stop: Option<ClockTime>,
}

impl Span {
    /// Returns the span of `event` after a seek to this span, and an event that names both of its ends; `None` for a
    /// seek in another format, or to a stop before its start.
    ///
    /// GstBaseSrc would take an end that an event leaves as it is from its present segment, which is
    /// not in stream time, and ends in front of places that can be sought. `duration` is that of the
    /// recording, which GstBaseSrc does not know.
    pub fn follow(
        self,
        event: &gst::Event,
        duration: Option<ClockTime>,
    ) -> Option<(Self, gst::Event)> {
        let gst::EventView::Seek(seek) = event.view() else {
            return None;
        };
        let (rate, flags, start_type, start, stop_type, stop) = seek.get();
        let (gst::GenericFormattedValue::Time(start), gst::GenericFormattedValue::Time(stop)) =
            (start, stop)
        else {
            return None;
        };
        let from_end = |offset: Option<ClockTime>| {
            // Offsets have a sign, which the type of times does not know.
            let offset = offset.map_or(0, |offset| offset.nseconds() as i64);
            let end = duration?.nseconds().saturating_add_signed(offset);
            Some(ClockTime::from_nseconds(end.min(ClockTime::MAX.nseconds())))
        };
        let start = match start_type {
            gst::SeekType::Set => start.unwrap_or_default(),
            gst::SeekType::End => from_end(start).unwrap_or(self.start),
            _ => self.start,
        };
        let stop = match stop_type {
            gst::SeekType::Set => stop,
            gst::SeekType::End => from_end(stop).or(self.stop),
            _ => self.stop.filter(|stop| *stop >= start),
        };
        if stop.is_some_and(|stop| stop < start) {
            return None;
        }
        let set = gst::SeekType::Set;
        let event = gst::event::Seek::builder(rate, flags, set, start, set, stop)
            .seqnum(event.seqnum())
            .trickmode_interval(seek.trickmode_interval())
            .build();
        Some((Self { start, stop }, event))
    }
}

/// Accepted seek events that are not carried out yet.
#[derive(Debug, Default)]
pub struct Seeks(Mutex<Vec<Accepted>>);

#[derive(Debug)]
struct Accepted {
    /// The thread that carries it out; `None` for the one that starts the source.
    by: Option<ThreadId>,
    event: gst::Event,
}

impl Seeks {
    /// Keeps an event while GstBaseSrc carries it out within `carry_out`, on this thread, or defers it until the source
    /// starts. Returns the result of `carry_out`.
    pub fn pass(&self, event: gst::Event, carry_out: impl FnOnce(gst::Event) -> bool) -> bool {
        let by = Some(thread::current().id());
        self.accepted().push(Accepted {
            by,
            event: event.clone(),
        });
        let done = carry_out(event);
        let mut accepted = self.accepted();
        let Some(at) = accepted.iter().rposition(|seek| seek.by == by) else {
            return done;
        };
        let mut seek = accepted.swap_remove(at);
        if done {
            // The last one counts.
            accepted.retain(|seek| seek.by.is_some());
            seek.by = None;
            accepted.push(seek);
        }
        done
    }

    /// Returns the event that is carried out on this thread, if there is one.
    pub fn take(&self) -> Option<gst::Event> {
        let current = Some(thread::current().id());
        let mut accepted = self.accepted();
        let own = accepted.iter().rposition(|seek| seek.by == current);
        let at = own.or_else(|| accepted.iter().position(|seek| seek.by.is_none()))?;
        Some(accepted.swap_remove(at).event)
    }

    /// Forgets an event that was put off.
    pub fn forget(&self) {
        self.accepted().retain(|seek| seek.by.is_some());
    }

    fn accepted(&self) -> MutexGuard<'_, Vec<Accepted>> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seconds: u64) -> gst::Event {
        gst::init().unwrap();
        let time = gst::ClockTime::from_seconds(seconds);
        let (set, none) = (gst::SeekType::Set, gst::SeekType::None);
        let flags = gst::SeekFlags::FLUSH;
        gst::event::Seek::new(1.0, flags, set, time, none, gst::ClockTime::NONE)
    }

    #[test]
    fn ends_that_stay_are_those_of_the_seek_before() {
        let second = ClockTime::from_seconds;
        let seek = |start_type, start: i64, stop_type, stop: Option<i64>| {
            gst::init().unwrap();
            let time = |seconds: i64| ClockTime::from_nseconds((seconds * 1_000_000_000) as u64);
            let flags = gst::SeekFlags::FLUSH;
            gst::event::Seek::new(
                1.0,
                flags,
                start_type,
                time(start),
                stop_type,
                stop.map(time),
            )
        };
        let (set, none, end) = (gst::SeekType::Set, gst::SeekType::None, gst::SeekType::End);
        let span = |start, stop: Option<u64>| Span {
            start: second(start),
            stop: stop.map(second),
        };
        let cases = [
            (seek(set, 3, none, None), Some(span(3, Some(8)))),
            // It would be before the start.
            (seek(set, 9, none, None), Some(span(9, None))),
            (seek(none, 0, set, Some(5)), Some(span(2, Some(5)))),
            (seek(none, 0, none, None), Some(span(2, Some(8)))),
            (seek(set, 0, set, None), Some(span(0, None))),
            (seek(end, -3, set, None), Some(span(7, None))),
            (seek(set, 1, end, Some(-1)), Some(span(1, Some(9)))),
            (seek(set, 5, set, Some(4)), None),
            (seek(none, 0, set, Some(1)), None),
        ];
        for (event, expected) in cases {
            let followed = span(2, Some(8)).follow(&event, Some(second(10)));
            let (found, named) = followed.unzip();
            assert_eq!(found, expected, "{event:?}");
            let Some(named) = named else { continue };
            assert_eq!(named.seqnum(), event.seqnum());
            // Ends that are named do not depend on the span before.
            let again = Span::default().follow(&named, None);
            assert_eq!(again.map(|(span, _)| span), expected);
        }
        let (unknown, _) = span(2, None)
            .follow(&seek(end, -3, end, Some(0)), None)
            .unwrap();
        assert_eq!(unknown, span(2, None));
    }

    #[test]
    fn a_thread_carries_out_its_own() {
        let seeks = Seeks::default();
        let (first, second) = (event(1), event(2));
        let done = seeks.pass(first.clone(), |_| {
            let inner = thread::scope(|scope| {
                let other = scope.spawn(|| {
                    seeks.pass(second.clone(), |_| {
                        seeks.take().map(|it| it.seqnum()) == Some(second.seqnum())
                    })
                });
                other.join().unwrap()
            });
            inner && seeks.take().map(|it| it.seqnum()) == Some(first.seqnum())
        });
        assert!(done && seeks.take().is_none());
    }

    #[test]
    fn the_last_one_before_the_start_counts() {
        let seeks = Seeks::default();
        assert!(seeks.pass(event(1), |_| true));
        let last = event(2);
        assert!(seeks.pass(last.clone(), |_| true));
        assert!(!seeks.pass(event(3), |_| false));
        let started = thread::scope(|scope| scope.spawn(|| seeks.take()).join().unwrap());
        assert_eq!(started.map(|event| event.seqnum()), Some(last.seqnum()));
        assert!(seeks.take().is_none());
        seeks.pass(event(4), |_| true);
        seeks.forget();
        assert!(seeks.take().is_none());
    }
}
