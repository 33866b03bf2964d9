// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Support of the tests of `episode-server`: a server, recordings, links, and queries by both protocols.
//!
//! The server is the program at `REDUCTSTORE_BIN`, as for all tests of this repository.

pub mod encoder;
pub mod link;
pub mod query;
pub mod recording;
#[allow(dead_code)]
#[path = "../../../tests/common/server.rs"]
pub mod server;
pub mod system;
#[allow(dead_code)]
#[path = "../../../tests/common/wait.rs"]
pub mod wait;
