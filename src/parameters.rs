// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! An element's properties as the URI of an entry, their values written as for `gst-launch-1.0`.

use client::EntryUri;
use gst::glib;
use gst::prelude::*;
use url::Url;

use crate::connection::{ConnectionSettings, uri_error};

/// Error for a token among the parameters of a URI.
pub const TOKEN_PARAMETER: &str = "A token is no parameter of a URI. Set it by the environment variable \
                                   REDUCT_API_TOKEN or the property api-token";

/// Properties that are other parts of the URI.
const NOT_PARAMETERS: &[&str] = &["url", "bucket", "entry"];

/// Returns the properties of the object's own class that a URI may have. None of them holds a secret, as those
/// cannot be read.
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

/// Returns the URI that an element's properties make, if they name an entry.
pub fn uri(object: &glib::Object, connection: &ConnectionSettings) -> Option<String> {
    let uri = EntryUri {
        server: Url::parse(&connection.url).ok()?,
        bucket: connection.bucket.clone()?,
        entry: connection.entry.clone()?,
        parameters: parameters(object),
    };
    Some(uri.to_string())
}

/// Returns the properties that differ from their defaults.
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

/// Returns a value for each property that a URI may set: that of the URI, else the property's default.
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
            return Err(bad(TOKEN_PARAMETER));
        }
        let (property, value) = properties(object)
            .zip(&mut values)
            .find_map(|(property, (_, value))| {
                (property.name() == name).then_some((property, value))
            })
            .ok_or_else(|| bad(&format!("There is no parameter '{name}'")))?;
        *value = parse(text, &property).map_err(|expected| bad(&invalid(name, text, &expected)))?;
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
    let values = values(object, &uri.parse().map_err(|err| bad(&uri_error(&err)))?)?;
    check(&values).map_err(|text| bad(&text))?;
    for (property, value) in &values {
        object.set_property_from_value(property, value);
    }
    Ok(())
}

fn bad(text: &str) -> glib::Error {
    glib::Error::new(gst::URIError::BadUri, text)
}

fn text(value: &glib::Value) -> Option<String> {
    // An unset value has no text.
    if let Ok(None) = value.get::<Option<gst::Structure>>() {
        return None;
    }
    match value.get::<Option<String>>() {
        Ok(text) => text,
        Err(_) => value.serialize().ok().map(Into::into),
    }
}

/// Parses a value of a property, strictly: GStreamer wraps numbers that are out of range, ignores text after
/// the number of a fraction, and takes an empty text for the default of an enum.
///
/// # Errors
///
/// A description of valid values, with their range.
pub fn parse(text: &str, property: &glib::ParamSpec) -> Result<glib::Value, String> {
    let expected = expected(property);
    let value = if property.value_type() == glib::Type::STRING {
        Some(text.to_value())
    } else if property.is::<glib::ParamSpecUInt>() {
        whole_number(text)
            .and_then(|number| u32::try_from(number).ok())
            .map(|number| number.to_value())
    } else if property.is::<glib::ParamSpecUInt64>() {
        whole_number(text).map(|number| number.to_value())
    } else if property.is::<gst::ParamSpecFraction>() {
        fraction(text).map(|fraction| fraction.to_value())
    } else if let Some(class) = glib::EnumClass::with_type(property.value_type()) {
        let named = class.value_by_nick(text).or_else(|| {
            let number = text.parse().ok()?;
            class.value(number)
        });
        named.map(|value| value.to_value(&class))
    } else {
        glib::Value::deserialize_with_pspec(text, property).ok()
    };
    let value = value.filter(|value| property.value_is_valid(value));
    value.ok_or(expected)
}

/// Returns the text of an error about a parameter of a URI.
pub fn invalid(name: &str, text: &str, expected: &str) -> String {
    format!("'{text}' is no value of the parameter '{name}', which is {expected}")
}

/// Returns a description of a property's valid values, as the end of a sentence.
fn expected(property: &glib::ParamSpec) -> String {
    if let Some(number) = property.downcast_ref::<glib::ParamSpecUInt>() {
        return whole_numbers(number.minimum().into(), number.maximum().into());
    }
    if let Some(number) = property.downcast_ref::<glib::ParamSpecUInt64>() {
        return whole_numbers(number.minimum(), number.maximum());
    }
    if property.is::<gst::ParamSpecFraction>() {
        return "a frame rate such as 25/1, of 1/3600 to 1000/1, or 0/1".into();
    }
    if property.is::<glib::ParamSpecBoolean>() {
        return "true or false".into();
    }
    match glib::EnumClass::with_type(property.value_type()) {
        Some(class) => {
            let nicks: Vec<_> = class.values().iter().map(|value| value.nick()).collect();
            format!("one of {}", nicks.join(", "))
        }
        None => format!("a value of it: {}", property.blurb().unwrap_or_default()),
    }
}

