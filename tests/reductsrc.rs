// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! `reductsrc` alone: what it makes of records, and how it starts, waits and stops.

mod common;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::SERVER;
use common::await_that;
use common::child;
use common::pipeline::{Outcome, Pipeline, Samples, capture_us};
use common::recording::{LAYOUTS, Laid, Layout, Recording, capture_times_us, laid_out_as};
use common::server::Server;
use common::stream::{Content, Stream, StreamSpec, is_idr, nal_ranges};
use gst::prelude::*;
use gst_check::Harness;
use reduct_rs::condition;
use tokio::runtime::{self, Runtime};

const SECOND_US: u64 = 1_000_000;
const HOUR_US: u64 = 3600 * SECOND_US;
/// Bytes that the source may read ahead where it is to have less than everything.
const QUEUE_BYTES: u64 = 32_000_000;
/// Time limit of the change to NULL, during any wait of the source.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Buffers and messages of the source up to EOS.
struct Read {
    buffers: Vec<gst::Buffer>,
    /// The segment of each buffer.
    segments: Vec<gst::FormattedSegment<gst::ClockTime>>,
    /// Each caps event.
    caps: Vec<gst::Caps>,
    messages: Vec<gst::Message>,
    /// The property `stats` at the end.
    stats: gst::Structure,
}

impl Read {
    fn times_ms(&self, time: impl Fn(&gst::BufferRef) -> Option<gst::ClockTime>) -> Vec<u64> {
        self.buffers.iter().map(|buffer| ms(time(buffer))).collect()
    }

    fn pts_ms(&self) -> Vec<u64> {
        self.times_ms(|buffer| buffer.pts())
    }

    fn durations_ms(&self) -> Vec<u64> {
        self.times_ms(|buffer| buffer.duration())
    }

    fn running_times_ms(&self) -> Vec<u64> {
        let buffers = self.buffers.iter().zip(&self.segments);
        buffers
            .map(|(buffer, segment)| ms(segment.to_running_time(buffer.pts())))
            .collect()
    }

    fn captures_us(&self) -> Vec<u64> {
        let capture = |buffer: &gst::Buffer| capture_us(buffer).expect("a capture time");
        self.buffers.iter().map(capture).collect()
    }

    /// The indices of the buffers with a flag.
    fn flagged(&self, flag: gst::BufferFlags) -> Vec<usize> {
        let buffers = self.buffers.iter().enumerate();
        buffers
            .filter(|(_, buffer)| buffer.flags().contains(flag))
            .map(|(index, _)| index)
            .collect()
    }

    /// Index, start, stream time and base in ms of each segment.
    fn segments_ms(&self) -> Vec<(usize, u64, u64, u64)> {
        let mut begun: Vec<(usize, u64, u64, u64)> = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            if index == 0 || *segment != self.segments[index - 1] {
                let base = ms(segment.base());
                begun.push((index, ms(segment.start()), ms(segment.time()), base));
            }
        }
        begun
    }

    /// The frame rate of the only caps.
    #[track_caller]
    fn frame_rate(&self) -> Option<gst::Fraction> {
        assert_eq!(self.caps.len(), 1, "{:?}", self.caps);
        let caps = self.caps[0].structure(0).expect("fixed caps");
        caps.get_optional("framerate").expect("a fraction")
    }

    fn stat(&self, name: &str) -> u64 {
        self.stats.get(name).expect("a counter")
    }

    fn warnings(&self) -> usize {
        let warnings = self.messages.iter();
        warnings
            .filter(|message| message.type_() == gst::MessageType::Warning)
            .count()
    }

    /// Fails unless these are the access units of `laid`, at the times of their records.
    #[track_caller]
    fn assert_is(&self, stream: &Stream, laid: &[Laid]) {
        let frames = laid.iter().flat_map(|laid| laid.frames.clone());
        let expected: Vec<_> = frames.map(|frame| stream.units[frame].clone()).collect();
        assert_eq!(self.buffers.len(), expected.len());
        // Compared as a whole, because a message with the bytes would be unreadable.
        assert!(units(&self.buffers) == expected, "other bytes");

        let captures = capture_times_us(laid, stream.fps);
        assert_eq!(self.captures_us(), captures);
        let pts: Vec<_> = captures
            .iter()
            .map(|time| gst::ClockTime::from_useconds(time - captures[0]))
            .map(Some)
            .collect();
        let buffers = || self.buffers.iter();
        assert_eq!(buffers().map(|b| b.pts()).collect::<Vec<_>>(), pts);
        assert_eq!(buffers().map(|b| b.dts()).collect::<Vec<_>>(), pts);

        let delta: Vec<_> = (0..expected.len())
            .filter(|&index| !is_idr(&expected[index]))
            .collect();
        assert_eq!(self.flagged(gst::BufferFlags::DELTA_UNIT), delta);
    }
}

/// Buffers and events that pass the source's pad.
#[derive(Default)]
struct Flow {
    buffers: Vec<gst::Buffer>,
    segments: Vec<gst::FormattedSegment<gst::ClockTime>>,
    caps: Vec<gst::Caps>,
}

impl Flow {
    fn add(&mut self, pad: &gst::Pad, info: &gst::PadProbeInfo, bus: &gst::Bus) {
        if let Some(buffer) = info.buffer() {
            let event = pad.sticky_event::<gst::event::Segment>(0);
            let segment = event.expect("a segment before a buffer").segment().clone();
            self.segments
                .push(segment.downcast().expect("a segment of time"));
            self.buffers.push(buffer.to_owned());
            return;
        }
        match info.event().map(|event| event.view()) {
            Some(gst::EventView::Caps(event)) => self.caps.push(event.caps_owned()),
            // Only a sink would tell.
            Some(gst::EventView::Eos(_)) => bus.post(gst::message::Eos::new()).expect("a bus"),
            _ => {}
        }
    }
}

/// Sets a source up to read entry `e` of a bucket.
fn configure(source: &gst::Element, server: &Server, bucket: &str, properties: &[(&str, &str)]) {
    source.set_property("url", server.url());
    source.set_property("bucket", bucket);
    source.set_property("entry", "e");
    for (name, value) in properties {
        source.set_property_from_str(name, value);
    }
}

