// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names of a bucket and an entry, as ReductStore allows them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// Characters of names that are encoded in URIs and in names of folders.
pub(crate) const ENCODED_IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// An entry of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryAddress {
    /// Name of the bucket.
    pub bucket: String,
    /// Name of the entry, which may have slashes.
    pub entry: String,
}

/// A part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPart {
    /// The bucket.
    Bucket,
    /// The entry.
    Entry,
}

/// An error that says why names are not the address of an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The part is not set.
    #[error("the {} is not set", .0.name())]
    Missing(AddressPart),
    /// The part has characters that ReductStore does not allow.
    #[error("the {} '{name}' is not made of letters, digits, '-', '_' and '$' (an entry also of '/')", .part.name())]
    Characters {
        /// Part of the address.
        part: AddressPart,
        /// Its name.
        name: String,
    },
    /// The name of a bucket has a slash.
    #[error("the bucket '{0}' has a slash in its name")]
    Slash(String),
}

impl AddressPart {
    /// Returns the word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Entry => "entry",
        }
    }
}

impl EntryAddress {
    /// Checks the names. Others could change the URL that they become part of.
    pub fn new(bucket: Option<&str>, entry: Option<&str>) -> Result<Self, AddressError> {
        let bucket = name(AddressPart::Bucket, bucket)?;
        let entry = name(AddressPart::Entry, entry)?;
        if bucket.contains('/') {
            return Err(AddressError::Slash(bucket));
        }
        Ok(Self { bucket, entry })
    }
}

fn name(part: AddressPart, name: Option<&str>) -> Result<String, AddressError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(AddressError::Missing(part));
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$');
    let segment = |segment: &str| !segment.is_empty() && segment.chars().all(allowed);
    match name.split('/').all(segment) {
        true => Ok(name.to_owned()),
        false => Err(AddressError::Characters {
            part,
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let entry = |name| EntryAddress::new(Some("b"), name);
        for good in ["a", "A_b-9", "a/b/c", "cam/$meta"] {
            assert!(entry(Some(good)).is_ok(), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "a b", "a?b", "a#b", "..", "a%2f", "*",
        ] {
            assert!(entry(Some(bad)).is_err(), "{bad}");
        }
        let missing = AddressError::Missing(AddressPart::Entry);
        assert_eq!(entry(None), Err(missing));
        let slash = EntryAddress::new(Some("a/b"), Some("e"));
        assert_eq!(slash, Err(AddressError::Slash("a/b".into())));
    }
}
