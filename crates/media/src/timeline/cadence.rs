// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! The cadence of a stream: the distance of its frames, learnt from record times.

use crate::time::Nanos;

/// Number of distances whose median is the cadence.
const WINDOW: usize = 8;
/// Number of distances from which on the median is used.
const MIN_DISTANCES: usize = 3;
/// Number of consecutive pauses of the same length that are a new cadence: after single pictures, and
/// after groups of pictures.
const MIN_PAUSES: usize = 3;
const MIN_GROUP_PAUSES: usize = 2;

/// Frame distances of the recent past.
#[derive(Debug, Clone, Default)]
pub struct Cadence {
    /// The declared frame duration. It is used at the beginning if a distance agrees with it.
    declared: Option<Nanos>,
    /// The last frame distances without pauses, one for each record, in no order.
    recent: [Nanos; WINDOW],
    /// Number of them.
    length: usize,
    /// Index of the oldest one, once there are [`WINDOW`] of them.
    oldest: usize,
    /// One bit for each of the last distances, set for a pause.
    history: u8,
    /// The median of `recent` and values that follow from it, computed once per record.
    estimate: Option<Nanos>,
    frame: Option<Nanos>,
    rhythm: Rhythm,
    /// Distances since the last one that was learnt: too long for the cadence so far.
    pauses: Vec<Nanos>,
}

/// The cadence at some point of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rhythm {
    /// Distance of two frames, once it is known.
    pub frame: Option<Nanos>,
    /// All recent distances, two at least, are within 20 % of their median; one may be a pause.
    pub is_steady: bool,
    /// It is steady, and three distances of records show that.
    pub is_established: bool,
}

impl Cadence {
    /// Returns a cadence that only knows the declared frame duration.
    pub fn new(declared: Option<Nanos>) -> Self {
        Self {
            declared,
            ..Default::default()
        }
    }

    /// Adds the distance of two frames, from a record of this number of `units`. A pause is not learnt
    /// unless it repeats, which means that the camera has slowed down.
    pub fn learn(&mut self, distance: Nanos, units: usize) {
        let is_pause = self.frame().is_some_and(|frame| is_pause(distance, frame));
        self.history = self.history << 1 | u8::from(is_pause);
        if is_pause {
            self.pauses.retain(|pause| is_near(*pause, distance));
            self.pauses.push(distance);
            let needed = match units {
                1 => MIN_PAUSES,
                _ => MIN_GROUP_PAUSES,
            };
            if self.pauses.len() >= needed
                && let Some(slow) = median(&self.pauses)
            {
                self.pauses.clear();
                self.recent = [slow; WINDOW];
                self.length = MIN_DISTANCES;
                self.oldest = 0;
                self.history = 0;
            }
            return self.update();
        }
        self.pauses.clear();
        if self.length < WINDOW {
            self.recent[self.length] = distance;
            self.length += 1;
        } else {
            self.recent[self.oldest] = distance;
            self.oldest = (self.oldest + 1) % WINDOW;
        }
        self.update();
    }

    /// Returns the median of the last eight distances, once there are three. Before there are eight,
    /// it is the declared frame duration if one of them agrees with that.
    pub fn frame(&self) -> Option<Nanos> {
        self.frame
    }

    /// Computes the median and all that follows from it.
    fn update(&mut self) {
        let recent = &self.recent[..self.length];
        let all = |frame: Nanos| recent.iter().all(|it| is_near(*it, frame));
        let agrees = |declared: &Nanos| recent.iter().any(|it| is_near(*it, *declared));
        let estimate = median(recent);
        let known = estimate.filter(|_| self.length >= MIN_DISTANCES);
        let is_early = self.length < WINDOW;
        let declared = self
            .declared
            .filter(|declared| is_early && agrees(declared));
        // The declared frame duration counts like a distance.
        let is_enough = self.length > 1 || self.length == 1 && self.declared.is_some_and(all);
        let is_steady = is_enough && self.history.count_ones() < 2 && estimate.is_some_and(all);
        self.estimate = estimate;
        self.frame = declared.or(known);
        self.rhythm = Rhythm {
            frame: self.frame.or(estimate.filter(|_| is_steady)),
            is_steady,
            is_established: is_steady && self.length >= MIN_DISTANCES,
        };
    }

    /// Returns the mean of the last eight distances.
    pub fn mean(&self) -> Option<Nanos> {
        let recent = &self.recent[..self.length];
        let sum = recent.iter().fold(0, |sum: u128, distance| {
            sum + u128::from(distance.nseconds())
        });
        let mean = sum.checked_div(recent.len() as u128)?;
        u64::try_from(mean).ok().map(Nanos::from_nseconds)
    }

    /// Returns the median of the distances that are known so far.
    pub fn estimate(&self) -> Option<Nanos> {
        self.estimate
    }

    /// Returns the present cadence. Two distances are enough if they agree.
    pub fn rhythm(&self) -> Rhythm {
        self.rhythm
    }
}

