// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Queries of one entry over HTTP/1.1 connections, each used for one query at a time.
//!
//! ReductStore counts queries from 1 at each start, so an id that outlives a restart may be the id
//! of the query of another client. A restart also ends all connections. So a query is read on the
//! connection that it was made on, or it counts as lost.

use std::error::Error as _;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper_util::client::legacy::connect::HttpInfo;
use reduct_base::msg::entry_api::QueryEntry;
use reqwest::header::{CONNECTION, CONTENT_LENGTH, HeaderMap};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;
use url::Url;

use crate::error::{Cause, Error, Purpose};
use crate::http::answer::{Unavailable, accepted, header, unavailable};
use crate::http::batch::{RecordHeader, record_headers};
use crate::http::distance::Distance;
use crate::http::refusals::{PeriodicRefusals, ask, probe};
use crate::http::send::send;
use crate::lock::lock;
use crate::schema::Schema;
use crate::server::Server;
use crate::task::without_blocking;

/// Largest answer in JSON, in bytes. It usually has a few dozen.
const MAX_JSON_BYTES: usize = 64 << 10;

/// Lowest rate of a body in bytes per second, over each time-out.
const MIN_BODY_RATE: u64 = 100;

/// Longest time that a probe may occupy a connection.
const WARM_UP: Duration = Duration::from_secs(2);

/// The connections of a reader or writer to an entry.
#[derive(Debug)]
pub struct ClientPool {
    server: Server,
    /// `/b/:bucket/:entry` of the API.
    entry: Url,
    idle: Mutex<Vec<reqwest::Client>>,
    room: Semaphore,
    limit: usize,
    purpose: Purpose,
    distance: Distance,
    is_warm: AtomicBool,
    has_answered: AtomicBool,
    refusals: Arc<PeriodicRefusals>,
    in_use: Arc<AtomicU64>,
    /// Tasks that open connections in advance.
    openings: Mutex<Vec<AbortHandle>>,
}

impl ClientPool {
    /// Creates a pool of at most `limit` connections to an entry. No I/O.
    pub fn new(
        server: Server,
        bucket: &str,
        entry: &str,
        limit: usize,
        purpose: Purpose,
        in_use: Arc<AtomicU64>,
        refusals: Arc<PeriodicRefusals>,
    ) -> Result<Self, Error> {
        let entry = server.api_url(&format!("b/{bucket}/{entry}/"))?;
        Ok(Self {
            server,
            entry,
            idle: Mutex::default(),
            room: Semaphore::new(limit),
            limit,
            purpose,
            distance: Distance::default(),
            is_warm: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            refusals,
            in_use,
            openings: Mutex::default(),
        })
    }

    /// Opens the connections to a far server in advance, once.
    fn warm_up(self: &Arc<Self>) {
        if self.is_warm.swap(true, Ordering::Relaxed) {
            return;
        }
        for _ in 1..self.limit {
            self.open_one();
        }
    }

    /// Opens a connection to a far server in advance, if there is none.
    pub fn prepare_one(self: &Arc<Self>) {
        if self.is_far() {
            self.open_one();
        }
    }

    pub(crate) fn open_one(self: &Arc<Self>) {
        let pool = self.clone();
        let task = tokio::spawn(async move {
            let client = pool.take().await?;
            client.probe().await
        });
        let mut openings = lock(&self.openings);
        openings.retain(|task| !task.is_finished());
        openings.push(task.abort_handle());
    }

    /// Ends the tasks that open connections in advance. Must be called before the last owner of the pool drops it, as
    /// these tasks own it, too.
    pub fn stop_opening(&self) {
        for task in lock(&self.openings).drain(..) {
            task.abort();
        }
    }

    /// Returns whether the latency of the server is high.
    pub fn is_far(&self) -> bool {
        self.distance.is_far()
    }

    /// Returns the longest time that a query may wait after it was made.
    pub fn max_wait(&self) -> Duration {
        self.distance.max_wait()
    }

    /// Returns the record of periodic refusals.
    pub fn refusals(&self) -> &PeriodicRefusals {
        &self.refusals
    }