/// Reads entry `e` of a bucket of [`SERVER`] to its end, without an error.
#[track_caller]
fn read(bucket: &str, properties: &[(&str, &str)]) -> Read {
    common::init();
    let mut harness = Harness::new("reductsrc");
    let source = harness.element().expect("an element");
    configure(&source, &SERVER, bucket, properties);
    let bus = gst::Bus::new();
    source.set_bus(Some(&bus));
    let flow = Arc::new(Mutex::new(Flow::default()));
    let kept = Arc::clone(&flow);
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    let pad = source.static_pad("src").expect("a source pad");
    let told = bus.clone();
    pad.add_probe(mask, move |pad, info| {
        kept.lock().unwrap().add(pad, info, &told);
        gst::PadProbeReturn::Ok
    });

    harness.play();
    let mut messages: Vec<gst::Message> = Vec::new();
    while messages.last().map(|message| message.type_()) != Some(gst::MessageType::Eos) {
        let message = bus.timed_pop(gst::ClockTime::from_seconds(60));
        let message = message.expect("EOS in time");
        assert_ne!(message.type_(), gst::MessageType::Error, "{message:?}");
        messages.push(message);
    }
    let Flow {
        buffers,
        segments,
        caps,
    } = std::mem::take(&mut *flow.lock().unwrap());
    Read {
        buffers,
        segments,
        caps,
        messages,
        stats: source.property("stats"),
    }
}

/// A time to the nearest millisecond.
fn ms(time: Option<gst::ClockTime>) -> u64 {
    (time.expect("a time").useconds() + 500) / 1000
}

/// The bytes of each buffer.
fn units(buffers: &[gst::Buffer]) -> Vec<Vec<u8>> {
    let bytes = |buffer: &gst::Buffer| buffer.map_readable().expect("memory").to_vec();
    buffers.iter().map(bytes).collect()
}

/// Six groups of ten pictures at 10 fps, as in ReductStore's own example.
/// The example without a frame rate in it.
fn example_without_timing() -> Stream {
    Stream::make(StreamSpec {
        vui_timing: false,
        ..Default::default()
    })
}

/// The example with a megabyte of filler data in each access unit: more than the source's queue.
fn bulky() -> Stream {
    let filler = [&[0, 0, 0, 1, 12][..], &[0xff; 1_000_000], &[0x80]].concat();
    Stream::example().map_units(|_, unit| [unit, &filler].concat())
}

/// Records a stream in a bucket of its own.
fn record(recording: &Recording, stream: &Stream) -> (String, Vec<Laid>) {
    let bucket = SERVER.new_bucket();
    let laid = recording.write(&SERVER, &bucket, "e", stream);
    (bucket, laid)
}

/// Writes records that no [`Recording`] makes.
fn write(laid: &[Laid]) -> String {
    let bucket = SERVER.new_bucket();
    SERVER.write_all(&bucket, "e", laid.iter().map(|laid| &laid.record));
    bucket
}

/// Reads a recording of the stream in each layout: always the whole stream.
#[track_caller]
fn assert_all_layouts_read(stream: &Stream) {
    for layout in LAYOUTS {
        let (bucket, laid) = record(&laid_out_as(layout), stream);
        let read = read(&bucket, &[]);
        read.assert_is(stream, &laid);
        assert_eq!(read.warnings(), 0, "{layout:?}");
    }
}

#[test]
fn how_records_are_cut_changes_no_buffer() {
    assert_all_layouts_read(&Stream::example());
}

#[test]
fn caps_come_once_and_with_the_frame_rate() {
    for layout in LAYOUTS {
        let (bucket, _) = record(&laid_out_as(layout), &Stream::example());
        let read = read(&bucket, &[]);
        let expected = gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("framerate", gst::Fraction::new(10, 1))
            .build();
        assert_eq!(read.caps, [expected], "{layout:?}");
    }
}

#[test]
fn each_buffer_lasts_a_frame() {
    for layout in LAYOUTS {
        let (bucket, _) = record(&laid_out_as(layout), &Stream::example());
        assert_eq!(read(&bucket, &[]).durations_ms(), [100; 60], "{layout:?}");
    }
}

#[test]
fn a_recording_without_holes_is_one_segment() {
    for layout in LAYOUTS {
        let (bucket, _) = record(&laid_out_as(layout), &Stream::example());
        let read = read(&bucket, &[]);
        assert_eq!(read.segments_ms(), [(0, 0, 0, 0)], "{layout:?}");
        assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0], "{layout:?}");
    }
}

#[test]
fn ntsc_rates_do_not_drift() {
    let stream = Stream::make(StreamSpec {
        fps: (30000, 1001),
        frames: 300,
        gop: 300,
        ..Default::default()
    });
    let recording = Recording {
        labels: &[("fps", "29.97")],
        ..Default::default()
    };
    let (bucket, laid) = record(&recording, &stream);
    let read = read(&bucket, &[]);
    assert_eq!(read.frame_rate(), Some(gst::Fraction::new(30000, 1001)));
    for (time, expected) in read
        .captures_us()
        .iter()
        .zip(capture_times_us(&laid, stream.fps))
    {
        assert!(time.abs_diff(expected) <= 1, "{time} is not {expected}");
    }
}

#[test]
fn access_unit_delimiters_change_nothing() {
    assert_all_layouts_read(&Stream::example().with_auds());
}

#[test]
fn start_codes_of_three_bytes_are_enough() {
    assert_all_layouts_read(&Stream::example().start_codes::<3>());
}

#[test]
fn start_codes_of_four_bytes_stay() {
    assert_all_layouts_read(&Stream::example().start_codes::<4>());
}

#[test]
fn parameter_sets_at_the_very_start_are_enough() {
    assert_all_layouts_read(&Stream::example().headers_once());
}

#[test]
fn four_slices_are_one_access_unit() {
    assert_all_layouts_read(&Stream::make(StreamSpec {
        x264_params: "slices=4",
        ..Default::default()
    }));
}

#[test]
fn i_pictures_that_are_no_idr_are_delta_units() {
    assert_all_layouts_read(&Stream::make(StreamSpec {
        content: Content::Cuts,
        ..Default::default()
    }));
}

#[test]
fn other_parameter_sets_may_come_in_the_middle() {
    let large = Stream::make(StreamSpec {
        size: (320, 240),
        ..Default::default()
    });
    assert_all_layouts_read(&Stream::example().then(large));
}

