// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! A row of the table of percentiles: of what many measurements gave, not of what each run did.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::samples::Samples;
use super::sorted::Sorted;

#[derive(Args)]
pub struct Percentiles {
    /// Name of the case
    #[arg(long)]
    case: String,
    /// Unit of the values
    #[arg(long, default_value = "ms")]
    unit: Unit,
    /// The largest median to reach
    #[arg(long)]
    median_at_most: Option<f64>,
    /// The percentile besides the median
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    percentile: u8,
    /// The largest one of it to reach
    #[arg(long)]
    at_most: Option<f64>,
    /// Each place in the runs counts alone, and the medians fall: none is above the one before
    #[arg(long)]
    falling: bool,
    /// A file with a line a run
    runs: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Unit {
    Ms,
    Requests,
}

impl Unit {
    /// The name, and how many digits after the point are worth printing.
    fn show(self) -> (&'static str, usize) {
        match self {
            Self::Ms => ("ms", 1),
            Self::Requests => ("requests", 0),
        }
    }
}

impl Percentiles {
    /// Prints it in Markdown.
    pub fn print(&self) -> Result<()> {
        println!("{}", self.row(Samples::read(&self.runs)?)?);
        Ok(())
    }

    fn row(&self, runs: Vec<Samples>) -> Result<String> {
        let groups = match self.falling {
            true => places(&runs)?,
            false => vec![runs.into_iter().flat_map(|run| run.0).collect()],
        };
        let groups = groups.into_iter().map(Sorted::new);
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let medians: Vec<_> = groups.iter().map(Sorted::median).collect();
        let tail = |group: &Sorted| group.percentile(self.percentile.into());
        let tails: Vec<_> = groups.iter().map(tail).collect();

        let target = self.target();
        let is_within = |values: &[f64], most: Option<f64>| {
            most.is_none_or(|most| values.iter().all(|value| *value <= most))
        };
        let is_reached = is_within(&medians, self.median_at_most)
            && is_within(&tails, self.at_most)
            && (!self.falling || fall(&medians));
        let reached = match is_reached {
            _ if target.is_empty() => "",
            true => "yes",
            false => "missed",
        };
        let (medians, tails) = (self.show(&medians), self.show(&tails));
        Ok(format!(
            "| {} | {target} | {medians} | {tails} | {reached} |",
            self.case
        ))
    }

    fn target(&self) -> String {
        let (unit, _) = self.unit.show();
        let median = self.median_at_most;
        let median = median.map(|most| format!("median ≤ {most} {unit}"));
        let percentile = self.percentile;
        let tail = (self.at_most).map(|most| format!("p{percentile} ≤ {most} {unit}"));
        let falling = self.falling.then(|| "falling".into());
        let all: Vec<_> = [median, tail, falling].into_iter().flatten().collect();
        all.join(", ")
    }

    fn show(&self, values: &[f64]) -> String {
        let (unit, digits) = self.unit.show();
        let values = values.iter().map(|value| format!("{value:.digits$}"));
        let values: Vec<_> = values.collect();
        format!("{} {unit}", values.join(", "))
    }
}

/// Returns whether the values never rise and the last one is below the first.
fn fall(values: &[f64]) -> bool {
    values.is_sorted_by(|a, b| a >= b) && values.last() < values.first()
}

/// Returns the values that the runs have at each position.
fn places(runs: &[Samples]) -> Result<Vec<Vec<f64>>> {
    let length = runs.first().map_or(0, |run| run.0.len());
    ensure!(length > 0, "no values");
    let is_same = runs.iter().all(|run| run.0.len() == length);
    ensure!(is_same, "runs of different lengths");
    let place = |place| runs.iter().map(|run| run.0[place]).collect();
    Ok((0..length).map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentiles(median: Option<f64>, p95: Option<f64>, falling: bool) -> Percentiles {
        Percentiles {
            case: "c".into(),
            unit: if falling { Unit::Requests } else { Unit::Ms },
            median_at_most: median,
            percentile: 95,
            at_most: p95,
            falling,
            runs: PathBuf::new(),
        }
    }

    fn runs(runs: &[&[f64]]) -> Vec<Samples> {
        runs.iter().map(|run| Samples(run.to_vec())).collect()
    }

    #[test]
    fn values_of_all_runs_count_alike() {
        for (median, p95, expected) in [
            (None, None, "| c |  | 3.0 ms | 9.0 ms |  |"),
            (
                Some(3.0),
                Some(9.0),
                "| c | median ≤ 3 ms, p95 ≤ 9 ms | 3.0 ms | 9.0 ms | yes |",
            ),
            (
                Some(2.9),
                None,
                "| c | median ≤ 2.9 ms | 3.0 ms | 9.0 ms | missed |",
            ),
            (
                None,
                Some(8.9),
                "| c | p95 ≤ 8.9 ms | 3.0 ms | 9.0 ms | missed |",
            ),
        ] {
            let row = percentiles(median, p95, false).row(runs(&[&[1.0, 9.0], &[3.0]]));
            assert_eq!(row.unwrap(), expected);
        }
    }

    #[test]
    fn places_count_alone() {
        let row = |values: &[&[f64]]| percentiles(None, Some(60.0), true).row(runs(values));
        assert_eq!(
            row(&[&[40.0, 9.0], &[42.0, 11.0], &[41.0, 10.0]]).unwrap(),
            "| c | p95 ≤ 60 requests, falling | 41, 10 requests | 42, 11 requests | yes |"
        );
        assert!(row(&[&[6.0, 5.0, 5.0]]).unwrap().ends_with("yes |"));
        for missed in [[40.0, 40.0, 40.0], [10.0, 5.0, 6.0], [61.0, 5.0, 4.0]] {
            assert!(row(&[&missed]).unwrap().ends_with("missed |"), "{missed:?}");
        }
        assert!(row(&[&[2.0, 1.0], &[2.0]]).is_err());
    }

    #[test]
    fn nothing_is_no_row() {
        for falling in [false, true] {
            let row = percentiles(None, None, falling);
            assert!(row.row(Vec::new()).is_err());
            assert!(row.row(runs(&[&[]])).is_err());
        }
    }
}
