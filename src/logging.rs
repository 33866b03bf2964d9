// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Log events of the crates below the plugin, in GStreamer's debug log.
//!
//! These crates log by `tracing`. If the application has a subscriber of its own, the events go there instead.

use std::fmt::{self, Write};
use std::sync::LazyLock;

use gst::glib;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber, set_global_default};
use tracing::{Event, Level, Metadata};

/// Categories by the crate that logs.
static CATEGORIES: LazyLock<[(&str, gst::DebugCategory); 3]> = LazyLock::new(|| {
    let category =
        |name, text| gst::DebugCategory::new(name, gst::DebugColorFlags::empty(), Some(text));
    let client = category("reduct-client", "Requests to ReductStore");
    let recording = category("reduct-recording", "Entries of ReductStore as video");
    [
        ("client", client),
        ("recording", recording),
        ("media", recording),
    ]
});

/// Forwards events from now on, unless the process has a subscriber.
pub fn forward_events() {
    let _ = set_global_default(Forwarder);
}

/// A subscriber that writes events to a debug category.
struct Forwarder;

impl Subscriber for Forwarder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The threshold can change at any time. Other crates cost nothing.
        match category(metadata) {
            Some(_) => Interest::sometimes(),
            None => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        category(metadata).is_some_and(|category| level(metadata) <= category.threshold())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let Some(category) = category(metadata) else {
            return;
        };
        let mut text = Text::default();
        event.record(&mut text);
        let file = glib::GString::from(metadata.file().unwrap_or_default());
        category.log(
            None::<&gst::Object>,
            level(metadata),
            file.as_gstr(),
            metadata.target(),
            metadata.line().unwrap_or_default(),
            format_args!("{}", text.0),
        );
    }

    // There are no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Returns the category of an event, or `None` for one of another crate.
fn category(metadata: &Metadata<'_>) -> Option<gst::DebugCategory> {
    let name = metadata.target().split("::").next();
    let mut categories = CATEGORIES.iter();
    categories.find_map(|(of, category)| (Some(*of) == name).then_some(*category))
}

fn level(metadata: &Metadata<'_>) -> gst::DebugLevel {
    match *metadata.level() {
        Level::ERROR => gst::DebugLevel::Error,
        Level::WARN => gst::DebugLevel::Warning,
        Level::INFO => gst::DebugLevel::Info,
        Level::DEBUG => gst::DebugLevel::Debug,
        Level::TRACE => gst::DebugLevel::Trace,
    }
}

/// The message of an event, and after it its fields.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A string takes all.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
