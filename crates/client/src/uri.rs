// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! URIs of entries: `reduct://host:8383/bucket/entry?parameter=value`, and `reducts://` with TLS.
//!
//! A `+` is a plus sign, as in RFC 3986, because times have it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};
use url::{Url, form_urlencoded};

use crate::address::ENCODED_IN_NAMES;

/// The schemes, without and with TLS.
pub const SCHEMES: &[&str] = &["reduct", "reducts"];
/// ReductStore's own port.
const DEFAULT_PORT: u16 = 8383;
/// Parameter for a server whose API is below a path.
const BASE_PATH: &str = "base-path";
/// Characters that are encoded in names.
const NAME: &AsciiSet = &ENCODED_IN_NAMES.remove(b'$');

/// Reason why a text is not the URI of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It has a part that can hold a token, which the error does not repeat.
    #[error("The URI has user information")]
    UserInformation,
    /// It is not a URI of an entry, as the text says.
    #[error("{0}")]
    Invalid(String),
}

/// An entry of a server with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryUri {
    /// URL of the server, `http` or `https`.
    pub server: Url,
    /// Name of the bucket.
    pub bucket: String,
    /// Name of the entry.
    pub entry: String,
    /// Names and values of the parameters, in the order of the URI.
    pub parameters: Vec<(String, String)>,
}

impl FromStr for EntryUri {
    type Err = UriError;

    /// Parses a URI. Error texts repeat nothing that may be a secret.
    fn from_str(text: &str) -> Result<Self, UriError> {
        let uri = Url::parse(text).map_err(|err| bad(&format!("This is no URI: {err}")))?;
        let scheme = match uri.scheme() {
            "reduct" => "http",
            "reducts" => "https",
            other => {
                return Err(bad(&format!(
                    "The scheme '{other}' is not reduct or reducts"
                )));
            }
        };
        if !uri.username().is_empty() || uri.password().is_some() {
            return Err(UriError::UserInformation);
        }
        if uri.fragment().is_some() {
            return Err(bad("The URI has a fragment, which has no meaning here"));
        }
        let host = uri.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| bad("The URI names no server"))?;
        let port = uri.port().unwrap_or(DEFAULT_PORT);

        let names = uri.path().strip_prefix('/').unwrap_or_default();
        // Split before decoding: an encoded slash does not separate.
        let (bucket, entry) = (names.split_once('/'))
            .filter(|(bucket, entry)| !bucket.is_empty() && !entry.is_empty())
            .ok_or_else(|| {
                bad("The URI has no bucket and entry: reduct://host:8383/bucket/entry")
            })?;
        let (bucket, entry) = (decode(bucket)?, decode(entry)?);
        if bucket.contains('/') {
            return Err(bad(&format!(
                "The bucket of the URI is '{bucket}', but a bucket has no slash in its name"
            )));
        }

        let query = uri.query().unwrap_or_default().replace('+', "%2B");
        let mut parameters = Vec::<(String, String)>::new();
        let mut base_path = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            let is_base_path = name == BASE_PATH;
            let is_known = match is_base_path {
                true => base_path.is_some(),
                false => parameters.iter().any(|(other, _)| *other == name),
            };
            if is_known {
                return Err(bad(&format!("The parameter '{name}' is given twice")));
            }
            match is_base_path {
                true => base_path = Some(value),
                false => parameters.push((name, value)),
            }
        }
        let mut server = Url::parse(&format!("{scheme}://{host}:{port}"))
            .map_err(|err| bad(&format!("The server of the URI is not one: {err}")))?;
        server.set_path(&base_path.unwrap_or_default());
        Ok(Self {
            server,
            bucket,
            entry,
            parameters,
        })
    }
}

fn decode(name: &str) -> Result<String, UriError> {
    let name = percent_decode_str(name).decode_utf8();
    let name = name.map_err(|_| bad("The path of the URI is not UTF-8"))?;
    Ok(name.into_owned())
}

impl fmt::Display for EntryUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.server.scheme() {
            "https" => "reducts",
            _ => "reduct",
        };
        let host = self.server.host_str().unwrap_or_default();
        let port = self.server.port_or_known_default().unwrap_or(DEFAULT_PORT);
        let encoded = |name| utf8_percent_encode(name, NAME).to_string();
        let entry: Vec<_> = self.entry.split('/').map(encoded).collect();
        let (bucket, entry) = (encoded(&self.bucket), entry.join("/"));
        write!(f, "{scheme}://{host}:{port}/{bucket}/{entry}")?;

        let base_path = Some((BASE_PATH, self.server.path())).filter(|(_, path)| *path != "/");
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, value)| (name.as_str(), value.as_str()));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(base_path.into_iter().chain(parameters))
            .finish();
        if query.is_empty() {
            return Ok(());
        }
        // The serializer encodes a space as a plus sign.
        write!(f, "?{}", query.replace('+', "%20"))
    }
}

