// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A real ReductStore of the test's own, and what a test writes to it.

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use reduct_rs::{
    BucketSettings, ErrorCode, JsonValue, Permissions, ReductClient, ReductError, condition,
};
use tokio::runtime::Runtime;

use super::wait::await_that;

/// Time limit of a server's first answer.
const START_UP: Duration = Duration::from_secs(30);

/// Limit of the records in a batch: the server refuses some more headers. 8 MB is its own limit of
/// the bytes in a batch.
const BATCH_RECORDS: usize = 80;
const BATCH_BYTES: usize = 8_000_000;

/// Runs set-up calls; pipelines never run in it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a tokio runtime")
});

/// Kills the server whose id it read last and removes the folder, as soon as its input ends.
///
/// A static is never dropped, and a test that is killed runs no code at all; but the kernel closes
/// a dead process's pipes.
const REAPER: &str = r#"while read -r line; do pid=$line; done
[ -z "$pid" ] || kill -KILL "$pid"
rm -rf "$1""#;

/// A record as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its time stamp, µs since the Unix epoch.
    pub time_us: u64,
    /// Its content type.
    pub content_type: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its content.
    pub bytes: Bytes,
}

/// Options of a [`Server`].
#[derive(Default)]
pub struct Builder {
    token: Option<String>,
    env: Vec<(String, String)>,
    command: Vec<String>,
    tls: bool,
}

impl Builder {
    /// Lets only clients with a token in; `token` is the one with full access.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Serves HTTPS.
    pub fn tls(mut self, cert: &Path, key: &Path) -> Self {
        self.tls = true;
        self.env("RS_CERT_PATH", &cert.to_string_lossy())
            .env("RS_CERT_KEY_PATH", &key.to_string_lossy())
    }

    /// Sets one of the server's `RS_` variables.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts the server by a command, which must become it (`exec`), instead of [`binary`].
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts the server and waits until it answers.
    pub fn start(self) -> Server {
        let folder = tempfile::Builder::new()
            .prefix("reductstore-")
            .tempdir()
            .expect("a folder for the server")
            .keep();
        let mut reaper = Command::new("sh")
            .args(["-c", REAPER, "reaper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What kills the test's process group (Ctrl-C, a time limit) must leave it alive.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let pipe = reaper.stdin.take().expect("stdin is piped");
        let mut server = Server {
            options: self,
            folder,
            port: 0,
            state: Mutex::new(State {
                process: None,
                reaper: Some((reaper, pipe)),
            }),
        };
        for _ in 0..5 {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("no ReductStore came up: {}", server.log());
    }
}

/// The processes behind a [`Server`].
struct State {
    /// The server, while it runs.
    process: Option<Child>,
    /// The reaper and its input, until the drop.
    reaper: Option<(Child, ChildStdin)>,
}

impl State {
    /// Sends the reaper the process to kill.
    fn reap(&mut self, pid: Option<u32>) {
        if let Some((_, pipe)) = &mut self.reaper {
            let pid = pid.map(|pid| pid.to_string()).unwrap_or_default();
            writeln!(pipe, "{pid}").expect("the reaper listens");
        }
    }

    /// Kills the server, if it runs, and waits until it is gone.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the server can be killed");
            process.wait().expect("the server can be waited for");
            self.reap(None);
        }
    }
}

/// A ReductStore with a port and a data folder of its own; it ends with this value or with the
/// process, however that ends.
pub struct Server {
    options: Builder,
    folder: PathBuf,
    port: u16,
    state: Mutex<State>,
}

impl Server {
    /// A server that lets everybody in.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// A server with options.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// URL of the server.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process's id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.state().process.as_ref().map(Child::id)
    }

    /// Its folder: `data` and `log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Log of the server so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Ends it at once (SIGKILL); what it acknowledged stays.
    pub fn kill(&self) {
        self.state().kill();
    }

    /// Starts it again on the same port and data, after a kill if it runs.
    pub fn restart(&self) {
        self.kill();
        assert!(self.launch(), "no ReductStore came up: {}", self.log());
    }

