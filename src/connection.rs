// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Properties of a connection and an entry, which the elements share, and their checked form.

use std::path::PathBuf;
use std::time::Duration;

use client::{
    AddressError, EntryAddress, Server, ServerError, ServerOptions, SettingNames, Token, UriError,
    without_secrets,
};
use gst::glib;
use gst::prelude::*;
use recording::SCHEMA;

/// Default of the property `url`.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8383";
const DEFAULT_TIMEOUT_MS: u32 = 30_000;

/// Advice where a token is in a wrong place, or missing.
pub const SET_TOKEN: &str =
    "Set the token by the environment variable REDUCT_API_TOKEN or the property api-token";

/// Names of the properties in texts of the client.
const NAMES: SettingNames = SettingNames {
    url: "url",
    server: "the server in the property location, or the property url",
    token: "the environment variable REDUCT_API_TOKEN or the property api-token",
    ca_cert: "ca-cert",
    timeout: "the property timeout",
    max_record_bytes: "the property max-record-bytes",
    spool: "spool-dir",
    small_records: "record-unit=access-unit",
    skip_existing: "existing=skip",
    time_range: "the time that GStreamer can count",
};

/// Returns the text for an error of a URI.
pub fn uri_error(error: &UriError) -> String {
    match error {
        UriError::UserInformation => format!("{error}. {SET_TOKEN}"),
        UriError::Invalid(_) => error.to_string(),
    }
}

/// Values of the properties, as they are set.
#[derive(Debug, Clone)]
pub struct ConnectionSettings {
    pub url: String,
    pub api_token: Token,
    pub ca_cert: Option<String>,
    pub verify_ssl: bool,
    pub bucket: Option<String>,
    pub entry: Option<String>,
    pub timeout_ms: u32,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            url: std::env::var("REDUCT_URL")
                .map_or_else(|_| DEFAULT_URL.into(), |url| without_secrets(&url)),
            api_token: Token::new(std::env::var("REDUCT_API_TOKEN").ok()),
            ca_cert: None,
            verify_ssl: true,
            bucket: None,
            entry: None,
            timeout_ms: DEFAULT_TIMEOUT_MS,
        }
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Place {
    pub connection: Server,
    pub bucket: String,
    pub entry: String,
}

impl ConnectionSettings {
    /// Sets a property, if it is one of these.
    pub fn set(&mut self, property: &str, value: &glib::Value) -> bool {
        match property {
            // The property can be read and is in dot files.
            "url" => {
                let url: Option<String> = get(value);
                self.url = url.map_or_else(|| DEFAULT_URL.into(), |url| without_secrets(&url));
            }
            "api-token" => self.api_token = Token::new(get(value)),
            "ca-cert" => self.ca_cert = get(value),
            "verify-ssl" => self.verify_ssl = get(value),
            "bucket" => self.bucket = get(value),
            "entry" => self.entry = get(value),
            "timeout" => self.timeout_ms = get(value),
            _ => return false,
        }
        true
    }

    /// Returns the value of a property, if it is one of these and can be read.
    pub fn get(&self, property: &str) -> Option<glib::Value> {
        Some(match property {
            "url" => self.url.to_value(),
            "ca-cert" => self.ca_cert.to_value(),
            "verify-ssl" => self.verify_ssl.to_value(),
            "bucket" => self.bucket.to_value(),
            "entry" => self.entry.to_value(),
            "timeout" => self.timeout_ms.to_value(),
            _ => return None,
        })
    }

    /// Checks the settings. No I/O.
    ///
    /// # Errors
    ///
    /// A text that names the property, its value and the valid ones.
    pub fn check(&self) -> Result<Place, String> {
        let connection = Server::new(ServerOptions {
            url: self.url.clone(),
            token: self.api_token.clone(),
            ca_cert: self.ca_cert.as_ref().map(PathBuf::from),
            verify_ssl: self.verify_ssl,
            timeout: (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms.into())),
            names: NAMES,
            schema: SCHEMA,
        });
        let connection = connection.map_err(|error| wrong_url(&error))?;
        let address = EntryAddress::new(self.bucket.as_deref(), self.entry.as_deref());
        let EntryAddress { bucket, entry } = address.map_err(|error| wrong_name(&error))?;
        Ok(Place {
            connection,
            bucket,
            entry,
        })
    }
}

