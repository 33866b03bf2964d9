// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Elements inside the bin: `splitmuxsink`, with `mp4mux` in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gst::glib;
use gst::prelude::*;
use media::cut::HeaderKind;

use super::CAT;
use super::marks::{EPOCH_FIELD, PART_OF_GROUP, TIMESCALE_FIELD};
use crate::lock::lock;

/// Location of the empty file that splitmuxsink writes for a stream without buffers.
pub const NO_FILE: &str = "/dev/null";

/// Capacity of the muxer's queue: GstAggregator queues as much as its latency.
const MUXER_QUEUE: gst::ClockTime = gst::ClockTime::SECOND;

/// The elements inside the bin.
#[derive(Debug, Clone)]
pub struct Children {
    pub muxer: gst::Element,
    pub splitter: gst::Element,
    /// Video pad of `splitter`.
    pub input: gst::Pad,
    /// Access units in the file that is being written.
    written: Arc<AtomicU64>,
}

impl Children {
    /// Makes the elements.
    ///
    /// # Errors
    ///
    /// `CoreError::MissingPlugin` that names the element and its plugin.
    pub fn new() -> Result<Self, gst::ErrorMessage> {
        let muxer = make("mp4mux", "isomp4", "good")?;
        let splitter = make("splitmuxsink", "multifile", "good")?;
        // The policy decides every cut. The properties of a muxer that is set here hold for each file.
        splitter.set_property("max-size-time", 0u64);
        splitter.set_property("max-size-bytes", 0u64);
        splitter.set_property("muxer", &muxer);
        let written = Arc::new(AtomicU64::new(0));
        let counter = written.clone();
        muxer.connect_pad_added(move |_, pad| {
            let counter = counter.clone();
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let Some(buffer) = info.buffer_mut() else {
                    return gst::PadProbeReturn::Ok;
                };
                // The flag is for splitmuxsink only.
                if buffer.size() == 0 {
                    return gst::PadProbeReturn::Handled;
                }
                counter.fetch_add(1, Ordering::Relaxed);
                restore_delta_unit(buffer);
                gst::PadProbeReturn::Ok
            });
            let format = FileFormat::default();
            pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
                match info.event().map(|event| event.view()) {
                    Some(gst::EventView::Caps(caps)) if !format.accepts(caps.caps()) => {
                        info.flow_res = Err(gst::FlowError::NotNegotiated);
                        return gst::PadProbeReturn::Handled;
                    }
                    Some(gst::EventView::Caps(caps)) => format.set_timescale(pad, caps.caps()),
                    Some(gst::EventView::Eos(_)) => format.reset(),
                    _ => {}
                }
                gst::PadProbeReturn::Ok
            });
            // A flush unblocks splitmuxsink and is dropped here: filesink would truncate its open file, and
            // GstAggregator 1.22 can deadlock with its own thread.
            pad.add_probe(gst::PadProbeType::EVENT_FLUSH, |_, _| {
                gst::PadProbeReturn::Handled
            });
        });
        // Its state is set separately, see `start_splitter`.
        splitter.set_locked_state(true);
        let input = splitter.request_pad_simple("video").ok_or_else(|| {
            gst::error_msg!(gst::CoreError::Pad, ["splitmuxsink has no pad for video"])
        })?;
        Ok(Self {
            muxer,
            splitter,
            input,
            written,
        })
    }

    /// Adds the elements to `bin`.
    pub fn add_to(&self, bin: &gst::Bin) -> Result<(), glib::BoolError> {
        bin.add(&self.splitter)
    }

    /// Stops the elements and takes them out of `bin`.
    pub fn remove_from(&self, bin: &gst::Bin) -> Result<(), glib::BoolError> {
        bin.remove(&self.splitter)?;
        if let Err(err) = self.splitter.set_state(gst::State::Null) {
            gst::warning!(CAT, obj = self.splitter, "{err}");
        }
        Ok(())
    }

    /// Brings splitmuxsink to PLAYING, before there is any data.
    ///
    /// On its own it would stay in READY until its first file is open and have its streaming thread
    /// commit PAUSED. A pipeline with such a sink can lose its EOS: GstBin clears `posted_playing`
    /// after it has posted PAUSED, and another thread may have gone to PLAYING in between. Files
    /// need no preroll, so that the state is committed here.
    ///
    /// GstElement wants its state lock held for that, against other threads that change the state.
    /// The bin alone changes the state of a locked child, and only in its own state change.
    pub fn start_splitter(&self) -> Result<(), gst::StateChangeError> {
        if self.splitter.set_state(gst::State::Playing)? == gst::StateChangeSuccess::Async {
            self.splitter
                .continue_state(gst::StateChangeSuccess::Success)?;
        }
        Ok(())
    }

    /// Brings splitmuxsink to `state`, READY or NULL.
    ///
    /// While it begins a file, splitmuxsink 1.22 can lose the request to stop, and its thread would wait forever. It
    /// does not lose a flush.
    pub fn stop_splitter(&self, state: gst::State) -> Result<(), gst::StateChangeError> {
        if self.splitter.current_state() > gst::State::Ready {
            self.input.send_event(gst::event::FlushStart::new());
        }
        self.splitter.set_state(state).map(|_| ())
    }

    /// Sets whether the muxer may queue more than one buffer. With one, two threads wait for each other at each
    /// buffer, which costs more than their work.
    pub fn let_muxer_queue(&self, allowed: bool) {
        let queue = if allowed {
            MUXER_QUEUE
        } else {
            gst::ClockTime::ZERO
        };
        self.muxer.set_property("latency", queue.nseconds());
    }

    /// Sets properties of the muxer from the fields of a structure. Text is converted to the property's type.
    ///
    /// # Errors
    ///
    /// `ResourceError::Settings` for a property that mp4mux does not have, or of another type.
    pub fn configure_muxer(&self, properties: &gst::StructureRef) -> Result<(), gst::ErrorMessage> {
        for (name, value) in properties.iter() {
            let invalid = || {
                gst::error_msg!(
                    gst::ResourceError::Settings,
                    ("muxer-properties: mp4mux has no property '{name}' with the value {value:?}")
                )
            };
            let pspec = self.muxer.find_property(name).ok_or_else(invalid)?;
            let writable = pspec.flags().contains(glib::ParamFlags::WRITABLE);
            let value = match value.get::<&str>() {
                Ok(text) => glib::Value::deserialize_with_pspec(text, &pspec).ok(),
                Err(_) => value.transform_with_type(pspec.value_type()).ok(),
            };
            let value = value.filter(|_| writable).ok_or_else(invalid)?;
            self.muxer.set_property_from_value(name, &value);
        }
        Ok(())
    }

    /// Returns the number of access units in the file that was closed, and begins to count those of the next one.
    pub fn take_written(&self) -> u64 {
        self.written.swap(0, Ordering::Relaxed)
    }

    /// Returns the position of the sample tables in files of the muxer, as it is configured.
    pub fn header(&self) -> HeaderKind {
        if self.muxer.property::<u32>("fragment-duration") > 0 {
            HeaderKind::Fragments
        } else if self.muxer.property::<bool>("faststart")
            || self.muxer.property::<u64>("reserved-max-duration") != u64::MAX
        {
            HeaderKind::First
        } else {
            HeaderKind::Last
        }
    }
}

