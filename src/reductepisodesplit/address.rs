// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Values of the property `location` that are addresses of an entry.

use std::borrow::Cow;

use client::{EntryUri, Limits, SCHEMES, Token, without_secrets};
use gst::glib;
use percent_encoding::percent_decode_str;

use crate::connection::{self, ConnectionSettings, Place};
use crate::parameters;

/// Parameters of the connection that a URI may have.
const PARAMETERS: &[&str] = &["ca-cert", "verify-ssl", "timeout", RETRIES];
const RETRIES: &str = "retries";
/// Parameters of uploads that a URI may have.
const BASE_PATH: &str = "base-path";

/// Entry that episodes are uploaded to.
#[derive(Debug, Clone)]
pub struct Address {
    uri: EntryUri,
    pub place: Place,
    pub retries: u32,
}

impl Address {
    /// Checks an address. No I/O.
    ///
    /// # Errors
    ///
    /// A text that names the faulty part of the address.
    pub fn new(location: &str, api_token: &Token) -> Result<Self, String> {
        let uri: EntryUri = location
            .parse()
            .map_err(|err| connection::uri_error(&err))?;
        let mut retries = Limits::default().retries;
        let mut settings = ConnectionSettings {
            url: uri.server.as_str().into(),
            api_token: api_token.clone(),
            bucket: Some(uri.bucket.clone()),
            entry: Some(uri.entry.clone()),
            ..Default::default()
        };
        for (name, text) in &uri.parameters {
            if name.contains("token") {
                return Err(parameters::TOKEN_PARAMETER.into());
            }
            if !PARAMETERS.contains(&name.as_str()) {
                let all = PARAMETERS.join(", ");
                return Err(format!(
                    "There is no parameter '{name}'. There are {all} and {BASE_PATH}"
                ));
            }
            let parse = |property: &glib::ParamSpec| {
                parameters::parse(text, property)
                    .map_err(|expected| parameters::invalid(name, text, &expected))
            };
            if name == RETRIES {
                let property = glib::ParamSpecUInt::builder(RETRIES).build();
                retries = connection::get(&parse(&property)?);
                continue;
            }
            let properties = connection::properties();
            if let Some(property) = properties.iter().find(|known| known.name() == name) {
                settings.set(name, &parse(property)?);
            }
        }
        let place = settings.check()?;
        Ok(Self {
            uri,
            place,
            retries,
        })
    }

    /// Returns the address of a record, as `reductsrc` accepts it.
    pub fn of_record(&self, time: u64) -> String {
        let mut uri = self.uri.clone();
        let range = [("start", time), ("stop", time.saturating_add(1))];
        let range = range.map(|(name, time)| (name.to_owned(), time.to_string()));
        uri.parameters.extend(range);
        uri.to_string()
    }
}

/// Returns whether a location is an address of an entry, valid or not.
pub fn is_address(location: &str) -> bool {
    let scheme = location.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        let mut schemes = SCHEMES.iter();
        schemes.any(|known| known.eq_ignore_ascii_case(scheme))
    })
}

/// Returns a location without anything that could be a token, to be shown in messages.
pub fn shown(location: &str) -> String {
    if !is_address(location) {
        return location.to_owned();
    }
    let (location, fragment) = match location.split_once('#') {
        Some((location, _)) => (location, "#***"),
        None => (location, ""),
    };
    let (place, query) = match location.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (location, None),
    };
    let mut shown = without_secrets(place);
    if let Some(query) = query {
        let parameters: Vec<_> = query.split('&').map(shown_parameter).collect();
        shown = format!("{shown}?{}", parameters.join("&"));
    }
    shown + fragment
}

