// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! The delay from a frame's acknowledgement until it leaves a source that follows its entry.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use tokio::time::sleep;

use super::cameras::{Cameras, Setting, Written};
use super::samples::Samples;
use super::sources::{Came, Sources};
use super::stream::{FPS, GOP};

/// It takes so many records until a source knows that each is a whole access unit. The first ones
/// wait for that.
const FIRST_FRAMES: usize = 3;
/// Until a source has found where to begin, and a keyframe.
const BEGIN: u64 = 2;

#[derive(Args)]
pub struct Follow {
    #[command(flatten)]
    setting: Setting,
    /// For how long, s
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Follow {
    /// Follows cameras that have begun a moment before.
    pub async fn run(&self) -> Result<Samples> {
        let cameras = Cameras::start(&self.setting).await?;
        let sources = Sources::follow(&self.setting)?;
        sleep(Duration::from_secs(BEGIN + self.seconds)).await;
        let written = cameras.stop().await?;
        let last: Vec<_> = written
            .iter()
            .filter_map(|written| Some(written.last()?.captured))
            .collect();
        let came = sources.finish(&last).await?;
        let mut latencies = Vec::new();
        for (written, came) in written.iter().zip(&came) {
            let written = followed(written, came)?;
            let least = self.seconds as usize * FPS;
            ensure!(came.len() >= least, "only {} frames came", came.len());
            // A frame may be out before its camera has heard of it.
            let late = |(written, came): (&Written, &Came)| {
                came.at.saturating_duration_since(written.acknowledged)
            };
            let frames = written.iter().zip(came).skip(FIRST_FRAMES);
            latencies.extend(frames.map(late));
        }
        Ok(Samples::ms(latencies))
    }
}

/// Returns the frames that were written since a source began. Fails unless the source gave each of
/// them once and in order, from a keyframe on.
fn followed<'a>(written: &'a [Written], came: &[Came]) -> Result<&'a [Written]> {
    let begin = came.first().context("no frame came")?.captured;
    let first = written.iter().position(|written| written.captured == begin);
    let first = first.context("a frame came that was not written")?;
    ensure!(first % GOP == 0, "it began with frame {first}, no keyframe");
    let written = &written[first..];
    for (index, (written, came)) in written.iter().zip(came).enumerate() {
        ensure!(
            written.captured == came.captured,
            "frame {} came as frame {index} of those from {begin} on",
            came.captured,
        );
    }
    let counts = (written.len(), came.len());
    ensure!(
        counts.0 == counts.1,
        "{} frames written, {} came",
        counts.0,
        counts.1
    );
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn check(
        written: impl IntoIterator<Item = u64>,
        came: impl IntoIterator<Item = u64>,
    ) -> Option<usize> {
        let now = Instant::now();
        let written = written.into_iter().map(|captured| Written {
            captured,
            acknowledged: now,
        });
        let came = came.into_iter().map(|captured| Came { captured, at: now });
        let (written, came): (Vec<_>, Vec<_>) = (written.collect(), came.collect());
        followed(&written, &came).ok().map(<[_]>::len)
    }

    #[test]
    fn each_frame_comes_once_and_in_order() {
        assert_eq!(check(0..100, 0..100), Some(100));
        assert_eq!(check(0..100, 60..100), Some(40));
        for (what, came) in [
            ("nothing", vec![]),
            ("no keyframe first", (61..100).collect()),
            ("one is missing", (60..80).chain(81..100).collect()),
            ("the last one is missing", (60..99).collect()),
            ("one comes twice", (60..80).chain(79..100).collect()),
            (
                "the last one comes twice",
                (60..100).chain(99..100).collect(),
            ),
            (
                "two change places",
                (60..80).chain([81, 80]).chain(82..100).collect(),
            ),
            ("not written", (60..101).collect()),
            ("the first one not written", (120..130).collect()),
        ] {
            assert_eq!(check(0..100, came), None, "{what}");
        }
    }
}
