// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Settings of the connection to a ReductStore server.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use once_cell::sync::OnceCell;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect;
use rustls::ClientConfig;
use url::Url;

use crate::error::{Cause, Error, Purpose, Target};
use crate::http::batch::WINDOW_RECORDS;
use crate::http::certificates::{GivenCertificates, client_config};
use crate::names::SettingNames;
use crate::schema::Schema;

/// Largest number of headers of an answer besides those of records, with a margin.
const OTHER_HEADERS: usize = 100;

/// An API token. Its text is in no output.
#[derive(Clone, Default)]
pub struct Token(Option<String>);

impl Token {
    /// Creates a token, or none if the text is empty. White space around it is removed: a file with a token often
    /// ends with a line break.
    pub fn new(token: Option<String>) -> Self {
        let token = token.map(|token| token.trim().to_owned());
        Self(token.filter(|token| !token.is_empty()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "not set" })
    }
}

/// Options of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// URL, `http` or `https`, to which the path of the API is added.
    pub url: String,
    /// API token.
    pub token: Token,
    /// PEM file with certificates to trust besides those of the system.
    pub ca_cert: Option<PathBuf>,
    /// Refuse a server whose certificate is not valid.
    pub verify_ssl: bool,
    /// Longest time without progress of a request; `None` is for ever.
    pub timeout: Option<Duration>,
    /// Names of the settings in texts.
    pub names: SettingNames,
    /// Names under which records are stored.
    pub schema: Schema,
}

impl ServerOptions {
    /// Returns the options of a local server without a token, for records of a schema.
    pub fn new(schema: Schema) -> Self {
        Self {
            url: "http://127.0.0.1:8383".into(),
            token: Token::default(),
            ca_cert: None,
            verify_ssl: true,
            timeout: Some(Duration::from_secs(30)),
            names: SettingNames::DEFAULT,
            schema,
        }
    }
}

/// Reason why a URL is not that of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// It cannot be parsed.
    #[error("it is not a URL: {0}. Example: http://127.0.0.1:8383")]
    NotAUrl(#[source] url::ParseError),
    /// It has parts that can hold a token.
    #[error("it has user information, a query or a fragment")]
    MayHoldToken,
    /// It has another scheme.
    #[error("it begins with '{0}', not with http or https")]
    Scheme(String),
    /// It ends with the path of the API.
    #[error("it has the path of the API")]
    ApiPath,
    /// No path can be added to it.
    #[error("it has no place for an API path: {0}")]
    NotABase(#[source] url::ParseError),
}

/// A server and the settings of connections to it. Connections are made by readers and writers.
#[derive(Debug, Clone)]
pub struct Server {
    url: Url,
    /// Base of the paths of ReductStore's HTTP API.
    api: Url,
    token: Token,
    ca_cert: Option<PathBuf>,
    verify_ssl: bool,
    timeout: Option<Duration>,
    names: SettingNames,
    schema: Schema,
    /// Proxy of the environment, without its credentials.
    proxy: Option<String>,
    /// Created once, because reading the system's certificates takes longer than many queries, and because all
    /// connections then resume TLS sessions.
    tls: Arc<OnceCell<ClientConfig>>,
}

impl Server {
    /// Checks the options. No I/O.
    ///
    /// # Errors
    ///
    /// [`ServerError`], if the URL is not `http` or `https` or has parts that may hold a token.
    pub fn new(options: ServerOptions) -> Result<Self, ServerError> {
        let url = Url::parse(&options.url).map_err(ServerError::NotAUrl)?;
        // All can hold the token, so that they are not repeated in the error.
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(ServerError::MayHoldToken);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ServerError::Scheme(url.scheme().into()));
        }
        if url.path().trim_end_matches('/').ends_with("/api/v1") {
            return Err(ServerError::ApiPath);
        }
        let mut base = url.clone();
        base.set_path(&format!("{}/", base.path().trim_end_matches('/')));
        let api = base.join("api/v1/").map_err(ServerError::NotABase)?;
        Ok(Self {
            proxy: proxy_for(&url),
            url,
            api,
            token: options.token,
            ca_cert: options.ca_cert,
            verify_ssl: options.verify_ssl,
            timeout: options.timeout,
            names: options.names,
            schema: options.schema,
            tls: Arc::default(),
        })
    }

    /// Checks what [`new`](Self::new) does not: whether the API token can be sent, and the certificates be read. Without
    /// a request to the server. Blocks.
    ///
    /// # Errors
    ///
    /// [`Cause::Settings`] with the reason.
    pub fn check(&self) -> Result<(), Error> {
        self.http_client(Purpose::Write).map(drop)
    }

    /// Returns the names of the settings in texts.
    pub fn names(&self) -> &SettingNames {
        &self.names
    }

    /// Returns the names under which records are stored.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns the URL of the proxy that the environment sets for the server, without its credentials.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Returns the URL of the server. It holds no secret.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the longest time without progress; `None` is for ever.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns the subject of errors of an entry.
    pub(crate) fn target<'a>(
        &'a self,
        bucket: &'a str,
        entry: &'a str,
        purpose: Purpose,
    ) -> Target<'a> {
        Target {
            url: &self.url,
            proxy: self.proxy(),
            timeout: self.timeout,
            names: &self.names,
            bucket,
            entry,
            purpose,
        }
    }

    /// Returns the URL of a path of the HTTP API.
    pub(crate) fn api_url(&self, path: &str) -> Result<Url, Error> {
        let url = self.api.join(path);
        url.map_err(|err| Error::new(Cause::Settings, err.to_string()))
    }

    /// Returns an HTTP client for one connection at a time. Blocks, because it reads certificates.
    ///
    /// Its read time-out is for readers only: it does not consider the body of a request.
    pub(crate) fn http_client(&self, purpose: Purpose) -> Result<reqwest::Client, Error> {
        let settings = |err: &dyn fmt::Display| Error::new(Cause::Settings, err.to_string());
        let mut builder = reqwest::Client::builder()
            .http1_only() // faster with ReductStore, and a connection has one request at a time
            .http1_max_headers(WINDOW_RECORDS as usize + OTHER_HEADERS)
            .pool_max_idle_per_host(1)
            // Retries are decided by readers and writers.
            .retry(reqwest::retry::never())
            .redirect(redirect::Policy::none())
            .cookie_store(true); // a load balancer's, to find the same server again
        if self.proxy.is_none() {
            builder = builder.no_proxy();
        }
        if let Some(timeout) = self.timeout {
            builder = builder.connect_timeout(timeout);
            if purpose == Purpose::Read {
                builder = builder.read_timeout(timeout);
            }
        }
        if let Some(token) = &self.token.0 {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| {
                settings(&format_args!(
                    "the API token has characters that a token cannot have, such as a line break. {} sets it",
                    capitalized(self.names.token)
                ))
            })?;
            value.set_sensitive(true);
            builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
        }
        let tls = self.tls.get_or_try_init(|| self.tls());
        let tls = tls.map_err(|err| settings(&err))?;
        builder = match self.verify_ssl {
            true => builder.tls_backend_preconfigured(tls.clone()),
            false => builder.tls_danger_accept_invalid_certs(true),
        };
        builder.build().map_err(Error::from)
    }

    /// Returns the TLS configuration. Blocks.
    fn tls(&self) -> Result<ClientConfig, String> {
        let given = self
            .ca_cert
            .as_deref()
            .map(|file| GivenCertificates::read(file, &self.names));
        // An http URL needs no certificates, unless its proxy does.
        let is_needed = self.verify_ssl && self.url.scheme() == "https";
        client_config(given.transpose()?, is_needed, self.names)
    }
}