/// Returns the specifications of the properties.
pub fn properties() -> Vec<glib::ParamSpec> {
    let text = |name: &'static str, nick: &'static str, blurb: &'static str| {
        glib::ParamSpecString::builder(name)
            .nick(nick)
            .blurb(blurb)
            .mutable_ready()
    };
    vec![
        text(
            "url",
            "URL",
            "URL of the ReductStore server, http or https (environment: REDUCT_URL)",
        )
        .default_value(DEFAULT_URL)
        .build(),
        text(
            "api-token",
            "API token",
            "API token of the server; cannot be read back (environment: REDUCT_API_TOKEN, \
             preferred, as command lines can be seen by others)",
        )
        .write_only()
        .build(),
        text(
            "ca-cert",
            "CA certificate",
            "Path of a PEM file with certificates to trust besides the system's: of CAs, or the \
             server's own",
        )
        .build(),
        glib::ParamSpecBoolean::builder("verify-ssl")
            .nick("Verify SSL")
            .blurb("Refuse a server whose TLS certificate is not valid")
            .default_value(true)
            .mutable_ready()
            .build(),
        text("bucket", "Bucket", "Name of the bucket (required)").build(),
        text("entry", "Entry", "Name of the entry (required)").build(),
        glib::ParamSpecUInt::builder("timeout")
            .nick("Timeout")
            .blurb("Longest time without any answer of the server, in milliseconds (0 = no limit)")
            .default_value(DEFAULT_TIMEOUT_MS)
            .mutable_ready()
            .build(),
    ]
}

/// Returns the value of a property whose type was checked when it was set.
pub fn get<'a, T: glib::value::FromValue<'a>>(value: &'a glib::Value) -> T {
    value.get().expect("type checked upstream")
}

/// Returns a property in nanoseconds.
pub fn clock_time(value: &glib::Value) -> gst::ClockTime {
    gst::ClockTime::try_from(get::<u64>(value)).unwrap_or(gst::ClockTime::MAX)
}

/// Returns the text of an error about the value of a property.
pub fn invalid(property: &str, value: &str, expected: &str) -> String {
    format!("The property {property} is '{value}', which is not {expected}")
}

/// Returns the text of an error about the URL of a server.
fn wrong_url(error: &ServerError) -> String {
    let text = match error {
        ServerError::NotAUrl(error) => {
            format!("is not a URL: {error}. Example: http://127.0.0.1:8383")
        }
        ServerError::MayHoldToken => {
            format!("has user information, a query or a fragment. {SET_TOKEN}")
        }
        ServerError::Scheme(scheme) => format!("begins with '{scheme}', not with http or https"),
        ServerError::ApiPath => {
            "has the path of the API. Leave out '/api/v1' at its end: it is added to the \
                                 URL of the server"
                .into()
        }
        ServerError::NotABase(error) => format!("has no place for an API path: {error}"),
    };
    format!("The url property {text}")
}

/// Returns the text of an error about the name of a bucket or an entry.
fn wrong_name(error: &AddressError) -> String {
    match error {
        AddressError::Missing(part) => {
            let property = part.name();
            format!("The property {property} is not set. It names the {property} to use")
        }
        AddressError::Characters { part, name } => {
            let expected = "made of letters, digits, '-' and '_' (an entry also of '/')";
            invalid(part.name(), name, expected)
        }
        AddressError::Slash(bucket) => invalid("bucket", bucket, "a name without slashes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let slash = ConnectionSettings {
            url: DEFAULT_URL.into(),
            bucket: Some("a/b".into()),
            entry: Some("e".into()),
            ..Default::default()
        };
        assert!(slash.check().unwrap_err().contains("bucket"));
    }
}
