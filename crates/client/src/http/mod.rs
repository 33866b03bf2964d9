// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Requests and answers of ReductStore's HTTP API, and the connections that carry them.

pub mod answer;
pub mod batch;
pub mod batch_size;
pub mod certificates;
pub mod condition;
pub mod distance;
pub mod first_contact;
pub mod pool;
pub mod progress;
pub mod refusals;
pub mod request_size;
pub mod send;
