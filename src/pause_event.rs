// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The event `reduct-pause`, which precedes the first buffer after a hole that running time leaves out.
//!
//! Access units after the hole are kept, also those before the next keyframe. Elements that do not know the event
//! forward it.

const NAME: &str = "reduct-pause";

/// Returns the event for a hole between two capture times.
pub fn new(from: gst::ClockTime, to: gst::ClockTime) -> gst::Event {
    let structure = gst::Structure::builder(NAME)
        .field("from", from.useconds())
        .field("to", to.useconds())
        .build();
    gst::event::CustomDownstream::builder(structure).build()
}

/// Returns whether an event is `reduct-pause`.
pub fn is_one(event: &gst::EventRef) -> bool {
    event.type_() == gst::EventType::CustomDownstream && event.has_name(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_recognized() {
        gst::init().unwrap();
        let time = gst::ClockTime::from_useconds(7);
        let event = new(time, time + time);
        assert!(is_one(&event) && event.is_serialized());
        let structure = event.structure().unwrap();
        assert_eq!(structure.get("from"), Ok(7u64));
        assert_eq!(structure.get("to"), Ok(14u64));
        assert!(!is_one(&gst::event::Eos::new()));
    }
}
