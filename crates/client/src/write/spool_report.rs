// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Report of the records that were found and lost in a spool, with its texts.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;

use crate::write::record::{Dropped, NewRecord};
use crate::write::spool_scan::{Lost, Scan};

/// Largest number of files that a text names.
const MAX_NAMES: usize = 3;

/// Records that were left in a spool, and its faults.
#[derive(Debug, Default)]
pub struct Recovery {
    pub records: Vec<NewRecord>,
    damaged: Vec<(PathBuf, Lost)>,
    torn: Vec<(PathBuf, Lost)>,
    /// Texts with the paths.
    unreadable: Vec<String>,
}

impl Recovery {
    /// Adds the damage of a file.
    pub fn add_damage(&mut self, path: PathBuf, scan: &Scan) {
        if scan.is_damaged {
            self.damaged.push((path, scan.lost));
        } else if scan.is_torn {
            self.torn.push((path, scan.lost));
        }
    }

    /// Adds a file that cannot be read, with its path from now on.
    pub fn add_unreadable(&mut self, path: PathBuf, error: &io::Error, aside: Option<PathBuf>) {
        let mut text = format!("'{}' ({error})", path.display());
        if let Some(aside) = aside {
            // A string takes all.
            let _ = write!(text, ", kept as '{}'", aside.display());
        }
        self.unreadable.push(text);
    }

    /// Returns a lower bound of the losses. The content of an unreadable file is not known.
    pub fn lost(&self) -> Dropped {
        let files = self.damaged.iter().chain(&self.torn);
        files.fold(Dropped::default(), |sum, (_, lost)| Dropped {
            records: sum.records.saturating_add(lost.records),
            frames: sum.frames.saturating_add(lost.frames),
            from: None,
        })
    }

    /// Returns a warning for each kind of damage.
    pub fn warnings(&self, spool: &str) -> Vec<String> {
        let damaged = (!self.damaged.is_empty()).then(|| {
            format!(
                "Found damage in {} of {spool} and lost {}. What else is in there is written, \
                 and then the name gets the suffix .damaged",
                files(&self.damaged),
                sum(&self.damaged)
            )
        });
        let torn = (!self.torn.is_empty()).then(|| {
            format!(
                "Lost {1}, at the end of {0} of {spool}: as after a crash, the last record is not \
                 whole",
                files(&self.torn),
                sum(&self.torn)
            )
        });
        let unreadable = (!self.unreadable.is_empty()).then(|| {
            format!(
                "{} of {spool} cannot be read: {}",
                count(self.unreadable.len() as u64, "file"),
                list(self.unreadable.iter().cloned())
            )
        });
        [damaged, torn, unreadable].into_iter().flatten().collect()
    }
}

fn files(files: &[(PathBuf, Lost)]) -> String {
    let names = files
        .iter()
        .map(|(path, _)| format!("'{}'", path.display()));
    format!("{} ({})", count(files.len() as u64, "file"), list(names))
}

/// Returns a number with its unit.
fn count(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Joins the first items, and counts the others.
fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(MAX_NAMES);
    let first: Vec<_> = items.take(MAX_NAMES).collect();
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn sum(files: &[(PathBuf, Lost)]) -> String {
    let add = |of: fn(&Lost) -> u64| {
        let counts = files.iter().map(|(_, lost)| of(lost));
        counts.fold(0u64, u64::saturating_add)
    };
    let (records, frames) = (add(|lost| lost.records), add(|lost| lost.frames));
    format!("{} ({})", count(records, "record"), count(frames, "frame"))
}

/// Records of a file that could not be read again.
#[derive(Debug)]
pub struct LostRecords {
    pub path: PathBuf,
    /// Records, their frames, and the time of the first one.
    pub lost: Dropped,
    why: String,
    /// These are the first ones of the file.
    is_new: bool,
}

impl LostRecords {
    /// Returns the first record of a file.
    pub fn new(path: PathBuf, record: &NewRecord, why: &str, is_new: bool) -> Self {
        Self {
            path,
            lost: Dropped::default().with(record),
            why: why.to_owned(),
            is_new,
        }
    }

    /// Adds another record of the same file.
    pub fn add(&mut self, record: &NewRecord) {
        self.lost = self.lost.with(record);
    }

    /// Returns a warning, once for a file.
    pub fn warning(&self, utc: impl Fn(u64) -> String, spool: &str) -> Option<String> {
        let first = self.lost.from.map_or_else(String::new, utc);
        self.is_new.then(|| {
            format!(
                "Lost {} ({}) of {spool}, the first of {first}, as '{}' is damaged or cannot be \
                 read: {}. What else is in there is written, and then its name gets the suffix \
                 .damaged; further losses are counted in stats",
                count(self.lost.records, "record"),
                count(self.lost.frames, "frame"),
                self.path.display(),
                self.why
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(records: u64) -> Lost {
        Lost {
            records,
            frames: 2 * records,
        }
    }

    #[test]
    fn a_warning_for_each_kind() {
        let mut recovery = Recovery::default();
        assert!(recovery.warnings("spool-dir").is_empty());
        let path = |number: u64| PathBuf::from(format!("/spool/{number}"));
        recovery.damaged = (0..5).map(|at| (path(at), lost(at))).collect();
        recovery.torn = vec![(path(7), lost(1))];
        recovery.add_unreadable(path(8), &io::Error::other("broken"), Some(path(9)));
        let warnings = recovery.warnings("spool-dir");
        assert_eq!(warnings.len(), 3);
        for (warning, part) in [
            (0, "5 files ('/spool/0', '/spool/1', '/spool/2' and 2 more)"),
            (0, "10 records (20 frames)"),
            (1, "1 file ('/spool/7')"),
            (1, "1 record (2 frames)"),
            (2, "'/spool/8' (broken), kept as '/spool/9'"),
        ] {
            assert!(warnings[warning].contains(part), "{part}: {warnings:?}");
        }
        assert_eq!((recovery.lost().records, recovery.lost().frames), (11, 22));
    }
}
