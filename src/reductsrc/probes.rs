// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Probes on the source's pad, where GstBaseSrc behaves in another way.

use gst::prelude::*;

use super::downstream::{self, Taker};

/// Leaves out ALLOCATION queries: buffers are what came over the network, and from no pool. A queue may
/// not answer once the element behind it is at its end (1.22).
pub fn refuse_pools(pad: &gst::Pad) {
    let queries = gst::PadProbeType::QUERY_DOWNSTREAM | gst::PadProbeType::PUSH;
    pad.add_probe(queries, |_, info| match info.query() {
        Some(query) if query.type_() == gst::QueryType::Allocation => gst::PadProbeReturn::Drop,
        _ => gst::PadProbeReturn::Ok,
    });
}

/// Passes lists of buffers, each of which is a file, to the peer: a demuxer is at its end with each file,
/// and there may be more of them.
pub fn pass_files(pad: &gst::Pad) {
    let lists = gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(lists, |pad, info| {
        let taken = match info.data.take() {
            Some(gst::PadProbeData::BufferList(file)) => Ok(file),
            other => Err(other),
        };
        let file = match taken {
            Ok(file) => file,
            Err(other) => {
                info.data = other;
                return gst::PadProbeReturn::Ok;
            }
        };
        let peer = pad.peer().ok_or(gst::FlowError::NotLinked);
        info.flow_res = match peer.and_then(|peer| peer.chain_list(file)) {
            Err(gst::FlowError::Eos) if downstream::taker(pad) == Taker::Demuxer => {
                Ok(gst::FlowSuccess::Ok)
            }
            flow => flow,
        };
        gst::PadProbeReturn::Handled
    });
}
