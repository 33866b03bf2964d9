// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Files of the episodes of an export.

use std::io;

use media::cut::policy::Episode;
use media::cut::{DeclaredFormat, EpisodeBegin, EpisodeFile, EpisodeOutputs, PictureFormat};
use media::frame_rate::FrameRate;

use crate::output_record::{Body, OutputContent};
use crate::spool::{Spool, SpoolSettings};

/// The files of episodes, in memory or in temporary files without names.
#[derive(Debug)]
pub struct EpisodeFiles {
    settings: SpoolSettings,
    /// Frame rate of the running episode.
    frame_rate: Option<FrameRate>,
    complete: Vec<CompleteFile>,
}

/// The complete file of an episode.
#[derive(Debug)]
pub struct CompleteFile {
    /// The episode.
    pub episode: Episode,
    /// The declared rate, if the times of its frames agree.
    pub frame_rate: Option<FrameRate>,
    /// The file.
    pub content: OutputContent,
}

impl EpisodeFiles {
    /// Creates no file yet.
    pub fn new(settings: SpoolSettings) -> Self {
        Self {
            settings,
            frame_rate: None,
            complete: Vec::new(),
        }
    }

    /// Takes the files that were completed since the last call, in order.
    pub fn take_complete(&mut self) -> Vec<CompleteFile> {
        std::mem::take(&mut self.complete)
    }
}

impl EpisodeOutputs for EpisodeFiles {
    type Output = Spool;

    fn open(&mut self, begin: &EpisodeBegin<PictureFormat>) -> io::Result<Spool> {
        let rate = begin.format.declared.frame_rate();
        self.frame_rate = rate.filter(|rate| rate.is_plausible());
        Ok(Spool::new(self.settings.clone()))
    }

    fn close(&mut self, file: EpisodeFile<Spool>) -> io::Result<()> {
        let declared = self.frame_rate.take();
        self.complete.push(CompleteFile {
            frame_rate: declared.filter(|rate| file.episode.agrees_with(*rate)),
            episode: file.episode,
            content: OutputContent {
                front: file.parts.front.into(),
                body: Body::new(file.output.finish()?, file.parts.body),
                back: file.parts.back.into(),
            },
        });
        Ok(())
    }
}
