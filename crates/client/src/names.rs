// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Names of the settings, as the texts of errors and warnings have them.

/// Names of the settings of a front end, such as the properties of an element.
#[derive(Debug, Clone, Copy)]
pub struct SettingNames {
    /// URL of the server.
    pub url: &'static str,
    /// All settings that name the server, for "set … to http://host".
    pub server: &'static str,
    /// API token, for "set it by …".
    pub token: &'static str,
    /// File with certificates to trust.
    pub ca_cert: &'static str,
    /// Longest time without progress.
    pub timeout: &'static str,
    /// Largest content of a record.
    pub max_record_bytes: &'static str,
    /// Folder of the spool.
    pub spool: &'static str,
    /// Setting that makes records smaller, for "or set …".
    pub small_records: &'static str,
    /// Setting that skips records that the entry has.
    pub skip_existing: &'static str,
    /// Times that the front end can represent.
    pub time_range: &'static str,
}

impl SettingNames {
    /// Names that are those of the fields of [`ServerOptions`](crate::ServerOptions) and others.
    pub const DEFAULT: Self = Self {
        url: "ServerOptions::url",
        server: "ServerOptions::url",
        token: "ServerOptions::token",
        ca_cert: "ServerOptions::ca_cert",
        timeout: "ServerOptions::timeout",
        max_record_bytes: "Limits::max_record_bytes",
        spool: "WriterOptions::spool",
        small_records: "records to have fewer frames",
        skip_existing: "Existing::Skip",
        time_range: "the time that 64-bit nanoseconds can count",
    };
}

impl Default for SettingNames {
    fn default() -> Self {
        Self::DEFAULT
    }
}