    /// Returns whether a ReductStore has answered.
    pub fn have_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    fn note_answer(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Takes a connection out of the pool. Waits until one is free.
    pub async fn take(self: &Arc<Self>) -> Result<PooledClient<'_>, Error> {
        let permit = self.room.acquire().await;
        let permit = permit.map_err(|err| Error::new(Cause::Broken, err.to_string()))?;
        let idle = lock(&self.idle).pop();
        let client = match idle {
            Some(client) => client,
            None => {
                let (server, purpose) = (self.server.clone(), self.purpose);
                without_blocking(move || server.http_client(purpose)).await?
            }
        };
        self.in_use.fetch_add(1, Ordering::Relaxed);
        Ok(PooledClient {
            pool: self,
            http: client,
            _permit: permit,
        })
    }
}

/// A connection to the server, which is opened with the first request.
#[derive(Debug)]
pub struct PooledClient<'a> {
    pool: &'a Arc<ClientPool>,
    pub(crate) http: reqwest::Client,
    _permit: SemaphorePermit<'a>,
}

impl Drop for PooledClient<'_> {
    fn drop(&mut self) {
        self.pool.in_use.fetch_sub(1, Ordering::Relaxed);
        let client = self.http.clone();

        lock(&self.pool.idle).push(client);
    }
}

impl PooledClient<'_> {
    /// Returns the pool that it belongs to.
    pub(crate) fn pool(&self) -> &ClientPool {
        self.pool
    }

    /// Looks for the newest record.
    pub async fn newest(&self) -> Result<Newest, Error> {
        let request = self.http.head(self.pool.record_url(None));
        let response = match self.ask(request, Error::is_passing).await {
            Ok(response) => response,
            Err(error) => {
                return match unavailable(&error) {
                    Some(Unavailable::Missing) => Ok(Newest::Nothing),
                    Some(Unavailable::Unfinished | Unavailable::Broken) => Ok(Newest::Unfinished),
                    None => Err(error),
                };
            }
        };
        self.pool.note_answer();
        let time = header(response.headers(), "x-reduct-time").and_then(|time| time.parse().ok());
        time.map(Newest::Time).ok_or_else(Error::malformed_response)
    }

    /// Returns whether the record at a time is complete.
    pub async fn is_complete(&self, time: u64) -> Result<bool, Error> {
        let request = self.http.head(self.pool.record_url(Some(time)));
        match self.ask(request, Error::is_passing).await {
            Ok(_) => Ok(true),
            Err(error) => match unavailable(&error) {
                Some(_) => Ok(false),
                None => Err(error),
            },
        }
    }

    /// Sends a request whose answer does not matter. It opens the connection, and takes the next refusal of a load
    /// balancer that refuses periodically. Returns whether it was refused.
    pub async fn probe(&self) -> Result<bool, Error> {
        let status = probe(&self.http, &self.pool.server, Some(WARM_UP)).await?;
        // A proxy that passes only other paths, or no HEAD, does not predict the next request.
        let is_refusal = |status: StatusCode| {
            status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
        };
        let is_refused = status.is_some_and(is_refusal);
        self.pool.refusals.note_short(is_refused);
        Ok(is_refused)
    }

    async fn ask(
        &self,
        request: RequestBuilder,
        may_pass: impl Fn(&Error) -> bool,
    ) -> Result<Response, Error> {
        ask(request, may_pass, &self.pool.refusals).await
    }

    /// Creates a query on the server.
    pub async fn query(&self, query: &QueryEntry) -> Result<ServerQuery<'_>, Error> {
        let url = self.pool.url("q")?;
        let begin = Instant::now();
        let request = self.http.post(url).json(query);
        // An error of a server that has answered queries is about this one.
        let may_pass = match self.pool.have_answered() {
            true => Error::is_passing,
            false => Error::is_not_taken,
        };
        let response = self.ask(request, may_pass).await?;
        self.pool.distance.note(begin.elapsed());
        if self.pool.is_far() {
            self.pool.warm_up();
        }
        let via = ConnectionInfo::of(&response);
        let id = query_id(Body::new(response, &self.pool.server)).await?;
        self.pool.note_answer();
        // Each refused request for records costs a query. The number of requests varies, as every second one or
        // every third one may be refused.
        let mut has_met_refusal = false;
        for _ in 0..self.pool.refusals.before_records() {
            has_met_refusal |= self.probe().await?;
        }
        let mut url = self.pool.url("batch")?;
        url.query_pairs_mut().append_pair("q", &id.to_string());
        Ok(ServerQuery {
            client: self,
            url,
            via,
            made: begin,
            asked: Instant::now(),
            has_met_refusal,
        })
    }
}

