// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Finds the SDKs of ReductStore for Python and JavaScript.

use std::env;
use std::path::PathBuf;

use super::server::cache_folder;

/// Folder with a virtual environment and `node_modules`.
pub fn folder() -> PathBuf {
    let folder =
        env::var_os("REDUCT_SDK").map_or_else(|| cache_folder().join("sdk"), PathBuf::from);
    assert!(
        folder.join("versions").is_file(),
        "no SDKs in {}: run tests/run.sh, which installs them",
        folder.display()
    );
    folder
}
