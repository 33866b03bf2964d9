// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors of requests to ReductStore, by cause, and their texts.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::http::certificates::{NO_TLS, tls_problem};
use crate::names::SettingNames;
use crate::time::utc;

/// Text of the HTTP client for an answer that is not HTTP.
const NOT_HTTP: &str = "invalid HTTP version parsed";

/// Subject of an error text: a server, an entry and the operation.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// URL of the server.
    pub url: &'a Url,
    /// Proxy on the way to it, without its credentials.
    pub proxy: Option<&'a str>,
    pub timeout: Option<Duration>,
    pub names: &'a SettingNames,
    pub bucket: &'a str,
    pub entry: &'a str,
    pub purpose: Purpose,
}

/// Operation on an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading.
    Read,
    /// Writing.
    Write,
}

impl Purpose {
    fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// An error that ends a reader or a writer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// Cause.
    #[source]
    pub error: Error,
    /// Operation that failed.
    pub purpose: Purpose,
    /// Returns a text with the fault and the remedy.
    pub text: String,
}

/// An error of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// Cause, by which callers decide.
    pub cause: Cause,
    /// Message of the server, the HTTP client or the operating system.
    pub text: String,
    /// ReductStore itself reports it, and not a proxy or another server in its place.
    pub is_of_server: bool,
    /// Server that a redirect leads to.
    pub redirect: Option<String>,
}

/// Cause of an error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cause {
    /// A setting is not usable.
    Settings,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed, for example because of the certificate.
    Tls,
    /// Nothing arrived within the time-out.
    Timeout,
    /// The answer comes too slowly.
    Slow,
    /// The answer ends early.
    Broken,
    /// The answer is not as specified.
    Malformed,
    /// The answer has no new records.
    NothingNew,
    /// A record is larger than allowed.
    TooLarge,
    /// The server no longer knows the query.
    QueryLost,
    /// The answer is from another kind of server.
    NotReductStore,
    /// The record would not be the last one of the entry.
    OutOfOrder,
    /// The content to be sent cannot be read.
    Unreadable,
    /// An answer with this HTTP status.
    Status(u16),
}

