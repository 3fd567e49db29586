//! A source that lies: it claims to hold what a getter wants, and then gives nothing, or something else.

use std::io;
use std::time::Duration;

use mesh_proto::bulk::{BULK_PROTOCOL, GetterFrame, Packing, RefuseReason, SourceFrame, SpanRequest};
use mesh_proto::message::{CONTROL_PROTOCOL, Message, PageRequest};

use crate::line::{Line, Stream};
use crate::orders::Fighter;
use crate::words::{self, message, say};

const DRIP_INTERVAL: Duration = Duration::from_secs(1);
const PAGE_BYTES: usize = 60_000;
const SLICE_BYTES: usize = 16 << 10;
/// Payload nobody asked for, per request that somebody did make.
const UNASKED_SLICES: u64 = 20;

/// How it lies.
#[derive(Debug, Clone, Copy)]
pub enum Liar {
    /// Refuses each request.
    Refuses,
    /// Gives random bytes.
    WrongBytes,
    /// Gives pages of the manifest that are random bytes, or other pages, again and again.
    WrongPages,
    /// Gives what nobody asked for.
    Unasked,
    /// Gives one byte a second.
    Drips,
    /// Gives nothing and says nothing.
    Stalls,
}

/// One bout.
pub async fn bout(fighter: &mut Fighter, how: Liar) -> io::Result<()> {
    let key = fighter.new_key();
    let mut line = Line::connect(fighter, &key).await?;
    let mut ours = words::greet(&line).await?;
    if let Some(content) = fighter.content {
        say(&mut ours, &message(&words::have_all(content))).await?;
    }
    fighter.strike();
    let mut ours = Some(ours);
    while let Some((protocol, stream)) = line.inbound.recv().await {
        let seed = fighter.random.draw();
        if protocol == CONTROL_PROTOCOL
            && let Some(ours) = ours.take()
        {
            tokio::spawn(claim(stream, ours, how, seed));
        } else if protocol == BULK_PROTOCOL {
            tokio::spawn(serve(stream, how, seed));
        }
    }
    Ok(())
}

/// Claims to hold whatever is asked for.
async fn claim(mut theirs: Stream, mut ours: Stream, how: Liar, seed: u64) -> io::Result<()> {
    let mut random = mesh_tests::random::Random::new(seed);
    loop {
        match words::heard(&mut theirs).await? {
            Message::HaveRequest(asked) => say(&mut ours, &message(&words::have_all(asked.content))).await?,
            Message::PageRequest(PageRequest { content, page, .. }) => {
                let bytes = match how {
                    Liar::Refuses => None,
                    Liar::Stalls | Liar::Drips => continue,
                    _ => {
                        let mut bytes = vec![0; PAGE_BYTES];
                        random.fill(&mut bytes);
                        Some(bytes)
                    }
                };
                say(&mut ours, &message(&words::page_reply(content, page, bytes))).await?;
            }
            _ => {}
        }
    }
}

async fn serve(mut stream: Stream, how: Liar, seed: u64) -> io::Result<()> {
    let mut random = mesh_tests::random::Random::new(seed);
    loop {
        let header = words::heard_header(&mut stream).await?;
        let Ok(GetterFrame::Request(asked)) = GetterFrame::decode(&header) else { continue };
        match how {
            Liar::Refuses => {
                let refused = SourceFrame::Refused { request: asked.request, reason: RefuseReason::NotHeld };
                say(&mut stream, &words::source(&refused)).await?;
            }
            Liar::WrongBytes | Liar::WrongPages => {
                let mut left = asked.payload_bytes;
                while left > 0 {
                    let mut bytes = vec![0; SLICE_BYTES.min(left as usize)];
                    random.fill(&mut bytes);
                    left -= bytes.len() as u64;
                    say(&mut stream, &slice(asked.request, &bytes)).await?;
                }
                say(&mut stream, &words::source(&SourceFrame::End { request: asked.request })).await?;
            }
            Liar::Unasked => {
                for number in 1..=UNASKED_SLICES {
                    say(&mut stream, &slice(asked.request + number, &[7; SLICE_BYTES])).await?;
                }
            }
            Liar::Drips => drip(&mut stream, &asked).await?,
            Liar::Stalls => {}
        }
    }
}

/// One byte a second: each is a sign of life.
async fn drip(stream: &mut Stream, asked: &SpanRequest) -> io::Result<()> {
    for _ in 0..asked.payload_bytes {
        say(stream, &slice(asked.request, &[7])).await?;
        tokio::time::sleep(DRIP_INTERVAL).await;
    }
    Ok(())
}

fn slice(request: u64, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("slices are short");
    let head = SourceFrame::Slice { request, packing: Packing::Raw, payload_bytes: length, content_bytes: length };
    [&words::source(&head), bytes].concat()
}
