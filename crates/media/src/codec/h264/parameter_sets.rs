// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Parameter sets of a stream, also as the decoder configuration record of MP4.

use std::collections::{BTreeMap, BTreeSet};

use h264_reader::rbsp::BitRead;

use super::nal::{bits, nal_type, nal_unit_type};
use super::pps::Pps;
use super::sps::{Broken, Sps};

/// Sequence and picture parameter sets by their ids, as NAL units without trailing zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterSets {
    sequence: BTreeMap<u32, Vec<u8>>,
    /// Sequence parameter set extensions, by the ids of their SPSs.
    extension: BTreeMap<u32, Vec<u8>>,
    picture: BTreeMap<u32, Vec<u8>>,
}

/// Facts of a PPS and its SPS that decoding depends on. Sets that cannot be parsed are compared byte by
/// byte.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    sequence: Option<SequenceMeaning>,
    extension: Option<Vec<u8>>,
    picture: Result<Pps, Vec<u8>>,
}

type SequenceMeaning = Result<Sps, Vec<u8>>;

/// Difference of parameter sets from those of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetsDifference {
    /// The file can hold all of them.
    Compatible,
    /// The sets contradict those of the file: pictures would be decoded differently.
    Incompatible,
}

impl ParameterSets {
    /// Returns the parameter sets of an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1); none if it is
    /// broken.
    pub fn from_configuration(record: &[u8]) -> Self {
        Self::read_configuration(record).unwrap_or_default()
    }

    fn read_configuration(record: &[u8]) -> Option<Self> {
        let mut sets = Self::default();
        let (&[version, _, _, _, _, count], rest) = record.split_first_chunk()?;
        if version != 1 {
            return None;
        }
        // The three bits before the number of SPSs are reserved.
        let rest = sets.read(count & 0x1f, rest)?;
        let (&count, rest) = rest.split_first()?;
        let rest = sets.read(count, rest)?;
        // Writers leave out the fields of High profiles, or the extensions at their end.
        if has_high_fields(record[1])
            && let Some((&[_, _, _, count], rest)) = rest.split_first_chunk()
        {
            let mut with_extensions = sets.clone();
            if with_extensions.read(count, rest).is_some() {
                return Some(with_extensions);
            }
        }
        Some(sets)
    }

