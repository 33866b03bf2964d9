// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! GStreamer elements for H.264 in [ReductStore](https://www.reduct.store), a time-series store for blobs.
//!
//! They write it (`reductsink`), read it (`reductsrc`), and export it as MP4 episodes (`reductepisodesplit`).
#![allow(unused_doc_comments)] // The SECTION blocks are for GStreamer's documentation tool.

/**
 * plugin-reduct:
 *
 * H.264 into and out of ReductStore, and episodes back into it.
 *
 * Since: plugins-reduct-0.1
 */
mod capture_time;
mod connection;
mod convert;
mod errors;
mod lock;
mod logging;
mod parameters;
mod pause_event;
mod property_values;
mod reductepisodesplit;
mod reductsink;
mod reductsrc;
mod runtime;
#[doc(hidden)]
pub use reductsrc::stamping;

use gst::glib;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    reductsrc::register(plugin)?;
    reductsink::register(plugin)?;
    reductepisodesplit::register(plugin)
}

gst::plugin_define!(
    reduct,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    "MPL-2.0",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_REPOSITORY"),
    env!("BUILD_REL_DATE")
);

#[cfg(test)]
mod tests {
    use gst::glib;
    use gst::prelude::*;

    use super::*;

    /// The texts that gst-inspect-1.0 shows of an element's own properties, by property.
    fn texts(element: glib::Type) -> Vec<(String, String)> {
        let class = glib::object::ObjectClass::from_type(element).unwrap();
        let properties = class.list_properties();
        let own = properties
            .iter()
            .filter(|property| property.owner_type() == element);
        own.flat_map(|property| {
            let values = glib::EnumClass::with_type(property.value_type());
            let values = values.iter().flat_map(|class| class.values());
            let values: Vec<_> = values.map(|value| value.name().to_owned()).collect();
            let blurb = property.blurb().unwrap_or_default().to_owned();
            let texts = [blurb, property.nick().to_owned()]
                .into_iter()
                .chain(values);
            let name = property.name();
            texts
                .map(move |text| (name.to_owned(), text))
                .collect::<Vec<_>>()
        })
        .collect()
    }

    #[test]
    fn texts_of_properties_are_one_line_without_runs_of_spaces() {
        gst::init().unwrap();
        let elements = [
            reductsrc::ReductSrc::static_type(),
            reductsink::ReductSink::static_type(),
            reductepisodesplit::ReductEpisodeSplit::static_type(),
        ];
        for element in elements {
            let texts = texts(element);
            assert!(texts.len() > 10, "{element}");
            for (property, text) in texts {
                let is_one_line = !text.contains("  ") && !text.contains('\n');
                assert!(is_one_line && text == text.trim(), "{property}: {text:?}");
                assert!(!text.is_empty(), "{property}");
            }
        }
    }

    #[test]
    fn the_blurb_of_stats_names_each_field() {
        gst::init().unwrap();
        for element in [
            glib::Object::with_type(reductsrc::ReductSrc::static_type()),
            glib::Object::with_type(reductsink::ReductSink::static_type()),
            glib::Object::with_type(reductepisodesplit::ReductEpisodeSplit::static_type()),
        ] {
            let property = element.find_property("stats").unwrap();
            let blurb = property.blurb().unwrap();
            for (field, _) in element.property::<gst::Structure>("stats").iter() {
                assert!(
                    blurb.contains(field.as_str()),
                    "{}: {field}",
                    element.type_()
                );
            }
        }
    }
}
