// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A TCP proxy that makes the way to a server longer, and no narrower.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

/// Limit of the bytes that are on their way in one direction: 25 ms of 2.5 GB/s.
const BYTES_ON_THE_WAY: usize = 64 << 20;
/// The most that is read at once.
const PIECE: usize = 64 << 10;

#[derive(Args)]
pub struct Delay {
    /// Address to listen on, which is printed
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Address to connect to
    #[arg(long)]
    to: SocketAddr,
    /// Round-trip time, ms
    #[arg(long)]
    rtt: u64,
}

/// Bytes that leave the other end at a time.
struct Piece {
    due: Instant,
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Delay {
    /// Serves for ever.
    pub async fn run(&self) -> Result<()> {
        let listener = TcpListener::bind(self.listen).await?;
        println!("{}", listener.local_addr()?);
        serve(listener, self.to, Duration::from_millis(self.rtt)).await
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, rtt: Duration) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        // A connection that breaks on one side breaks on the other.
        tokio::spawn(pass_on(client, to, rtt));
    }
}

async fn pass_on(client: TcpStream, to: SocketAddr, rtt: Duration) -> Result<()> {
    // The kernel has shaken hands already, which takes a round trip, too.
    let connected = Instant::now() + rtt;
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        direction(from_client, to_server, connected, rtt / 2),
        direction(from_server, to_client, connected, rtt / 2),
    )?;
    Ok(())
}

/// Passes bytes on in one direction, then its end.
async fn direction(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    connected: Instant,
    delay: Duration,
) -> Result<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::try_join!(take(from, sender, connected, delay), give(to, receiver))?;
    Ok(())
}

async fn take(
    mut from: OwnedReadHalf,
    sender: mpsc::UnboundedSender<Piece>,
    connected: Instant,
    delay: Duration,
) -> Result<()> {
    let room = Arc::new(Semaphore::new(BYTES_ON_THE_WAY));
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let count = from.read_buf(&mut buffer).await?;
        let due = Instant::now().max(connected) + delay;
        let room = room.clone().acquire_many_owned(count as u32).await?;
        sender.send(Piece {
            due,
            bytes: buffer.split().freeze(),
            _room: room,
        })?;
        if count == 0 {
            return Ok(());
        }
    }
}

async fn give(mut to: OwnedWriteHalf, mut receiver: mpsc::UnboundedReceiver<Piece>) -> Result<()> {
    while let Some(piece) = receiver.recv().await {
        sleep_until(piece.due).await;
        to.write_all(&piece.bytes).await?;
    }
    to.shutdown().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(40);

    /// A connection through the proxy to a server that sends everything back.
    async fn connection() -> TcpStream {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = proxy.local_addr().unwrap();
        tokio::spawn(serve(proxy, to, RTT));
        TcpStream::connect(address).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_takes_a_round_trip_and_the_first_one_two() {
        let mut stream = connection().await;
        for round_trips in [2, 1] {
            let start = Instant::now();
            stream.write_all(b"x").await.unwrap();
            stream.read_u8().await.unwrap();
            // The hands were shaken a moment before the clock.
            let least = RTT * round_trips - RTT / 4;
            assert!(start.elapsed() >= least, "{:?}", start.elapsed());
        }
    }

    #[tokio::test]
    async fn all_bytes_and_their_end_come_through() {
        let (mut reader, mut writer) = connection().await.into_split();
        let sent: Vec<u8> = (0..20_000_000u32).map(|index| (index / 7) as u8).collect();
        let expected = sent.clone();
        let start = Instant::now();
        tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        // In pieces of a window, 40 ms each, it would take seconds.
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
