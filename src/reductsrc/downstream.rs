// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Who takes episodes.

use gst::prelude::*;

/// Elements that hand on buffers, and what becomes of them, at once.
const TRANSPARENT: [&str; 4] = ["capsfilter", "identity", "tee", "typefind"];
/// More is no way to a demuxer.
const MOST_PADS: usize = 100;

/// What is downstream.
#[derive(Debug, PartialEq, Eq)]
pub enum Taker {
    /// Something that is no demuxer, as far as can be seen.
    Anybody,
    /// A demuxer that gets them as they are pushed.
    Demuxer,
    /// A demuxer behind another element, whose names these are.
    DemuxerBehind { demuxer: String, other: String },
}

/// Looks for a demuxer downstream of a source pad.
pub fn taker(pad: &gst::Pad) -> Taker {
    let mut other = None;
    let mut pads = vec![pad.clone()];
    for _ in 0..MOST_PADS {
        let Some(peer) = pads.pop().and_then(|pad| pad.peer()) else {
            return Taker::Anybody;
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
            if !is_transparent {
                other.get_or_insert_with(|| element.name().into());
            }
        }
        pads.extend(peer.iterate_internal_links().into_iter().flatten());
    }
    Taker::Anybody
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
    fn who_takes() {
        for nobody in ["fakesink", "queue ! fakesink", "queue ! multifilesink"] {
            assert_eq!(taker_in(nobody), Taker::Anybody, "{nobody}");
        }
        for demuxer in ["qtdemux", "identity ! typefind ! qtdemux", "tee ! qtdemux"] {
            assert_eq!(taker_in(demuxer), Taker::Demuxer, "{demuxer}");
        }
        let behind = Taker::DemuxerBehind {
            demuxer: "d".into(),
            other: "q".into(),
        };
        assert_eq!(taker_in("identity ! queue name=q ! qtdemux name=d"), behind);
    }

    #[test]
    fn nobody_is_linked() {
        gst::init().unwrap();
        let source = gst::ElementFactory::make("fakesrc").build().unwrap();
        assert_eq!(taker(&source.static_pad("src").unwrap()), Taker::Anybody);
    }
}
