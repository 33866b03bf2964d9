// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reference timestamps of buffers: the capture time, and the time of the record that a buffer was read from.
//!
//! The capture time is a `GstReferenceTimestampMeta` with the caps `timestamp/x-unix`, or `timestamp/x-ntp` from
//! rtspsrc; the time of the record has the caps `timestamp/x-reduct-record`.

use std::sync::LazyLock;

const UNIX: &str = "timestamp/x-unix";
const NTP: &str = "timestamp/x-ntp";
const RECORD: &str = "timestamp/x-reduct-record";
/// From the epoch of NTP, 1900, to that of Unix, 1970 (RFC 5905, figure 4).
pub const NTP_TO_UNIX: gst::ClockTime = gst::ClockTime::from_seconds(2_208_988_800);

/// Reference of a capture time: the Unix epoch (documentation of `GstReferenceTimestampMeta`).
pub static UNIX_TIME: LazyLock<gst::Caps> = LazyLock::new(|| reference(UNIX));

/// Reference of a record's time, which counts from the Unix epoch as well.
pub static RECORD_TIME: LazyLock<gst::Caps> = LazyLock::new(|| reference(RECORD));

fn reference(name: &'static str) -> gst::Caps {
    let mut caps = gst::Caps::new_empty_simple(name);
    caps.make_mut().mark_may_be_leaked();
    caps
}

/// Returns the capture time since the Unix epoch, or `None` if the buffer has none.
pub fn of(buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let ntp = || time(buffer, NTP)?.checked_sub(NTP_TO_UNIX);
    time(buffer, UNIX).or_else(ntp)
}

/// Returns the time of the record that the buffer was read from, or `None` if it is not known.
pub fn of_record(buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    time(buffer, RECORD)
}

fn time(buffer: &gst::BufferRef, name: &str) -> Option<gst::ClockTime> {
    let mut metas = buffer.iter_meta::<gst::ReferenceTimestampMeta>();
    let meta = metas.find(|meta| {
        let reference = meta.reference().structure(0);
        reference.is_some_and(|structure| structure.name() == name)
    });
    meta.map(|meta| meta.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_buffers() {
        gst::init().unwrap();
        let time = |names: &[&str]| {
            let mut buffer = gst::Buffer::new();
            for (name, seconds) in names.iter().zip(2_208_988_801..) {
                let reference = gst::Caps::new_empty_simple(*name);
                let time = gst::ClockTime::from_seconds(seconds);
                gst::ReferenceTimestampMeta::add(
                    buffer.get_mut().unwrap(),
                    &reference,
                    time,
                    gst::ClockTime::NONE,
                );
            }
            of(&buffer).map(gst::ClockTime::seconds)
        };
        assert_eq!(time(&[]), None);
        assert_eq!(time(&["timestamp/x-other"]), None);
        assert_eq!(time(&["timestamp/x-ntp"]), Some(1));
        assert_eq!(time(&["timestamp/x-ntp", UNIX]), Some(2_208_988_802));
    }
}