    /// Makes it hang: connections are accepted and nothing is answered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Ends a [`Self::freeze`].
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// A client with full access.
    ///
    /// A new one each time: the connections of an old one end with a kill.
    pub fn client(&self) -> ReductClient {
        ReductClient::builder()
            .url(&self.url())
            .api_token(self.options.token.as_deref().unwrap_or_default())
            .verify_ssl(false)
            .timeout(Duration::from_secs(30))
            .build()
    }

    /// Creates a bucket that no other test knows, and gives its name.
    pub fn new_bucket(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{count}", process::id());
        self.create_bucket(&name);
        name
    }

    /// Creates a bucket.
    pub fn create_bucket(&self, name: &str) {
        self.create_bucket_with(name, BucketSettings::default());
    }

    /// Creates a bucket with a quota or with blocks of another size.
    pub fn create_bucket_with(&self, name: &str, settings: BucketSettings) {
        let client = self.client();
        let bucket = client.create_bucket(name).settings(settings);
        block_on(bucket.send()).unwrap_or_else(|e| panic!("bucket {name}: {e}"));
    }

    /// Removes a bucket, and waits until the server has done so.
    pub fn remove_bucket(&self, name: &str) {
        block_on(async { self.client().get_bucket(name).await?.remove().await })
            .unwrap_or_else(|e| panic!("bucket {name}: {e}"));
        await_that("the bucket stays", || {
            let bucket = block_on(async { self.client().get_bucket(name).await });
            bucket.is_err_and(|err| err.status == ErrorCode::NotFound)
        });
    }

    /// Creates a bucket with an entry that the server is removing, which takes it most of a second: each
    /// record is a block of its own.
    pub fn create_bucket_without(&self, name: &str, entry: &str) {
        let settings = BucketSettings {
            max_block_records: Some(1),
            ..Default::default()
        };
        self.create_bucket_with(name, settings);
        let records: Vec<_> = (1..=400)
            .map(|time_us| Record {
                time_us,
                content_type: "video/h264".into(),
                labels: Vec::new(),
                bytes: Bytes::from_static(b"old"),
            })
            .collect();
        self.write_all(name, entry, &records);
        block_on(async {
            self.client()
                .get_bucket(name)
                .await?
                .remove_entry(entry)
                .await
        })
        .unwrap_or_else(|e| panic!("entry {entry}: {e}"));
    }

    /// Writes one record. Its labels may have any value; in a batch, reduct-rs does not quote them.
    pub fn write(
        &self,
        bucket: &str,
        entry: &str,
        time_us: u64,
        content_type: &str,
        labels: &[(&str, &str)],
        bytes: impl Into<Bytes>,
    ) {
        let labels = labels.iter();
        let labels = labels.map(|&(key, value)| (key.into(), value.into()));
        block_on(async {
            let bucket = self.client().get_bucket(bucket).await.expect("the bucket");
            let record = bucket.write_record(entry).timestamp_us(time_us);
            let record = record.content_type(content_type).labels(labels.collect());
            let written = record.data(bytes.into()).send().await;
            written.expect("the record is written");
        });
    }

