// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Lengths of groups of pictures, by which whole groups that are missing are noticed.
//!
//! With groups of pictures of a constant length, `frame_num` and the picture order count are continuous
//! across the loss of as many pictures, or of a multiple (ITU-T H.264, 7.4.3 and 8.2.1
//! restart both at an IDR picture). Only the time that is left out shows it.

/// Number of groups of the same length after which it is that of all.
const MIN_GROUPS: usize = 2;

/// The lengths of the last groups of pictures.
#[derive(Debug, Default)]
pub struct GroupLengths {
    /// Number of pictures since the last keyframe, with it; `None` if some may be missing.
    pictures: Option<u64>,
    /// Lengths of the last complete groups, in no order.
    last: [Option<u64>; MIN_GROUPS],
}

impl GroupLengths {
    /// Adds the next picture.
    pub fn add(&mut self, is_keyframe: bool) {
        if is_keyframe {
            if let Some(length) = self.pictures {
                self.last.rotate_right(1);
                self.last[0] = Some(length);
            }
            self.pictures = Some(1);
        } else if let Some(pictures) = &mut self.pictures {
            *pictures += 1;
        }
    }

    /// Notes that pictures may be missing before the next one.
    pub fn interrupt(&mut self) {
        self.pictures = None;
    }

    /// Returns the number of groups that have as many pictures together as are missing, if that is a whole number.
    ///
    /// `missing` are missing before a picture, and up to `reordered` after it, as the times of pictures that are lost and
    /// of others alternate where they are reordered.
    pub fn groups_in(&self, missing: u64, reordered: u64) -> Option<u64> {
        let [Some(length), others @ ..] = self.last else {
            return None;
        };
        let is_constant = others.iter().all(|other| *other == Some(length));
        let groups = missing.saturating_add(reordered) / length.max(1);
        let is_whole = groups > 0 && length > 1 && groups.saturating_mul(length) >= missing;
        (is_constant && is_whole).then_some(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds groups of these lengths, and begins another one.
    fn groups(lengths: &[u64]) -> GroupLengths {
        let mut groups = GroupLengths::default();
        for length in lengths {
            (0..*length).for_each(|picture| groups.add(picture == 0));
        }
        groups.add(true);
        groups
    }

    #[test]
    fn whole_groups_after_groups_of_the_same_length() {
        let groups = groups(&[20, 20]);
        assert_eq!(groups.groups_in(20, 0), Some(1));
        assert_eq!(groups.groups_in(60, 0), Some(3));
        for missing in [0, 1, 10, 19, 21, 30] {
            assert_eq!(groups.groups_in(missing, 0), None, "{missing}");
        }
    }

    #[test]
    fn whole_groups_of_reordered_pictures() {
        let groups = groups(&[20, 20]);
        for (missing, expected) in [
            (17, None),
            (18, Some(1)),
            (20, Some(1)),
            (21, None),
            (39, Some(2)),
        ] {
            assert_eq!(groups.groups_in(missing, 2), expected, "{missing}");
        }
    }

    #[test]
    fn other_groups_show_nothing() {
        assert_eq!(groups(&[]).groups_in(20, 0), None);
        assert_eq!(groups(&[20]).groups_in(20, 0), None);
        assert_eq!(groups(&[20, 19]).groups_in(20, 0), None);
        // Each picture is a keyframe, and refers to no other one.
        assert_eq!(groups(&[1, 1, 1]).groups_in(1, 0), None);
    }

    #[test]
    fn a_group_with_a_loss_has_no_length() {
        let mut groups = groups(&[20, 20]);
        groups.interrupt();
        groups.add(false);
        groups.add(true);
        assert_eq!(groups.groups_in(20, 0), Some(1));
        (1..20).for_each(|_| groups.add(false));
        groups.add(true);
        assert_eq!(groups.groups_in(20, 0), Some(1));
    }
}