/// The format of the file that a muxer writes.
///
/// mp4mux compares caps with those that its own thread has dealt with. While the first ones are still
/// queued it accepts any others, and the last sample of the file gets their sample description. Refused
/// caps make splitmuxsink end the file.
#[derive(Debug, Default)]
struct FileFormat {
    epoch: Mutex<Option<i32>>,
    /// Time scale of the movie that was set here, 0 for none.
    movie_timescale: Mutex<u32>,
}

impl FileFormat {
    /// Returns whether samples of this format fit the file, whose format is the first one.
    fn accepts(&self, caps: &gst::CapsRef) -> bool {
        let epoch = caps
            .structure(0)
            .and_then(|caps| caps.get::<i32>(EPOCH_FIELD).ok());
        let mut current = lock(&self.epoch);
        match *current {
            Some(current) => epoch == Some(current),
            None => {
                *current = epoch;
                true
            }
        }
    }

    /// Sets the time scale of the file that begins with these caps, before mp4mux deals with them.
    fn set_timescale(&self, pad: &gst::Pad, caps: &gst::CapsRef) {
        let structure = caps.structure(0);
        let units = structure.and_then(|caps| caps.get::<u32>(TIMESCALE_FIELD).ok());
        let Some((units, muxer)) = units.zip(pad.parent_element()) else {
            return;
        };
        pad.set_property("trak-timescale", units);
        let is_own = {
            let mut own = lock(&self.movie_timescale);
            let is_own = muxer.property::<u32>("movie-timescale") == *own;
            *own = if is_own { units } else { 0 };
            is_own
        };
        // A different value comes from the property muxer-properties.
        if is_own {
            muxer.set_property("movie-timescale", units);
        }
    }

    /// Ends the file.
    fn reset(&self) {
        *lock(&self.epoch) = None;
    }
}

/// Restores DELTA_UNIT of access units that are keyframes for splitmuxsink only.
fn restore_delta_unit(buffer: &mut gst::Buffer) {
    if buffer.flags().contains(PART_OF_GROUP) {
        let contents = buffer.make_mut();
        contents.unset_flags(PART_OF_GROUP);
        contents.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
}

fn make(factory: &str, plugin: &str, set: &str) -> Result<gst::Element, gst::ErrorMessage> {
    gst::ElementFactory::make(factory)
        .name(factory)
        .build()
        .map_err(|_| {
            gst::error_msg!(
                gst::CoreError::MissingPlugin,
                ("The element {factory} is missing. It is in the plugin {plugin} of \
                     gst-plugins-{set} (Debian: gstreamer1.0-plugins-{set})")
            )
        })
}