fn bad(text: &str) -> UriError {
    UriError::Invalid(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn parse(text: &str) -> EntryUri {
        text.parse().unwrap_or_else(|err| panic!("{text}: {err}"))
    }

    fn error(text: &str) -> String {
        text.parse::<EntryUri>().unwrap_err().to_string()
    }

    #[test]
    fn a_whole_uri() {
        let uri = parse(
            "reduct://robot.local:8000/video/arm/cam-1?start=2025-06-13T10:50:53%2B02:00&stop=5",
        );
        assert_eq!(uri.server.as_str(), "http://robot.local:8000/");
        assert_eq!((&*uri.bucket, &*uri.entry), ("video", "arm/cam-1"));
        let parameters = [("start", "2025-06-13T10:50:53+02:00"), ("stop", "5")];
        assert_eq!(
            uri.parameters,
            parameters.map(|(name, value)| (name.into(), value.into()))
        );
    }

    #[test]
    fn servers() {
        for (uri, server) in [
            ("reduct://host/b/e", "http://host:8383/"),
            ("REDUCT://Host/b/e", "http://host:8383/"),
            ("reducts://host/b/e", "https://host:8383/"),
            ("reducts://host:443/b/e", "https://host/"),
            ("reduct://host:80/b/e", "http://host/"),
            ("reduct://[::1]:9000/b/e", "http://[::1]:9000/"),
            (
                "reduct://10.0.0.7/b/e?base-path=/store",
                "http://10.0.0.7:8383/store",
            ),
        ] {
            assert_eq!(parse(uri).server.as_str(), server, "{uri}");
        }
    }

    #[test]
    fn names_may_be_encoded() {
        let uri = parse("reduct://host/b%2D1/arm%2Fcam/%24meta");
        assert_eq!((&*uri.bucket, &*uri.entry), ("b-1", "arm/cam/$meta"));
    }

    #[test]
    fn a_plus_sign_is_one() {
        let uri = parse("reduct://h/b/e?start=2025-06-13T10:50:53+02:00");
        assert_eq!(uri.parameters[0].1, "2025-06-13T10:50:53+02:00");
    }

    #[test]
    fn what_is_no_address_of_an_entry() {
        for (uri, reason) in [
            ("", "no URI"),
            ("host/b/e", "no URI"),
            ("http://host/b/e", "scheme 'http'"),
            ("reduct:b/e", "no server"),
            ("reduct:///b/e", "no server"),
            ("reduct://host", "no bucket and entry"),
            ("reduct://host/b", "no bucket and entry"),
            ("reduct://host/b/", "no bucket and entry"),
            ("reduct://host//e", "no bucket and entry"),
            ("reduct://host/b/e#there", "fragment"),
            ("reduct://host/b/e?stop=1&stop=2", "twice"),
            ("reduct://host/b/e?base-path=/a&base-path=/b", "twice"),
            ("reduct://host/b/e?base-path=&stop=1&base-path=", "twice"),
            ("reduct://host/b%2Fc/e", "'b/c'"),
            ("reduct://host/%2F/e", "'/'"),
            ("reduct://host/b%2fe", "no bucket and entry"),
            ("reduct://host/b%FF/e", "not UTF-8"),
            ("reduct://host:99999/b/e", "no URI"),
            ("reduct://ho st/b/e", "no URI"),
        ] {
            assert!(error(uri).contains(reason), "{uri}: {}", error(uri));
        }
    }

    #[test]
    fn a_token_is_refused_and_not_repeated() {
        for uri in [
            "reduct://user:s3cret@host/b/e",
            "reduct://s3cret@host/b/e",
            "reduct://host/b/e#s3cret",
            "http://host/b/e?token=s3cret",
        ] {
            assert!(!error(uri).contains("s3cret"), "{}", error(uri));
        }
        let error = "reduct://user:x@host/b/e".parse::<EntryUri>();
        assert_eq!(error, Err(UriError::UserInformation));
    }

    proptest! {
        #[test]
        fn a_uri_that_is_written_is_read(
            // A name whose last part looks like a number, as 0xa does, is no host.
            host in "[a-z][a-z0-9]{0,4}(-[a-z0-9]{1,3})?(\\.[a-z][a-z0-9]{0,3}){0,2}",
            port in 1u16..,
            tls: bool,
            base in "(/[a-z]{1,4}){0,2}",
            bucket in "[A-Za-z0-9_-]{1,5}",
            entry in "[A-Za-z0-9_$-]{1,5}(/[A-Za-z0-9_$-]{1,5}){0,2}",
            values in proptest::collection::vec(".*", 0..3),
        ) {
            let scheme = if tls { "https" } else { "http" };
            let uri = EntryUri {
                server: Url::parse(&format!("{scheme}://{host}:{port}{base}")).unwrap(),
                bucket,
                entry,
                parameters: (values.into_iter().enumerate())
                    .map(|(index, value)| (format!("p-{index}"), value))
                    .collect(),
            };
            prop_assert_eq!(parse(&uri.to_string()), uri);
        }
    }
}