#[test]
fn a_record_without_a_picture_belongs_to_the_next_access_unit() {
    let stream = Stream::example();
    let mut records = laid_out_as(Layout::AccessUnit).lay(&stream);
    // Parameter sets and SEI of the first and of the 21st picture in records of their own, long
    // before the pictures: neither is a gap, nor does time start with them.
    for (frame, apart_us) in [(20, 30_000), (0, HOUR_US)] {
        let unit = records[frame].record.bytes.clone();
        let slice = nal_ranges(&unit).pop().expect("a slice").start;
        let mut headers = records[frame].clone();
        headers.frames = frame..frame;
        headers.record.time_us -= apart_us;
        headers.record.bytes = unit.slice(..slice);
        records[frame].record.bytes = unit.slice(slice..);
        records.insert(frame, headers);
    }
    let read = read(&write(&records), &[]);
    read.assert_is(&stream, &records);
    assert_eq!(read.segments_ms(), [(0, 0, 0, 0)]);
    assert_eq!(read.stat("gaps"), 0);
}

#[test]
fn an_empty_record_is_counted_and_changes_nothing() {
    let stream = Stream::example();
    let mut records = laid_out_as(Layout::AccessUnit).lay(&stream);
    let mut empty = records[5].clone();
    empty.frames = 5..5;
    empty.record.time_us -= 50_000;
    empty.record.bytes = Default::default();
    records.insert(5, empty);
    let read = read(&write(&records), &[]);
    read.assert_is(&stream, &records);
    assert_eq!(read.stat("damaged"), 1);
}

#[test]
fn where_records_overlap_units_are_spread() {
    let recording = Recording {
        // Half a second from each record to the next one, and a second of pictures in each.
        jitter_us: |record| -500_000 * record as i64,
        ..Default::default()
    };
    let stream = Stream::example();
    let (bucket, _) = record(&recording, &stream);
    let read = read(&bucket, &[]);
    // The last record, too, though nothing follows it.
    let expected: Vec<u64> = (0..60).map(|i| i * 50).collect();
    assert_eq!(read.pts_ms(), expected);
    assert_eq!(read.times_ms(|buffer| buffer.dts()), expected);
    assert_eq!(read.durations_ms(), [50; 60]);
    assert!(units(&read.buffers) == stream.units);
}

#[test]
fn b_frames_are_shown_in_the_times_of_the_records() {
    let stream = Stream::make(StreamSpec {
        x264_params: "bframes=3:b-pyramid=normal:b-adapt=0",
        ..Default::default()
    });
    for layout in [Layout::AccessUnit, Layout::Gop, Layout::Nal] {
        let (bucket, laid) = record(&laid_out_as(layout), &stream);
        let read = read(&bucket, &[]);
        assert_eq!(read.warnings(), 0, "{layout:?}");
        assert!(units(&read.buffers) == stream.units, "{layout:?}");
        let mut captured = read.captures_us();
        assert!(!captured.is_sorted(), "{layout:?}");
        captured.sort_unstable();
        assert_eq!(captured, capture_times_us(&laid, stream.fps), "{layout:?}");
        let dts: Vec<_> = read.buffers.iter().map(|buffer| buffer.dts()).collect();
        assert!(dts.is_sorted_by(|a, b| a < b), "{layout:?}");
        for buffer in &read.buffers {
            assert!(buffer.dts() <= buffer.pts(), "{layout:?}");
        }
    }
}

/// A hole of ten seconds after half of the example.
fn with_hole(layout: Layout) -> Recording {
    Recording {
        layout,
        holes: vec![(30, 10 * SECOND_US)],
        ..Default::default()
    }
}

/// Running time of the example, whatever holes there are.
fn contiguous_ms() -> Vec<u64> {
    (0..60).map(|frame| frame * 100).collect()
}

#[test]
fn a_gap_begins_a_segment_with_discont() {
    let stream = Stream::example();
    for layout in LAYOUTS {
        let (bucket, laid) = record(&with_hole(layout), &stream);
        let read = read(&bucket, &[]);
        read.assert_is(&stream, &laid);
        assert_eq!(
            read.segments_ms(),
            [(0, 0, 0, 0), (30, 13_000, 13_000, 3000)],
            "{layout:?}"
        );
        assert_eq!(read.running_times_ms(), contiguous_ms(), "{layout:?}");
        assert_eq!(
            read.flagged(gst::BufferFlags::DISCONT),
            [0, 30],
            "{layout:?}"
        );
        assert_eq!(read.stat("gaps"), 1, "{layout:?}");
    }
}

#[test]
fn without_gap_detection_the_segment_has_no_discont() {
    for layout in [Layout::AccessUnit, Layout::Gop] {
        let (bucket, _) = record(&with_hole(layout), &Stream::example());
        let read = read(&bucket, &[("gap-detection", "false")]);
        assert_eq!(
            read.segments_ms(),
            [(0, 0, 0, 0), (30, 13_000, 13_000, 3000)]
        );
        assert_eq!(read.running_times_ms(), contiguous_ms());
        assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0]);
    }
}

#[test]
fn holes_add_up_in_stream_time_and_not_in_running_time() {
    let recording = Recording {
        holes: vec![(10, 5 * SECOND_US), (30, HOUR_US), (50, 3 * SECOND_US)],
        ..Default::default()
    };
    let (bucket, laid) = record(&recording, &Stream::example());
    let read = read(&bucket, &[]);
    read.assert_is(&Stream::example(), &laid);
    assert_eq!(read.running_times_ms(), contiguous_ms());
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0, 10, 30, 50]);
}

/// Number of gaps that the source finds where these frames are lost.
fn gaps_without(lost: std::ops::Range<usize>, properties: &[(&str, &str)]) -> u64 {
    let recording = Recording {
        lost: vec![lost],
        ..laid_out_as(Layout::AccessUnit)
    };
    let (bucket, _) = record(&recording, &Stream::example());
    let read = read(&bucket, properties);
    let gaps = read.flagged(gst::BufferFlags::DISCONT).len() as u64 - 1;
    assert_eq!(gaps, read.stat("gaps"));
    gaps
}

#[test]
fn one_missing_frame_is_no_gap_and_three_are() {
    assert_eq!(gaps_without(31..32, &[]), 0);
    assert_eq!(gaps_without(31..34, &[]), 1);
}

