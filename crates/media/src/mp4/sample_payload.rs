// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Contents of a sample: NAL units with a length before each (ISO/IEC 14496-15, 5.3.4.2).

use std::io::{self, Write};

use bytes::Bytes;

/// Bytes of the length before a NAL unit.
const LENGTH: usize = size_of::<u32>();

/// The NAL units of a sample, which share memory with what they come from.
///
/// ```
/// use media::mp4::SamplePayload;
///
/// let payload: SamplePayload = [bytes::Bytes::from_static(&[0x65, 0x88])].into_iter().collect();
/// let mut sample = Vec::new();
/// payload.write_to(&mut sample)?;
/// assert_eq!(sample, [0, 0, 0, 2, 0x65, 0x88]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SamplePayload(Vec<Bytes>);

impl FromIterator<Bytes> for SamplePayload {
    fn from_iter<I: IntoIterator<Item = Bytes>>(nal_units: I) -> Self {
        Self(nal_units.into_iter().collect())
    }
}

impl SamplePayload {
    /// Returns the size of the sample in bytes, or `None` if a file cannot state it.
    pub fn size(&self) -> Option<u32> {
        let sizes = self.0.iter().map(|nal| nal.len().checked_add(LENGTH));
        let total = sizes.sum::<Option<usize>>()?;
        u32::try_from(total).ok()
    }

    /// Writes the sample: each NAL unit after its length in four bytes.
    ///
    /// # Errors
    ///
    /// Those of `sink`, and `InvalidInput` if a NAL unit is longer than its length can state.
    pub fn write_to(&self, sink: &mut impl Write) -> io::Result<()> {
        for nal in &self.0 {
            let length = u32::try_from(nal.len());
            let length = length.map_err(|_| io::ErrorKind::InvalidInput)?;
            sink.write_all(&length.to_be_bytes())?;
            sink.write_all(nal)?;
        }
        Ok(())
    }
}
