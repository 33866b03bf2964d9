// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A reverse proxy before a test's server: what goes wrong between the two goes wrong here.

use std::collections::HashMap;
use std::error::Error;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, client, server};
use hyper_util::rt::TokioIo;
use reduct_rs::JsonValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};

use super::server::Server;

/// The reason in an answer of [`Fate::Status`].
pub const REASON: &str = "the proxy had a bad day";

/// The headers of a batch have a line for each record.
const MAX_HEADERS: usize = 10_000;
const MAX_HEADER_BYTES: usize = 4 << 20;

/// Kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A query of an entry.
    Query,
    /// A batch of its records.
    Batch,
    /// Records that are written, one by itself or a batch.
    Write,
    /// Anything else, such as an entry's attachments.
    Other,
}

/// Treatment of a request. A position in a body is any number: it wraps around at the body's end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// The server answers.
    Pass,
    /// The connection ends before an answer.
    Close,
    /// No answer ever comes.
    Stall,
    /// Another answer comes than the server's: this status and [`REASON`].
    Status(u16),
    /// The connection ends at this place in the body.
    Cut(usize),
    /// Nothing more ever comes from this place in the body on.
    StallAt(usize),
    /// The answer is complete, and its body ends at this place.
    Short(usize),
    /// The server answers after a while.
    Late(Duration),
    /// The request's body gets to the server up to this place, and then both connections end.
    CutRequest(usize),
    /// Nothing more of the request's body gets to the server from this place on.
    StallRequest(usize),
    /// The server answers, and the connection ends before that.
    Lose,
    /// The server answers, and its query expires after a second without a read.
    Forget,
}

/// Decides what becomes of a request by its kind and by how many of this kind were before it.
type Plan = Box<dyn FnMut(Kind, usize) -> Fate + Send>;
type Failure = Box<dyn Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Failure>;

/// A proxy that listens as long as this value lives.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Proxy {
    /// A proxy before a server, also while that does not run.
    pub fn start(server: &Server, plan: impl FnMut(Kind, usize) -> Fate + Send + 'static) -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a tokio runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let shared = Arc::new(Shared {
            server: ([127, 0, 0, 1], server.port()).into(),
            plan: Mutex::new(Box::new(plan)),
            counts: Mutex::default(),
        });
        let address = listener.local_addr().expect("an address");
        runtime.spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _runtime: runtime,
        }
    }

    /// URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of requests of a kind so far.
    pub fn count(&self, kind: Kind) -> usize {
        let counts = self.shared.counts.lock().expect("no panic while locked");
        counts.get(&kind).copied().unwrap_or(0)
    }
}

struct Shared {
    server: SocketAddr,
    plan: Mutex<Plan>,
    counts: Mutex<HashMap<Kind, usize>>,
}

/// Takes connections as long as the runtime lives.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut reset = false;
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP socket");
        // Cut connections end in both ways: one is closed, the next one is reset.
        if reset {
            stream.set_zero_linger().expect("a TCP socket");
        }
        reset = !reset;
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        let connection = server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

/// Answers a request; a failure ends its connection.
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    let fate = shared.fate(kind(&request));
    match fate {
        Fate::Close => return Err("closed".into()),
        Fate::Stall => pending().await,
        Fate::Status(status) => {
            // With bytes that were not read, the end of the connection could discard the answer.
            request.into_body().collect().await?;
            return refusal(status);
        }
        _ => {}
    }
    if let Fate::Late(time) = fate {
        tokio::time::sleep(time).await;
    }
    let (mut head, body) = request.into_parts();
    let mut body = body.collect().await?.to_bytes();
    if fate == Fate::Forget {
        body = with_short_ttl(&body);
        head.headers.remove(CONTENT_LENGTH);
    }
    let sent = match fate {
        Fate::CutRequest(_) | Fate::StallRequest(_) => spoiled(body, fate, &mut head.headers),
        _ => whole(body),
    };
    let asked = Request::from_parts(head, sent);
    let (mut head, body) = shared.ask(asked).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    if fate == Fate::Lose {
        return Err("lost".into());
    }
    let body = spoiled(body, fate, &mut head.headers);
    Ok(Response::from_parts(head, body))
}

impl Shared {
    /// Counts a request and decides what becomes of it.
    fn fate(&self, kind: Kind) -> Fate {
        let index = {
            let mut counts = self.counts.lock().expect("no panic while locked");
            let count = counts.entry(kind).or_default();
            *count += 1;
            *count - 1
        };
        let mut plan = self.plan.lock().expect("no panic while locked");
        (*plan)(kind, index)
    }

    /// The server's own answer.
    async fn ask(&self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let stream = TcpStream::connect(self.server).await?;
        let (mut sender, connection) = client::conn::http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEADER_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

fn kind(request: &Request<Incoming>) -> Kind {
    let path = request.uri().path();
    // Attachments are records of an entry beside the entry.
    if path.contains("$meta") || path.contains("%24meta") {
        Kind::Other
    } else if request.method() == Method::POST && path.ends_with("/q") {
        Kind::Query
    } else if request.method() == Method::GET && path.ends_with("/batch") {
        Kind::Batch
    } else if request.method() == Method::POST
        && (path.ends_with("/batch")
            || (request.uri().query()).is_some_and(|query| query.starts_with("ts=")))
    {
        Kind::Write
    } else {
        Kind::Other
    }
}

/// An answer as ReductStore would give it.
fn refusal(status: u16) -> Result<Response<Body>, Failure> {
    let answer = Response::builder().status(status);
    let answer = answer.header("x-reduct-api", "1.21");
    let answer = answer.header("x-reduct-error", REASON);
    Ok(answer.body(whole(Bytes::new()))?)
}

/// A query with the shortest `ttl` that the server knows.
fn with_short_ttl(query: &[u8]) -> Bytes {
    let text = str::from_utf8(query).expect("UTF-8");
    let mut query: JsonValue = text.parse().expect("JSON");
    query["ttl"] = 1.into();
    query.to_string().into()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Returns a body as the client receives it.
fn spoiled(bytes: Bytes, fate: Fate, headers: &mut HeaderMap) -> Body {
    let until = |place: usize| bytes.slice(..place % bytes.len().max(1));
    let begin = |place| stream::iter([Ok(Frame::data(until(place)))]);
    match fate {
        Fate::Cut(place) | Fate::CutRequest(place) => {
            let end = stream::once(async {
                // What came before goes out.
                tokio::task::yield_now().await;
                Err("cut".into())
            });
            StreamBody::new(begin(place).chain(end)).boxed_unsync()
        }
        Fate::StallAt(place) | Fate::StallRequest(place) => {
            StreamBody::new(begin(place).chain(stream::pending())).boxed_unsync()
        }
        Fate::Short(place) => {
            let begin = until(place);
            headers.insert(CONTENT_LENGTH, begin.len().into());
            whole(begin)
        }
        _ => whole(bytes),
    }
}