impl ClientPool {
    /// Returns the longest time without progress; `None` is for ever.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.server.timeout()
    }

    /// Returns the names under which records are stored.
    pub(crate) fn schema(&self) -> &Schema {
        self.server.schema()
    }

    /// Returns the URL of the record at a time, or of the newest one.
    fn record_url(&self, time: Option<u64>) -> Url {
        let mut url = self.entry.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
        }
        if let Some(time) = time {
            url.query_pairs_mut().append_pair("ts", &time.to_string());
        }
        url
    }

    /// Returns the URL of a method of the entry.
    pub(crate) fn url(&self, method: &str) -> Result<Url, Error> {
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
pub struct ServerQuery<'a> {
    client: &'a PooledClient<'a>,
    url: Url,
    via: ConnectionInfo,
    made: Instant,
    asked: Instant,
    /// A request before it was refused in place of the next one.
    has_met_refusal: bool,
}

impl ServerQuery<'_> {
    /// Requests the next records, or with HEAD only their headers. After an error the query must not be used: the
    /// server may have counted records as sent that never arrived.
    pub async fn ask(&mut self, asking: BatchRequest) -> Result<BatchAnswer, BatchError> {
        // The HTTP client's task has to put the connection back, or it opens another one.
        tokio::task::yield_now().await;
        self.asked = Instant::now();
        let mut request = self.client.http.request(asking.method, self.url.clone());
        if asking.is_little && !self.client.pool.is_far() {
            // ReductStore does not set TCP_NODELAY: the last bytes of an answer wait 40 ms for an
            // acknowledgement, but not before the end of the connection.
            request = request.header(CONNECTION, "close");
        }
        let response = send(request).await.map_err(BatchError::of_request)?;
        self.client.pool.distance.note(self.asked.elapsed());
        let via = ConnectionInfo::of(&response);
        let route = mem::replace(&mut self.via, via).route_to(&self.via);
        let accepted = accepted(response).await;
        let has_met_refusal = mem::take(&mut self.has_met_refusal);
        (self.client.pool.refusals).note_records(accepted.is_err(), has_met_refusal);
        let response = accepted.map_err(BatchError::of_answer)?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(BatchAnswer { batch: None, route });
        }
        let headers = response.headers();
        let records =
            record_headers(headers, self.client.pool.server.schema()).map_err(BatchError::Head)?;
        check_length(&records, headers).map_err(BatchError::Head)?;
        let batch = Batch {
            records,
            has_length: headers.contains_key(CONTENT_LENGTH),
            is_last: header(headers, "x-reduct-last") == Some("true"),
            body: Body::new(response, &self.client.pool.server),
        };
        Ok(BatchAnswer {
            batch: Some(batch),
            route,
        })
    }

    /// Returns the age of the query, at most.
    pub fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// Returns how long ago the server may have looked for the first records: the age without a round trip.
    pub fn waited(&self) -> Duration {
        let way = self.client.pool.distance.shortest();
        self.made.elapsed().saturating_sub(way)
    }

    /// Returns the time since the last request of the query.
    pub fn idle(&self) -> Duration {
        self.asked.elapsed()
    }
}

/// Reason why a query has no answer.
#[derive(Debug)]
pub enum BatchError {
    /// The head of the answer did not pass. One with fewer records may.
    Head(Error),
    /// The connection ended before the head of the answer was complete.
    BrokenOff(Error),
    /// The server, or something before it, was too busy. Another query may be answered.
    Busy(Error),
    /// Any error that does not depend on the number of records.
    Other(Error),
}

impl BatchError {
    /// Classifies an error of the HTTP client.
    fn of_request(error: reqwest::Error) -> Self {
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(inner) = inner.downcast_ref::<hyper::Error>() {
                // With too many lines, too long, or with bytes that a head cannot have.
                if inner.is_parse() {
                    return Self::Head(error.into());
                }
                if inner.is_incomplete_message() {
                    return Self::BrokenOff(error.into());
                }
            }
            if let Some(inner) = inner.downcast_ref::<io::Error>()
                && inner.kind() == io::ErrorKind::ConnectionReset
            {
                return Self::BrokenOff(error.into());
            }
            source = inner.source();
        }
        Self::Other(error.into())
    }

    /// Classifies an answer without records.
    fn of_answer(error: Error) -> Self {
        match error.cause {
            // The query is forgotten, or its entry is gone.
            Cause::Status(404) => Self::Other(Error::new(Cause::QueryLost, error.text)),
            // Proxies answer so if they cannot take a head; ReductStore never does without a reason.
            Cause::Status(431 | 500 | 502 | 503) if !error.is_of_server => Self::Head(error),
            Cause::Status(_) if error.is_passing() => Self::Busy(error),
            _ => Self::Other(error),
        }
    }
}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Head(error)
            | BatchError::BrokenOff(error)
            | BatchError::Busy(error)
            | BatchError::Other(error) => error,
        }
    }
}

