// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Assigns samples to episodes, for some of which that is known at the end of their group of pictures only.

use std::collections::VecDeque;

use super::modes::SplitMode;

/// An item, such as a sample, with its place in an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned<T> {
    /// Number of the episode, from 0.
    pub episode: u32,
    /// Number in the episode, from 0.
    pub number: u64,
    /// The item.
    pub item: T,
}

/// Assigns samples of a [`Cutter`](super::Cutter) to episodes, each once and in order.
///
/// In [`SplitMode::AtMost`] it holds the last group of pictures back.
#[derive(Debug)]
pub struct EpisodeAssigner<T> {
    holds_groups: bool,
    episode: u32,
    /// Number of items that were assigned to the episode.
    count: u64,
    held: VecDeque<T>,
}

impl<T> EpisodeAssigner<T> {
    /// Creates an assigner for a stream.
    pub fn new(mode: SplitMode) -> Self {
        Self {
            holds_groups: mode == SplitMode::AtMost,
            episode: 0,
            count: 0,
            held: VecDeque::new(),
        }
    }

    /// Begins the episode `index`.
    pub fn begin(&mut self, index: u32) {
        self.episode = index;
        self.count = 0;
    }

    /// Adds the next item, which may be the first one of a group. Returns those whose episode is known now.
    pub fn add(&mut self, item: T, starts_group: bool) -> impl Iterator<Item = Assigned<T>> + '_ {
        let before = self.held.len();
        self.held.push_back(item);
        let known = match (self.holds_groups, starts_group) {
            (false, _) => before + 1,
            // Had the group before begun an episode, that would have been said.
            (true, true) => before,
            (true, false) => 0,
        };
        self.assign(known)
    }

    /// Ends the episode, which has so many items. Returns those that were not returned yet.
    pub fn end(&mut self, items: u64) -> impl Iterator<Item = Assigned<T>> + '_ {
        let missing = usize::try_from(items.saturating_sub(self.count)).unwrap_or(usize::MAX);
        self.assign(missing.min(self.held.len()))
    }

    fn assign(&mut self, count: usize) -> impl Iterator<Item = Assigned<T>> + '_ {
        let (episode, first) = (self.episode, self.count);
        self.count += count as u64;
        let items = self.held.drain(..count).zip(first..);
        items.map(move |(item, number)| Assigned {
            episode,
            number,
            item,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(assigned: impl Iterator<Item = Assigned<char>>) -> Vec<(u32, u64, char)> {
        assigned
            .map(|it| (it.episode, it.number, it.item))
            .collect()
    }

    #[test]
    fn items_are_assigned_at_once_or_at_the_end_of_their_group() {
        let mut at_once = EpisodeAssigner::new(SplitMode::NextKeyframe);
        at_once.begin(0);
        assert_eq!(places(at_once.add('a', true)), [(0, 0, 'a')]);
        assert_eq!(places(at_once.add('b', false)), [(0, 1, 'b')]);
        assert_eq!(places(at_once.end(2)), []);
        at_once.begin(1);
        assert_eq!(places(at_once.add('c', true)), [(1, 0, 'c')]);

        let mut late = EpisodeAssigner::new(SplitMode::AtMost);
        late.begin(0);
        assert_eq!(places(late.add('a', true)), []);
        assert_eq!(places(late.add('b', false)), []);
        assert_eq!(places(late.add('c', true)), [(0, 0, 'a'), (0, 1, 'b')]);
        // The group of 'c' is the first one of another episode.
        assert_eq!(places(late.end(2)), []);
        late.begin(1);
        assert_eq!(places(late.add('d', true)), [(1, 0, 'c')]);
        assert_eq!(places(late.end(2)), [(1, 1, 'd')]);
    }
}
