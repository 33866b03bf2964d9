// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The video track of an MP4 file: the times and places of its samples, and their contents as Annex B byte stream.

use std::collections::VecDeque;
use std::path::PathBuf;

use bytes::Bytes;
use media::codec::h264::{
    AccessUnitSplitter, ParameterSets, insert_parameter_sets, nal_type, nal_unit_type,
    recovery_frame_count,
};
use media::codec::length_prefixed;
use media::mp4::{FileBytes, FileSample, PresentedFrame, VideoTrackFile, read_video_track_of};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::columns::integers;
use crate::errors::StreamError;
use crate::mp4_bytes::{InMemory, OnDisk};

/// The first video track of an MP4 file, whose codec is H.264.
#[pyclass(frozen, module = "reduct_frames._core")]
#[derive(Debug)]
pub struct Mp4Track {
    track: VideoTrackFile,
    /// Bytes of the length before each NAL unit.
    length_size: usize,
    sets: ParameterSets,
}

#[pymethods]
impl Mp4Track {
    /// Reads the headers of a file on disk.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| {
            let file = OnDisk::open(&path)?;
            let track = Self::read(&file);
            file.take_error().map_or(track, |error| Err(error.into()))
        })
    }

    /// Reads the headers of a file in memory.
    #[staticmethod]
    fn parse(py: Python<'_>, file: &[u8]) -> PyResult<Self> {
        py.detach(|| Self::read(&InMemory(file)))
    }

    /// Returns the samples in decoding order: the columns `offset`, `size`, `dts`, `pts` and `duration` as native
    /// integers of 8 bytes, and `keyframe` of one.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let samples = &self.track.samples;
        let column = |value: fn(&FileSample) -> i64| {
            integers(py, &samples.iter().map(value).collect::<Vec<_>>())
        };
        let dict = PyDict::new(py);
        dict.set_item("offset", column(|it| as_signed(it.offset))?)?;
        dict.set_item("size", column(|it| it.size.into())?)?;
        dict.set_item("dts", column(|it| as_signed(it.dts))?)?;
        dict.set_item("pts", column(|it| it.pts)?)?;
        dict.set_item("duration", column(|it| it.duration.into())?)?;
        let keyframes: Vec<_> = samples.iter().map(|it| u8::from(it.is_sync)).collect();
        dict.set_item("keyframe", PyBytes::new(py, &keyframes))?;
        Ok(dict)
    }

    /// Returns the samples that are shown, in the order in which they are shown: the columns `sample`, a number in
    /// decoding order, `pts` and `duration` as native integers of 8 bytes.
    fn presentation<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let frames = self.track.presentation();
        let frames = frames.map_err(|error| StreamError::new_err(error.to_string()))?;
        let column = |value: fn(&PresentedFrame) -> i64| {
            integers(py, &frames.iter().map(value).collect::<Vec<_>>())
        };
        let dict = PyDict::new(py);
        dict.set_item("sample", column(|it| as_signed(it.sample as u64))?)?;
        dict.set_item("pts", column(|it| it.pts)?)?;
        dict.set_item("duration", column(|it| it.duration)?)?;
        Ok(dict)
    }

    /// Returns the places of samples in output order, which are all samples in decoding order: the columns `sequence`
    /// and `count` as native integers of 8 bytes, or `None` if one has no picture that can be placed.
    fn output_order<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let mut splitter = AccessUnitSplitter::default();
        (self.sets.iter()).for_each(|nal| splitter.put_parameter_set(nal));
        let mut units = VecDeque::new();
        let (mut sequences, mut counts) = (Vec::new(), Vec::new());
        let mut sequence = 0;
        for sample in samples.try_iter()? {
            let sample = sample?;
            let sample = sample.cast::<PyBytes>()?.as_bytes();
            let stream = length_prefixed::to_byte_stream(self.length_size, sample);
            splitter.push(&Bytes::from(stream), &mut units);
            splitter.end_run(&mut units);
            let mut orders = units.drain(..).map(|unit| unit.order);
            let (Some(Some(order)), None) = (orders.next(), orders.next()) else {
                return Ok(None);
            };
            sequence += i64::from(order.follows_all_before());
            sequences.push(sequence);
            counts.push(order.count);
        }
        let dict = PyDict::new(py);
        dict.set_item("sequence", integers(py, &sequences)?)?;
        dict.set_item("count", integers(py, &counts)?)?;
        Ok(Some(dict))
    }

    /// Ticks per second of the samples.
    #[getter]
    fn time_scale(&self) -> u32 {
        self.track.media.units
    }

    /// Height and width in pixels.
    #[getter]
    fn size(&self) -> (u16, u16) {
        let [width, height] = self.track.size;
        (height, width)
    }

    /// Returns a sample as Annex B byte stream, and the facts that decoding can begin with it and that it is whole.
    /// `with_sets` adds the parameter sets of the file if the sample has none.
    fn access_unit<'py>(
        &self,
        py: Python<'py>,
        sample: &[u8],
        with_sets: bool,
    ) -> (Bound<'py, PyBytes>, bool, bool) {
        let mut is_entry = false;
        let mut is_whole = true;
        let mut has_sets = false;
        for nal in length_prefixed::nal_units(self.length_size, sample) {
            let Some(nal) = nal else {
                is_whole = false;
                break;
            };
            match nal.first().map(|header| nal_unit_type(*header)) {
                Some(nal_type::SLICE_IDR) => is_entry = true,
                Some(nal_type::SEI) => is_entry |= recovery_frame_count(nal) == Some(0),
                Some(nal_type::SPS) => has_sets = true,
                Some(_) => {}
                None => is_whole = false,
            }
        }
        let stream = length_prefixed::to_byte_stream(self.length_size, sample);
        if !with_sets || has_sets {
            return (PyBytes::new(py, &stream), is_entry, is_whole);
        }
        let mut parts = vec![Bytes::from(stream)];
        insert_parameter_sets(&mut parts, &self.sets);
        (PyBytes::new(py, &parts.concat()), is_entry, is_whole)
    }
}

impl Mp4Track {
    fn read(file: &dyn FileBytes) -> PyResult<Self> {
        let track = read_video_track_of(file);
        let track = track.map_err(|error| StreamError::new_err(error.to_string()))?;
        if !matches!(&track.sample_entry, b"avc1" | b"avc3") {
            let codec = track.sample_entry.escape_ascii();
            let text = format!("the codec of the video is {codec}, not H.264");
            return Err(StreamError::new_err(text));
        }
        let configuration = track.configuration.clone().unwrap_or_default();
        let length_size = length_prefixed::length_size(&configuration);
        let length_size =
            length_size.ok_or_else(|| StreamError::new_err("box avcC is missing or broken"))?;
        Ok(Self {
            sets: ParameterSets::from_configuration(&configuration),
            track,
            length_size,
        })
    }
}

/// Returns a number of the file. It has 63 bits at most: no place and no time of a file is larger.
fn as_signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
