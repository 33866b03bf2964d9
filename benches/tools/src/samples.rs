// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! The results of a run that measures many times.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Values, in the order in which they were measured.
#[derive(Serialize, Deserialize)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// Times in ms.
    pub fn ms(times: impl IntoIterator<Item = Duration>) -> Self {
        let ms = times.into_iter().map(|time| time.as_secs_f64() * 1e3);
        Self(ms.collect())
    }

    /// Prints them as a line of JSON.
    pub fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }

    /// Those of several runs, a line a run.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let runs = text.lines().map(serde_json::from_str);
        Ok(runs.collect::<Result<_, _>>()?)
    }
}
