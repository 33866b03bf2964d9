// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queries by plain HTTP: the protocol of one entry (v1) and that of several (v2).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use reduct_base::batch::v1::parse_batched_header;
use reduct_base::batch::v2::{QUERY_ID_HEADER, parse_batched_headers};
use reqwest::StatusCode;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::recording::ENTRY;
use crate::server::Server;

/// Protocol of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// That of one entry.
    V1,
    /// That of several entries.
    V2,
}

/// Both protocols.
pub const PROTOCOLS: [Protocol; 2] = [Protocol::V1, Protocol::V2];

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Time in µs since the Unix epoch.
    pub time: u64,
    /// Content type.
    pub content_type: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Length that the header states.
    pub length: u64,
    /// Content; empty in an answer without one.
    pub content: Bytes,
}

impl Answer {
    /// Returns a label, or an empty text without it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Returns time since `start` in µs, frames and reason of each episode.
pub fn summary(answers: &[Answer], start: u64) -> Vec<(u64, &str, &str)> {
    let episodes = answers.iter();
    episodes
        .map(|it| (it.time - start, it.label("frames"), it.label("reason")))
        .collect()
}

/// Status and text of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Text in the header `x-reduct-error`.
    pub text: String,
}

/// A query of a bucket.
#[derive(Clone)]
pub struct Query<'a> {
    server: &'a Server,
    bucket: &'a str,
    protocol: Protocol,
    entries: Vec<String>,
    request: Value,
    is_head: bool,
}

impl<'a> Query<'a> {
    /// Returns a query of the entry [`ENTRY`] with the parameters of an export.
    pub fn export(server: &'a Server, bucket: &'a str, protocol: Protocol, export: Value) -> Self {
        Self::new(server, bucket, protocol)
            .when(json!({ "#ext": { "video": { "export": export } } }))
    }

    /// Returns the same query with the step for the remaining episodes behind the export.
    pub fn export_all(
        server: &'a Server,
        bucket: &'a str,
        protocol: Protocol,
        export: Value,
    ) -> Self {
        let steps = json!([
            { "video": { "export": export } },
            { "video": { "remaining": {} } },
        ]);
        Self::new(server, bucket, protocol).when(json!({ "#ext": steps }))
    }

    /// Returns a query of the entry [`ENTRY`].
    pub fn new(server: &'a Server, bucket: &'a str, protocol: Protocol) -> Self {
        Self {
            server,
            bucket,
            protocol,
            entries: vec![ENTRY.into()],
            request: json!({ "query_type": "QUERY" }),
            is_head: false,
        }
    }

    /// Sets the condition.
    pub fn when(self, when: Value) -> Self {
        self.with("when", when)
    }

