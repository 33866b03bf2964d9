// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

use super::super::stamps::{Capture, SourcedTime, testing};
use super::*;
use crate::time::Nanos;

const BEGIN: u64 = 1_749_804_653_000_000;
const FRAME: u64 = 40_000;
const RATE: Option<(u64, u64)> = Some((25, 1));

fn at(useconds: u64) -> CaptureTime {
    CaptureTime::from_useconds(useconds)
}

fn frame_rate((numerator, denominator): (u64, u64)) -> Option<FrameRate> {
    FrameRate::new(numerator as i32, denominator as i32)
}

fn sourced(useconds: u64, source: TimeSource) -> SourcedTime {
    SourcedTime {
        time: at(useconds),
        source,
    }
}

/// The time of a frame of a steady camera.
fn steady(frame: u64) -> u64 {
    BEGIN + frame * FRAME
}

/// Length of a run, and the properties of its frames.
struct Camera {
    frames: u64,
    rate: Option<(u64, u64)>,
    capture: Box<dyn Fn(u64) -> Capture>,
}

impl Camera {
    /// Frames with a meta at these times, and a PTS that counts on.
    fn with_meta(frames: u64, time: impl Fn(u64) -> u64 + 'static) -> Self {
        Self {
            frames,
            rate: None,
            capture: Box::new(move |frame| Capture {
                pts_us: Some((frame * FRAME) as i64),
                ..testing::capture(time(frame))
            }),
        }
    }

    /// Frames of a file whose PTS gives these times; `None` is a buffer without PTS.
    fn with_start(frames: u64, time: impl Fn(u64) -> Option<u64> + 'static) -> Self {
        Self {
            frames,
            rate: None,
            capture: Box::new(move |frame| {
                let time = time(frame);
                let pts = time.map(|time| time as i64 - BEGIN as i64);
                Capture {
                    time: time.map(|time| sourced(time, TimeSource::Start)),
                    begin: sourced(BEGIN, TimeSource::Start),
                    pts_us: pts,
                    running_time_us: pts,
                    ..testing::capture(0)
                }
            }),
        }
    }

    fn rate(self, rate: Option<(u64, u64)>) -> Self {
        Self { rate, ..self }
    }

    /// The places of all frames, how many frames were held at most, and the events.
    fn run(&self) -> (Vec<u64>, u64, Vec<Event>) {
        let mut filter = OutlierFilter::default();
        filter.set_rate(self.rate.and_then(frame_rate));
        let (mut places, mut held) = (Vec::new(), 0);
        let mut before = None;
        for frame in 0..self.frames {
            let stamp = CaptureStamp::new((self.capture)(frame), frame, 1, before.as_ref());
            before = Some(stamp);
            filter.push(stamp);
            places.extend(std::iter::from_fn(|| filter.pop()).map(|placed| placed.time.useconds()));
            held = held.max(frame + 1 - places.len() as u64);
        }
        filter.end();
        places.extend(std::iter::from_fn(|| filter.pop()).map(|placed| placed.time.useconds()));
        (
            places,
            held,
            std::iter::from_fn(|| filter.pop_event()).collect(),
        )
    }
}

fn expect(camera: &Camera, place: impl Fn(u64) -> u64) -> Vec<Event> {
    let (places, _, events) = camera.run();
    let expected: Vec<_> = (0..camera.frames).map(place).collect();
    assert_eq!(places, expected, "{events:?}");
    events
}

/// Deviation of a wrong time.
const OFF: [i64; 6] = [
    1_100_000,
    10_000_000,
    3_600_000_000,
    -1_100_000,
    -10_000_000,
    -3_600_000_000,
];

fn moved(time: u64, by: i64) -> u64 {
    time.checked_add_signed(by).expect("a time")
}

#[test]
fn a_steady_camera_is_held_for_its_first_frame_only() {
    for camera in [
        Camera::with_meta(100, steady),
        Camera::with_start(100, |frame| Some(steady(frame))),
    ] {
        let (places, held, events) = camera.run();
        assert_eq!(places, (0..100).map(steady).collect::<Vec<_>>());
        assert_eq!((held, events), (1, vec![]));
    }
}

