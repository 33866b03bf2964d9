// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A row of the table: medians of the sides, and what they are to each other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use super::measurement::Measurement;
use super::sorted::Sorted;

#[derive(Args)]
pub struct Row {
    /// Name of the case
    #[arg(long)]
    case: String,
    /// Name of the other side
    #[arg(long)]
    with: String,
    /// Quantity that is compared
    #[arg(long)]
    unit: Unit,
    /// The smallest ratio to reach
    #[arg(long)]
    at_least: Option<f64>,
    /// The largest ratio to reach
    #[arg(long)]
    at_most: Option<f64>,
    /// The largest value that each side may have
    #[arg(long)]
    limit: Option<f64>,
    /// Runs of the first side and of others, a file a side; of several others, the slowest counts
    #[arg(num_args = 2..)]
    sides: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Unit {
    #[value(name = "MB/s")]
    Bytes,
    #[value(name = "records/s")]
    Records,
    #[value(name = "s")]
    Seconds,
    #[value(name = "MiB")]
    Memory,
}

impl Unit {
    fn of(self, run: &Measurement) -> Result<f64> {
        let Measurement { seconds, bytes, .. } = run;
        Ok(match self {
            Self::Bytes => *bytes as f64 / 1e6 / seconds,
            Self::Records => run.records.context("no records")? as f64 / seconds,
            Self::Seconds => *seconds,
            Self::Memory => run.peak_rss.context("no memory")? as f64 / f64::from(1 << 20),
        })
    }

    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().into())
    }

    /// Number of digits after the point to print.
    fn digits(self) -> usize {
        match self {
            Self::Bytes | Self::Records => 0,
            Self::Seconds => 2,
            Self::Memory => 1,
        }
    }
}

/// Returns the sorted results of one side.
fn side(unit: Unit, runs: &[Measurement]) -> Result<Sorted> {
    let values = runs.iter().map(|run| unit.of(run));
    Sorted::new(values.collect::<Result<_>>()?)
}

/// The median, the smallest and the largest value.
fn show(side: &Sorted, unit: Unit) -> String {
    let show = |value| format!("{value:.*}", unit.digits());
    let median = format!("{} {}", show(side.median()), unit.name());
    match side.ends() {
        None => median,
        Some((first, last)) => format!("{median} ({}–{})", show(first), show(last)),
    }
}

impl Row {
    /// Prints it in Markdown.
    pub fn print(&self) -> Result<()> {
        let runs = self.sides.iter().map(|path| read(path));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        if self.unit != Unit::Memory {
            self.check(&runs)?;
        }
        let sides = runs.iter().map(|runs| side(self.unit, runs));
        let mut sides = sides.collect::<Result<Vec<_>>>()?.into_iter();
        let first = sides.next().context("no side")?;
        let compare = |a: &Sorted, b: &Sorted| a.median().total_cmp(&b.median());
        let other = match self.unit {
            Unit::Bytes | Unit::Records => sides.min_by(compare),
            Unit::Seconds | Unit::Memory => sides.max_by(compare),
        };
        let other = other.context("no other side")?;

        let ratio = first.median() / other.median();
        let reached = self.at_least.is_none_or(|least| ratio >= least)
            && self.at_most.is_none_or(|most| ratio <= most)
            && (self.limit).is_none_or(|limit| first.median().max(other.median()) <= limit);
        println!(
            "| {} | {} | {} | {ratio:.2} ×{} | {} | {} |",
            self.case,
            self.with,
            self.target(),
            if reached { "" } else { ", missed" },
            show(&first, self.unit),
            show(&other, self.unit),
        );
        Ok(())
    }

    fn target(&self) -> String {
        let least = self.at_least.map(|least| format!("≥ {least} ×"));
        let most = self.at_most.map(|most| format!("≤ {most} ×"));
        let limit = self.limit;
        let limit = limit.map(|limit| format!("≤ {limit} {}", self.unit.name()));
        let all: Vec<_> = [least, most, limit].into_iter().flatten().collect();
        all.join(", ")
    }

    /// All runs have to have read the same.
    fn check(&self, sides: &[Vec<Measurement>]) -> Result<()> {
        let runs = || sides.iter().flatten();
        let bytes = runs().map(|run| run.bytes);
        ensure!(all_equal(bytes), "{}: different bytes", self.case);
        let records = runs().filter_map(|run| run.records);
        ensure!(all_equal(records), "{}: different records", self.case);
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<Measurement>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let runs = text.lines().map(serde_json::from_str);
    Ok(runs.collect::<Result<_, _>>()?)
}

fn all_equal(mut values: impl Iterator<Item = u64>) -> bool {
    let first = values.next();
    values.all(|value| Some(value) == first)
}