    /// Sets a field of the request.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.request[field] = value.into();
        self
    }

    /// Sets the entries, or their patterns, of protocol v2.
    pub fn entries(mut self, entries: &[&str]) -> Self {
        self.entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
        self
    }

    /// Asks for headers only.
    pub fn head(mut self) -> Self {
        self.is_head = true;
        self
    }

    /// Registers the query. Returns its id.
    ///
    /// # Errors
    ///
    /// The server refuses it.
    pub fn register(&self) -> Result<u64, Refusal> {
        let url = match self.protocol {
            Protocol::V1 => format!("b/{}/{ENTRY}/q", self.bucket),
            Protocol::V2 => format!("io/{}/q", self.bucket),
        };
        let mut request = self.request.clone();
        if self.protocol == Protocol::V2 {
            request["entries"] = json!(self.entries);
        }
        let answer = accepted(client().post(self.url(&url)).json(&request))?;
        let answer: Value = answer.json().expect("the id of a query");
        Ok(answer["id"].as_u64().expect("an id"))
    }

    /// Requests the next records. Returns `None` at the end.
    ///
    /// # Errors
    ///
    /// The error of the query.
    pub fn next(&self, id: u64) -> Result<Option<Vec<Answer>>, Refusal> {
        let answer = accepted(self.request(id))?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let headers = answer.headers().clone();
        let body = answer.bytes().expect("the records that the header states");
        Ok(Some(self.records(&headers, body)))
    }

    /// Requests the next records. Returns whether the answer breaks off, in its header or in its content.
    pub fn breaks_off(&self, id: u64) -> bool {
        let Ok(answer) = self.request(id).send() else {
            return true;
        };
        assert!(answer.status().is_success(), "{answer:?}");
        answer.bytes().is_err()
    }

    /// Registers the query and reads all records.
    ///
    /// # Errors
    ///
    /// The error of the query, and the records before it.
    pub fn run(&self) -> Result<Vec<Answer>, (Vec<Answer>, Refusal)> {
        let id = self.register().map_err(|refusal| (Vec::new(), refusal))?;
        let mut records = Vec::new();
        loop {
            match self.next(id) {
                Ok(Some(next)) => records.extend(next),
                Ok(None) => return Ok(records),
                Err(refusal) => return Err((records, refusal)),
            }
        }
    }

    /// Runs the query. Returns all records of a query that succeeds.
    pub fn answers(&self) -> Vec<Answer> {
        self.run()
            .unwrap_or_else(|(_, refusal)| panic!("{:?}: {refusal:?}", self.protocol))
    }

    /// Runs the query. Returns the error of one that fails.
    pub fn refusal(&self) -> Refusal {
        match self.run() {
            Ok(records) => panic!("{:?}: {} records", self.protocol, records.len()),
            Err((_, refusal)) => refusal,
        }
    }

    fn records(&self, headers: &HeaderMap, mut body: Bytes) -> Vec<Answer> {
        let is_head = self.is_head;
        let mut records: Vec<_> = match self.protocol {
            Protocol::V1 => headers
                .iter()
                .filter_map(|(name, value)| {
                    let time = name.as_str().strip_prefix("x-reduct-time-")?;
                    let header =
                        parse_batched_header(value.to_str().expect("text")).expect("a header");
                    Some((time.parse().expect("a time"), header))
                })
                .collect(),
            Protocol::V2 => {
                let headers = parse_batched_headers(headers).expect("headers of records");
                headers
                    .into_iter()
                    .map(|record| (record.timestamp, record.header))
                    .collect()
            }
        };
        records.sort_by_key(|(time, _)| *time);
        let records = records.into_iter().map(|(time, header)| Answer {
            time,
            content_type: header.content_type,
            labels: header.labels.into_iter().collect(),
            length: header.content_length,
            content: match is_head {
                true => Bytes::new(),
                false => body.split_to(header.content_length as usize),
            },
        });
        let records = records.collect();
        assert!(body.is_empty(), "{} bytes behind the records", body.len());
        records
    }

    /// Returns the request for the next records.
    fn request(&self, id: u64) -> RequestBuilder {
        let path = match self.protocol {
            Protocol::V1 => format!("b/{}/{ENTRY}/batch?q={id}", self.bucket),
            Protocol::V2 => format!("io/{}/read", self.bucket),
        };
        let client = client();
        let request = match self.is_head {
            true => client.head(self.url(&path)),
            false => client.get(self.url(&path)),
        };
        request.header(QUERY_ID_HEADER, id)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.server.url())
    }
}

fn client() -> Client {
    let client = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60));
    client.build().expect("a client")
}

fn accepted(request: RequestBuilder) -> Result<Response, Refusal> {
    let answer = request.send().expect("an answer");
    if answer.status().is_success() {
        return Ok(answer);
    }
    let text = answer
        .headers()
        .get("x-reduct-error")
        .map(|text| text.to_str().expect("ASCII"));
    Err(Refusal {
        status: answer.status().as_u16(),
        text: text.unwrap_or_default().to_owned(),
    })
}
