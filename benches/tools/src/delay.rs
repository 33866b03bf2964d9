// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! A TCP proxy that makes the way to a server longer, and narrower if it is to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
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
/// Bytes of a narrow way that may wait in a connection, as the time in which they pass, ms.
const QUEUE_MS: f64 = 50.0;

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
    /// Rate of all connections together in each direction, Mbit/s; no limit without it
    #[arg(long)]
    mbits: Option<f64>,
}

/// One direction of the way, which all connections share.
struct Link {
    delay: Duration,
    /// Time in which a byte passes, s; 0 without a limit.
    byte_seconds: f64,
    /// Time at which all that came so far has passed.
    free: Mutex<Instant>,
}

impl Link {
    fn new(delay: Duration, mbits: Option<f64>) -> Arc<Self> {
        Arc::new(Self {
            delay,
            byte_seconds: mbits.map_or(0.0, |mbits| 8e-6 / mbits),
            free: Mutex::new(Instant::now()),
        })
    }

    /// Returns when bytes that come now leave the other end.
    fn pass(&self, bytes: usize) -> Instant {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let takes = Duration::from_secs_f64(bytes as f64 * self.byte_seconds);
        *free = Instant::now().max(*free) + takes;
        *free + self.delay
    }

    /// Returns how many bytes of a connection may be on the way.
    fn room(&self) -> usize {
        if self.byte_seconds == 0.0 {
            return BYTES_ON_THE_WAY;
        }
        let ms = QUEUE_MS + self.delay.as_secs_f64() * 1e3;
        ((ms / 1e3 / self.byte_seconds) as usize).clamp(PIECE, BYTES_ON_THE_WAY)
    }
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
        let delay = Duration::from_millis(self.rtt) / 2;
        ensure!(self.mbits.is_none_or(|mbits| mbits > 0.0), "no rate");
        serve(
            listener,
            self.to,
            [(); 2].map(|()| Link::new(delay, self.mbits)),
        )
        .await
    }
}

/// Serves by a link to the server and one back.
async fn serve(listener: TcpListener, to: SocketAddr, links: [Arc<Link>; 2]) -> Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        // A connection that breaks on one side breaks on the other.
        tokio::spawn(pass_on(client, to, links.clone()));
    }
}

async fn pass_on(client: TcpStream, to: SocketAddr, [there, back]: [Arc<Link>; 2]) -> Result<()> {
    // The kernel has shaken hands already, which takes a round trip, too.
    let connected = Instant::now() + there.delay + back.delay;
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        direction(from_client, to_server, connected, there),
        direction(from_server, to_client, connected, back),
    )?;
    Ok(())
}

/// Passes bytes on in one direction, then its end.
async fn direction(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    connected: Instant,
    link: Arc<Link>,
) -> Result<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::try_join!(take(from, sender, connected, link), give(to, receiver))?;
    Ok(())
}

async fn take(
    mut from: OwnedReadHalf,
    sender: mpsc::UnboundedSender<Piece>,
    connected: Instant,
    link: Arc<Link>,
) -> Result<()> {
    let room = Arc::new(Semaphore::new(link.room()));
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        // Less than a piece may have room, which would be waited for until all has passed.
        let count = from.read_buf(&mut (&mut buffer).limit(PIECE)).await?;
        let due = link.pass(count).max(connected + link.delay);
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
    async fn connection(mbits: Option<f64>) -> TcpStream {
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
        let links = [(); 2].map(|()| Link::new(RTT / 2, mbits));
        tokio::spawn(serve(proxy, to, links));
        TcpStream::connect(address).await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_takes_a_round_trip_and_the_first_one_two() {
        let mut stream = connection(None).await;
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
        let (mut reader, mut writer) = connection(None).await.into_split();
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

    #[tokio::test]
    async fn a_narrow_way_takes_as_long_as_its_rate_says() {
        let (mut reader, mut writer) = connection(Some(80.0)).await.into_split();
        let start = Instant::now();
        tokio::spawn(async move {
            writer.write_all(&vec![7; 5_000_000]).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), 5_000_000);
        let seconds = start.elapsed().as_secs_f64();
        // 0.5 s at 10 MB/s, and as bytes come back while others go, little more.
        assert!((0.5..1.0).contains(&seconds), "{seconds} s");
    }
}
