// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Texts of a recorder's notices, with the remedies that a pipeline has.

use media::codec::Damage;
use media::record_times::Event;
use recording::Notice;

/// Returns the fault, its time and a remedy.
pub fn text(notice: &Notice) -> String {
    match *notice {
        Notice::Undecodable { damage, .. } => {
            format!("{notice}. {}, or set on-error=stop", remedy(damage))
        }
        Notice::RefusedUndecodable { damage, .. } => {
            format!("{notice}. {}, or set on-error=record", remedy(damage))
        }
        Notice::NothingDecodable { damage, .. } => {
            format!("{notice}. {}", remedy(damage.unwrap_or(Damage::NoSlice)))
        }
        Notice::Timestamps(Event::NoRate) => {
            format!("{notice}. Set the property fps of this element, as in fps=25/1")
        }
        _ => notice.to_string(),
    }
}

/// Returns a remedy for damage, as the begin of a sentence.
fn remedy(damage: Damage) -> &'static str {
    match damage {
        Damage::LengthPrefixed | Damage::NotByteStream => {
            "Have h264parse convert the stream, by caps that say what it really is"
        }
        damage if damage.is_of_parameter_sets() => {
            "Have the encoder repeat SPS and PPS with each IDR picture, or begin to record before it \
             begins"
        }
        _ => "Look for what damages the stream before it comes to this element",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_why_nothing_can_be_decoded() {
        for (frames, damage, parts) in [
            (
                9,
                Some(Damage::NoParameterSets),
                ["None of the 9", "no SPS and PPS"],
            ),
            (
                9,
                Some(Damage::LengthPrefixed),
                ["None of the 9", "length-prefixed"],
            ),
            (9, Some(Damage::NotByteStream), ["Annex B", "h264parse"]),
            (2, Some(Damage::NoSlice), ["Nothing", "no slice"]),
            (0, None, ["Nothing", "no slice"]),
        ] {
            let notice = Notice::NothingDecodable { frames, damage };
            assert!(notice.is_error());
            let text = text(&notice);
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn the_remedy_for_a_missing_rate_is_a_property() {
        let text = text(&Notice::Timestamps(Event::NoRate));
        assert!(text.contains("fps=25/1"), "{text}");
    }
}