impl Error {
    /// Creates an error that is not known to come from ReductStore itself.
    pub fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self {
            cause,
            text: text.into(),
            is_of_server: false,
            redirect: None,
        }
    }

    /// Returns the error for an entry with a newer record, at `newest` µs since the Unix epoch, of another writer.
    pub(crate) fn other_writer(newest: u64) -> Self {
        let text = format!(
            "something else writes to it, last at {}. An entry has one writer",
            utc(newest)
        );
        Self::new(Cause::OutOfOrder, text)
    }

    /// Returns an error for an answer that is not as specified.
    pub fn malformed_response() -> Self {
        Self::new(Cause::Malformed, "unexpected response from the server")
    }

    /// Returns whether an answer, of any server, arrived at least in part.
    pub fn is_answer(&self) -> bool {
        matches!(
            self.cause,
            Cause::Status(_) | Cause::NotReductStore | Cause::Malformed | Cause::Broken
        )
    }

    /// Returns whether a server, or a proxy, was too busy for the request.
    pub fn is_passing(&self) -> bool {
        self.is_not_taken() || matches!(self.cause, Cause::Status(429 | 503))
    }

    /// Returns whether a proxy had no server for the request.
    pub fn is_not_taken(&self) -> bool {
        matches!(self.cause, Cause::Status(429 | 500 | 502..=504)) && !self.is_of_server
    }

    /// Returns whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self.cause {
            Cause::Connect
            | Cause::Timeout
            | Cause::Slow
            | Cause::Broken
            | Cause::NothingNew
            | Cause::QueryLost => true,
            Cause::Settings
            | Cause::Tls
            | Cause::Malformed
            | Cause::TooLarge
            | Cause::NotReductStore
            | Cause::OutOfOrder
            | Cause::Unreadable => false,
            // RFC 9110, RFC 6585 and RFC 8470: request time-out, too early, too many requests.
            Cause::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
        }
    }

    /// Returns whether the server is removing the bucket or the entry, after which it is missing.
    pub fn is_being_deleted(&self) -> bool {
        self.cause == Cause::Status(409) && self.text.ends_with("is being deleted")
    }

    /// Returns whether there is no such bucket or entry, or soon will not be.
    pub fn is_missing(&self) -> bool {
        self.cause == Cause::Status(404) || self.is_being_deleted()
    }

    /// Returns whether the same request that writes may succeed later: a bucket or entry that is being removed can be
    /// created again once it is gone.
    pub fn is_transient_for_writing(&self) -> bool {
        self.is_transient() || self.is_being_deleted()
    }

    /// Returns the final error of a reader or a writer.
    pub fn failure(&self, target: Target) -> Failure {
        self.failure_of(target, self.explain(target))
    }

    /// Returns the final error with its consequence.
    pub fn failure_with(&self, target: Target, consequence: &str) -> Failure {
        self.failure_of(target, format!("{}. {consequence}", self.explain(target)))
    }

    fn failure_of(&self, target: Target, text: String) -> Failure {
        Failure {
            error: self.clone(),
            purpose: target.purpose,
            text,
        }
    }

    /// Returns a text with the fault and the remedy.
    pub fn explain(&self, target: Target) -> String {
        let Target {
            url,
            proxy,
            timeout,
            names,
            bucket,
            entry,
            ..
        } = target;
        let verb = target.purpose.verb();
        let text = &self.text;
        let way = match proxy {
            None => url.to_string(),
            Some(proxy) => format!("{url} through the proxy {proxy} of the environment"),
        };
        let hint = self.hint(target);
        match self.cause {
            Cause::Settings => format!("Could not set up the connection to {url}: {text}{hint}"),
            Cause::Connect => {
                format!(
                    "Could not connect to ReductStore at {way}: {text}. Check that it is running and \
                     that the URL is right{hint}"
                )
            }
            Cause::Tls => format!("Could not connect to ReductStore at {way}: {text}{hint}"),
            Cause::Timeout => format!(
                "Could not {verb} '{bucket}/{entry}': nothing came from ReductStore at {way} for {} \
                 ms{hint}",
                timeout.unwrap_or_default().as_millis()
            ),
            Cause::NotReductStore => format!(
                "The server at {way} is no ReductStore, or its API has another base path{hint}"
            ),
            Cause::Status(status) if self.is_of_another_server() => format!(
                "Could not {verb} '{bucket}/{entry}' of ReductStore at {way}: {text}, which is not \
                 an answer of ReductStore{}{hint}",
                match status {
                    407 =>
                        ". The proxy wants a user and a password, as in http://user:password@host:port",
                    _ => "",
                }
            ),
            Cause::Status(401) => format!(
                "ReductStore at {url} does not accept the API token: {text}. Set it by {}",
                names.token
            ),
            Cause::Status(403) => {
                format!("ReductStore at {url} does not allow to {verb} bucket '{bucket}': {text}")
            }
            Cause::Status(404) => {
                format!("ReductStore at {url} has no '{bucket}/{entry}': {text}")
            }
            Cause::Unreadable => format!("Could not {verb} '{bucket}/{entry}': {text}"),
            Cause::Slow
            | Cause::Broken
            | Cause::Malformed
            | Cause::NothingNew
            | Cause::TooLarge => {
                format!("Could not {verb} '{bucket}/{entry}' of ReductStore at {way}: {text}{hint}")
            }
            Cause::QueryLost | Cause::OutOfOrder | Cause::Status(_) => {
                format!("Could not {verb} '{bucket}/{entry}' of ReductStore at {url}: {text}")
            }
        }
    }

    /// Returns whether the status is that of a proxy, a load balancer or another kind of server, which answers with
    /// nothing but a status line.
    fn is_of_another_server(&self) -> bool {
        let Cause::Status(status) = self.cause else {
            return false;
        };
        let line = StatusCode::from_u16(status).map(|status| status.to_string());
        !self.is_of_server && line.is_ok_and(|line| line == self.text)
    }

    /// Returns advice as sentences after the message.
    fn hint(&self, target: Target) -> String {
        let is_plain = target.url.scheme() == "http";
        let SettingNames { url, server, .. } = target.names;
        let mut hint = String::new();
        if let Some(redirect) = &self.redirect {
            hint = format!(". If that is meant, set {server} to {redirect}");
        } else if self.text == NO_TLS {
            hint = format!(
                ". If it is meant to be reached without, {url} begins with http:// instead of \
                 https://"
            );
        }
        // A TLS server answers with an alert, and nginx with this status.
        let is_of_tls = self.text == NOT_HTTP
            || self.cause == Cause::Status(400) && self.is_of_another_server();
        let about_proxy = if is_plain && is_of_tls {
            format!(". If that port is for TLS, {url} begins with https:// instead of http://")
        } else if target.proxy.is_none() || self.cause == Cause::Settings {
            String::new()
        } else if is_plain {
            ". HTTP_PROXY or ALL_PROXY sets the proxy; NO_PROXY lists hosts to reach without it"
                .into()
        } else {
            ". HTTPS_PROXY or ALL_PROXY sets the proxy; NO_PROXY lists hosts to reach without it"
                .into()
        };
        hint + &about_proxy
    }
}