/// Returns whether `distance`, from the begin of a frame to that of the next one, is a pause.
pub fn is_pause(distance: Nanos, frame: Nanos) -> bool {
    // More than 2.5 frames.
    distance.saturating_mul(2) > frame.saturating_mul(5)
}

/// Returns whether two distances are within 20 % of each other.
pub fn is_near(distance: Nanos, frame: Nanos) -> bool {
    distance.absdiff(frame) <= frame / 5
}

fn median(distances: &[Nanos]) -> Option<Nanos> {
    let mut sorted = [Nanos::ZERO; WINDOW];
    let sorted = sorted.get_mut(..distances.len())?;
    sorted.copy_from_slice(distances);
    sorted.sort_unstable();
    let middle = match sorted.len() {
        // One of them may be a hole.
        2 => 0,
        length => length / 2,
    };
    sorted.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = Nanos::MSECOND;

    fn learnt(distances: &[u64]) -> Rhythm {
        let mut cadence = Cadence::default();
        for distance in distances {
            cadence.learn(Nanos::from_mseconds(*distance), 1);
        }
        cadence.rhythm()
    }

    #[test]
    fn three_distances_are_a_cadence() {
        assert_eq!(learnt(&[40, 60]).frame, None);
        assert_eq!(learnt(&[40, 40]).frame, Some(40 * MS));
        assert_eq!(learnt(&[40]).frame, None);
        assert_eq!(learnt(&[40, 41, 39]).frame, Some(40 * MS));
        assert!(learnt(&[40, 41]).is_steady && !learnt(&[40]).is_steady);
        assert!(!learnt(&[40, 60, 30]).is_steady);
    }

    #[test]
    fn a_pause_is_not_learnt() {
        let rhythm = learnt(&[40, 40, 40, 101, 40, 40, 40]);
        assert_eq!(rhythm.frame, Some(40 * MS));
        assert!(rhythm.is_steady);
    }

    #[test]
    fn a_slower_cadence_is_learnt() {
        // Up to 2.5 times as slow by the median, beyond as soon as it has repeated.
        let doubled = [40, 40, 40, 40, 40, 40, 40, 40, 80, 80, 80, 80, 80];
        assert_eq!(learnt(&doubled).frame, Some(80 * MS));
        let slower = [40, 40, 40, 40, 40, 40, 40, 40, 400, 410, 390];
        assert_eq!(learnt(&slower).frame, Some(400 * MS));
        assert!(learnt(&slower).is_steady);
        let others = [40, 40, 40, 40, 40, 40, 40, 40, 400, 900, 5000];
        assert_eq!(learnt(&others).frame, Some(40 * MS));
    }

    #[test]
    fn groups_repeat_sooner() {
        let mut cadence = Cadence::default();
        for distance in [40, 40, 40, 400] {
            cadence.learn(distance * MS, 25);
            assert_eq!(cadence.estimate(), Some(40 * MS));
        }
        cadence.learn(400 * MS, 25);
        assert_eq!(cadence.frame(), Some(400 * MS));
    }

    #[test]
    fn jitter_does_not_contradict() {
        let uneven = [42, 15, 45, 16, 47, 42, 15, 45];
        let mut cadence = Cadence::default();
        for distance in uneven {
            cadence.learn(distance * MS, 1);
        }
        assert_eq!(cadence.frame(), Some(42 * MS));
        assert_eq!(cadence.mean(), Some(267 * MS / 8));
    }

    #[test]
    fn a_declared_duration_counts_at_the_beginning() {
        let mut cadence = Cadence::new(Some(100 * MS));
        cadence.learn(600 * MS, 10);
        assert_eq!(cadence.frame(), None);
        cadence.learn(101 * MS, 10);
        assert_eq!(cadence.frame(), Some(100 * MS));
        cadence.learn(5000 * MS, 10);
        assert_eq!(cadence.frame(), Some(100 * MS));
        let mut other = Cadence::new(Some(100 * MS));
        (0..3).for_each(|_| other.learn(40 * MS, 1));
        assert_eq!(other.frame(), Some(40 * MS));
    }

    #[test]
    fn a_cadence_with_pauses_is_not_steady() {
        let is_steady = |distances: &[u64]| learnt(distances).is_steady;
        assert!(is_steady(&[40, 40, 40, 400, 40]));
        assert!(!is_steady(&[40, 40, 40, 400, 40, 300]));
        let later = [40, 40, 40, 400, 40, 300, 40, 40, 40, 40, 40, 40, 40];
        assert!(is_steady(&later));
    }

    #[test]
    fn limits() {
        assert!(!is_pause(100 * MS, 40 * MS) && is_pause(101 * MS, 40 * MS));
        assert!(is_near(48 * MS, 40 * MS) && is_near(32 * MS, 40 * MS));
        assert!(!is_near(49 * MS, 40 * MS) && !is_near(31 * MS, 40 * MS));
        assert!(!is_pause(Nanos::MAX, Nanos::MAX));
    }
}