#[test]
fn gap_tolerance_is_what_may_be_missing_besides_a_frame() {
    // Three frames are missing: two more than one.
    assert_eq!(gaps_without(31..34, &[("gap-tolerance", "200000000")]), 0);
    assert_eq!(gaps_without(31..34, &[("gap-tolerance", "199999999")]), 1);
    // A tolerance below half a frame is no default.
    let jittery = Recording {
        jitter_us: |record| 110_000 * i64::from(record > 0),
        ..laid_out_as(Layout::AccessUnit)
    };
    let (bucket, _) = record(&jittery, &Stream::example());
    assert_eq!(read(&bucket, &[]).stat("gaps"), 0);
    assert_eq!(
        read(&bucket, &[("gap-tolerance", "1000000")]).stat("gaps"),
        1
    );
}

#[test]
fn stats_count_what_was_read() {
    let stream = Stream::example();
    for layout in LAYOUTS {
        let (bucket, laid) = record(&with_hole(layout), &stream);
        let read = read(&bucket, &[]);
        let counts = [
            ("records", laid.len() as u64),
            ("bytes", stream.bytes().len() as u64),
            ("access-units", 60),
            ("episodes", 0),
            ("gaps", 1),
            ("damaged", 0),
            ("dropped", 0),
            ("corrupted", 0),
            ("skipped", 0),
            ("queue-records", 0),
            ("queue-bytes", 0),
            ("evicted", 0),
            ("retries", 0),
            ("connections", 0),
        ];
        for (name, count) in counts {
            assert_eq!(read.stat(name), count, "{name} of {layout:?}");
        }
        for wait in ["network-wait", "downstream-wait"] {
            assert!(read.stat(wait) > 0, "{wait} of {layout:?}");
        }
        for rate in ["declared-rate", "observed-rate"] {
            let rate = read.stats.get::<f64>(rate).expect("a rate");
            assert_eq!(rate, 10.0, "{layout:?}");
        }
        assert_eq!(read.stats.n_fields(), counts.len() + 4);
    }
}

/// The frame rate of a recording of the example that has it in these places.
fn frame_rate(
    labels: &'static [(&'static str, &'static str)],
    attached: Option<reduct_rs::JsonValue>,
    properties: &[(&str, &str)],
    vui_timing: bool,
) -> Option<gst::Fraction> {
    let recording = Recording {
        labels,
        ..laid_out_as(Layout::AccessUnit)
    };
    let stream = Stream::make(StreamSpec {
        vui_timing,
        ..Default::default()
    });
    let (bucket, _) = record(&recording, &stream);
    if let Some(value) = attached {
        SERVER.attach(&bucket, "e", "$video", value);
    }
    // Other rates than that of the record times, taken to the letter.
    let literal = [properties, &[("gap-tolerance", "1000000000")]].concat();
    read(&bucket, &literal).frame_rate()
}

const PROPERTY: &[(&str, &str)] = &[("fps", "12/1")];

#[test]
fn the_frame_rate_of_the_label_comes_first() {
    let attached = condition!({"fps": 15});
    let rate = frame_rate(&[("fps", "20")], Some(attached), PROPERTY, true);
    assert_eq!(rate, Some(gst::Fraction::new(20, 1)));
}

#[test]
fn the_frame_rate_of_the_attachment_comes_second() {
    for attached in [condition!({"fps": 15}), condition!({"fps": "15"})] {
        let rate = frame_rate(&[], Some(attached), PROPERTY, true);
        assert_eq!(rate, Some(gst::Fraction::new(15, 1)));
    }
}

#[test]
fn the_frame_rate_of_the_property_comes_third() {
    // Nor do other attachments count, or a label that is no rate.
    let rate = frame_rate(
        &[("fps", "fast")],
        Some(condition!({"w": 1})),
        PROPERTY,
        true,
    );
    assert_eq!(rate, Some(gst::Fraction::new(12, 1)));
}

#[test]
fn the_frame_rate_of_the_stream_comes_last() {
    assert_eq!(
        frame_rate(&[], None, &[], true),
        Some(gst::Fraction::new(10, 1))
    );
    assert_eq!(frame_rate(&[], None, &[], false), None);
}

#[test]
fn any_of_the_rates_is_enough_for_several_units_a_record() {
    let unlabelled = Recording {
        labels: &[],
        ..Default::default()
    };
    let (without, with) = (example_without_timing(), Stream::example());
    let (bucket, laid) = record(&unlabelled, &without);
    read(&bucket, &[("fps", "10/1")]).assert_is(&without, &laid);
    SERVER.attach(&bucket, "e", "$video", condition!({"fps": 10}));
    read(&bucket, &[]).assert_is(&without, &laid);
    let (bucket, laid) = record(&unlabelled, &with);
    read(&bucket, &[]).assert_is(&with, &laid);
}

#[test]
fn without_any_frame_rate_record_times_rule() {
    let recording = Recording {
        labels: &[],
        jitter_us: |record| if record % 2 == 1 { 7_000 } else { 0 },
        ..with_hole(Layout::AccessUnit)
    };
    let stream = example_without_timing();
    let (bucket, laid) = record(&recording, &stream);
    let read = read(&bucket, &[]);
    read.assert_is(&stream, &laid);
    assert_eq!(read.frame_rate(), None);
    assert_eq!(
        read.segments_ms(),
        [(0, 0, 0, 0), (30, 13_000, 13_000, 3014)]
    );
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0, 30]);
    let durations = read.durations_ms();
    assert_eq!(durations[..3], [107, 93, 107]);
    // Before the hole, and at the end, a picture lasts as long as others.
    assert_eq!(durations[29], 107);
    assert_eq!(durations[58..], [107, 107]);
}

