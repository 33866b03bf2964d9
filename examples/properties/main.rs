// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Writes the tables of properties in `docs/` anew, from the properties of the elements.
//!
//! ```text
//! cargo run --example properties
//! ```

mod tables;

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    gst::init()?;
    gstreduct::plugin_register_static()?;
    for path in tables::pages()? {
        let page = fs::read_to_string(&path)?;
        let renewed = tables::renew(&page).map_err(|text| format!("{}: {text}", path.display()))?;
        if renewed != page {
            fs::write(&path, renewed)?;
            println!("{}", path.display());
        }
    }
    Ok(())
}