    /// Takes over `count` sets with lengths of two bytes, and returns the bytes after them.
    fn read<'a>(&mut self, count: u8, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        for _ in 0..count {
            let (length, after) = rest.split_first_chunk()?;
            let (nal, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            self.put(nal);
            rest = after;
        }
        Some(rest)
    }

    /// Adds a parameter set, which replaces the one with its id. Ignores any other NAL unit, and one that
    /// is too long for the record.
    pub fn put(&mut self, nal: &[u8]) {
        let end = nal.iter().rposition(|byte| *byte != 0);
        let nal = &nal[..end.map_or(0, |last| last + 1)];
        let Some(&header) = nal.first().filter(|_| u16::try_from(nal.len()).is_ok()) else {
            return;
        };
        match nal_unit_type(header) {
            // The id follows profile_idc, the constraint flags and level_idc.
            nal_type::SPS => put(&mut self.sequence, id(nal, 24), nal),
            nal_type::SPS_EXTENSION => put(&mut self.extension, id(nal, 0), nal),
            nal_type::PPS => put(&mut self.picture, id(nal, 0), nal),
            _ => {}
        }
    }

    /// Returns whether there is no set.
    pub fn is_empty(&self) -> bool {
        self.sequence.is_empty() && self.extension.is_empty() && self.picture.is_empty()
    }

    /// Returns whether there is a PPS and the SPS that it refers to.
    pub fn has_active(&self) -> bool {
        let mut decoded = Decoded::default();
        // A broken set is as good as none.
        self.iter().for_each(|nal| drop(decoded.put(nal)));
        decoded.has_active()
    }

    /// Adds the sets of `older` whose ids are missing here.
    pub fn fill_from(&mut self, older: Self) {
        for (id, nal) in older.sequence {
            self.sequence.entry(id).or_insert(nal);
        }
        for (id, nal) in older.extension {
            self.extension.entry(id).or_insert(nal);
        }
        for (id, nal) in older.picture {
            self.picture.entry(id).or_insert(nal);
        }
    }

    /// Returns the sets whose ids `other` does not have.
    pub fn missing_in(&self, other: &Self) -> Self {
        let mut missing = self.clone();
        missing
            .sequence
            .retain(|id, _| !other.sequence.contains_key(id));
        missing
            .extension
            .retain(|id, _| !other.sequence.contains_key(id) && !other.extension.contains_key(id));
        missing
            .picture
            .retain(|id, _| !other.picture.contains_key(id));
        missing
    }

    /// Returns those PPSs of `ids` that are present, and the SPSs that they refer to.
    pub fn referred(&self, ids: &BTreeSet<u8>) -> Self {
        let mut referred = Self::default();
        for id in ids.iter().copied().map(u32::from) {
            let Some(picture) = self.picture.get(&id) else {
                continue;
            };
            referred.picture.insert(id, picture.clone());
            let Some(sps_id) = referred_sps(picture) else {
                continue;
            };
            if let Some(sequence) = self.sequence.get(&sps_id) {
                referred.sequence.insert(sps_id, sequence.clone());
            }
            if let Some(extension) = self.extension.get(&sps_id) {
                referred.extension.insert(sps_id, extension.clone());
            }
        }
        referred
    }

    /// Returns all sets.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let sequence = self.sequence.values().chain(self.extension.values());
        sequence.chain(self.picture.values()).map(Vec::as_slice)
    }

    /// Returns the SPS with this id.
    pub fn sps(&self, id: u8) -> Option<&[u8]> {
        self.sequence.get(&id.into()).map(Vec::as_slice)
    }

    /// Compares the sets of a file, whose pictures refer to the PPSs `used`, with `next`, those of a
    /// keyframe that refers to the PPS `pps_id`. Sets that no picture of the file uses do not matter.
    pub fn difference(&self, used: &BTreeSet<u8>, next: &Self, pps_id: u8) -> SetsDifference {
        let differs = |id: &u32| self.meaning(*id) != next.meaning(*id);
        let redefined = next
            .picture
            .keys()
            .filter(|id| u8::try_from(**id).is_ok_and(|id| used.contains(&id)))
            .any(differs);
        // All pictures of a file are decoded with one SPS, so that its size holds for all of them.
        let mut active = used
            .iter()
            .filter_map(|id| self.meaning((*id).into())?.sequence);
        let next_active = next
            .meaning(pps_id.into())
            .and_then(|meaning| meaning.sequence);
        if redefined || active.any(|active| Some(active) != next_active) {
            SetsDifference::Incompatible
        } else {
            SetsDifference::Compatible
        }
    }

    /// Adds the sets of `newer` that a file lacks: those with other ids, those with ids that none of its
    /// pictures uses, and SPSs that differ by a higher level only.
    pub fn absorb(&mut self, used: &BTreeSet<u8>, newer: &Self) {
        let used_sequences: BTreeSet<u32> = used
            .iter()
            .filter_map(|id| self.parsed_pps((*id).into()))
            .map(|pps| pps.sps_id.into())
            .collect();
        for (id, nal) in &newer.picture {
            if u8::try_from(*id).is_ok_and(|id| !used.contains(&id)) {
                self.picture.insert(*id, nal.clone());
            }
        }
        for (id, nal) in &newer.sequence {
            let is_used = used_sequences.contains(id);
            match self.sequence.get(id) {
                Some(own) if is_used && !has_higher_level(nal, own) => {}
                _ => {
                    self.sequence.insert(*id, nal.clone());
                }
            }
        }
        for (id, nal) in &newer.extension {
            if !used_sequences.contains(id) {
                self.extension.insert(*id, nal.clone());
            }
        }
    }

    fn parsed_pps(&self, id: u32) -> Option<Pps> {
        Pps::parse(self.picture.get(&id)?).ok()
    }

    /// Returns the sets that decode a picture which refers to the PPS `id`, or `None` if they are missing.
    fn meaning(&self, id: u32) -> Option<Meaning> {
        let picture = self.picture.get(&id)?;
        // Bytes without nal_ref_idc, of which all values but 0 mean the same (7.4.1).
        let raw = |nal: &Vec<u8>| nal.get(1..).unwrap_or_default().to_vec();
        let pps = Pps::parse(picture).map_err(|_| raw(picture));
        let sps_id = pps.as_ref().ok().map(|pps| u32::from(pps.sps_id));
        let sequence = sps_id.and_then(|id| self.sequence.get(&id));
        Some(Meaning {
            sequence: sequence.map(|nal| {
                let sps = Sps::parse(nal).map_err(|_| raw(nal));
                sps.map(|sps| sps.meaning())
            }),
            extension: sps_id.and_then(|id| self.extension.get(&id)).map(raw),
            picture: pps.map(|pps| pps.meaning()),
        })
    }

    /// Returns the sets with start codes (Annex B).
    pub fn to_byte_stream(&self) -> Vec<u8> {
        self.iter()
            .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
            .collect()
    }

    /// Returns the sets as an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1.2) with
    /// lengths of four bytes, and with the profile of the SPS `sps_id` and the highest level of that
    /// profile; `None` without that SPS or a PPS.
    pub fn to_configuration(&self, sps_id: u8) -> Option<Vec<u8>> {
        let first = self.sps(sps_id).filter(|sps| sps.len() >= 4)?;
        if self.picture.is_empty() {
            return None;
        }
        let profile = first[1];
        let parsed = self
            .sequence
            .values()
            .filter(|nal| nal.get(1) == Some(&profile));
        let parsed = parsed.filter_map(|nal| Some((nal, Sps::parse(nal).ok()?)));
        let highest = parsed.max_by_key(|(_, sps)| sps.level_rank());
        let highest = highest.map_or(first, |(nal, _)| nal);
        let mut record = vec![1, profile, highest[2], highest[3], 0xff];
        // There is one id more than the numbers of sets can count.
        record.push(0xe0 | u8::try_from(self.sequence.len()).unwrap_or(31).min(31));
        write(&mut record, self.sequence.values().take(31))?;
        record.push(u8::try_from(self.picture.len()).unwrap_or(u8::MAX));
        write(&mut record, self.picture.values().take(u8::MAX.into()))?;
        if has_high_fields(profile)
            && let Ok(sps) = Sps::parse(first)
        {
            let [luma, chroma] = sps.bit_depths_minus8.map(|depth| depth as u8 & 7);
            record.extend([
                0xfc | sps.chroma_format_idc as u8,
                0xf8 | luma,
                0xf8 | chroma,
                u8::try_from(self.extension.len()).unwrap_or(u8::MAX),
            ]);
            write(&mut record, self.extension.values().take(u8::MAX.into()))?;
        }
        Some(record)
    }
}