/// Writes the error in a few words, for statistics and logs.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Status(status) => write!(f, "status {status}: {}", self.text),
            _ => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Error {}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        // The innermost cause is the most specific one: "Connection refused (os error 111)".
        let mut text = error.to_string();
        let mut is_tls = false;
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                is_tls = true;
                text = tls_problem(tls);
                break;
            }
            text = inner.to_string();
            source = match inner.downcast_ref::<io::Error>() {
                Some(inner) => inner.get_ref().map(|inner| inner as _),
                None => inner.source(),
            };
        }
        let cause = if error.is_timeout() {
            Cause::Timeout
        } else if error.is_connect() && is_tls {
            Cause::Tls
        } else if error.is_connect() {
            Cause::Connect
        } else if error.is_builder() {
            Cause::Settings
        } else {
            Cause::Broken
        };
        Self::new(cause, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes() {
        for (cause, is_transient) in [
            (Cause::Connect, true),
            (Cause::Tls, false),
            (Cause::Timeout, true),
            (Cause::Slow, true),
            (Cause::Broken, true),
            (Cause::NothingNew, true),
            (Cause::TooLarge, false),
            (Cause::Malformed, false),
            (Cause::QueryLost, true),
            (Cause::NotReductStore, false),
            (Cause::Unreadable, false),
            (Cause::Settings, false),
            (Cause::Status(401), false),
            (Cause::Status(403), false),
            (Cause::Status(404), false),
            (Cause::Status(408), true),
            (Cause::Status(422), false),
            (Cause::Status(425), true),
            (Cause::Status(429), true),
            (Cause::Status(500), true),
            (Cause::Status(503), true),
            (Cause::Status(507), true),
            (Cause::OutOfOrder, false),
        ] {
            let error = Error::new(cause, "text");
            assert_eq!(error.is_transient(), is_transient, "{cause:?}");
        }
    }

    fn explain(url: &str, error: Error) -> String {
        error.explain(Target {
            url: &Url::parse(url).unwrap(),
            proxy: None,
            timeout: None,
            names: &SettingNames::DEFAULT,
            bucket: "b",
            entry: "e",
            purpose: Purpose::Read,
        })
    }

    #[test]
    fn a_token_that_is_not_accepted_is_set_by_its_option() {
        let error = Error {
            is_of_server: true,
            ..Error::new(Cause::Status(401), "Invalid token")
        };
        assert_eq!(
            explain("http://h", error),
            "ReductStore at http://h/ does not accept the API token: Invalid token. Set it by \
             ServerOptions::token"
        );
    }

    #[test]
    fn what_is_being_removed_is_not_there_for_readers() {
        let error = Error::new(Cause::Status(409), "Bucket 'b' is being deleted");
        assert!(error.is_missing());
    }

    #[test]
    fn what_is_being_removed_can_be_written_to_later() {
        for (status, text, may_pass) in [
            (409, "Bucket 'b' is being deleted", true),
            (409, "Entry 'e' in bucket 'b' is being deleted", true),
            (409, "A record with timestamp 7 already exists", false),
            (422, "Entry 'e' in bucket 'b' is being deleted", false),
            (404, "Entry 'e' not found in bucket b", false),
        ] {
            let error = Error::new(Cause::Status(status), text);
            assert_eq!(error.is_transient_for_writing(), may_pass, "{text}");
            assert_eq!(error.is_being_deleted(), may_pass, "{text}");
            assert!(!error.is_transient(), "{text}");
        }
    }

    #[test]
    fn a_status_of_another_server_is_not_taken_for_reductstores() {
        let url = "http://h";
        let text = explain(url, Error::new(Cause::Status(403), "403 Forbidden"));
        assert!(
            text.contains("403 Forbidden, which is not an answer"),
            "{text}"
        );
        let text = explain(url, Error::new(Cause::Status(403), "Token 'x' doesn't"));
        assert!(text.contains("does not allow to read bucket 'b'"), "{text}");
        let of_server = Error {
            is_of_server: true,
            ..Error::new(Cause::Status(503), "503 Service Unavailable")
        };
        let text = explain(url, of_server);
        assert!(!text.contains("not an answer"), "{text}");
    }

    #[test]
    fn the_other_scheme_is_suggested_where_it_may_be_meant() {
        let tls = Error::new(Cause::Broken, NOT_HTTP);
        let nginx = Error::new(Cause::Status(400), "400 Bad Request");
        for error in [tls, nginx] {
            assert!(explain("http://h", error.clone()).contains("https://"));
            assert!(!explain("https://h", error).contains("http://"));
        }
        let plain = explain("https://h", Error::new(Cause::Tls, NO_TLS));
        assert!(
            plain.contains("ServerOptions::url begins with http://"),
            "{plain}"
        );
        let refused = Error::new(Cause::Status(400), "bad timestamp");
        assert!(!explain("http://h", refused).contains("https://"));
    }
}
