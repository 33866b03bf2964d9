// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The samples of a file that is read: their limits, and the errors of reading them.

/// Largest number of samples of a file: those of 77 hours at 30 frames per second.
pub const MAX_SAMPLES: u32 = 1 << 23;

/// A sample of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSample {
    /// Place of its first byte in the file.
    pub offset: u64,
    /// Size in bytes.
    pub size: u32,
    /// Decoding timestamp in ticks.
    pub dts: u64,
    /// Presentation timestamp in ticks.
    pub pts: i64,
    /// Duration in ticks: until the next DTS.
    pub duration: u32,
    /// Decoding can begin with it.
    pub is_sync: bool,
}

/// A file whose video track cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileReadError {
    /// There is no box `moov`.
    #[error("the file has no box moov")]
    NoMovie,
    /// There is no video track.
    #[error("the file has no video track")]
    NoVideo,
    /// A box is missing, ends too early, or has values that contradict each other.
    #[error("box {} is missing or broken", .0.escape_ascii())]
    Broken([u8; 4]),
    /// A sample is empty, is not within the file, or samples share bytes.
    #[error("a sample is not within the file")]
    SamplePlace,
    /// A fragment has several tracks, and the places of samples are known only with those of the other tracks.
    #[error("the places of samples depend on those of another track")]
    ImplicitPlace,
    /// The file has more samples than this reader accepts.
    #[error("more than {MAX_SAMPLES} samples")]
    TooManySamples,
    /// The file has more or longer boxes than this reader accepts.
    #[error("the boxes of the file are too many or too long")]
    TooManyBoxes,
}

/// Samples of a file in decoding order.
#[derive(Debug)]
pub struct SampleList {
    samples: Vec<FileSample>,
    /// Bytes of the file.
    length: u64,
    /// Bytes of the samples.
    total: u64,
}

impl SampleList {
    /// Creates the list of a file of so many bytes.
    pub fn new(length: u64) -> Self {
        Self {
            samples: Vec::new(),
            length,
            total: 0,
        }
    }

    /// Adds the next sample.
    ///
    /// # Errors
    ///
    /// It cannot be a sample of the file: so there are never more than its bytes can hold.
    pub fn push(&mut self, sample: FileSample) -> Result<(), FileReadError> {
        let size = u64::from(sample.size);
        let end = sample.offset.checked_add(size);
        self.total = self.total.saturating_add(size);
        if size == 0 || end.is_none_or(|end| end > self.length) || self.total > self.length {
            return Err(FileReadError::SamplePlace);
        }
        if self.samples.len() >= MAX_SAMPLES as usize {
            return Err(FileReadError::TooManySamples);
        }
        self.samples.push(sample);
        Ok(())
    }

    /// Returns the end of the last sample in ticks.
    pub fn end(&self) -> u64 {
        let last = self.samples.last();
        last.map_or(0, |last| last.dts.saturating_add(last.duration.into()))
    }

    /// Takes the samples.
    pub fn into_samples(self) -> Vec<FileSample> {
        self.samples
    }
}
