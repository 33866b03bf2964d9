// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Streams that others made to tell good decoders from bad ones.
//!
//! Those in the package that `tests/media/Cargo.toml` names are always read. Where the variable
//! `REDUCT_TEST_MEDIA` names a folder, so are the conformance and error streams in its folder
//! `jvt`. Each is recorded an access unit a record, exported in episodes of a second or more, and
//! what a decoder makes of the episodes is compared with what it makes of the stream. The tests
//! print a table; [`STREAMS`] is what it has to say.

mod common;

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::line::{self, Export};
use common::mp4::{self, Decoded};
use common::recording::{Layout, Recording};
use common::stream::{Stream, is_idr};
use reduct_rs::JsonValue;

/// The name of each stream, how many pictures a decoder shows of it, how many it shows of the
/// episodes, and how many access units are dropped because no IDR picture is before them.
const STREAMS: &[(&str, usize, usize, usize)] = &[
    // Of the package.
    ("64x64-I.h264", 1, 1, 0),
    ("64x64-I-P.h264", 2, 2, 0),
    ("64x64-I-P-B-P.h264", 3, 3, 0),
    ("64x64-I-P-B-P-high.h264", 3, 3, 0),
    ("test-25fps.h264", 250, 250, 0),
    ("test-25fps-interlaced.h264", 250, 250, 0),
    // Of the folder.
    ("BASQP1_Sony_C.jsv", 4, 4, 0),
    ("BA_MW_D.264", 100, 100, 0),
    // The first IDR picture is lost.
    ("BA_MW_D_IDR_LOST.264", 70, 70, 27),
    ("CVFC1_Sony_C.jsv", 50, 50, 0),
    ("Cisco_Men_whisper_640x320_CABAC_Bframe_9.264", 9, 9, 0),
    // Slices are missing.
    ("Error_I_P.264", 6, 6, 0),
    ("LS_SVA_D.264", 1700, 1700, 0),
    ("MIDR_MW_D.264", 100, 100, 0),
    ("MPS_MW_A.264", 150, 150, 0),
    ("MR1_BT_A.h264", 62, 62, 0),
    ("NRF_MW_E.264", 100, 100, 0),
    ("SVA_BA1_B.264", 17, 17, 0),
    // Of the base view there are only parameter sets.
    ("sps_subsetsps_bothVUI.264", 0, 0, 0),
];

/// The frame rate that the streams get, whatever they say themselves.
const FPS: (u32, u32) = (25, 1);

/// Result for a stream.
struct Row {
    name: String,
    shown: usize,
    exported: usize,
    dropped: usize,
    /// The first picture that is another one or missing on one side.
    difference: Option<usize>,
    /// The export, whose files go with it, and what a decoder makes of each.
    export: Export,
    decoded: Vec<Decoded>,
}

impl Row {
    /// Exports a stream.
    fn new(path: &Path) -> Self {
        let bytes = fs::read(path).expect("the stream");
        let stream = Stream::from_damaged_bytes(&bytes, FPS);
        let first = stream.units.iter().position(|unit| is_idr(unit));
        let shown = mp4::decode_stream(&stream).checksums;
        // A decoder may show pictures before the first IDR picture, but their contents are undefined.
        let expected = match first {
            Some(first) if first > 0 => {
                let whole = stream.slice(first..stream.units.len());
                let sets = Stream {
                    units: vec![sets(&stream.units[..first])],
                    ..whole.clone()
                };
                mp4::decode_stream(&sets.then(whole)).checksums
            }
            _ => shown.clone(),
        };
        let recording = Recording {
            layout: Layout::AccessUnit,
            labels: &[],
            ..Default::default()
        };
        let bucket = line::record(&recording, &stream);
        let export = line::run(&bucket, "fps=25/1", "duration=1000000000");
        let decoded: Vec<_> = export
            .episodes
            .iter()
            .map(|episode| mp4::decode(&episode.location))
            .collect();
        let exported: Vec<_> = decoded.iter().flat_map(|file| &file.checksums).collect();
        let equal = expected.iter().zip(&exported);
        let equal = equal.take_while(|(left, right)| left == *right).count();
        Self {
            name: path.file_name().expect("a name").to_string_lossy().into(),
            shown: shown.len(),
            exported: exported.len(),
            dropped: (export.source_stat("dropped") + export.splitter_stat("dropped")) as usize,
            difference: (equal < expected.len().max(exported.len())).then_some(equal),
            export,
            decoded,
        }
    }

    /// Checks that frames are evenly spaced in the files.
    fn check_times(&self) {
        for (episode, decoded) in self.export.episodes.iter().zip(&self.decoded) {
            line::check_file(episode, &mp4::probe(&episode.location), FPS);
            line::check_times(episode, decoded, FPS);
        }
    }
}

/// The parameter sets in some access units.
fn sets(units: &[Vec<u8>]) -> Vec<u8> {
    let units = units
        .iter()
        .flat_map(|unit| common::stream::nal_units(unit));
    units
        .filter(|nal| matches!(common::stream::nal_type(nal), 7 | 8))
        .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
        .collect()
}

/// Exports the streams in a folder, prints the table and compares it with [`STREAMS`].
fn judge(folder: &Path) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a folder's entry").path())
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("264" | "h264" | "jsv" | "avc" | "26l"))
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no streams in {}", folder.display());

    let rows: Vec<Row> = paths.iter().map(|path| Row::new(path)).collect();
    let mut table = String::new();
    let heads = ["stream", "in", "out", "dropped", "first difference"];
    let [stream, shown, exported, dropped, difference] = heads;
    writeln!(
        table,
        "| {stream:46} | {shown:>5} | {exported:>5} | {dropped} | {difference} |"
    )
    .expect("a string takes all");
    for row in &rows {
        let difference = row.difference.map_or("none".into(), |at| at.to_string());
        let Row {
            name,
            shown,
            exported,
            dropped,
            ..
        } = row;
        writeln!(
            table,
            "| {name:46} | {shown:5} | {exported:5} | {dropped:7} | {difference:16} |"
        )
        .expect("a string takes all");
    }
    println!("{table}");

    for row in rows {
        let Row { name, .. } = &row;
        let known = STREAMS.iter().find(|(known, ..)| known == name);
        // For a stream that is not listed, everything is expected.
        let (_, shown, exported, dropped) = known.copied().unwrap_or(("", row.shown, row.shown, 0));
        assert_eq!(row.difference, None, "{name}\n{table}");
        assert_eq!(row.shown, shown, "pictures of {name}\n{table}");
        assert_eq!(
            row.exported, exported,
            "pictures of the episodes of {name}\n{table}"
        );
        assert_eq!(row.dropped, dropped, "dropped of {name}\n{table}");
        row.check_times();
    }
}

#[test]
fn streams_of_the_package() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(["--manifest-path", manifest])
        .output()
        .expect("cargo starts");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the package cannot be had: {complaints}"
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let metadata: JsonValue = text.parse().expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == "cros-codecs");
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = Path::new(manifest.expect("the package is there"));
    judge(&manifest.with_file_name("src/codec/h264/test_data"));
}

#[test]
fn streams_of_the_folder() {
    let Some(folder) = env::var_os("REDUCT_TEST_MEDIA") else {
        println!("skipped: REDUCT_TEST_MEDIA names no folder");
        return;
    };
    judge(&Path::new(&folder).join("jvt"));
}