/// A request for the next records of a query.
#[derive(Debug)]
pub struct BatchRequest {
    /// Method: GET, or HEAD for headers only.
    pub method: Method,
    /// The answer is expected to be the last one, and short.
    pub is_little: bool,
}

/// Answer of a query.
#[derive(Debug)]
pub struct BatchAnswer {
    /// The next records; `None` after the last ones.
    pub batch: Option<Batch>,
    pub route: Route,
}

/// Connection of an answer, compared with that of the answer before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Same,
    /// Another connection than that of the query, so that the records may be those of another client's query.
    Other,
    /// Each answer has a connection of its own, as some proxies do it.
    Unknown,
}

/// One batch of a query's records.
#[derive(Debug)]
pub struct Batch {
    pub records: Vec<RecordHeader>,
    /// The length of all contents is in the head, and agrees with the records.
    pub has_length: bool,
    /// The query ends with this batch.
    pub is_last: bool,
    body: Body,
}

impl Batch {
    /// Returns the next bytes of the contents.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.body.chunk().await
    }
}

/// The body of an answer, with a lowest rate.
#[derive(Debug)]
struct Body {
    response: Response,
    timeout: Option<Duration>,
    /// Name of the setting of the time-out.
    timeout_name: &'static str,
    /// Time of waiting for the last `bytes`.
    waited: Duration,
    bytes: u64,
}

impl Body {
    fn new(response: Response, server: &Server) -> Self {
        Self {
            response,
            timeout: server.timeout(),
            timeout_name: server.names().timeout,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let begin = Instant::now();
        let chunk = self.response.chunk().await?;
        // Only waiting counts: the consumer may pause.
        self.waited += begin.elapsed();
        self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if chunk.is_some()
            && let Some(timeout) = self.timeout
            && self.waited >= timeout
        {
            let (waited, bytes) = (self.waited.as_millis(), self.bytes);
            if u128::from(bytes) * 1000 < waited * u128::from(MIN_BODY_RATE) {
                let text = format!(
                    "only {bytes} bytes of an answer came in {waited} ms, less than {MIN_BODY_RATE} \
                     bytes a second over {}",
                    self.timeout_name
                );
                return Err(Error::new(Cause::Slow, text));
            }
            self.waited = Duration::ZERO;
            self.bytes = 0;
        }
        Ok(chunk)
    }
}

/// Returns the id in the answer to a query.
async fn query_id(mut body: Body) -> Result<u64, Error> {
    let mut text = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        if text.len() + chunk.len() > MAX_JSON_BYTES {
            let text = format!("the answer to a query has more than {MAX_JSON_BYTES} bytes");
            return Err(Error::new(Cause::Malformed, text));
        }
        text.extend_from_slice(&chunk);
    }
    let json = str::from_utf8(&text).ok();
    let json = json.and_then(|text| text.parse::<serde_json::Value>().ok());
    let id = json.and_then(|json| json.get("id")?.as_u64());
    id.ok_or_else(|| Error::new(Cause::Broken, "the answer to a query has no id"))
}

/// Fails if a body is longer than its records: then some of their headers are missing.
fn check_length(records: &[RecordHeader], headers: &HeaderMap) -> Result<(), Error> {
    let length = header(headers, CONTENT_LENGTH.as_str());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    let expected = (records.iter()).fold(0, |sum: u64, record| sum.saturating_add(record.length()));
    match length {
        Some(length) if length > expected => {
            let text = format!("an answer has {length} bytes, and its headers name {expected}");
            Err(Error::new(Cause::Malformed, text))
        }
        _ => Ok(()),
    }
}

/// The connection that an answer came on.
#[derive(Debug)]
struct ConnectionInfo {
    local: Option<SocketAddr>,
    /// It is closed after this answer.
    ends: bool,
}

impl ConnectionInfo {
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