#[test]
fn one_wrong_time_is_one_wherever_it_is() {
    for by in OFF {
        for wrong in [0, 1, 2, 30, 58, 59] {
            let time = move |frame| moved(steady(frame), if frame == wrong { by } else { 0 });
            for camera in [
                Camera::with_meta(60, time),
                Camera::with_start(60, move |frame| Some(time(frame))),
                Camera::with_start(60, move |frame| Some(time(frame))).rate(RATE),
            ] {
                let events = expect(&camera, steady);
                assert_eq!(events.len(), 1, "{by} {wrong}: {events:?}");
                assert!(matches!(events[0], Event::Outliers { frames: 1, .. }));
            }
        }
    }
}

#[test]
fn several_wrong_times_within_a_second_are_no_step() {
    for by in OFF {
        for (first, count) in [(10, 2), (10, 5), (10, 24), (1, 3)] {
            let is_wrong = move |frame| (first..first + count).contains(&frame);
            let time = move |frame| moved(steady(frame), if is_wrong(frame) { by } else { 0 });
            for camera in [
                Camera::with_meta(90, time),
                Camera::with_start(90, move |frame| Some(time(frame))),
            ] {
                let events = expect(&camera, steady);
                assert_eq!(events.len(), 1, "{by} {count}: {events:?}");
                let Event::Outliers { frames, .. } = events[0] else {
                    panic!("{events:?}");
                };
                assert_eq!(frames, count);
            }
        }
    }
}

#[test]
fn wrong_times_at_the_begin_are_reported_by_the_first_of_them() {
    // No two of them agree, which would be a step.
    let time = |frame| match frame {
        0 => steady(frame) + 10_000_000,
        1 => steady(frame) - 3_600_000_000,
        2 => steady(frame) + 70_000_000,
        _ => steady(frame),
    };
    let camera = Camera::with_meta(60, time);
    let outliers = Event::Outliers {
        wrong: at(time(0)),
        placed: at(steady(0)),
        frames: 3,
    };
    assert_eq!(expect(&camera, steady), [outliers]);
}

#[test]
fn wrong_times_in_both_directions() {
    let time = |frame| match frame {
        30 => steady(frame) + 10_000_000,
        31 => steady(frame) - 3_600_000_000,
        32 => steady(frame) + 7_000_000,
        34 => steady(frame) - 2_000_000,
        _ => steady(frame),
    };
    let events = expect(&Camera::with_meta(75, time), steady);
    assert_eq!(events.len(), 2, "{events:?}");
    expect(
        &Camera::with_start(75, move |frame| Some(time(frame))),
        steady,
    );
}

#[test]
fn a_step_that_lasts_is_believed_after_a_second() {
    for by in OFF {
        let time = move |frame| moved(steady(frame), if frame >= 50 { by } else { 0 });
        for camera in [
            Camera::with_meta(150, time),
            Camera::with_start(150, move |frame| Some(time(frame))),
        ] {
            let (places, held, events) = camera.run();
            assert_eq!(places, (0..150).map(time).collect::<Vec<_>>(), "{by}");
            assert_eq!(held, 25, "{by}");
            let expected = Event::Step {
                from: at(time(49)),
                to: at(time(50)),
            };
            assert_eq!(events, [expected]);
        }
    }
}

#[test]
fn a_wrong_time_within_the_second_of_a_step() {
    let step = |frame| steady(frame) + if frame >= 50 { 60_000_000 } else { 0 };
    let time = move |frame| step(frame) + if frame == 60 { 3_600_000_000 } else { 0 };
    let events = expect(&Camera::with_meta(150, time), step);
    assert_eq!(events.len(), 2, "{events:?}");
    expect(
        &Camera::with_start(150, move |frame| Some(time(frame))),
        step,
    );
}

#[test]
fn ahead_for_three_seconds_and_back_are_two_steps() {
    let time = |frame| {
        steady(frame)
            + if (75..150).contains(&frame) {
                3_600_000_000
            } else {
                0
            }
    };
    let (places, _, events) = Camera::with_meta(225, time).run();
    assert_eq!(places, (0..225).map(time).collect::<Vec<_>>());
    assert_eq!(events.len(), 2);
    assert!(
        events
            .iter()
            .all(|event| matches!(event, Event::Step { .. }))
    );
}