/// Reads a range of the example, an access unit a record: the index of its first picture, how
/// many there are, and the PTS of the first in ms.
fn range(start: Option<&str>, stop: Option<&str>) -> Option<(usize, usize, u64)> {
    let stream = Stream::example();
    let (bucket, _) = record(&laid_out_as(Layout::AccessUnit), &stream);
    let properties: Vec<_> = [("start", start), ("stop", stop)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let read = read(&bucket, &properties);
    // An empty range is told.
    assert_eq!(read.warnings(), usize::from(read.buffers.is_empty()));
    let found = units(&read.buffers);
    let begin = found.first()?;
    // Parameter sets from before the range may precede it.
    let first = (stream.units.iter()).position(|unit| begin.ends_with(unit))?;
    assert!(found[1..] == stream.units[first + 1..first + found.len()]);
    Some((first, found.len(), read.pts_ms()[0]))
}

/// Capture time of a picture of the example, in the form of the properties.
fn time_of(frame: usize) -> String {
    Recording::default().frame_us(frame, (10, 1)).to_string()
}

#[test]
fn a_range_is_half_open_and_in_any_place_of_a_group() {
    assert_eq!(
        range(Some(&time_of(15)), Some(&time_of(35))),
        Some((20, 15, 500))
    );
}

#[test]
fn times_may_be_rfc_3339() {
    let found = range(
        Some("2025-06-13T08:30:54.773752Z"),
        Some("2025-06-13T10:30:56.773753+02:00"),
    );
    assert_eq!(found, Some((20, 16, 500)));
}

#[test]
fn pts_counts_from_start() {
    let before = Recording::default().start_us - 300_000;
    assert_eq!(range(Some(&before.to_string()), None), Some((0, 60, 300)));
    let between = Recording::default().frame_us(14, (10, 1)) + 30_000;
    assert_eq!(range(Some(&between.to_string()), None), Some((20, 40, 570)));
}

#[test]
fn start_without_stop_reads_to_the_end_and_stop_without_start_from_the_beginning() {
    assert_eq!(range(Some(&time_of(50)), None), Some((50, 10, 0)));
    assert_eq!(range(None, Some(&time_of(50))), Some((0, 50, 0)));
}

#[test]
fn a_range_without_records_is_eos() {
    let first = Recording::default().start_us;
    let ranges = [
        // Before, between and after.
        (Some(first - HOUR_US), Some(first)),
        (Some(first + 1), Some(first + 100_000)),
        (Some(first + HOUR_US), Some(first + 2 * HOUR_US)),
        (Some(first + HOUR_US), None),
        (None, Some(first)),
    ];
    for (start, stop) in ranges {
        let text = |time: Option<u64>| time.map(|time| time.to_string());
        let found = range(text(start).as_deref(), text(stop).as_deref());
        assert_eq!(found, None, "{start:?} {stop:?}");
    }
}

#[test]
fn a_range_ends_within_a_record() {
    let stream = Stream::example();
    let (bucket, laid) = record(&Recording::default(), &stream);
    let read = read(&bucket, &[("start", &time_of(5)), ("stop", &time_of(25))]);
    assert!(units(&read.buffers) == stream.units[10..25]);
    let captures = capture_times_us(&laid[1..3], stream.fps);
    assert_eq!(read.captures_us(), captures[..15]);
    assert_eq!(read.pts_ms()[0], 500);
}

/// Writes the example, every second record with a label `good`, and reads those.
fn read_good(when: &str) {
    let stream = Stream::example();
    let mut laid = Recording::default().lay(&stream);
    for (index, laid) in laid.iter_mut().enumerate() {
        let good = (index % 2 == 0).to_string();
        laid.record.labels.push(("good".into(), good));
    }
    let read = read(&write(&laid), &[("when", when)]);
    let good: Vec<_> = laid.into_iter().step_by(2).collect();
    read.assert_is(&stream, &good);
    assert_eq!(read.flagged(gst::BufferFlags::DISCONT), [0, 10, 20]);
}

#[test]
fn when_picks_records_by_their_labels() {
    read_good(r#"{"&good": {"$eq": true}}"#);
}

#[test]
fn a_condition_without_a_match_is_eos() {
    let (bucket, _) = record(&Recording::default(), &Stream::example());
    for when in [
        r#"{"&none": {"$eq": 1}}"#,
        r#"{"&none": {"$eq": 1}, "$limit": 5}"#,
        r#"{"&none": {"$eq": 1}, "$each_n": 2}"#,
    ] {
        assert!(
            read(&bucket, &[("when", when)]).buffers.is_empty(),
            "{when}"
        );
    }
}

#[test]
fn when_with_selected_labels_of_its_own_still_finds_the_frame_rate() {
    read_good(r##"{"&good": {"$eq": true}, "#select_labels": ["good"]}"##);
}

#[test]
fn when_goes_with_a_range() {
    let bucket = {
        let mut laid = laid_out_as(Layout::AccessUnit).lay(&Stream::example());
        for (index, laid) in laid.iter_mut().enumerate() {
            let label = ("index".into(), index.to_string());
            laid.record.labels.push(label);
        }
        write(&laid)
    };
    let properties = [
        ("when", r#"{"&index": {"$lt": 30}}"#),
        ("start", &time_of(20)),
        ("stop", &time_of(40)),
    ];
    let read = read(&bucket, &properties);
    assert!(units(&read.buffers) == Stream::example().units[20..30]);
}

/// Reads the example from records that have these labels, too.
fn read_with(labels: &[(&str, &str)]) -> String {
    let stream = Stream::example();
    let laid = Recording::default().lay(&stream);
    let bucket = SERVER.new_bucket();
    let labels = [&[("fps", "10")], labels].concat();
    for Laid { record, .. } in &laid {
        let (time, bytes) = (record.time_us, record.bytes.clone());
        SERVER.write(&bucket, "e", time, "video/h264", &labels, bytes);
    }
    read(&bucket, &[]).assert_is(&stream, &laid);
    bucket
}

#[test]
fn other_labels_are_of_no_concern() {
    read_with(&[("place", "hall 3, left"), ("equation", "a=b"), ("none", "")]);
}

#[test]
fn label_values_that_begin_with_a_quotation_mark_are_of_no_concern() {
    let bucket = read_with(&[("size", "\"wide")]);
    // Otherwise this test shows nothing.
    let read_by_client = std::panic::catch_unwind(|| SERVER.read(&bucket, "e"));
    assert!(read_by_client.is_err(), "reduct-rs can read them now");
}

#[test]
fn thousands_of_records_come_in_order() {
    let example = Stream::example();
    let stream = Stream {
        units: example.units.iter().cycle().take(3600).cloned().collect(),
        fps: example.fps,
    };
    let (bucket, laid) = record(&laid_out_as(Layout::AccessUnit), &stream);
    let read = read(&bucket, &[]);
    read.assert_is(&stream, &laid);
    assert_eq!(read.stat("records"), 3600);
}

#[test]
fn records_larger_than_the_queue_pass() {
    let stream = bulky();
    let recording = laid_out_as(Layout::AccessUnits(45));
    let (bucket, laid) = record(&recording, &stream);
    assert!(laid[0].record.bytes.len() as u64 > QUEUE_BYTES);
    read(&bucket, &[]).assert_is(&stream, &laid);
}

/// A source with an `appsink` that blocks until the test takes a sample.
fn pipeline(server: &Server, bucket: &str) -> Pipeline {
    through("", server, bucket)
}

/// As [`pipeline`], with other elements between the two.
fn through(elements: &str, server: &Server, bucket: &str) -> Pipeline {
    let pipeline = Pipeline::launch(&format!(
        "reductsrc name=src {elements} ! appsink name=out sync=false max-buffers=1"
    ));
    let source = pipeline.element("src");
    configure(&source, server, bucket, &[]);
    source.set_property("prefetch-bytes", QUEUE_BYTES);
    pipeline
}

/// A server with the bulky stream, an access unit a record, in bucket `b`.
fn bulky_server() -> Server {
    let server = Server::start();
    server.create_bucket("b");
    laid_out_as(Layout::AccessUnit).write(&server, "b", "e", &bulky());
    server
}

/// A counter of the source.
fn stat(pipeline: &Pipeline, name: &str) -> u64 {
    let stats: gst::Structure = pipeline.element("src").property("stats");
    stats.get(name).expect("a counter")
}

/// Waits until the source has read ahead as far as it may.
fn await_full_queue(pipeline: &Pipeline) {
    await_that("the queue never gets full", || {
        stat(pipeline, "connections") == 0 && stat(pipeline, "queue-bytes") > QUEUE_BYTES / 2
    });
}

/// Waits until the streaming thread runs.
fn await_streaming(pipeline: &Pipeline) {
    pipeline.wait(&mut Vec::new(), |message| {
        matches!(message.view(), gst::MessageView::StreamStatus(status)
            if status.get().0 == gst::StreamStatusType::Enter)
    });
}

#[track_caller]
fn assert_stops_at_once(pipeline: &Pipeline) {
    let start = Instant::now();
    let done = pipeline.set_state(gst::State::Null);
    let taken = start.elapsed();
    done.expect("any element goes to NULL");
    assert!(taken < STOP_LIMIT, "it took {taken:?}");
}

/// Fails if the pipeline does anything but wait.
#[track_caller]
fn assert_waits(pipeline: &Pipeline) {
    let (done, ..) = pipeline.state(gst::ClockTime::from_mseconds(200));
    assert_eq!(done, Ok(gst::StateChangeSuccess::Async));
}

/// Holds back all that the source pushes, until the probe is removed.
fn hold(pipeline: &Pipeline) -> (gst::Pad, gst::PadProbeId) {
    let source = pipeline.element("src");
    let pad = source.static_pad("src").expect("a source pad");
    let mask = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
    let probe = pad.add_probe(mask, |_, _| gst::PadProbeReturn::Ok);
    (pad, probe.expect("a blocking probe"))
}

/// Reads on the same pipeline, from NULL to NULL.
#[track_caller]
fn assert_reads(pipeline: &Pipeline, samples: &Samples, stream: &Stream) {
    let before = samples.get().len();
    pipeline.run().clean();
    assert!(units(&samples.buffers()[before..]) == stream.units);
}

#[test]
fn the_queue_is_bounded_and_counted() {
    let server = bulky_server();
    let pipeline = pipeline(&server, "b");
    pipeline.play();
    await_full_queue(&pipeline);
    // Time enough for more, if there was room.
    thread::sleep(Duration::from_millis(500));
    let (bytes, records) = (
        stat(&pipeline, "queue-bytes"),
        stat(&pipeline, "queue-records"),
    );
    assert!(bytes <= QUEUE_BYTES, "{bytes}");
    assert_eq!(bytes / 1_000_000, records);
    pipeline.set_state(gst::State::Null).unwrap();
    // In the background, after what it does for its tasks.
    await_that("the queue is never given up", || {
        stat(&pipeline, "queue-bytes") == 0 && stat(&pipeline, "queue-records") == 0
    });
}

#[test]
fn it_stops_at_once_while_the_server_hangs_at_the_beginning() {
    let server = Server::start();
    let bucket = server.new_bucket();
    server.freeze();
    let pipeline = pipeline(&server, &bucket);
    pipeline.play();
    await_streaming(&pipeline);
    assert_waits(&pipeline);
    assert_stops_at_once(&pipeline);
}

#[test]
fn it_stops_at_once_while_the_server_hangs_in_the_middle() {
    let server = bulky_server();
    let pipeline = pipeline(&server, "b");
    let samples = pipeline.collect("out");
    let (pad, probe) = hold(&pipeline);
    pipeline.play();
    await_full_queue(&pipeline);
    server.freeze();
    pad.remove_probe(probe);
    await_that("the queue never gets empty", || {
        stat(&pipeline, "queue-records") == 0
    });
    let taken = samples.get().len();
    assert!(taken < 60, "no server is needed for all of it");
    assert_stops_at_once(&pipeline);
    server.thaw();
    assert_reads(&pipeline, &samples, &bulky());
}

#[test]
fn it_stops_at_once_while_the_server_cannot_be_reached() {
    let hole = BlackHole::new();
    let pipeline = pipeline(&SERVER, "b");
    pipeline
        .element("src")
        .set_property("url", format!("http://{}", hole.address));
    pipeline.play();
    await_streaming(&pipeline);
    assert_waits(&pipeline);
    assert_stops_at_once(&pipeline);
}

#[test]
fn it_stops_at_once_while_the_server_is_gone_and_the_queue_full() {
    let server = bulky_server();
    let pipeline = pipeline(&server, "b");
    pipeline.play();
    await_full_queue(&pipeline);
    server.kill();
    assert_stops_at_once(&pipeline);
}

#[test]
fn it_stops_at_once_while_downstream_blocks() {
    let server = bulky_server();
    let pipeline = pipeline(&server, "b");
    pipeline.play();
    await_full_queue(&pipeline);
    assert_stops_at_once(&pipeline);
}

#[test]
fn after_null_it_reads_the_same_again() {
    let stream = Stream::example();
    let (bucket, _) = record(&Recording::default(), &stream);
    let pipeline = pipeline(&SERVER, &bucket);
    let samples = pipeline.collect("out");
    assert_reads(&pipeline, &samples, &stream);
    assert_reads(&pipeline, &samples, &stream);
    let buffers = samples.buffers();
    let (first, second) = buffers.split_at(60);
    for (first, second) in first.iter().zip(second) {
        assert_eq!(first.pts(), second.pts());
        assert_eq!(first.flags(), second.flags());
    }
    assert_eq!(stat(&pipeline, "access-units"), 60, "counted anew");
}

#[test]
fn after_an_error_it_reads_again() {
    let stream = Stream::example();
    let (bucket, _) = record(&Recording::default(), &stream);
    let pipeline = pipeline(&SERVER, &bucket);
    let samples = pipeline.collect("out");
    let source = pipeline.element("src");
    source.set_property("entry", "missing");
    assert!(!pipeline.run().errors.is_empty());
    source.set_property("entry", "e");
    assert_reads(&pipeline, &samples, &stream);
}

#[test]
fn pauses_lose_and_double_nothing() {
    let stream = Stream::example();
    let (bucket, _) = record(&Recording::default(), &stream);
    let pipeline = through("! identity sleep-time=20000", &SERVER, &bucket);
    let samples = pipeline.collect("out");
    let (mut seen, mut pauses) = (0, 0);
    while seen < 50 {
        pipeline.play();
        await_that("no picture", || samples.get().len() > seen);
        pipeline.set_state(gst::State::Paused).expect("a pause");
        let (paused, ..) = pipeline.state(gst::ClockTime::from_seconds(20));
        paused.expect("the pause is reached");
        seen = samples.get().len();
        pauses += 1;
    }
    assert!(pauses >= 5, "{pauses} pauses");
    pipeline.run().clean();
    assert!(units(&samples.buffers()) == stream.units);
}

#[test]
fn it_stops_in_any_moment() {
    let stream = Stream::example();
    let (bucket, _) = record(&laid_out_as(Layout::AccessUnit), &stream);
    let pipeline = pipeline(&SERVER, &bucket);
    let samples = pipeline.collect("out");
    for round in 0..20 {
        pipeline.play();
        // Before the thread starts, as it starts, with the first picture, and after some more.
        match round % 4 {
            0 => {}
            1 => await_streaming(&pipeline),
            2 => await_that("no picture", || stat(&pipeline, "access-units") > 0),
            _ => await_that("no pictures", || stat(&pipeline, "access-units") > 20),
        }
        assert_stops_at_once(&pipeline);
    }
    assert_reads(&pipeline, &samples, &stream);
}

/// Reads, stops in the middle and reads again on a thread of a tokio runtime.
fn assert_works_inside(mut builder: runtime::Builder) {
    let stream = Stream::example();
    let (bucket, _) = record(&Recording::default(), &stream);
    let url = SERVER.url();
    let runtime = builder.enable_all().build().expect("a runtime");
    let application = async move {
        let pipeline = Pipeline::launch(&format!(
            "reductsrc name=src url={url} bucket={bucket} entry=e ! appsink name=out"
        ));
        let samples = pipeline.collect("out");
        assert_reads(&pipeline, &samples, &stream);
        for _ in 0..5 {
            pipeline.play();
            await_streaming(&pipeline);
            assert_stops_at_once(&pipeline);
        }
        assert_reads(&pipeline, &samples, &stream);
    };
    let done = runtime.block_on(async { tokio::spawn(application).await });
    done.expect("no panic");
}

#[test]
fn it_works_inside_a_tokio_runtime_of_many_threads() {
    assert_works_inside(runtime::Builder::new_multi_thread());
}

#[test]
fn it_works_inside_a_tokio_runtime_of_one_thread() {
    assert_works_inside(runtime::Builder::new_current_thread());
}

/// A runtime for what the test itself asks of a server.
fn tokio_runtime() -> Runtime {
    let mut builder = runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// Result of a source whose server failed.
struct Misfortune {
    outcome: Outcome,
    units: Vec<Vec<u8>>,
    /// The count of skipped records.
    skipped: u64,
}

/// Fills the source's queue, lets `happen` do something to the server, and reads the rest.
fn read_after(happen: impl FnOnce(&Server), properties: &[(&str, &str)]) -> Misfortune {
    let server = bulky_server();
    let pipeline = pipeline(&server, "b");
    configure(&pipeline.element("src"), &server, "b", properties);
    let samples = pipeline.collect("out");
    let (pad, probe) = hold(&pipeline);
    pipeline.play();
    await_full_queue(&pipeline);
    happen(&server);
    pad.remove_probe(probe);

    let messages = pipeline.wait_for_end();
    let skipped = stat(&pipeline, "skipped");
    Misfortune {
        outcome: pipeline.finish(messages),
        units: units(&samples.buffers()),
        skipped,
    }
}

/// Fails unless the source ended with one error, and after it had pushed what was in the queue.
#[track_caller]
fn assert_error_in_the_middle(read: &Misfortune, code: gst::ResourceError) {
    let (error, _) = read.outcome.error();
    assert!(error.matches(code) && !read.outcome.eos, "{error:?}");
    let pushed = read.units.len();
    assert!((15..60).contains(&pushed), "{pushed} access units");
    assert!(read.units == bulky().units[..pushed]);
}

#[test]
fn a_query_that_the_server_forgot_is_asked_again() {
    let read = read_after(Server::restart, &[]);
    read.outcome.clean();
    assert!(read.units == bulky().units);
    assert_eq!(read.skipped, 0);
}

#[test]
fn records_of_a_query_with_the_same_number_do_not_come_twice() {
    let ask_first = |server: &Server| {
        server.restart();
        tokio_runtime().block_on(async {
            let bucket = server.client().get_bucket("b").await.expect("the bucket");
            let query = bucket.query("e").send().await;
            query.map(drop).expect("the first query of the new server");
        });
    };
    let read = read_after(ask_first, &[]);
    read.outcome.clean();
    assert!(read.units == bulky().units);
    assert_eq!(read.skipped, 0);
}

#[test]
fn a_server_that_goes_away_in_the_middle_is_one_error() {
    let read = read_after(Server::kill, &[("retries", "2")]);
    assert_error_in_the_middle(&read, gst::ResourceError::OpenRead);
}

#[test]
fn a_server_that_hangs_in_the_middle_is_one_error_after_the_timeout() {
    let read = read_after(Server::freeze, &[("timeout", "300"), ("retries", "1")]);
    assert_error_in_the_middle(&read, gst::ResourceError::Read);
}

/// An address that takes connections no further than the operating system's queue, and that is
/// full: another one gets no answer at all.
struct BlackHole {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
    _runtime: Runtime,
}

impl BlackHole {
    fn new() -> Self {
        let runtime = tokio_runtime();
        let listener = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            socket.listen(1)
        });
        let listener = listener.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let mut queued = Vec::new();
        let error = loop {
            match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
                Ok(stream) => queued.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        Self {
            address,
            _listener: listener,
            _queued: queued,
            _runtime: runtime,
        }
    }
}

/// The source's properties without those of any element.
fn properties() -> Vec<gst::glib::ParamSpec> {
    common::init();
    let source = gst::ElementFactory::make("reductsrc").build();
    let source = source.expect("the plugin is registered");
    let own = |pspec: &gst::glib::ParamSpec| pspec.owner_type() == source.type_();
    source.list_properties().into_iter().filter(own).collect()
}

#[test]
fn defaults_are_those_of_the_design() {
    let test = "defaults_are_those_of_the_design";
    if child::again(test, &[]).is_some() {
        return;
    }
    common::init();
    let source = gst::ElementFactory::make("reductsrc").build().unwrap();
    let none = None::<String>;
    assert_eq!(source.property::<String>("url"), "http://127.0.0.1:8383");
    assert!(source.property::<bool>("verify-ssl"));
    assert!(source.property::<bool>("gap-detection"));
    assert_eq!(source.property::<u64>("gap-tolerance"), 0);
    assert_eq!(source.property::<u32>("timeout"), 30_000);
    assert_eq!(
        source.property::<gst::Fraction>("fps"),
        gst::Fraction::new(0, 1)
    );
    for name in ["bucket", "entry", "start", "stop", "when", "ca-cert"] {
        assert_eq!(source.property::<Option<String>>(name), none, "{name}");
    }
}

#[test]
fn the_token_cannot_be_read() {
    let token = properties().into_iter().find(|p| p.name() == "api-token");
    let flags = token.expect("a property api-token").flags();
    assert!(!flags.contains(gst::glib::ParamFlags::READABLE));
    assert!(flags.contains(gst::glib::ParamFlags::WRITABLE));
}

#[test]
fn all_properties_but_stats_can_be_set_up_to_ready() {
    for pspec in properties() {
        let writable = pspec.flags().contains(gst::glib::ParamFlags::WRITABLE);
        let ready = pspec.flags().contains(gst::PARAM_FLAG_MUTABLE_READY);
        let settable = pspec.name() != "stats";
        assert_eq!((writable, ready), (settable, settable), "{}", pspec.name());
    }
}

#[test]
fn properties_stay_while_it_plays() {
    let stream = Stream::example();
    let (bucket, _) = record(&Recording::default(), &stream);
    let pipeline = pipeline(&SERVER, &bucket);
    let source = pipeline.element("src");
    let text = |name| source.property::<String>(name);
    pipeline.set_state(gst::State::Ready).unwrap();
    source.set_property("start", time_of(0));
    assert_eq!(text("start"), time_of(0));
    for state in [gst::State::Paused, gst::State::Playing] {
        pipeline.set_state(state).unwrap();
        source.set_property("start", time_of(30));
        source.set_property("entry", "other");
        assert_eq!((text("start"), text("entry")), (time_of(0), "e".into()));
    }
}

#[test]
fn url_and_token_come_from_the_environment() {
    let test = "url_and_token_come_from_the_environment";
    if let Ok(bucket) = std::env::var("TEST_BUCKET") {
        common::init();
        let pipeline = Pipeline::launch(&format!(
            "reductsrc name=src bucket={bucket} entry=e ! fakesink"
        ));
        pipeline.run().clean();
        assert_eq!(stat(&pipeline, "access-units"), 60);
        return;
    }
    let server = Server::builder().token("of-the-environment").start();
    let bucket = server.new_bucket();
    Recording::default().write(&server, &bucket, "e", &Stream::example());
    let variables = [
        ("REDUCT_URL", server.url()),
        ("REDUCT_API_TOKEN", "of-the-environment".into()),
        ("TEST_BUCKET", bucket),
    ];
    child::again(test, &variables.each_ref().map(|(n, v)| (*n, v.as_str())));
}

#[test]
fn caps_that_come_while_it_stops_are_no_error() {
    // A log function is called for all of a process, and cannot be removed safely while others log.
    if child::again("caps_that_come_while_it_stops_are_no_error", &[]).is_some() {
        return;
    }
    let (bucket, _) = record(&Recording::default(), &Stream::example());
    let pipeline = pipeline(&SERVER, &bucket);
    let source = pipeline.element("src");
    let pad = source.static_pad("src").expect("a pad");
    let (sender, caps) = mpsc::channel();
    // Between the record and its caps the source only logs.
    gst::log::set_threshold_for_name("reductsrc", gst::DebugLevel::Debug);
    gst::log::add_log_function(move |_, _, _, _, _, _, message| {
        let text = message.get();
        if text.is_some_and(|text| text.starts_with("Setting caps")) {
            // A panic would not pass through GStreamer; without this, the test fails by itself.
            let _ = sender.send(());
            let flushing = || pad.pad_flags().contains(gst::PadFlags::FLUSHING);
            await_that("the pad does not stop", flushing);
        }
    });
    pipeline.play();
    caps.recv().expect("caps");
    let outcome = pipeline.finish(Vec::new());
    assert!(outcome.errors.is_empty(), "{}", outcome.text());
}

#[test]
fn a_flush_after_an_error_is_not_followed_by_eos() {
    let (bucket, _) = record(&Recording::default(), &Stream::example());
    let pipeline = pipeline(&SERVER, &bucket);
    let source = pipeline.element("src");
    source.set_property("entry", "missing");
    let (sender, events) = mpsc::channel();
    let pad = source.static_pad("src").expect("a pad");
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let event = info.event().expect("an event");
        sender.send(event.type_()).expect("the test waits");
        gst::PadProbeReturn::Ok
    });
    pipeline.play();
    let messages = pipeline.wait_for_end();
    assert!(source.send_event(gst::event::FlushStart::new()));
    assert!(source.send_event(gst::event::FlushStop::new(true)));
    // The flush set the streaming thread going again, and it has no more to push.
    await_that("the task of the source does not pause", || {
        pad.task_state() == gst::TaskState::Paused
    });
    let outcome = pipeline.finish(messages);
    assert_eq!(outcome.errors.len(), 1, "{}", outcome.text());
    assert!(events.try_iter().all(|event| event != gst::EventType::Eos));
}