    /// Writes records in their order, in batches.
    pub fn write_all<'a>(
        &self,
        bucket: &str,
        entry: &str,
        records: impl IntoIterator<Item = &'a Record>,
    ) {
        block_on(async {
            let bucket = self.client().get_bucket(bucket).await.expect("the bucket");
            let mut records = records.into_iter().peekable();
            while records.peek().is_some() {
                let mut batch = bucket.write_batch(entry);
                let (mut count, mut bytes) = (0, 0);
                while let Some(record) = records.next_if(|record| {
                    count == 0 || count < BATCH_RECORDS && bytes + record.bytes.len() <= BATCH_BYTES
                }) {
                    count += 1;
                    bytes += record.bytes.len();
                    batch.append_record(
                        reduct_rs::RecordBuilder::new()
                            .timestamp_us(record.time_us)
                            .content_type(record.content_type.as_str())
                            .labels(record.labels.iter().cloned().collect())
                            .data(record.bytes.clone())
                            .build(),
                    );
                }
                let refused = batch.send().await.expect("the batch is written");
                assert!(refused.is_empty(), "records refused: {refused:?}");
            }
        });
    }

    /// Removes a record.
    pub fn remove_record(&self, bucket: &str, entry: &str, time_us: u64) {
        block_on(async {
            let bucket = self.client().get_bucket(bucket).await?;
            bucket
                .remove_record(entry)
                .timestamp_us(time_us)
                .send()
                .await
        })
        .unwrap_or_else(|e| panic!("record {time_us}: {e}"));
    }

    /// Attaches a JSON value to an entry, such as `$video`.
    pub fn attach(&self, bucket: &str, entry: &str, key: &str, value: JsonValue) {
        block_on(async {
            let bucket = self.client().get_bucket(bucket).await.expect("the bucket");
            bucket
                .write_attachments(entry, HashMap::from([(key.into(), value)]))
                .await
                .expect("the attachment is written");
        });
    }

    /// Attachment of an entry with a name.
    pub fn attachment(&self, bucket: &str, entry: &str, key: &str) -> Option<JsonValue> {
        block_on(async {
            let bucket = self.client().get_bucket(bucket).await.expect("the bucket");
            let attachments = bucket.read_attachments(entry).await;
            attachments.expect("attachments").remove(key)
        })
    }

    /// The settings of a bucket.
    pub fn bucket_settings(&self, bucket: &str) -> BucketSettings {
        block_on(async { self.client().get_bucket(bucket).await?.settings().await })
            .unwrap_or_else(|e| panic!("bucket {bucket}: {e}"))
    }

    /// The names of a bucket's entries.
    pub fn entries(&self, bucket: &str) -> Vec<String> {
        let entries = block_on(async { self.client().get_bucket(bucket).await?.entries().await });
        let entries = entries.unwrap_or_else(|e| panic!("bucket {bucket}: {e}"));
        entries.into_iter().map(|entry| entry.name).collect()
    }

    /// Creates a token that may read `buckets` and nothing else, and gives its value.
    pub fn create_token(&self, name: &str, buckets: &[&str]) -> String {
        self.create_token_with(name, buckets, &[])
    }

    /// Creates a token that may read some buckets and write others, and gives its value.
    pub fn create_token_with(&self, name: &str, read: &[&str], write: &[&str]) -> String {
        let names = |buckets: &[&str]| buckets.iter().map(|&bucket| bucket.into()).collect();
        let permissions = Permissions {
            read: names(read),
            write: names(write),
            ..Permissions::default()
        };
        block_on(async { self.client().create_token(name, permissions).await })
            .unwrap_or_else(|e| panic!("token {name}: {e}"))
    }

    /// Removes a token.
    pub fn remove_token(&self, name: &str) {
        block_on(async { self.client().delete_token(name).await })
            .unwrap_or_else(|e| panic!("token {name}: {e}"));
    }

    /// All records of an entry, in order of time.
    pub fn read(&self, bucket: &str, entry: &str) -> Vec<Record> {
        self.query(bucket, entry, condition!({}))
    }

    /// Makes conditional queries, and leaves them unread.
    pub fn leave_queries(&self, bucket: &str, entry: &str, when: JsonValue, count: usize) {
        block_on(async {
            let bucket = self.client().get_bucket(bucket).await.expect("the bucket");
            for _ in 0..count {
                let query = bucket.query(entry).when(when.clone()).send().await;
                query.map(drop).expect("the query");
            }
        });
    }

    /// Time of the oldest record in an entry, µs since the Unix epoch.
    pub fn oldest_us(&self, bucket: &str, entry: &str) -> u64 {
        let entries = block_on(async { self.client().get_bucket(bucket).await?.entries().await });
        let entries = entries.unwrap_or_else(|e| panic!("entries of {bucket}: {e}"));
        let entry = entries.into_iter().find(|found| found.name == entry);
        entry.expect("the entry").oldest_record
    }

    /// The records of an entry that a conditional query finds.
    pub fn query(&self, bucket: &str, entry: &str, when: JsonValue) -> Vec<Record> {
        let records = self.query_range(bucket, entry, None, when);
        records.expect("the query")
    }

    /// The records of an entry, or of a range from a time and before another one, that a conditional query finds, or
    /// the text of its error.
    pub fn query_range(
        &self,
        bucket: &str,
        entry: &str,
        range: Option<[u64; 2]>,
        when: JsonValue,
    ) -> Result<Vec<Record>, String> {
        let records = async || -> Result<Vec<Record>, ReductError> {
            let bucket = self.client().get_bucket(bucket).await?;
            let mut query = bucket.query(entry).when(when);
            if let Some([start, stop]) = range {
                query = query.start_us(start).stop_us(stop);
            }
            let mut query = pin!(query.send().await?);
            let mut records = Vec::new();
            while let Some(record) = query.next().await {
                let record = record?;
                let mut labels: Vec<_> = record.labels().clone().into_iter().collect();
                labels.sort();
                records.push(Record {
                    time_us: record.timestamp_us(),
                    content_type: record.content_type().into(),
                    labels,
                    bytes: record.bytes().await?,
                });
            }
            Ok(records)
        };
        block_on(records()).map_err(|error| error.to_string())
    }

    /// Starts the process and waits until it answers; false if it exits instead.
    fn launch(&self) -> bool {
        let log = File::create(self.folder.join("log")).expect("a log file");
        let auth = match &self.options.token {
            Some(token) => ("RS_API_TOKEN", token.as_str()),
            None => ("RS_DISABLE_AUTH", "true"),
        };
        let mut command = match self.options.command.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
            None => Command::new(binary()),
        };
        let process = command
            .env("RS_HOST", "127.0.0.1")
            .env("RS_PORT", self.port.to_string())
            .env("RS_DATA_PATH", self.folder.join("data"))
            .env("RS_SYSTEM_EVENTS_ENABLED", "false")
            .envs([auth])
            .envs(self.options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("ReductStore starts");
        let mut state = self.state();
        state.reap(Some(process.id()));
        let process = state.process.insert(process);

        let client = self.client();
        let deadline = Instant::now() + START_UP;
        while process.try_wait().expect("the server's state").is_none() {
            let answer = block_on(async { tokio::time::timeout(START_UP, client.alive()).await });
            if matches!(answer, Ok(Ok(()))) {
                return true;
            }
            assert!(
                Instant::now() < deadline,
                "ReductStore does not answer: {answer:?}\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
        state.process = None;
        state.reap(None);
        false
    }

    /// Sends the process a signal; the shell knows them by name.
    fn signal(&self, name: &str) {
        let pid = self.pid().expect("the server runs").to_string();
        let status = Command::new("sh")
            .args(["-c", r#"kill -"$1" "$2""#, "signal", name, &pid])
            .status()
            .expect("sh starts");
        assert!(status.success(), "SIG{name} did not reach the server");
    }

    /// The processes, also after another test's panic.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut state = self.state();
        state.kill();
        if let Some((mut reaper, pipe)) = state.reaper.take() {
            drop(pipe);
            reaper.wait().expect("the reaper can be waited for");
        }
    }
}

/// A port of 127.0.0.1 that is not in use.
///
/// It lies below the range from which the kernel takes the ports of outgoing connections: it stays
/// free while a killed server is away. By chance, as other processes look for one as well.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs a set-up call to its end.
fn block_on<T>(call: impl Future<Output = T>) -> T {
    RUNTIME.block_on(call)
}

/// The server's program.
pub fn binary() -> PathBuf {
    let path = match env::var_os("REDUCTSTORE_BIN") {
        Some(path) => path.into(),
        None => cache_folder().join("episode-server/bin/episode-server"),
    };
    assert!(
        path.is_file(),
        "no ReductStore at {}: run tests/run.sh, which builds it",
        path.display()
    );
    path
}

/// Folder of what `tests/run.sh` builds and installs for the tests.
pub fn cache_folder() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env::var_os("HOME").expect("HOME")).join(".cache"))
        .join("gst-plugin-reduct")
}