/// Returns whether an `AVCDecoderConfigurationRecord` of this profile has the chroma format and the bit
/// depths.
fn has_high_fields(profile_idc: u8) -> bool {
    !matches!(profile_idc, 66 | 77 | 88)
}

/// Returns whether `nal` is an SPS that means the same as `other`, with a higher level.
fn has_higher_level(nal: &[u8], other: &[u8]) -> bool {
    match (Sps::parse(nal), Sps::parse(other)) {
        (Ok(sps), Ok(other)) => {
            sps.level_rank() > other.level_rank() && sps.meaning() == other.meaning()
        }
        _ => false,
    }
}

/// Returns the id of the PPS that a slice, or slice data partition A, refers to.
pub fn referred_pps(nal: &[u8]) -> Option<u8> {
    let r = &mut bits(nal);
    r.read_ue("first_mb_in_slice").ok()?;
    r.read_ue("slice_type").ok()?;
    u8::try_from(r.read_ue("pic_parameter_set_id").ok()?).ok()
}

/// Returns the id of the SPS that a PPS refers to.
fn referred_sps(pps: &[u8]) -> Option<u32> {
    let r = &mut bits(pps);
    r.read_ue("pic_parameter_set_id").ok()?;
    r.read_ue("seq_parameter_set_id").ok()
}

/// The contents of parameter sets, as far as slices need them, by their ids.
#[derive(Debug, Default, Clone)]
pub struct Decoded {
    sequence: BTreeMap<u8, Sps>,
    picture: BTreeMap<u8, Pps>,
}

