// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Benchmarks of splitting records into access units and of stamping these.
//!
//! The limit is 1 ns a byte for access units of 25 KB. h264parse is measured with the same data.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gst::prelude::*;
use gstreduct::stamping::{Frame, buffer};
use media::access_unit::AccessUnit;
use media::codec::h264::{AccessUnitSplitter, Aligner};
use media::frame_rate::FrameRate;
use media::stamp::Stamper;
use media::time::{CaptureTime, Nanos};
use media::timeline::{DeclaredRate, RateSource, Timeline, TimelineConfig};

const FPS: u64 = 30;
/// Frames in a group of pictures.
const GOP: usize = 30;
const FRAMES: usize = 4 * GOP;

/// Noise as H.264, an access unit a record, with `size` bytes each on average.
fn encode(size: usize, slices: usize) -> Vec<Bytes> {
    let kbits = size as u64 * 8 * FPS / 1000;
    let description = format!(
        "videotestsrc pattern=snow num-buffers={FRAMES} \
         ! video/x-raw,width=320,height=240,framerate={FPS}/1,format=I420 \
         ! x264enc bitrate={kbits} vbv-buf-capacity=100 speed-preset=veryfast threads=1 bframes=0 \
           key-int-max={GOP} option-string=slices={slices}:scenecut=0 \
         ! video/x-h264,stream-format=byte-stream,alignment=au \
         ! appsink name=sink sync=false"
    );
    let pipeline = gst::parse::launch(&description).expect("elements of the usual plugins");
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    let sink = pipeline.by_name("sink").expect("it is in the pipeline");
    let sink = sink.downcast::<gst_app::AppSink>().expect("an appsink");
    pipeline
        .set_state(gst::State::Playing)
        .expect("nothing waits for anything");
    let sample = std::iter::from_fn(|| sink.pull_sample().ok());
    let units = sample
        .map(|sample| {
            let buffer = sample.buffer().expect("a sample of video");
            let map = buffer.map_readable().expect("memory of the system");
            Bytes::copy_from_slice(&map)
        })
        .collect();
    pipeline.set_state(gst::State::Null).expect("it stops");
    units
}

fn split(records: &[Bytes]) -> usize {
    let mut aligner = Aligner::new(false);
    let mut aligned = VecDeque::new();
    let mut splitter = AccessUnitSplitter::default();
    let mut units = VecDeque::new();
    let mut count = 0;
    for record in records {
        aligner.push((), vec![record.clone()], &mut aligned);
        for record in aligned.drain(..) {
            splitter.push_record(&record.pieces, &mut units);
        }
        count += units.drain(..).map(black_box).count();
    }
    aligner.end(false, &mut aligned);
    for record in aligned.drain(..) {
        splitter.push_record(&record.pieces, &mut units);
    }
    splitter.finish(&mut units);
    count + units.len()
}

/// All that reductsrc does with records between reading and pushing.
fn split_and_stamp(records: &[Bytes]) -> usize {
    let mut splitter = AccessUnitSplitter::default();
    let mut timeline = Timeline::new(TimelineConfig::default());
    let mut reorder = Stamper::default();
    let mut units = VecDeque::new();
    let mut count = 0;
    let rate = DeclaredRate {
        rate: FrameRate::new(FPS as i32, 1).unwrap(),
        source: RateSource::Label,
    };
    let mut time = CaptureTime::from_useconds(1_749_804_653_000_000);
    let mut stamp = |units: &mut VecDeque<AccessUnit>, timeline: &mut Timeline, is_last| {
        while !units.is_empty()
            && let Some(slot) = timeline.pop()
            && let Some(unit) = units.pop_front()
        {
            let order = unit.order.expect("nothing is damaged");
            reorder.push(unit, order, slot);
        }
        if is_last {
            reorder.end_sequence();
        }
        while let Some((unit, stamp)) = reorder.pop() {
            black_box(buffer(Frame::new(unit, &stamp)));
            count += 1;
        }
    };
    for record in records {
        let pushed = splitter.push(record, &mut units);
        timeline.push(time, pushed.begun, Some(rate));
        time += pushed.begun as u64 * Nanos::SECOND / FPS;
        stamp(&mut units, &mut timeline, false);
    }
    timeline.finish().expect("there is a frame rate");
    splitter.finish(&mut units);
    stamp(&mut units, &mut timeline, true);
    count
}

/// h264parse in this thread, without a pipeline.
fn parser(alignment: Option<&str>, output: &str) -> gst_check::Harness {
    let mut harness = gst_check::Harness::new("h264parse");
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field_if_some("alignment", alignment)
        .field("framerate", gst::Fraction::new(FPS as i32, 1))
        .build();
    harness.set_sink_caps_str(&format!("video/x-h264,stream-format={output},alignment=au"));
    harness.set_src_caps(caps);
    harness.play();
    harness
}

fn parse(harness: &mut gst_check::Harness, records: &[Bytes]) -> usize {
    let mut count = 0;
    for record in records {
        let buffer = gst::Buffer::from_slice(record.clone());
        harness.push(buffer).expect("h264parse takes all of it");
        while let Some(unit) = harness.try_pull() {
            black_box(unit);
            count += 1;
        }
    }
    count
}

fn access_units(criterion: &mut Criterion) {
    gst::init().expect("GStreamer is there");
    let gops = |units: Vec<Bytes>| -> Vec<Bytes> {
        let gop = |units: &[Bytes]| {
            let gop: BytesMut = units.iter().flatten().copied().collect();
            gop.freeze()
        };
        units.chunks(GOP).map(gop).collect()
    };
    let inputs = [
        ("25 KB", Some("au"), encode(25_000, 1)),
        ("25 KB, 4 slices", Some("au"), encode(25_000, 4)),
        ("2 KB", Some("au"), encode(2_000, 1)),
        ("770 KB, 30 frames", None, gops(encode(25_600, 1))),
    ];
    for (name, alignment, records) in inputs {
        let bytes: usize = records.iter().map(Bytes::len).sum();
        eprintln!("{name}: {} records, {bytes} bytes", records.len());
        assert_eq!(split(&records), FRAMES);
        assert_eq!(split_and_stamp(&records), FRAMES);

        let mut group = criterion.benchmark_group(format!("records of {name}"));
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function("split", |b| {
            b.iter(|| split(&records));
        });
        group.bench_function("split and stamp", |b| {
            b.iter(|| split_and_stamp(&records));
        });
        for output in ["byte-stream", "avc"] {
            let mut harness = parser(alignment, output);
            // The last one waits for the next record.
            assert!(parse(&mut harness, &records) >= FRAMES - 1);
            group.bench_function(format!("h264parse to {output}"), |b| {
                b.iter(|| parse(&mut harness, &records));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = access_units
}
criterion_main!(benches);
