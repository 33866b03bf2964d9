// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Files of episodes, from the begin of an episode until its file is complete.

use std::collections::VecDeque;

use super::names::{LocationError, Pattern};
use super::policy::Episode;
use crate::frame_rate::FrameRate;
use crate::mp4::Description;
use crate::time::CaptureTime;

/// Names that are compared with a new one: a recording of years has bounded memory.
const LATEST: usize = 1024;

/// Destination of the next file of a muxer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileTarget {
    /// The name of a file.
    File(String),
    /// No file: nothing of the episode is kept.
    Nowhere,
}

/// An episode whose file is complete.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    /// The name that its file gets now.
    pub name: String,
    /// The episode in the file.
    pub episode: Episode,
    /// The facts that the header of the file has to state.
    pub description: Description,
    /// The declared rate, if the times of its frames agree.
    pub frame_rate: Option<FrameRate>,
}

/// Register of files. Episodes begin and end as the policy decides; the muxer opens and closes files in the
/// same order, but later.
#[derive(Debug)]
pub struct Files {
    pattern: Pattern,
    /// The latest names, [`LATEST`] at most.
    names: VecDeque<String>,
    /// Targets that the muxer will open.
    to_open: VecDeque<FileTarget>,
    /// The file that splitmuxsink writes.
    open: Option<String>,
    /// Frame rates of episodes, until their files are closed.
    frame_rates: VecDeque<Option<FrameRate>>,
    /// Episodes that have all their access units, until their files are closed.
    ended: VecDeque<(Episode, Description)>,
    /// Reason for which there is no file.
    failure: Option<LocationError>,
    totals: Totals,
}

/// Counts of complete episodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Number of episodes.
    pub episodes: u64,
    /// Access units in them that are shown.
    pub frames: u64,
    /// Access units in them that are damaged, or refer to missing pictures.
    pub corrupted: u64,
}

