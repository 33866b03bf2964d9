// Copyright (C) 2026 the gst-plugin-reduct authors
//
// This Source Code Form is subject to the terms of the Mozilla Public License, v2.0.
// If a copy of the MPL was not distributed with this file, You can obtain one at
// <https://mozilla.org/MPL/2.0/>.
//
// SPDX-License-Identifier: MPL-2.0

//! Queries of one entry over HTTP/1.1 connections, each used for one query at a time.
//!
//! ReductStore counts queries from 1 at each start, so an id that outlives a restart may be the id
//! of somebody else's query. A restart also ends all connections. So a query is read on the
//! connection that it was made on, or it counts as lost.

use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper_util::client::legacy::connect::HttpInfo;
use reduct_base::msg::entry_api::{QueryEntry, QueryInfo};
use reqwest::header::{CONNECTION, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use url::Url;

use super::answer::redirect;
use super::batch::{RecordHeader, record_headers};
use super::distance::Distance;
use super::error::{Cause, Error, Purpose};
use super::{Connection, without_blocking};

/// How long opening a connection beforehand may keep it from its use.
const WARM_UP: Duration = Duration::from_secs(2);

/// The connections of a reader.
#[derive(Debug)]
pub struct Lanes {
    connection: Connection,
    /// `/b/:bucket/:entry` of the API.
    entry: Url,
    idle: Mutex<Vec<reqwest::Client>>,
    room: Semaphore,
    limit: usize,
    purpose: Purpose,
    distance: Distance,
    is_warm: AtomicBool,
    in_use: Arc<AtomicU64>,
}

impl Lanes {
    /// At most `limit` lanes to an entry. No I/O.
    pub fn new(
        connection: Connection,
        bucket: &str,
        entry: &str,
        limit: usize,
        purpose: Purpose,
        in_use: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let entry = connection.api_url(&format!("b/{bucket}/{entry}/"))?;
        Ok(Self {
            connection,
            entry,
            idle: Mutex::default(),
            room: Semaphore::new(limit),
            limit,
            purpose,
            distance: Distance::default(),
            is_warm: AtomicBool::new(false),
            in_use,
        })
    }

    /// Opens the connections to a far server before they are needed, once.
    fn warm_up(self: &Arc<Self>) {
        if self.is_warm.swap(true, Ordering::Relaxed) {
            return;
        }
        for _ in 1..self.limit {
            self.open_one();
        }
    }

    /// Opens a connection to a far server before it is needed, if there is none.
    pub fn prepare_one(self: &Arc<Self>) {
        if self.is_far() {
            self.open_one();
        }
    }

    fn open_one(self: &Arc<Self>) {
        let lanes = self.clone();
        tokio::spawn(async move {
            let lane = lanes.take().await?;
            let url = lanes.connection.api_url("alive")?;
            // Who needs the connection will see what is wrong with it.
            let _ = timeout(WARM_UP, lane.client.head(url).send()).await;
            Ok::<_, Error>(())
        });
    }

    /// Returns whether the way to the server is long.
    pub fn is_far(&self) -> bool {
        self.distance.is_far()
    }

    /// Returns how long a query may wait after it was made.
    pub fn max_wait(&self) -> Duration {
        self.distance.max_wait()
    }

    /// A lane of one's own, as soon as there is one.
    pub async fn take(self: &Arc<Self>) -> Result<Lane<'_>, Error> {
        let permit = self.room.acquire().await;
        let permit = permit.map_err(|err| Error::new(Cause::Broken, err.to_string()))?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let client = match idle {
            Some(client) => client,
            None => {
                let (connection, purpose) = (self.connection.clone(), self.purpose);
                without_blocking(move || connection.http_client(purpose)).await?
            }
        };
        self.in_use.fetch_add(1, Ordering::Relaxed);
        Ok(Lane {
            lanes: self,
            client,
            _permit: permit,
        })
    }
}

/// A connection to the server, or what will be one with the next request.
#[derive(Debug)]
pub struct Lane<'a> {
    lanes: &'a Arc<Lanes>,
    pub(super) client: reqwest::Client,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.lanes.in_use.fetch_sub(1, Ordering::Relaxed);
        let client = self.client.clone();
        let idle = self.lanes.idle.lock();
        idle.unwrap_or_else(PoisonError::into_inner).push(client);
    }
}

impl Lane<'_> {
    /// The connections that it is one of.
    pub(super) fn lanes(&self) -> &Lanes {
        self.lanes
    }

    /// Looks for the newest record.
    pub async fn newest(&self) -> Result<Newest, Error> {
        let mut url = self.lanes.entry.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
        }
        let response = self.client.head(url).send().await?;
        let response = match accepted(response).await {
            Err(error) if error.cause == Cause::Status(404) => return Ok(Newest::Nothing),
            Err(error) if error.cause == Cause::Status(425) => return Ok(Newest::Unfinished),
            // Its upload was cut, and the server knows that.
            Err(error) if error.cause == Cause::Status(500) && error.text.contains("broken") => {
                return Ok(Newest::Unfinished);
            }
            accepted => accepted?,
        };
        let time = header(response.headers(), "x-reduct-time").and_then(|time| time.parse().ok());
        time.map(Newest::Time).ok_or_else(Error::makes_no_sense)
    }

    /// Makes a query.
    pub async fn query(&self, query: &QueryEntry) -> Result<Query<'_>, Error> {
        let url = self.lanes.url("q")?;
        let begin = Instant::now();
        let response = self.client.post(url).json(query).send().await?;
        let response = accepted(response).await?;
        self.lanes.distance.note(begin.elapsed());
        if self.lanes.is_far() {
            self.lanes.warm_up();
        }
        let line = Line::of(&response);
        let QueryInfo { id } = response.json().await?;
        let mut url = self.lanes.url("batch")?;
        url.query_pairs_mut().append_pair("q", &id.to_string());
        Ok(Query {
            lane: self,
            url,
            line,
            made: begin,
            asked: Instant::now(),
        })
    }
}