fn shown_parameter(parameter: &str) -> Cow<'_, str> {
    let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
    let plain = percent_decode_str(name).decode_utf8_lossy();
    match plain == BASE_PATH || PARAMETERS.contains(&&*plain) {
        true => parameter.into(),
        false if parameter.contains('=') => format!("{name}=***").into(),
        false => parameter.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(location: &str) -> Result<Address, String> {
        gst::init().unwrap();
        Address::new(location, &Token::default())
    }

    #[test]
    fn what_is_an_address() {
        for location in [
            "reduct://h/b/e",
            "reducts://h/b/e",
            "Reduct://",
            "reduct://%d",
        ] {
            assert!(is_address(location), "{location}");
        }
        for location in [
            "",
            "%d.mp4",
            "reduct/%d.mp4",
            "reduct:",
            "http://h/b/e",
            "a/reduct://b",
        ] {
            assert!(!is_address(location), "{location}");
        }
    }

    #[test]
    fn parameters_are_those_of_the_connection() {
        let plain = address("reduct://h/b/e").unwrap();
        assert_eq!(plain.place.connection.url().as_str(), "http://h:8383/");
        assert_eq!((&*plain.place.bucket, &*plain.place.entry), ("b", "e"));
        assert_eq!(plain.retries, 10);
        assert_eq!(
            plain.place.connection.timeout(),
            Some(Duration::from_secs(30))
        );
        let all = "reducts://h:1/b/a/e?ca-cert=/ca.pem&verify-ssl=false&timeout=0&retries=3\
                   &base-path=/store";
        let all = address(all).unwrap();
        assert_eq!(all.place.connection.url().as_str(), "https://h:1/store");
        assert_eq!(all.place.entry, "a/e");
        assert_eq!(all.retries, 3);
        assert_eq!(all.place.connection.timeout(), None);
    }

    #[test]
    fn what_is_wrong_with_an_address() {
        for (location, reason) in [
            ("reduct://h/b", "no bucket and entry"),
            ("reduct://h/b/e?start=5", "no parameter 'start'"),
            ("reduct://h/b/e?url=x", "no parameter 'url'"),
            (
                "reduct://h/b/e?retries=-1",
                "'-1' is no value of the parameter 'retries'",
            ),
            (
                "reduct://h/b/e?timeout=x",
                "'x' is no value of the parameter 'timeout'",
            ),
            (
                "reduct://h/b/e?verify-ssl=2",
                "'2' is no value of the parameter 'verify-ssl'",
            ),
            ("reduct://h/b/e?api-token=x", "REDUCT_API_TOKEN"),
            ("reduct://u:x@h/b/e", "REDUCT_API_TOKEN"),
            ("reduct://h/b/e%d", "entry"),
        ] {
            let error = address(location).unwrap_err();
            assert!(error.contains(reason), "{location}: {error}");
        }
    }

    #[test]
    fn a_record_has_an_address_that_can_be_read() {
        let address = address("reduct://h/b/a/e?base-path=/x&timeout=5").unwrap();
        assert_eq!(
            address.of_record(1_749_803_453_273_752),
            "reduct://h:8383/b/a/e?base-path=%2Fx&timeout=5&start=1749803453273752\
             &stop=1749803453273753"
        );
    }

    #[test]
    fn no_token_is_shown() {
        for (location, expected) in [
            ("%05d.mp4", "%05d.mp4"),
            ("a?token=x#y.mp4", "a?token=x#y.mp4"),
            ("reduct://h/b/e?timeout=5", "reduct://h/b/e?timeout=5"),
            ("reduct://s3cret@h/b/e", "reduct://***@h/b/e"),
            (
                "reduct://u:s3cret@h/b/e?timeout=5",
                "reduct://***@h/b/e?timeout=5",
            ),
            (
                "reduct://h/b/e?api-token=s3cret&retries=1",
                "reduct://h/b/e?api-token=***&retries=1",
            ),
            (
                "reduct://h/b/e?%74oken=s3cret",
                "reduct://h/b/e?%74oken=***",
            ),
            ("reduct://h/b/e#s3cret", "reduct://h/b/e#***"),
        ] {
            assert_eq!(shown(location), expected);
            if location != expected {
                assert!(address(expected).is_err(), "{expected}");
            }
        }
    }
}
