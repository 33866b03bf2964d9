// SPDX-License-Identifier: MPL-2.0

//! Cargo wants a target.
