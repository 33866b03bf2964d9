// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Reads the version of ReductStore that is linked.

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock")?;
    let package = lock
        .split("[[package]]")
        .find(|package| package.contains("\nname = \"reductstore\"\n"));
    let version = package.and_then(|package| {
        let line = package
            .lines()
            .find_map(|line| line.strip_prefix("version = \""));
        line.and_then(|version| version.strip_suffix('"'))
    });
    let version = version.ok_or("no reductstore in Cargo.lock")?;
    println!("cargo:rustc-env=REDUCTSTORE_VERSION={version}");
    Ok(())
}