#[test]
fn a_step_of_less_than_a_second_is_followed_at_once_and_told_if_it_is_back() {
    for (by, is_told) in [
        (500_000, false),
        (-60_000, false),
        (-200_000, true),
        (-900_000, true),
    ] {
        let time = move |frame| moved(steady(frame), if frame >= 50 { by } else { 0 });
        let (places, held, events) = Camera::with_meta(100, time).run();
        assert_eq!(places, (0..100).map(time).collect::<Vec<_>>());
        assert_eq!((held, events.len()), (1, usize::from(is_told)), "{by}");
    }
}

#[test]
fn a_clock_that_returns_after_a_second_was_set_once() {
    let time = |frame| {
        steady(frame)
            - if (50..75).contains(&frame) {
                3_600_000_000
            } else {
                0
            }
    };
    let events = expect(&Camera::with_meta(150, time), steady);
    let excursion = Event::Excursion {
        from: at(steady(49)),
        to: at(time(50)),
        frames: 25,
    };
    assert_eq!(events, [excursion]);
}

#[test]
fn a_step_near_the_end_is_believed_by_three_frames() {
    for (after, is_step) in [(1, false), (2, false), (3, true), (10, true)] {
        let frames = 50 + after;
        let time = move |frame| steady(frame) + if frame >= 50 { 10_000_000 } else { 0 };
        let (places, _, events) = Camera::with_meta(frames, time).run();
        let expected: Vec<_> = match is_step {
            true => (0..frames).map(time).collect(),
            false => (0..frames).map(steady).collect(),
        };
        assert_eq!(places, expected, "{after}");
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn a_pause_that_pts_has_as_well_is_no_step() {
    let paused = |frame: u64| if frame >= 50 { 60_000_000 } else { 0 };
    let camera = Camera {
        capture: Box::new(move |frame| Capture {
            pts_us: Some((frame * FRAME + paused(frame)) as i64),
            ..testing::capture(steady(frame) + paused(frame))
        }),
        ..Camera::with_meta(100, steady)
    };
    let (places, held, events) = camera.run();
    assert_eq!(places[50], steady(50) + 60_000_000);
    assert_eq!((held, events), (1, vec![]));
}

#[test]
fn a_pause_that_only_running_time_or_arrival_has_is_no_step() {
    let paused = |frame: u64| if frame >= 50 { 60_000_000 } else { 0 };
    for base in 0..2 {
        let camera = Camera {
            capture: Box::new(move |frame| {
                let time = frame * FRAME + paused(frame);
                Capture {
                    pts_us: Some((frame * FRAME) as i64),
                    running_time_us: (base == 0).then_some(time as i64),
                    arrival: Nanos::from_useconds(if base == 1 { time } else { 0 }),
                    ..testing::capture(steady(frame) + paused(frame))
                }
            }),
            ..Camera::with_meta(100, steady)
        };
        let (_, held, events) = camera.run();
        assert_eq!((held, events), (1, vec![]));
    }
}

#[test]
fn slow_cameras() {
    // 5 s apart, 60 s apart: a wrong time is one, a step is believed with the second frame.
    for distance in [2_000_000, 5_000_000, 60_000_000_u64] {
        let right = move |frame| BEGIN + frame * distance;
        let camera = |time: fn(u64) -> i64| Camera {
            capture: Box::new(move |frame| Capture {
                pts_us: Some((frame * distance) as i64),
                ..testing::capture(moved(right(frame), time(frame)))
            }),
            ..Camera::with_meta(20, steady)
        };
        assert_eq!(expect(&camera(|_| 0), right), []);
        let events = expect(
            &camera(|frame| if frame == 9 { 3_600_000_000 } else { 0 }),
            right,
        );
        assert!(matches!(events[..], [Event::Outliers { .. }]), "{events:?}");
        let (places, held, events) =
            camera(|frame| if frame >= 9 { 3_600_000_000 } else { 0 }).run();
        assert_eq!(places[9], right(9) + 3_600_000_000);
        assert_eq!(held, 1);
        assert!(matches!(events[..], [Event::Step { .. }]), "{events:?}");
        // A file.
        let camera = Camera::with_start(20, move |frame| Some(right(frame)));
        assert_eq!(expect(&camera, right), []);
    }
}

#[test]
fn an_irregular_camera_without_another_time_base() {
    let pauses = [1, 30, 7, 2, 90, 3, 12, 45, 5, 1];
    let time = move |frame: u64| {
        let seconds: u64 = (0..frame).map(|nth| pauses[nth as usize % 10]).sum();
        BEGIN + seconds * 1_000_000
    };
    let (places, ..) = Camera::with_start(40, move |frame| Some(time(frame))).run();
    assert_eq!(places, (0..40).map(time).collect::<Vec<_>>());
}

#[test]
fn random_times_end_no_recording() {
    let time = |frame: u64| BEGIN + frame.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000_000_000;
    for camera in [
        Camera::with_meta(2000, time),
        Camera::with_start(2000, move |frame| Some(time(frame))),
    ] {
        let (places, held, _) = camera.run();
        assert_eq!(places.len(), 2000);
        assert!(held <= MAX_HELD as u64, "{held}");
    }
}

#[test]
fn frames_without_pts_are_between_their_neighbours() {
    for lacks in [
        |frame: u64| frame % 5 == 4,
        |frame: u64| !frame.is_multiple_of(5),
        |frame: u64| frame == 0,
    ] {
        for rate in [None, RATE] {
            let time = move |frame| (!lacks(frame)).then(|| steady(frame));
            let camera = Camera::with_start(41, time).rate(rate);
            assert_eq!(expect(&camera, steady), []);
        }
    }
}

#[test]
fn frames_with_equal_pts_are_between_their_neighbours() {
    for rate in [None, RATE] {
        let time = |frame| Some(steady(frame - frame % 3));
        assert_eq!(expect(&Camera::with_start(40, time).rate(rate), steady), []);
    }
}

#[test]
fn frames_without_a_meta_are_placed_by_pts() {
    for is_clock in [false, true] {
        let camera = Camera {
            capture: Box::new(move |frame| {
                let capture = Capture {
                    pts_us: Some((frame * FRAME) as i64),
                    ..testing::capture(steady(frame))
                };
                match frame % 5 {
                    // The pipeline's clock is two years behind.
                    4 => Capture {
                        time: is_clock.then_some(sourced(
                            steady(frame) - 60_000_000_000_000,
                            TimeSource::Clock,
                        )),
                        ..capture
                    },
                    _ => capture,
                }
            }),
            ..Camera::with_meta(100, steady)
        };
        assert_eq!(expect(&camera, steady), [], "{is_clock}");
    }
}

#[test]
fn a_stream_without_timestamps_is_counted_from_its_begin() {
    for (rate, frames) in [
        ((25, 1), 100),
        ((30_000, 1001), 1000),
        ((1, 5), 10),
        ((1, 1), 1),
    ] {
        let camera = Camera::with_start(frames, |_| None).rate(Some(rate));
        let expected = |frame| BEGIN + frame * 1_000_000 * rate.1 / rate.0;
        assert_eq!(expect(&camera, expected), []);
        // h264parse may give the first one a PTS.
        let camera = Camera::with_start(frames, |frame| (frame == 0).then_some(BEGIN + 7));
        let camera = camera.rate(Some(rate));
        assert_eq!(expect(&camera, |frame| expected(frame) + 7), []);
    }
}

#[test]
fn frames_of_less_than_a_second_are_counted_without_a_drift() {
    for rate in [(120, 1), (90, 1), (60, 1), (30_000, 1001)] {
        for (frames, first) in [(20, 0), (20, 1), (2, 1), (19, 2)] {
            // The first frames may have a time.
            let at = move |frame: u64| BEGIN + frame * 1_000_000 * rate.1 / rate.0;
            let time = move |frame: u64| (frame < first).then(|| at(frame));
            let (places, _, events) = Camera::with_start(frames, time).rate(Some(rate)).run();
            assert_eq!((places.len() as u64, events), (frames, vec![]));
            for (frame, place) in (0..).zip(places) {
                // Each is rounded once, as is the time that is counted from.
                let off = place.abs_diff(at(frame));
                assert!(
                    off <= first / 2,
                    "{rate:?}, {first}: {frame} is {off} µs off"
                );
            }
        }
    }
}

#[test]
fn without_timestamps_and_rate_nothing_is_placed() {
    for camera in [
        Camera::with_start(50, |_| None),
        Camera::with_start(1000, |_| None),
        Camera::with_start(50, |frame| (frame == 0).then_some(BEGIN)),
        Camera::with_start(1000, |frame| (frame == 0).then_some(BEGIN)),
    ] {
        let (places, held, events) = camera.run();
        assert_eq!(places, [0; 0]);
        assert!(held >= 50);
        assert_eq!(events, [Event::NoRate]);
    }
    assert_eq!(expect(&Camera::with_start(1, |_| None), steady), []);
}

#[test]
fn a_system_clock_that_is_set_is_followed_at_once() {
    for by in [3_000_000, -3_000_000] {
        let steps = move |frame| if frame >= 50 { by } else { 0 };
        let camera = Camera {
            capture: Box::new(move |frame| Capture {
                time: Some(sourced(
                    moved(steady(frame), steps(frame)),
                    TimeSource::Clock,
                )),
                clock_steps_us: steps(frame),
                arrival: Nanos::from_useconds(frame * FRAME),
                ..testing::capture(0)
            }),
            ..Camera::with_meta(100, steady)
        };
        let (places, held, events) = camera.run();
        let expected: Vec<_> = (0..100)
            .map(|frame| moved(steady(frame), steps(frame)))
            .collect();
        assert_eq!(places, expected);
        assert_eq!((held, events), (1, vec![]));
    }
}

#[test]
fn another_source_of_capture_times_is_believed_after_a_second() {
    // The first sender report comes after two seconds; the camera's clock is right, or an hour ahead.
    for (by, is_told) in [(0, false), (3_600_000_000, true)] {
        let camera = Camera {
            capture: Box::new(move |frame| {
                let meta = Capture {
                    pts_us: Some((frame * FRAME) as i64),
                    arrival: Nanos::from_useconds(frame * FRAME),
                    ..testing::capture(moved(steady(frame), by))
                };
                match frame {
                    ..50 => Capture {
                        time: Some(sourced(steady(frame), TimeSource::Clock)),
                        ..meta
                    },
                    _ => meta,
                }
            }),
            ..Camera::with_meta(100, steady)
        };
        let (places, held, events) = camera.run();
        let expected = (0..100).map(|frame| moved(steady(frame), if frame < 50 { 0 } else { by }));
        assert_eq!(places, expected.collect::<Vec<_>>());
        assert_eq!((held, events.len()), (25, usize::from(is_told)));
    }
}

#[test]
fn a_wrong_time_before_frames_without_any() {
    for wrong in [10_000_000, -10_000_000] {
        let time = move |frame| match frame {
            ..30 => Some(steady(frame)),
            30 => Some(moved(steady(frame), wrong)),
            _ => None,
        };
        expect(&Camera::with_start(100, time), steady);
    }
}

#[test]
fn any_mixture_is_placed() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for run in 0..300 {
        let mut filter = OutlierFilter::default();
        filter.set_rate(RATE.filter(|_| run % 3 != 0).and_then(frame_rate));
        let (wrong, lacking, others) = (1 + random(10), 1 + random(10), 1 + random(20));
        let (mut placed, mut before, mut index) = (0, None, 0);
        let count = 400;
        for frame in 0..count {
            let by = match random(wrong) {
                0 => (random(4_000_000_000) as i64) - 2_000_000_000,
                _ => 0,
            };
            let time = moved(steady(frame), by);
            let source = match random(others) {
                0 => TimeSource::Clock,
                _ => TimeSource::Meta,
            };
            let frames = match random(30) {
                0 => 0,
                1 => 2,
                _ => 1,
            };
            let capture = Capture {
                time: (random(lacking) > 0 || lacking < 3).then_some(sourced(time, source)),
                begin: sourced(time, TimeSource::Clock),
                pts_us: (run % 2 == 0).then_some((frame * FRAME) as i64),
                arrival: if run % 5 == 0 {
                    Nanos::from_useconds(frame * FRAME)
                } else {
                    Nanos::ZERO
                },
                ..testing::capture(0)
            };
            let stamp = CaptureStamp::new(capture, index, frames, before.as_ref());
            index += frames;
            before = Some(stamp);
            filter.push(stamp);
            placed += std::iter::from_fn(|| filter.pop()).count() as u64;
            assert!(frame + 1 - placed <= MAX_HELD as u64);
        }
        filter.end();
        placed += std::iter::from_fn(|| filter.pop()).count() as u64;
        let failed = std::iter::from_fn(|| filter.pop_event()).any(|it| it == Event::NoRate);
        assert!(
            placed == count || failed && run % 3 == 0 && placed == 0,
            "{run}: {placed}"
        );
    }
}