impl Files {
    /// Returns a book without a file.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            names: VecDeque::new(),
            to_open: VecDeque::new(),
            open: None,
            frame_rates: VecDeque::new(),
            ended: VecDeque::new(),
            failure: None,
            totals: Totals::default(),
        }
    }

    /// Begins an episode, whose file the muxer will open.
    ///
    /// # Errors
    ///
    /// Only for the first one. The error of a later one is returned by
    /// [`take_failure`](Self::take_failure), when the files before are complete.
    pub fn begin(
        &mut self,
        index: u32,
        capture: Option<CaptureTime>,
        frame_rate: Option<FrameRate>,
    ) -> Result<(), LocationError> {
        self.frame_rates.push_back(frame_rate);
        let name = self.pattern.name(index, capture);
        let name = name.and_then(|name| self.claim(name));
        match name {
            Ok(name) => self.to_open.push_back(FileTarget::File(name)),
            Err(error) if index == 0 => return Err(error),
            Err(error) => {
                self.to_open.push_back(FileTarget::Nowhere);
                self.failure.get_or_insert(error);
            }
        }
        Ok(())
    }

    /// Returns a name that no other of the latest files has. Episodes with the same capture time could have the
    /// same one.
    fn claim(&mut self, name: String) -> Result<String, LocationError> {
        if self.names.contains(&name) {
            return Err(LocationError::SameName);
        }
        self.names.push_back(name.clone());
        if self.names.len() > LATEST {
            self.names.pop_front();
        }
        Ok(name)
    }

    /// Ends an episode, which has all its access units.
    pub fn end(&mut self, episode: Episode, description: Description) {
        self.ended.push_back((episode, description));
    }

    /// Returns the target of the file that the muxer opens, or `None` if no episode belongs to it.
    pub fn open(&mut self) -> Option<FileTarget> {
        let target = self.to_open.pop_front()?;
        self.open = match &target {
            FileTarget::File(name) => Some(name.clone()),
            FileTarget::Nowhere => None,
        };
        Some(target)
    }

    /// Returns the name of the open file.
    pub fn open_name(&self) -> Option<&str> {
        self.open.as_deref()
    }

    /// Closes the open file. Returns its episode, or `None` if there is none.
    pub fn close(&mut self) -> Option<Finished> {
        let (name, (episode, description)) = (self.open.take()?, self.ended.pop_front()?);
        let declared = self.frame_rates.pop_front().flatten();
        Some(Finished {
            name,
            frame_rate: declared.filter(|rate| episode.agrees_with(*rate)),
            episode,
            description,
        })
    }

    /// Counts an episode that is complete under its final name.
    pub fn count(&mut self, episode: &Episode) {
        self.totals.episodes += 1;
        self.totals.frames += episode.frames;
        self.totals.corrupted += episode.corrupted;
    }

    /// Returns the totals.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes the reason for which there is no file after the one that was closed.
    pub fn take_failure(&mut self) -> Option<LocationError> {
        self.failure.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Reason;
    use super::*;
    use crate::time::Nanos;

    fn rate(rate: i32) -> Option<FrameRate> {
        FrameRate::new(rate, 1)
    }

    fn files(pattern: &str) -> Files {
        Files::new(Pattern::new(pattern).unwrap())
    }

    fn episode(index: u32) -> Episode {
        Episode {
            index,
            capture: None,
            duration: Nanos::SECOND,
            frames: 10,
            hidden: 0,
            corrupted: 1,
            decode_start: Nanos::ZERO,
            shown: Vec::new(),
            dropped: 0,
            reason: Reason::Eos,
        }
    }

    #[test]
    fn files_follow_episodes() {
        let mut files = files("%d.mp4");
        files.begin(0, None, None).unwrap();
        assert_eq!(files.open(), Some(FileTarget::File("0.mp4".into())));
        // The policy is ahead of splitmuxsink.
        files.end(episode(0), Description::default());
        files.begin(1, None, rate(10)).unwrap();
        files.end(episode(1), Description::default());
        assert_eq!(files.open_name(), Some("0.mp4"));
        let finished = files.close().unwrap();
        assert_eq!(
            (finished.name.as_str(), finished.episode.index),
            ("0.mp4", 0)
        );
        assert_eq!(finished.frame_rate, None);
        files.count(&finished.episode);
        assert_eq!(files.open_name(), None);
        assert_eq!(files.open(), Some(FileTarget::File("1.mp4".into())));
        let finished = files.close().unwrap();
        assert_eq!((finished.episode.index, finished.frame_rate), (1, rate(10)));
        files.count(&finished.episode);
        let totals = Totals {
            episodes: 2,
            frames: 20,
            corrupted: 2,
        };
        assert_eq!(files.totals(), totals);
        assert_eq!(files.open(), None);
        assert_eq!(files.close(), None);
    }

    #[test]
    fn a_rate_that_the_times_contradict_is_none() {
        for (declared, expected) in [(10, rate(10)), (25, None), (1, None)] {
            let mut files = files("%d.mp4");
            let declared = rate(declared);
            files.begin(0, None, declared).unwrap();
            files.open();
            files.end(episode(0), Description::default());
            assert_eq!(files.close().unwrap().frame_rate, expected, "{declared:?}");
        }
    }

    #[test]
    fn the_first_name_fails_at_once() {
        let mut files = files("{start}.mp4");
        assert_eq!(
            files.begin(0, None, None),
            Err(LocationError::NoCaptureTime)
        );
    }

    #[test]
    fn a_later_name_fails_after_the_files_before() {
        let mut files = files("clip.mp4");
        files.begin(0, None, None).unwrap();
        files.open();
        files.end(episode(0), Description::default());
        assert_eq!(files.begin(1, None, rate(10)), Ok(()));
        assert_eq!(files.close().unwrap().name, "clip.mp4");
        assert_eq!(files.take_failure(), Some(LocationError::SameName));
        assert_eq!(files.take_failure(), None);
        assert_eq!(files.open(), Some(FileTarget::Nowhere));
        assert_eq!(files.open_name(), None);
    }

    #[test]
    fn episodes_of_one_time_have_no_common_file() {
        let time = |seconds| Some(CaptureTime::new(Nanos::from_seconds(seconds)));
        let mut named_by_time = files("{start-us}.mp4");
        for (index, seconds) in [7, 8, 7].into_iter().enumerate() {
            let index = u32::try_from(index).unwrap();
            named_by_time.begin(index, time(seconds), None).unwrap();
        }
        assert_eq!(named_by_time.take_failure(), Some(LocationError::SameName));
        let mut numbered = files("{start-us}_%d.mp4");
        for index in 0..3 {
            numbered.begin(index, time(7), None).unwrap();
        }
        assert_eq!(numbered.take_failure(), None);
    }
}
