// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Conversions between the times and rates of `media` and those of GStreamer.

use media::frame_rate::FrameRate;
use media::time::{CaptureTime, Nanos};

/// Conversion to a time of GStreamer, or of optional times.
pub trait ToClockTime {
    type ClockTime;

    /// Returns the same time as a `GstClockTime`.
    fn clock_time(self) -> Self::ClockTime;
}

impl ToClockTime for Nanos {
    type ClockTime = gst::ClockTime;

    fn clock_time(self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.nseconds())
    }
}

impl ToClockTime for Option<Nanos> {
    type ClockTime = Option<gst::ClockTime>;

    fn clock_time(self) -> Self::ClockTime {
        self.map(Nanos::clock_time)
    }
}

impl ToClockTime for CaptureTime {
    type ClockTime = gst::ClockTime;

    /// Returns the time since the Unix epoch.
    fn clock_time(self) -> gst::ClockTime {
        self.since_epoch().clock_time()
    }
}

/// Conversion from a time of GStreamer, or from optional times.
pub trait ToNanos {
    type Nanos;

    /// Returns the same time as [`Nanos`].
    fn nanos(self) -> Self::Nanos;
}

impl ToNanos for gst::ClockTime {
    type Nanos = Nanos;

    fn nanos(self) -> Nanos {
        Nanos::from_nseconds(self.nseconds())
    }
}

impl ToNanos for Option<gst::ClockTime> {
    type Nanos = Option<Nanos>;

    fn nanos(self) -> Self::Nanos {
        self.map(gst::ClockTime::nanos)
    }
}

/// Conversion to a fraction of GStreamer.
pub trait ToFraction {
    /// Returns the same rate as a `GstFraction`.
    fn fraction(self) -> gst::Fraction;
}

impl ToFraction for FrameRate {
    fn fraction(self) -> gst::Fraction {
        gst::Fraction::new(self.numer(), self.denom())
    }
}

/// Returns a rate of caps or a property, or `None` for 0 (no or a variable rate).
pub fn frame_rate(fraction: gst::Fraction) -> Option<FrameRate> {
    FrameRate::new(fraction.numer(), fraction.denom())
}
