//! Behind the handshake: frames and streams that are wrong, endless, slow, half, or simply too many.

use std::io;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use mesh_proto::bulk::BULK_PROTOCOL;
use mesh_proto::limits::CONTROL_FRAME_BYTES_MAX;
use mesh_proto::message::CONTROL_PROTOCOL;

use crate::line::{self, Line, SELECT, Secured};
use crate::orders::Fighter;
use crate::words::{self, framed, say};

const DRIP_INTERVAL: Duration = Duration::from_secs(1);
/// More than a connection may have.
const HELD_STREAMS: usize = 300;
/// A number of a message nobody knows and that wants no answer.
const UNKNOWN: [u8; 2] = 60_000u16.to_le_bytes();
const PROBE_PROTOCOL: &str = "/ipfs/ping/1.0.0";
const PROTOCOLS: [&str; 4] = [CONTROL_PROTOCOL, BULK_PROTOCOL, PROBE_PROTOCOL, "/ipfs/id/push/1.0.0"];

/// What is done with streams.
#[derive(Debug, Clone, Copy)]
pub enum Streams {
    /// The choice of Yamux is never ended.
    HalfYamux,
    /// Random bytes where frames of Yamux should be.
    WildFrames,
    /// Frames of Yamux that are right and make no sense: windows without end, pings, streams by the hundred.
    AbsurdWindows,
    /// As many streams as there may be, and more, each agreed on or half agreed on, and never used.
    Held,
    /// Lengths as large as they can be, on every protocol.
    HugeLengths,
    /// The longest messages there may be, one after the other.
    Endless,
    /// Half a message, then the end.
    HalfMessage,
    /// Half a message, then nothing.
    HalfMessageHeld,
    /// A message, one byte a second.
    Drip,
    /// Random bytes on every protocol.
    Random,
}

/// One bout.
pub async fn bout(fighter: &mut Fighter, how: Streams) -> io::Result<()> {
    let key = fighter.new_key();
    match how {
        Streams::HalfYamux => half_yamux(fighter, line::secured(fighter, &key).await?).await,
        Streams::WildFrames => wild_frames(fighter, line::secured(fighter, &key).await?).await,
        Streams::AbsurdWindows => absurd_windows(fighter, line::secured(fighter, &key).await?).await,
        _ => on_streams(fighter, Line::connect(fighter, &key).await?, how).await,
    }
}

async fn on_streams(fighter: &mut Fighter, line: Line, how: Streams) -> io::Result<()> {
    match how {
        Streams::Held => return held(fighter, line).await,
        Streams::HugeLengths => huge_lengths(fighter, &line).await?,
        Streams::Random => random(fighter, &line).await?,
        Streams::Endless => return endless(fighter, &line).await,
        Streams::HalfMessage => {
            let mut stream = words::greet(&line).await?;
            say(&mut stream, &half_message()).await?;
            stream.close().await?;
        }
        Streams::Drip => {
            let mut stream = words::greet(&line).await?;
            for byte in half_message() {
                say(&mut stream, &[byte]).await?;
                fighter.strike();
                tokio::time::sleep(DRIP_INTERVAL).await;
            }
        }
        _ => {
            let mut stream = words::greet(&line).await?;
            say(&mut stream, &half_message()).await?;
            fighter.strike();
            line.hold().await;
            return Ok(());
        }
    }
    fighter.strike();
    Ok(())
}

fn half_message() -> Vec<u8> {
    let whole = framed(&[&UNKNOWN[..], &[7; 1000]].concat());
    whole[..500].to_vec()
}

async fn half_yamux(fighter: &mut Fighter, mut secured: Secured) -> io::Result<()> {
    secured.write_all(&line::line(SELECT)).await?;
    secured.flush().await?;
    fighter.strike();
    while secured.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}

async fn wild_frames(fighter: &mut Fighter, mut secured: Secured) -> io::Result<()> {
    line::select(&mut secured, "/yamux/1.0.0").await?;
    loop {
        secured.write_all(&fighter.random_bytes(1000)).await?;
        secured.flush().await?;
        fighter.strike();
    }
}

/// A frame's head: version, kind, flags, stream, and a length or a window.
fn frame(kind: u8, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    [&[0, kind][..], &flags.to_be_bytes(), &stream.to_be_bytes(), &length.to_be_bytes()].concat()
}

async fn absurd_windows(fighter: &mut Fighter, mut secured: Secured) -> io::Result<()> {
    const WINDOW: u8 = 1;
    const PING: u8 = 2;
    const SYN: u16 = 1;
    line::select(&mut secured, "/yamux/1.0.0").await?;
    for stream in (1..100).step_by(2) {
        secured.write_all(&frame(WINDOW, SYN, stream, u32::MAX)).await?;
        for _ in 0..10 {
            secured.write_all(&frame(WINDOW, 0, stream, u32::MAX)).await?;
            secured.write_all(&frame(PING, SYN, 0, stream)).await?;
        }
    }
    secured.flush().await?;
    fighter.strike();
    // Streams by the hundred, opened and reset at once.
    const RESET: u16 = 8;
    for stream in (101..20_001).step_by(2) {
        secured.write_all(&frame(WINDOW, SYN, stream, 0)).await?;
        secured.write_all(&frame(WINDOW, RESET, stream, 0)).await?;
    }
    // Data of a length that nobody allowed.
    secured.write_all(&frame(0, SYN, 20_001, u32::MAX)).await?;
    secured.flush().await?;
    while secured.read(&mut [0; 4096]).await? > 0 {}
    Ok(())
}

async fn held(fighter: &mut Fighter, line: Line) -> io::Result<()> {
    let mut control = words::greet(&line).await?;
    let mut held = Vec::new();
    for number in 0..HELD_STREAMS {
        let Ok(mut stream) = line.bare().await else { break };
        let agreed = [line::line(SELECT), line::line(PROTOCOLS[number % PROTOCOLS.len()])].concat();
        let part = if number % 3 == 0 { agreed.len() } else { number % agreed.len() };
        if stream.write_all(&agreed[..part]).await.is_err() || stream.flush().await.is_err() {
            break;
        }
        held.push(stream);
    }
    fighter.strike();
    // As long as the node lets it be.
    while say(&mut control, &framed(&UNKNOWN)).await.is_ok() {
        tokio::time::sleep(DRIP_INTERVAL).await;
    }
    Ok(())
}

async fn huge_lengths(fighter: &mut Fighter, line: &Line) -> io::Result<()> {
    for protocol in PROTOCOLS {
        let Ok(mut stream) = line.open(protocol).await else { continue };
        let _ = say(&mut stream, &[0xff; 64]).await;
        let _ = say(&mut stream, &fighter.random_bytes(64)).await;
    }
    Ok(())
}

async fn random(fighter: &mut Fighter, line: &Line) -> io::Result<()> {
    for protocol in PROTOCOLS {
        let Ok(mut stream) = line.open(protocol).await else { continue };
        let count = fighter.random.between(1, 3000);
        let _ = say(&mut stream, &fighter.random_bytes(count as usize)).await;
    }
    Ok(())
}

async fn endless(fighter: &mut Fighter, line: &Line) -> io::Result<()> {
    let mut stream = words::greet(line).await?;
    let longest = framed(&[&UNKNOWN[..], &vec![7; CONTROL_FRAME_BYTES_MAX - UNKNOWN.len()]].concat());
    loop {
        say(&mut stream, &longest).await?;
        fighter.strike();
    }
}
