// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Errors before a ReductStore has ever answered that hint at a wrong address.

use crate::error::{Cause, Error};

/// Retries with an address that seems to be wrong: about a second.
pub const MAX_ATTEMPTS: u32 = 3;

/// Messages of `getaddrinfo` for a name that does not exist, in contrast to one that cannot be looked up now.
const UNKNOWN_NAMES: &[&str] = &[
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
];
/// Messages of the HTTP client for an answer that is not HTTP, as of a server with TLS.
const NO_HTTP: &[&str] = &["invalid HTTP", "message head is too large"];

/// Returns whether an error of the first requests hints at a wrong address: a name that does not exist, or
/// something else than ReductStore that answers. A server that is merely away may come later.
pub fn is_wrong_address(error: &Error) -> bool {
    let has = |texts: &[&str]| texts.iter().any(|text| error.text.contains(text));
    match error.cause {
        Cause::Connect => has(UNKNOWN_NAMES),
        Cause::Broken => has(NO_HTTP),
        // Method or version not supported: ReductStore supports what is sent, and a proxy does not judge it.
        Cause::Status(501 | 505) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    use super::*;

    #[test]
    fn what_hints_at_a_wrong_address() {
        for (cause, text) in [
            (Cause::Broken, "invalid HTTP version parsed"),
            (Cause::Status(501), "501 Not Implemented"),
        ] {
            assert!(is_wrong_address(&Error::new(cause, text)), "{text}");
        }
        for (cause, text) in [
            (Cause::Connect, "Connection refused (os error 111)"),
            (
                Cause::Connect,
                "failed to lookup address information: Temporary failure in name resolution",
            ),
            (Cause::Connect, "Network is unreachable (os error 101)"),
            (Cause::Broken, "connection closed before message completed"),
            (Cause::Timeout, "no answer"),
            (Cause::Status(503), "503 Service Unavailable"),
            (Cause::Status(502), "502 Bad Gateway"),
        ] {
            assert!(!is_wrong_address(&Error::new(cause, text)), "{text}");
        }
    }

    #[test]
    fn what_the_system_says_of_a_name_is_told_apart() {
        // By RFC 6761 there is none of this domain. Without a network the answer may be to try again.
        let error = ("no-such-host.invalid", 80).to_socket_addrs().unwrap_err();
        let text = error.to_string();
        let error = Error::new(Cause::Connect, text.as_str());
        let is_temporary = text.contains("Temporary failure in name resolution");
        assert_ne!(is_wrong_address(&error), is_temporary, "{text}");
    }
}