/// Returns a description of numbers in a range, as the end of a sentence.
fn whole_numbers(minimum: u64, maximum: u64) -> String {
    format!("a whole number from {minimum} to {maximum}")
}

/// Parses a number, which may be hexadecimal as for `gst-launch-1.0`.
fn whole_number(text: &str) -> Option<u64> {
    let has_digits = |text: &&str| text.starts_with(|digit: char| digit.is_ascii_hexdigit());
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(Some(digits).filter(has_digits)?, 16).ok(),
        None => Some(text).filter(has_digits)?.parse().ok(),
    }
}

fn fraction(text: &str) -> Option<gst::Fraction> {
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let number = |text: &str| i32::try_from(whole_number(text)?).ok();
    let denominator = number(denominator).filter(|denominator| *denominator > 0)?;
    Some(gst::Fraction::new(number(numerator)?, denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<T>(text: &str, property: &glib::ParamSpec) -> Result<T, String>
    where
        T: for<'a> glib::value::FromValue<'a>,
    {
        gst::init().unwrap();
        parse(text, property).map(|value| value.get().unwrap())
    }

    #[test]
    fn numbers_are_in_their_range() {
        let small = glib::ParamSpecUInt::builder("n")
            .minimum(1)
            .default_value(1)
            .maximum(64)
            .build();
        assert_eq!(parsed("1", &small), Ok(1u32));
        assert_eq!(parsed("64", &small), Ok(64u32));
        assert_eq!(parsed("0x40", &small), Ok(64u32));
        for text in [
            "0",
            "65",
            "-1",
            "4294967297",
            "99999999999999999999",
            "",
            " 1",
            "1 ",
            "1.0",
            "1e1",
            "1x",
            "+1",
            "0x",
            "0x+1",
            "one",
            "true",
            "max",
        ] {
            let error = parsed::<u32>(text, &small).unwrap_err();
            assert!(error.contains("from 1 to 64"), "{text}: {error}");
        }
        let whole = glib::ParamSpecUInt::builder("n").build();
        assert_eq!(parsed("4294967295", &whole), Ok(u32::MAX));
        for text in ["4294967296", "99999999999", "-1"] {
            let error = parsed::<u32>(text, &whole).unwrap_err();
            assert!(error.contains("from 0 to 4294967295"), "{text}: {error}");
        }
        let long = glib::ParamSpecUInt64::builder("n")
            .minimum(1)
            .default_value(1)
            .build();
        assert_eq!(parsed("18446744073709551615", &long), Ok(u64::MAX));
        for text in ["18446744073709551616", "-5", "0"] {
            let error = parsed::<u64>(text, &long).unwrap_err();
            let range = "from 1 to 18446744073709551615";
            assert!(error.contains(range), "{text}: {error}");
        }
    }

    #[test]
    fn fractions_are_read_to_their_end() {
        gst::init().unwrap();
        let zero = gst::Fraction::new(0, 1);
        let property = gst::ParamSpecFraction::builder("fps")
            .minimum(zero)
            .maximum(gst::Fraction::new(i32::MAX, 1))
            .default_value(zero)
            .build();
        for (text, n, d) in [
            ("25/1", 25, 1),
            ("25", 25, 1),
            ("30000/1001", 30000, 1001),
            ("0/1", 0, 1),
        ] {
            assert_eq!(
                parsed(text, &property),
                Ok(gst::Fraction::new(n, d)),
                "{text}"
            );
        }
        for text in [
            "",
            "25/",
            "/1",
            "25/0",
            "-25/1",
            "25/-1",
            "25/1x",
            "29.97",
            "4294967321/1",
            "1/4294967297",
            "25/1/1",
            "max",
            "fast",
        ] {
            let error = parsed::<gst::Fraction>(text, &property).unwrap_err();
            assert!(error.contains("1/3600 to 1000/1"), "{text}: {error}");
        }
    }

    #[test]
    fn names_and_truths() {
        use crate::reductsrc::StartMode;

        let truth = glib::ParamSpecBoolean::builder("b").build();
        assert_eq!(parsed("true", &truth), Ok(true));
        assert_eq!(parsed("false", &truth), Ok(false));
        for text in ["", "2", "maybe"] {
            let error = parsed::<bool>(text, &truth).unwrap_err();
            assert!(error.contains("true or false"), "{text}: {error}");
        }
        let mode = glib::ParamSpecEnum::builder_with_default("m", StartMode::default()).build();
        assert_eq!(parsed("exact", &mode), Ok(StartMode::Exact));
        assert_eq!(parsed("2", &mode), Ok(StartMode::Exact));
        for text in ["", "3", "-1", "4294967298", "Exact!", "keyframe"] {
            let error = parsed::<StartMode>(text, &mode).unwrap_err();
            let names = "keyframe-after, keyframe-before, exact";
            assert!(error.contains(names), "{text}: {error}");
        }
    }
}
