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
    /// The largest value that the first side may have
    #[arg(long)]
    first_limit: Option<f64>,
    /// The largest difference to reach, first side less the other one
    #[arg(long)]
    at_most_above: Option<f64>,
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
            Self::Bytes => bytes.context("no bytes")? as f64 / 1e6 / seconds,
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
        println!("{}", self.row(&runs.collect::<Result<Vec<_>>>()?)?);
        Ok(())
    }

    fn row(&self, runs: &[Vec<Measurement>]) -> Result<String> {
        if self.unit != Unit::Memory {
            self.check(runs)?;
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
        let above = first.median() - other.median();
        let reached = self.at_least.is_none_or(|least| ratio >= least)
            && self.at_most.is_none_or(|most| ratio <= most)
            && self.at_most_above.is_none_or(|most| above <= most)
            && (self.limit).is_none_or(|limit| first.median().max(other.median()) <= limit)
            && (self.first_limit).is_none_or(|limit| first.median() <= limit);
        let reaches = match self.at_most_above {
            Some(_) => self.shown_above(above),
            None => format!("{ratio:.2} ×"),
        };
        Ok(format!(
            "| {} | {} | {} | {reaches}{} | {} | {} |",
            self.case,
            self.with,
            self.target(),
            if reached { "" } else { ", missed" },
            show(&first, self.unit),
            show(&other, self.unit),
        ))
    }

    /// Shows a difference to the other side.
    fn shown_above(&self, above: f64) -> String {
        format!("{above:+.*} {}", self.unit.digits(), self.unit.name())
    }

    fn target(&self) -> String {
        let least = self.at_least.map(|least| format!("≥ {least} ×"));
        let most = self.at_most.map(|most| format!("≤ {most} ×"));
        let limit = self.limit.or(self.first_limit);
        let limit = limit.map(|limit| format!("≤ {limit} {}", self.unit.name()));
        let above = self.at_most_above;
        let above = above.map(|above| format!("≤ {}", self.shown_above(above)));
        let all: Vec<_> = [least, most, above, limit].into_iter().flatten().collect();
        all.join(", ")
    }

    /// All runs have to have read the same.
    fn check(&self, sides: &[Vec<Measurement>]) -> Result<()> {
        let runs = || sides.iter().flatten();
        let bytes = runs().filter_map(|run| run.bytes);
        ensure!(all_equal(bytes), "{}: different bytes", self.case);
        let digests = runs().filter_map(|run| run.digest.as_deref());
        ensure!(all_equal(digests), "{}: different content", self.case);
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

fn all_equal<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    let first = values.next();
    values.all(|value| Some(value) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit) -> Row {
        Row {
            case: "c".into(),
            with: "w".into(),
            unit,
            at_least: None,
            at_most: None,
            at_most_above: None,
            limit: None,
            first_limit: None,
            sides: Vec::new(),
        }
    }

    fn run(seconds: f64, bytes: Option<u64>, peak_mib: u64) -> Vec<Measurement> {
        vec![Measurement {
            seconds,
            records: Some(100),
            bytes,
            peak_rss: Some(peak_mib << 20),
            digest: None,
        }]
    }

    #[test]
    fn a_ratio_is_compared_with_its_target() {
        let runs = [run(2.0, None, 0), run(5.0, Some(7), 0)];
        for (least, expected) in [
            (
                2.5,
                "| c | w | ≥ 2.5 × | 2.50 × | 50 records/s | 20 records/s |",
            ),
            (
                2.6,
                "| c | w | ≥ 2.6 × | 2.50 ×, missed | 50 records/s | 20 records/s |",
            ),
        ] {
            let row = Row {
                at_least: Some(least),
                ..row(Unit::Records)
            };
            assert_eq!(row.row(&runs).unwrap(), expected);
        }
    }

    #[test]
    fn a_difference_is_compared_with_its_target() {
        let runs = [run(1.0, None, 60), run(1.0, None, 40)];
        for (most, expected) in [
            (
                20.0,
                "| c | w | ≤ +20.0 MiB | +20.0 MiB | 60.0 MiB | 40.0 MiB |",
            ),
            (
                19.0,
                "| c | w | ≤ +19.0 MiB | +20.0 MiB, missed | 60.0 MiB | 40.0 MiB |",
            ),
        ] {
            let row = Row {
                at_most_above: Some(most),
                ..row(Unit::Memory)
            };
            assert_eq!(row.row(&runs).unwrap(), expected);
        }
    }

    #[test]
    fn the_first_side_alone_has_a_limit() {
        let runs = [run(2.0, None, 0), run(5.0, None, 0)];
        for (limit, reached) in [(2.0, "0.40 ×"), (1.9, "0.40 ×, missed")] {
            let row = Row {
                first_limit: Some(limit),
                ..row(Unit::Seconds)
            };
            let expected = format!("| c | w | ≤ {limit} s | {reached} | 2.00 s | 5.00 s |");
            assert_eq!(row.row(&runs).unwrap(), expected);
        }
    }

    #[test]
    fn all_runs_give_the_same_content() {
        let mut sides = [run(1.0, None, 0), run(1.0, None, 0)];
        for (digest, is_same) in [("a", true), ("b", false)] {
            sides[0][0].digest = Some("a".into());
            sides[1][0].digest = Some(digest.into());
            assert_eq!(row(Unit::Seconds).row(&sides).is_ok(), is_same);
        }
    }

    #[test]
    fn all_runs_read_the_same() {
        let sides = |other| [run(1.0, Some(5), 0), run(1.0, other, 0)];
        let seconds = row(Unit::Seconds);
        assert!(seconds.row(&sides(Some(5))).is_ok());
        assert!(seconds.row(&sides(None)).is_ok());
        assert!(seconds.row(&sides(Some(6))).is_err());
        assert!(row(Unit::Bytes).row(&sides(None)).is_err());
    }
}
