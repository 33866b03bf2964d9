// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! An element's properties as the URI of an entry, their values written as for `gst-launch-1.0`.

use gst::glib;
use gst::prelude::*;
use url::Url;

use crate::connection::ConnectionSettings;
use crate::uri::{EntryUri, bad};

/// What the rest of a URI says.
const NOT_PARAMETERS: &[&str] = &["url", "bucket", "entry"];

/// The properties of the object's own class that a URI may have. None of them holds a secret, as
/// those cannot be read.
fn properties(object: &glib::Object) -> impl Iterator<Item = glib::ParamSpec> {
    let class = object.type_();
    let properties = object.list_properties().into_iter();
    properties.filter(move |property| {
        let set_and_read = glib::ParamFlags::READWRITE;
        property.owner_type() == class
            && property.flags().contains(set_and_read)
            && !NOT_PARAMETERS.contains(&property.name())
    })
}

/// The URI that an element's properties make, if they name an entry.
pub fn uri(object: &glib::Object, connection: &ConnectionSettings) -> Option<String> {
    let uri = EntryUri {
        server: Url::parse(&connection.url).ok()?,
        bucket: connection.bucket.clone()?,
        entry: connection.entry.clone()?,
        parameters: parameters(object),
    };
    Some(uri.to_string())
}

/// The properties that differ from their defaults.
fn parameters(object: &glib::Object) -> Vec<(String, String)> {
    properties(object)
        .filter_map(|property| {
            let value = object.property_value(property.name());
            let text = text(&value)?;
            let is_default = text == self::text(property.default_value()).unwrap_or_default();
            (!is_default).then(|| (property.name().to_owned(), text))
        })
        .collect()
}

/// A value for each property that a URI may set: what it says, else the property's default.
///
/// # Errors
///
/// `URIError::BadUri` for a parameter that there is not, or a value that the property cannot have.
fn values(
    object: &glib::Object,
    uri: &EntryUri,
) -> Result<Vec<(&'static str, glib::Value)>, glib::Error> {
    let mut values: Vec<_> = properties(object)
        .map(|property| (property.name(), property.default_value().clone()))
        .collect();
    for (name, text) in &uri.parameters {
        if name.contains("token") {
            return Err(bad(
                "A token is no parameter of a URI. Set it by the environment variable \
                 REDUCT_API_TOKEN or the property api-token",
            ));
        }
        let (property, value) = properties(object)
            .zip(&mut values)
            .find_map(|(property, (_, value))| {
                (property.name() == name).then_some((property, value))
            })
            .ok_or_else(|| bad(&format!("There is no parameter '{name}'")))?;
        *value = parse(text, &property).ok_or_else(|| {
            let about = property.blurb().unwrap_or_default();
            bad(&format!(
                "'{text}' is no value of the parameter '{name}': {about}"
            ))
        })?;
    }
    values.extend([
        ("url", uri.server.as_str().to_value()),
        ("bucket", uri.bucket.to_value()),
        ("entry", uri.entry.to_value()),
    ]);
    Ok(values)
}

/// Sets an element's properties as a URI has them, if they pass a check together. What the URI does
/// not say gets its default.
///
/// # Errors
///
/// `URIError::BadState` while the element runs, else `URIError::BadUri`.
pub fn set(
    element: &gst::Element,
    uri: &str,
    check: impl FnOnce(&[(&'static str, glib::Value)]) -> Result<(), String>,
) -> Result<(), glib::Error> {
    if element.current_state().max(element.pending_state()) > gst::State::Ready {
        return Err(glib::Error::new(
            gst::URIError::BadState,
            "The URI can only be set in NULL and READY",
        ));
    }
    let object = element.upcast_ref();
    let values = values(object, &uri.parse()?)?;
    check(&values).map_err(|text| bad(&text))?;
    for (property, value) in &values {
        object.set_property_from_value(property, value);
    }
    Ok(())
}

fn text(value: &glib::Value) -> Option<String> {
    // What is not set is no text.
    if let Ok(None) = value.get::<Option<gst::Structure>>() {
        return None;
    }
    match value.get::<Option<String>>() {
        Ok(text) => text,
        Err(_) => value.serialize().ok().map(Into::into),
    }
}

/// The value that a text is for a property, if it can have it.
pub fn parse(text: &str, property: &glib::ParamSpec) -> Option<glib::Value> {
    if property.value_type() == glib::Type::STRING {
        return Some(text.to_value());
    }
    let value = glib::Value::deserialize_with_pspec(text, property).ok()?;
    property.value_is_valid(&value).then_some(value)
}
