// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Time from records of 25 KB to access units, and from these to MP4 samples: with the NAL units that
//! the splitter found, and with a second search for them.

use std::collections::VecDeque;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use media::access_unit::{AccessUnit, Chunk};
use media::codec::h264::AccessUnitSplitter;
use media::codec::h264::testing::{IDR, P, SPS, SliceSpec, pps, record, slice, sps};

const FRAMES: u8 = 120;
const BYTES: usize = 25_000;

/// Access units of one slice, a record each. The slice data has no zeros, as noise has few.
fn records() -> Vec<Bytes> {
    let data: Vec<u8> = (0..BYTES).map(|byte| (byte % 255 + 1) as u8).collect();
    let whole = |header| [slice(header), data.clone()].concat();
    let others = (1..FRAMES).map(|frame| {
        record(&[&whole(SliceSpec {
            frame_num: frame % 16,
            order: 2 * frame % 16,
            ..P
        })])
    });
    let first = record(&[&sps(SPS), &pps(0), &whole(IDR)]);
    [first].into_iter().chain(others).collect()
}

fn split(records: &[Bytes]) -> VecDeque<AccessUnit> {
    let mut splitter = AccessUnitSplitter::default();
    let mut units = VecDeque::new();
    for record in records {
        splitter.push(record, &mut units);
    }
    splitter.finish(&mut units);
    units
}

/// Appends NAL units with their lengths before them.
fn sample<'a>(chunks: impl Iterator<Item = &'a Chunk>, sample: &mut Vec<u8>) {
    sample.clear();
    for nal in chunks.flat_map(Chunk::nal_units) {
        sample.extend((nal.len() as u32).to_be_bytes());
        sample.extend(&nal);
    }
}

fn benchmark(criterion: &mut Criterion) {
    let records = records();
    let bytes = records.iter().map(|record| record.len() as u64).sum();
    let units = split(&records);
    assert_eq!(units.len(), usize::from(FRAMES));
    let mut group = criterion.benchmark_group("samples");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("access units", |bencher| {
        bencher.iter(|| split(black_box(&records)));
    });
    let mut contents = Vec::with_capacity(2 * BYTES);
    group.bench_function("samples, NAL units known", |bencher| {
        bencher.iter(|| {
            for unit in &units {
                sample(unit.parts.iter(), &mut contents);
                black_box(&contents);
            }
        });
    });
    group.bench_function("samples, NAL units searched for", |bencher| {
        bencher.iter(|| {
            for unit in &units {
                let chunks: Vec<_> = (unit.parts.iter())
                    .map(|part| Chunk::new(part.bytes().clone()))
                    .collect();
                sample(chunks.iter(), &mut contents);
                black_box(&contents);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
