// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0
//! The requests of a source that follows an entry to which nothing is written.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, BytesMut};
use clap::Args;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::pipeline;
use super::samples::Samples;
use super::target::Target;

/// The end of a request's first line. No body of a request for records has it.
const REQUEST: &[u8] = b" HTTP/1.1\r\n";

#[derive(Args)]
pub struct Idle {
    #[command(flatten)]
    target: Target,
    /// For how long, s
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

impl Idle {
    /// Counts the requests of each second since PLAYING.
    pub async fn run(&self) -> Result<Samples> {
        let Target { url, bucket, entry } = &self.target;
        let server = url.strip_prefix("http://").context("not over http")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let way = listener.local_addr()?;
        let requests = Arc::new(AtomicUsize::new(0));
        tokio::spawn(serve(listener, server.parse()?, requests.clone()));

        let pipeline = pipeline::launch(&format!(
            "reductsrc url=http://{way} bucket={bucket} entry={entry} follow=true \
             ! fakesink sync=false"
        ))?;
        let start = Instant::from_std(pipeline::play(&pipeline)?);
        let (mut counts, mut before) = (Vec::new(), 0);
        for second in 1..=self.seconds {
            sleep_until(start + Duration::from_secs(second.into())).await;
            let now = requests.load(Ordering::Relaxed);
            counts.push((now - before) as f64);
            before = now;
        }
        pipeline::check(&pipeline)?;
        // Whoever asks nothing follows nothing.
        ensure!(
            counts.iter().all(|count| *count > 0.0),
            "{counts:?} requests"
        );
        Ok(Samples(counts))
    }
}

/// Passes connections on.
async fn serve(listener: TcpListener, to: SocketAddr, requests: Arc<AtomicUsize>) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(pass_on(client, to, requests.clone()));
    }
}

async fn pass_on(client: TcpStream, to: SocketAddr, requests: Arc<AtomicUsize>) -> Result<()> {
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let answers = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        Ok(to_client.shutdown().await?)
    };
    tokio::try_join!(count(from_client, to_server, &requests), answers)?;
    Ok(())
}

/// Passes bytes on in one direction, then its end, and counts the requests in them.
async fn count(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    requests: &AtomicUsize,
) -> Result<()> {
    let mut bytes = BytesMut::new();
    loop {
        let length = from.read_buf(&mut bytes).await?;
        if length == 0 {
            return Ok(to.shutdown().await?);
        }
        let lines = bytes.windows(REQUEST.len()).filter(|some| *some == REQUEST);
        requests.fetch_add(lines.count(), Ordering::Relaxed);
        to.write_all(&bytes[bytes.len() - length..]).await?;
        // A line may go on in what comes next.
        bytes.advance(bytes.len().saturating_sub(REQUEST.len() - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_counted_however_they_come() {
        let sent =
            b"HEAD /a HTTP/1.1\r\nx: y\r\n\r\nPOST /b HTTP/1.1\r\n\r\n{}GET /c HTTP/1.1\r\n\r\n";
        for piece in 1..=sent.len() {
            let (mut client, from_client) = tokio::io::duplex(piece);
            let (to_server, mut server) = tokio::io::duplex(1000);
            let requests = AtomicUsize::new(0);
            let send = async {
                client.write_all(sent).await?;
                Ok(client.shutdown().await?)
            };
            tokio::try_join!(count(from_client, to_server, &requests), send).unwrap();
            let mut received = Vec::new();
            server.read_to_end(&mut received).await.unwrap();
            assert_eq!(received, sent, "{piece}");
            assert_eq!(requests.into_inner(), 3, "{piece}");
        }
    }
}
