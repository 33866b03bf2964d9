// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Verifies a range of a recording: reads all of it, and lists its faults.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};

use media::order::MAX_REORDERING;
use media::time::{CaptureTime, Nanos};
use media::timeline::{Consequence, Hole, OnLoss};

use crate::read::{Error, Finding, FindingCounts, Findings, Item, ReadOptions, StreamOptions};
use crate::recording::{Frames, Recording};

/// Result of [`Recording::verify`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verification {
    /// Number of records, with those that are damaged or left out.
    pub records: u64,
    /// Bytes of the records.
    pub bytes: u64,
    /// Number of frames that can be decoded, or of which parts can.
    pub frames: u64,
    /// Number of episodes, in an entry of MP4 files.
    pub episodes: u64,
    /// Numbers of findings.
    pub counts: FindingCounts,
    /// The first [`MAX_FINDINGS`](crate::MAX_FINDINGS) findings, in the order in which they were found.
    pub findings: Vec<Finding>,
    /// Reason for which nothing, or nothing more, can be put out of the range.
    pub unusable: Option<Error>,
}

impl Verification {
    /// Returns whether there is no finding, and all of the range can be put out.
    pub fn is_intact(&self) -> bool {
        self.counts.total() == 0 && self.unusable.is_none()
    }
}

/// Progress of [`Recording::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Time of the last record that was verified.
    pub reached: CaptureTime,
    /// Number of records.
    pub records: u64,
    /// Bytes of the records.
    pub bytes: u64,
    /// Numbers of findings.
    pub counts: FindingCounts,
}

impl Recording {
    /// Reads the records of `range`, without decoding them, and returns their faults: gaps, lost pictures,
    /// damaged records, wrong labels, times that jump, and frames before the first keyframe of the entry.
    ///
    /// The first frame that counts is the first keyframe of the range: nothing in it decodes those before it. Gaps are judged by the options
    /// of a reader, so that what it would report is found.
    ///
    /// `progress` is called with each keyframe and each episode. Dropping the future ends the verification.
    ///
    /// ```no_run
    /// # async fn example(recording: recording::Recording) -> Result<(), recording::Error> {
    /// let verification = recording.verify(.., |progress| eprintln!("{}", progress.reached)).await?;
    /// for finding in &verification.findings {
    ///     println!("{finding}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Errors of the server and of the way to it, and a range without a length. Contents that cannot be read are no error, but
    /// [`Verification::unusable`].
    pub async fn verify(
        &self,
        range: impl RangeBounds<CaptureTime>,
        mut progress: impl FnMut(VerifyProgress),
    ) -> Result<Verification, Error> {
        let times = first(range.start_bound())..stop(range.end_bound());
        let stream = StreamOptions {
            // Frames after a loss are verified, too.
            on_loss: OnLoss::Keep,
            ..StreamOptions::default()
        };
        let options = ReadOptions {
            stream,
            ..ReadOptions::default()
        };
        let request = self.read(range).options(options);
        let mut frames = request.collect(Findings::new(times.clone())).frames();
        let mut holes = ReportedHoles::default();
        let unusable = loop {
            let item = match frames.next().await {
                Ok(Some(item)) => item,
                Ok(None) => break None,
                Err(error @ (Error::Client(_) | Error::NoLength(_) | Error::Cancelled)) => {
                    return Err(error);
                }
                Err(error) => break Some(error),
            };
            match item {
                Item::Gap(loss) => {
                    holes.add(loss.hole, loss.consequence);
                    add(
                        &frames,
                        match loss.cause.is_of_times() {
                            true => Finding::Gap(loss),
                            false => Finding::Loss(loss),
                        },
                    );
                }
                Item::Pause(hole) if !holes.contain(hole) => add(&frames, Finding::ClockJump(hole)),
                Item::Frame(frame) if frame.is_keyframe => {
                    progress(progress_at(&frames, frame.record_time));
                }
                Item::Episode(episode) => progress(progress_at(&frames, episode.capture_time)),
                _ => {}
            }
        };
        let findings = frames.findings().map(|findings| findings.clone());
        let mut findings = findings.unwrap_or_else(|| Findings::new(times.clone()));
        // Those at the beginning of a later range depend on a keyframe before it.
        if let Some((time, _)) = self.bounds().filter(|(oldest, _)| times.start <= *oldest)
            && findings.undecodable > 0
        {
            let frames = findings.undecodable;
            findings.add(Finding::Undecodable { time, frames });
        }
        let stats = frames.stats();
        let [put_out, episodes] = [&stats.access_units, &stats.episodes].map(count);
        Ok(Verification {
            frames: put_out,
            episodes,
            records: findings.records,
            bytes: findings.bytes,
            counts: findings.counts,
            findings: findings.list,
            unusable,
        })
    }
}

/// Pictures may be put out after so many others, with the pauses before them.
const MAX_DELAY: usize = 2 * MAX_REORDERING;

/// Holes of losses after which frames were kept: a reader puts them out as pauses, too.
#[derive(Debug, Default)]
struct ReportedHoles(VecDeque<Hole>);

impl ReportedHoles {
    fn add(&mut self, hole: Hole, consequence: Consequence) {
        if consequence == Consequence::Corrupted {
            self.0.push_back(hole);
        }
        if self.0.len() > MAX_DELAY {
            self.0.pop_front();
        }
    }

    /// Returns whether a hole is that of a loss.
    fn contain(&self, hole: Hole) -> bool {
        self.0.contains(&hole)
    }
}

fn add(frames: &Frames, finding: Finding) {
    if let Some(mut findings) = frames.findings() {
        findings.add(finding);
    }
}

fn progress_at(frames: &Frames, reached: CaptureTime) -> VerifyProgress {
    let findings = frames.findings();
    let counts = findings.map(|it| (it.records, it.bytes, it.counts));
    let (records, bytes, counts) = counts.unwrap_or_default();
    VerifyProgress {
        reached,
        records,
        bytes,
        counts,
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn first(bound: Bound<&CaptureTime>) -> CaptureTime {
    match bound {
        Bound::Included(time) => *time,
        Bound::Excluded(time) => *time + Nanos::USECOND,
        Bound::Unbounded => CaptureTime::EPOCH,
    }
}

fn stop(bound: Bound<&CaptureTime>) -> CaptureTime {
    match bound {
        Bound::Included(time) => *time + Nanos::USECOND,
        Bound::Excluded(time) => *time,
        Bound::Unbounded => CaptureTime::MAX,
    }
}