impl Lanes {
    /// How long to wait without any progress; `None` is for ever.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.connection.timeout()
    }

    /// The URL of a method of the entry.
    pub(super) fn url(&self, method: &str) -> Result<Url, Error> {
        let url = self.entry.join(method);
        url.map_err(|err| Error::new(Cause::Settings, err.to_string()))
    }
}

/// The newest record of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// No entry, or nothing in it.
    Nothing,
    /// It is still being written, or will never be complete.
    Unfinished,
    /// Its time, in µs since the Unix epoch.
    Time(u64),
}

/// A query that the server knows.
#[derive(Debug)]
pub struct Query<'a> {
    lane: &'a Lane<'a>,
    url: Url,
    line: Line,
    made: Instant,
    asked: Instant,
}

impl Query<'_> {
    /// The next records, or with HEAD what their headers say. After an error the server may have counted records as sent that never
    /// came, so that the query is of no use any more.
    pub async fn ask(&mut self, asking: Asking) -> Result<Answer, Error> {
        // The HTTP client's task has to put the connection back, or it opens another one.
        tokio::task::yield_now().await;
        self.asked = Instant::now();
        let mut request = self.lane.client.request(asking.method, self.url.clone());
        if asking.is_little && !self.lane.lanes.is_far() {
            // ReductStore does not set TCP_NODELAY: the last bytes of an answer wait 40 ms for an
            // acknowledgement, but not before the end of the connection.
            request = request.header(CONNECTION, "close");
        }
        let response = request.send().await?;
        self.lane.lanes.distance.note(self.asked.elapsed());
        let line = Line::of(&response);
        let route = mem::replace(&mut self.line, line).route_to(&self.line);
        let response = accepted(response)
            .await
            .map_err(|error| match error.cause {
                // The query is forgotten, or what it looks for is gone.
                Cause::Status(404) => Error::new(Cause::QueryLost, error.text),
                _ => error,
            })?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Answer { batch: None, route });
        }
        let batch = Batch {
            records: record_headers(response.headers())?,
            is_last: header(response.headers(), "x-reduct-last") == Some("true"),
            body: response,
        };
        Ok(Answer {
            batch: Some(batch),
            route,
        })
    }

    /// For how long the query has existed, at most.
    pub fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// Returns how long ago the server may have looked for the first records: the age without the
    /// way there and back.
    pub fn waited(&self) -> Duration {
        let way = self.lane.lanes.distance.shortest();
        self.made.elapsed().saturating_sub(way)
    }

    /// For how long nothing was asked of the query.
    pub fn idle(&self) -> Duration {
        self.asked.elapsed()
    }
}

/// How a query is asked for its records.
#[derive(Debug)]
pub struct Asking {
    /// GET, or HEAD for their headers.
    pub method: Method,
    /// The answer is expected to be the last one, and short.
    pub is_little: bool,
}

/// What a query has.
#[derive(Debug)]
pub struct Answer {
    /// The next records; `None` after the last ones.
    pub batch: Option<Batch>,
    pub route: Route,
}

/// The way that an answer came, next to that of the answer before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Same,
    /// Another connection than the query was made on: it may be to somebody else's.
    Other,
    /// Each answer has a connection of its own, as some proxies do it.
    Unknown,
}

/// Records of a query.
#[derive(Debug)]
pub struct Batch {
    pub records: Vec<RecordHeader>,
    /// The query ends with this batch.
    pub is_last: bool,
    body: Response,
}

impl Batch {
    /// The next bytes of the contents.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(self.body.chunk().await?)
    }
}

/// The connection that an answer came on.
#[derive(Debug)]
struct Line {
    local: Option<SocketAddr>,
    /// Whether it ends with this answer.
    ends: bool,
}

impl Line {
    fn of(response: &Response) -> Self {
        let connection = header(response.headers(), CONNECTION.as_str());
        let info = response.extensions().get::<HttpInfo>();
        Self {
            local: info.map(HttpInfo::local_addr),
            ends: connection.is_some_and(|value| value.eq_ignore_ascii_case("close")),
        }
    }

    fn route_to(&self, next: &Self) -> Route {
        match self.ends {
            true => Route::Unknown,
            false if self.local == next.local => Route::Same,
            false => Route::Other,
        }
    }
}

/// An answer of ReductStore that is no error.
pub(super) async fn accepted(response: Response) -> Result<Response, Error> {
    let status = response.status();
    let of_reductstore = response.headers().contains_key("x-reduct-api");
    if status.is_success() && of_reductstore {
        return Ok(response);
    }
    if status.is_redirection() {
        return Err(redirect(&response));
    }
    let text = response.headers().get("x-reduct-error");
    let text = text.map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
    let cause = match &text {
        None if status.is_success() || status == StatusCode::NOT_FOUND => Cause::Foreign,
        _ => Cause::Status(status.as_u16()),
    };
    let is_of_server = of_reductstore || text.is_some();
    let text = text.unwrap_or_else(|| status.to_string());
    Err(Error {
        is_of_server,
        ..Error::new(cause, text)
    })
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