/// Returns a text with a capital letter at its beginning.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Returns the proxy that the HTTP client finds in the environment for a URL. `*` in `NO_PROXY` excludes addresses,
/// too, which the HTTP client does not do.
fn proxy_for(url: &Url) -> Option<String> {
    let excluded = ["NO_PROXY", "no_proxy"]
        .map(env::var)
        .into_iter()
        .find_map(Result::ok);
    if excluded.is_some_and(|hosts| hosts.split(',').any(|host| host.trim() == "*")) {
        return None;
    }
    let uri: Uri = url.as_str().parse().ok()?;
    let proxy = Matcher::from_env().intercept(&uri)?;
    let proxy = proxy.uri();
    Some(format!("{}://{}", proxy.scheme_str()?, proxy.authority()?))
}

/// Returns a URL without the parts that can hold a token, which [`Server::new`] refuses.
pub fn without_secrets(url: &str) -> String {
    let (url, rest) = match url.split_once(['?', '#']) {
        None => (url, ""),
        Some((url, _)) => (url, "?***"),
    };
    let url = match url.rsplit_once('@') {
        None => url.to_owned(),
        Some((before, host)) => {
            let scheme = before.split_once("//").map_or("", |(scheme, _)| scheme);
            format!("{scheme}//***@{host}")
        }
    };
    url + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::VIDEO;

    fn server(url: &str) -> Result<Server, ServerError> {
        Server::new(ServerOptions {
            url: url.into(),
            token: Token::new(Some("s3cret".into())),
            ..ServerOptions::new(VIDEO)
        })
    }

    #[test]
    fn urls() {
        for url in [
            "http://127.0.0.1:8383",
            "https://store.example/base/path/",
            "http://[::1]:8383/",
        ] {
            assert!(server(url).is_ok(), "{url}");
        }
        for url in [
            "127.0.0.1:8383",
            "store",
            "ftp://store.example",
            "http://",
            "http://store.example?x=1",
            "http://store.example/api/v1",
            "http://store.example/base/api/v1/",
            "",
        ] {
            assert!(server(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_token_is_in_no_debug_output() {
        let server = server("http://127.0.0.1:8383").unwrap();
        assert!(!format!("{server:?}").contains("s3cret"));
    }

    #[test]
    fn white_space_around_a_token_is_left_out() {
        for text in ["s3cret", "s3cret\n", " \ts3cret\r\n"] {
            let token = Token::new(Some(text.into()));
            assert_eq!(token.0.as_deref(), Some("s3cret"));
        }
        assert!(Token::new(Some(" \n".into())).0.is_none());
    }

    #[test]
    fn a_token_in_the_url_is_refused_and_not_repeated() {
        for url in [
            "http://user:s3cret@host",
            "http://s3cret@host",
            "http://host?token=s3cret",
            "http://host#s3cret",
            "user:s3cret@host",
        ] {
            let error = server(url).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
            let shown = without_secrets(url);
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(server(&shown).is_err(), "{shown}");
        }
        let harmless = "https://store.example:8383/base";
        assert_eq!(without_secrets(harmless), harmless);
    }

    #[test]
    fn slashes_at_the_end_have_no_meaning() {
        for (url, api) in [
            ("http://h", "http://h/api/v1/info"),
            ("http://h/", "http://h/api/v1/info"),
            ("http://h//", "http://h/api/v1/info"),
            ("http://h/base", "http://h/base/api/v1/info"),
            ("http://h/a/b///", "http://h/a/b/api/v1/info"),
        ] {
            let url = server(url).unwrap().api_url("info").unwrap();
            assert_eq!(url.as_str(), api);
        }
    }
}