impl Decoded {
    /// Adds a parameter set, which replaces the one with its id. Ignores any other NAL unit.
    pub fn put(&mut self, nal: &[u8]) -> Result<(), Broken> {
        match nal.first().copied().map(nal_unit_type) {
            Some(nal_type::SPS) => {
                let sps = Sps::parse(nal)?;
                self.sequence.insert(sps.id, sps);
            }
            Some(nal_type::PPS) => {
                let pps = Pps::parse(nal)?;
                self.picture.insert(pps.id, pps);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the sets of a slice that refers to the PPS `pps_id`.
    pub fn active(&self, pps_id: u8) -> Option<(&Sps, &Pps)> {
        let pps = self.picture.get(&pps_id)?;
        Some((self.sequence.get(&pps.sps_id)?, pps))
    }

    /// Returns whether there is a PPS and the SPS that it refers to.
    pub fn has_active(&self) -> bool {
        self.picture
            .values()
            .any(|pps| self.sequence.contains_key(&pps.sps_id))
    }
}

fn put(sets: &mut BTreeMap<u32, Vec<u8>>, id: Option<u32>, nal: &[u8]) {
    if let Some(id) = id {
        sets.insert(id, nal.to_vec());
    }
}

/// Returns the id that a parameter set begins with, after some bits. Ids end at 255 (7.4.2.2).
fn id(nal: &[u8], after_bits: u32) -> Option<u32> {
    let r = &mut bits(nal);
    r.skip(after_bits, "before the id").ok()?;
    r.read_ue("id").ok().filter(|id| *id <= 255)
}

fn write<'a>(record: &mut Vec<u8>, sets: impl Iterator<Item = &'a Vec<u8>>) -> Option<()> {
    for set in sets {
        record.extend_from_slice(&u16::try_from(set.len()).ok()?.to_be_bytes());
        record.extend_from_slice(set);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264::testing::pps;

    /// Ids 0 and 1 in Exp-Golomb code are `1` and `010`.
    const SPS: &[u8] = &[0x67, 66, 0, 30, 0b1010_0000];
    const PPS_0: &[u8] = &[0x68, 0b1100_0000];
    const PPS_1: &[u8] = &[0x68, 0b0101_0000];

    fn sets(nals: &[&[u8]]) -> ParameterSets {
        let mut sets = ParameterSets::default();
        nals.iter().for_each(|nal| sets.put(nal));
        sets
    }

    #[test]
    fn a_configuration_has_all_sets() {
        let all = sets(&[PPS_1, SPS, PPS_0]);
        let record = all.to_configuration(0).unwrap();
        let expected = [
            &[1, 66, 0, 30, 0xff, 0xe1, 0, 5][..],
            SPS,
            &[2, 0, 2],
            PPS_0,
            &[0, 2],
            PPS_1,
        ];
        assert_eq!(record, expected.concat());
        assert_eq!(ParameterSets::from_configuration(&record), all);
    }

    #[test]
    fn configurations_that_are_odd() {
        let none = ParameterSets::default();
        let empty_pps = [1, 66, 0, 30, 0xff, 0xe0, 1, 0, 0];
        assert_eq!(ParameterSets::from_configuration(&empty_pps), none);
        let mut record = sets(&[SPS, PPS_0]).to_configuration(0).unwrap();
        // The begin of optional fields.
        record.extend_from_slice(&[0xfd, 0xf8]);
        assert_eq!(
            ParameterSets::from_configuration(&record),
            sets(&[SPS, PPS_0])
        );
        assert_eq!(ParameterSets::from_configuration(&record[..17]), none);
        record[0] = 2;
        assert_eq!(ParameterSets::from_configuration(&record), none);
    }

    #[test]
    fn the_same_sets_again_change_nothing() {
        assert_eq!(sets(&[SPS, PPS_0, SPS, PPS_0]), sets(&[SPS, PPS_0]));
        let other: &[u8] = &[0x68, 0b1110_0000];
        assert_ne!(sets(&[SPS, PPS_0, other]), sets(&[SPS, PPS_0]));
    }

    #[test]
    fn other_nal_units_are_no_sets() {
        let none = ParameterSets::default();
        assert_eq!(sets(&[&[], &[0x65, 0x88], &[6, 5], &[0x67], &[0x68]]), none);
    }

    #[test]
    fn incomplete_sets_make_no_configuration() {
        assert_eq!(sets(&[SPS]).to_configuration(0), None);
        assert_eq!(sets(&[PPS_0]).to_configuration(0), None);
        let none = ParameterSets::default();
        assert_eq!(ParameterSets::from_configuration(&[1, 66, 0]), none);
        assert_eq!(ParameterSets::from_configuration(&[]), none);
    }

    /// An SPS of High profile, 4:2:0, 8 bits, 64x64 pixels.
    fn high_sps(id: u8, level: u8) -> Vec<u8> {
        // ue(v) 0 is 1, 1 is 010, 2 is 011, 3 is 00100.
        let id = ["1", "010", "011", "00100"][usize::from(id)];
        let bits = [
            id, "010", "1", "1", "0", "0", "1", "1", "1", "010", "0", "00100", "00100", "1", "1",
            "0", "0", "1",
        ];
        let bits = bits.concat();
        let bytes = bits.as_bytes().chunks(8).map(|bits| {
            (0..8).fold(0, |byte, at| {
                byte << 1 | u8::from(bits.get(at) == Some(&b'1'))
            })
        });
        [0x67, 100, 0, level].into_iter().chain(bytes).collect()
    }

    #[test]
    fn high_profiles_have_further_fields() {
        let extension: &[u8] = &[0x6d, 0b1101_0000];
        let all = sets(&[&high_sps(0, 30), extension, PPS_0]);
        let record = all.to_configuration(0).unwrap();
        let fields = [&[0xfd, 0xf8, 0xf8, 1, 0, 2][..], extension].concat();
        assert!(record.ends_with(&fields), "{record:x?}");
        assert_eq!(ParameterSets::from_configuration(&record), all);
        // Without the extension, or without all of these fields.
        for missing in [1, 5, 8] {
            let cut = ParameterSets::from_configuration(&record[..record.len() - missing]);
            assert_eq!(cut, sets(&[&high_sps(0, 30), PPS_0]));
        }
    }

    #[test]
    fn the_highest_level_is_that_of_the_record() {
        let all = sets(&[&high_sps(0, 30), &high_sps(1, 41), PPS_0]);
        assert_eq!(all.to_configuration(0).unwrap()[3], 41);
        // Level 1b is between 1 and 1.1, and other profiles do not count.
        let all = sets(&[&high_sps(0, 10), &high_sps(1, 9), SPS, PPS_0]);
        assert_eq!(all.sps(0), Some(SPS));
        assert_eq!(all.to_configuration(1).unwrap()[3], 9);
    }

    /// Another PPS of the same id: entropy_coding_mode_flag follows two ids.
    fn other(pps: &[u8], flag: u8) -> Vec<u8> {
        let mut other = pps.to_vec();
        other[1] ^= flag;
        other
    }

    #[test]
    fn sets_are_compared_by_what_pictures_use() {
        let (pps_0, pps_1) = (pps(0), pps(1));
        let used = BTreeSet::from([0]);
        let file = sets(&[&high_sps(0, 30), &pps_0]);
        let difference = |nals: &[&[u8]], pps_id| file.difference(&used, &sets(nals), pps_id);
        let (same, incompatible) = (SetsDifference::Compatible, SetsDifference::Incompatible);
        let level = high_sps(0, 40);
        assert_eq!(difference(&[&level, &pps_0], 0), same);
        let reference = [&[0x28], &pps_0[1..], &[0, 0]].concat();
        assert_eq!(difference(&[&level, &reference], 0), same);
        // Another SPS that no picture refers to, and another PPS.
        let more: [&[u8]; 4] = [&level, &pps_0, &high_sps(1, 30), &pps_1];
        assert_eq!(difference(&more, 1), same);
        let changed = other(&pps_0, 0x20);
        assert_eq!(difference(&[&level, &changed], 0), incompatible);
        assert_eq!(difference(&[SPS, &pps_0], 0), incompatible);
    }

    #[test]
    fn a_file_takes_over_what_it_lacks() {
        let (pps_0, pps_1) = (pps(0), pps(1));
        let used = BTreeSet::from([0]);
        let mut file = sets(&[&high_sps(0, 30), &pps_0, &pps_1]);
        let (changed, unused) = (other(&pps_0, 0x20), other(&pps_1, 0x08));
        let newer = sets(&[&high_sps(0, 40), &high_sps(2, 10), &changed, &unused]);
        file.absorb(&used, &newer);
        let expected = sets(&[&high_sps(0, 40), &high_sps(2, 10), &pps_0, &unused]);
        assert_eq!(file, expected);
        file.absorb(&used, &sets(&[&high_sps(0, 20)]));
        assert_eq!(file, expected);
    }
}
