// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Finds the elements that are linked downstream, and the caps and files that they accept.

use gst::glib;
use gst::prelude::*;
use media::content::MP4_TYPE;

use super::episodes;

/// Elements that pass buffers on, and return the flow of them, at once.
const TRANSPARENT: [&str; 4] = ["capsfilter", "identity", "tee", "typefind"];
/// Sinks that write everything to one file.
const FILE_SINKS: [&str; 4] = ["filesink", "fdsink", "giosink", "giostreamsink"];
/// A sink that begins a new file at a property's demand.
const MULTI_FILE_SINK: &str = "multifilesink";
/// Upper limit of pads to follow.
const MOST_PADS: usize = 100;

/// Element that is linked downstream.
#[derive(Debug, PartialEq, Eq)]
pub enum Taker {
    /// No demuxer, as far as can be seen.
    NoDemuxer,
    /// A demuxer that gets them as they are pushed.
    Demuxer,
    /// A demuxer behind another element, whose names these are.
    DemuxerBehind { demuxer: String, other: String },
    /// A sink with this name that writes one file, or files that do not begin with episodes.
    OneFile { sink: String },
}

/// Returns whether caps may be pushed from a source pad, as far as can be asked.
pub fn takes(pad: &gst::Pad, caps: &gst::Caps) -> bool {
    pad.peer_query_caps(None).can_intersect(caps)
}

/// Returns the error for caps that are refused.
pub fn refusal(pad: &gst::Pad, caps: &gst::Caps) -> gst::ErrorMessage {
    let name = pad.peer().and_then(|peer| peer.parent_element());
    let name = name.map_or_else(|| "what is linked".into(), |element| element.name());
    if caps.can_intersect(&episodes::caps()) {
        return gst::error_msg!(
            gst::CoreError::Negotiation,
            (
                "The records are MP4 episodes ({}), which {name} does not take. Put a demuxer behind \
                 this element, as in reductsrc ! qtdemux ! h264parse",
                MP4_TYPE
            )
        );
    }
    gst::error_msg!(
        gst::CoreError::Negotiation,
        ("The records are H.264 as a byte stream of access units, which {name} does not take: {caps}. \
             Put h264parse, or a decoder, behind this element")
    )
}

/// Looks for a demuxer downstream of a source pad.
pub fn taker(pad: &gst::Pad) -> Taker {
    let mut other = None;
    let mut pads = vec![pad.clone()];
    let mut found = Taker::NoDemuxer;
    for _ in 0..MOST_PADS {
        let Some(pad) = pads.pop() else {
            break;
        };
        let Some(peer) = pad.peer() else {
            continue;
        };
        // A ghost pad hands on to the pad inside, whose parent it is.
        if let Some(element) = peer
            .parent_element()
            .filter(|_| !peer.is::<gst::ProxyPad>())
        {
            let factory = element.factory();
            let is_demuxer = (factory.as_ref())
                .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DEMUXER));
            if is_demuxer {
                let demuxer = element.name().into();
                return match other {
                    Some(other) => Taker::DemuxerBehind { demuxer, other },
                    None => Taker::Demuxer,
                };
            }
            let is_transparent =
                factory.is_some_and(|factory| TRANSPARENT.contains(&factory.name().as_str()));
            if is_file_sink(&element) {
                let sink = element.name().into();
                found = Taker::OneFile { sink };
            }
            if !is_transparent {
                other.get_or_insert_with(|| element.name().into());
            }
        }
        pads.extend(peer.iterate_internal_links().into_iter().flatten());
    }
    found
}

/// Returns whether episodes share a file in a sink.
fn is_file_sink(element: &gst::Element) -> bool {
    let factory = element.factory().map(|factory| factory.name());
    match factory.as_deref() {
        Some(MULTI_FILE_SINK) => {
            let next_file = element.property_value("next-file");
            let next_file = glib::EnumValue::from_value(&next_file);
            next_file.is_some_and(|(_, next_file)| next_file.nick() != "discont")
        }
        Some(factory) => FILE_SINKS.contains(&factory),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taker_in(description: &str) -> Taker {
        gst::init().unwrap();
        let description = format!("fakesrc name=source ! {description}");
        let bin = gst::parse::bin_from_description(&description, false).unwrap();
        let source = bin.by_name("source").unwrap();
        taker(&source.static_pad("src").unwrap())
    }

    #[test]
    fn elements_downstream_are_found() {
        for description in [
            "fakesink",
            "queue ! fakesink",
            "queue ! multifilesink next-file=discont",
        ] {
            assert_eq!(taker_in(description), Taker::NoDemuxer, "{description}");
        }
        for demuxer in ["qtdemux", "identity ! typefind ! qtdemux", "tee ! qtdemux"] {
            assert_eq!(taker_in(demuxer), Taker::Demuxer, "{demuxer}");
        }
        for files in [
            "filesink name=f",
            "queue ! filesink name=f",
            "multifilesink name=f",
            "fdsink name=f",
        ] {
            let one = Taker::OneFile { sink: "f".into() };
            assert_eq!(taker_in(files), one, "{files}");
        }
        let both = "tee name=t t. ! filesink t. ! qtdemux";
        assert_eq!(taker_in(both), Taker::Demuxer);
        let behind = Taker::DemuxerBehind {
            demuxer: "d".into(),
            other: "q".into(),
        };
        assert_eq!(taker_in("identity ! queue name=q ! qtdemux name=d"), behind);
    }

    #[test]
    fn an_unlinked_pad_has_no_demuxer() {
        gst::init().unwrap();
        let source = gst::ElementFactory::make("fakesrc").build().unwrap();
        assert_eq!(taker(&source.static_pad("src").unwrap()), Taker::NoDemuxer);
    }
}
