//! A getter that asks for everything at once, in any order, and does not keep to what a getter owes.

use std::io;

use mesh_chunk::{ChunkEntry, Page, PageBody, Root};
use mesh_proto::bulk::{BULK_PROTOCOL, GetterFrame, SourceFrame, SpanRequest, TrafficClass};
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{CONTROL_PROTOCOL, Message};
use mesh_proto::{ContentId, PageId};

use crate::line::{Line, Stream};
use crate::orders::Fighter;
use crate::words::{self, message, say};

/// Far more than may wait.
const REQUESTS: u64 = 3000;

/// What it does not keep to.
#[derive(Debug, Clone, Copy)]
pub enum Greedy {
    /// Asks for all of it thousands of times over, and acknowledges what came.
    Everything,
    /// Never reads.
    Deaf,
    /// Acknowledges what was never sent.
    FalseReceipts,
    /// Reads, and acknowledges nothing.
    NoReceipts,
}

/// One bout.
pub async fn bout(fighter: &mut Fighter, how: Greedy) -> io::Result<()> {
    let content = fighter.content.ok_or(io::ErrorKind::InvalidInput)?;
    let key = fighter.new_key();
    let mut line = Line::connect(fighter, &key).await?;
    let mut ours = words::greet(&line).await?;
    let mut theirs = loop {
        match line.inbound.recv().await {
            Some((protocol, stream)) if protocol == CONTROL_PROTOCOL => break stream,
            Some(_) => {}
            None => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
    };
    let chunks = manifest(&mut ours, &mut theirs, content).await?;
    let mut stream = line.open(BULK_PROTOCOL).await?;
    for request in 0..REQUESTS {
        let asked = SpanRequest { content, ..any_span(fighter, request, &chunks) };
        let mut said = words::getter(&GetterFrame::Request(asked));
        if let Greedy::FalseReceipts = how {
            said.extend(words::getter(&GetterFrame::Receipt { request, drained_bytes: u64::MAX }));
            said.extend(words::getter(&GetterFrame::Receipt { request: request + 7, drained_bytes: 7 }));
        }
        say(&mut stream, &said).await?;
        if request > 100 {
            fighter.strike();
        }
    }
    match how {
        Greedy::Deaf => line.hold().await,
        _ => take(&mut stream, matches!(how, Greedy::NoReceipts)).await?,
    }
    Ok(())
}

/// All chunks of a content, as its manifest lists them.
async fn manifest(ours: &mut Stream, theirs: &mut Stream, content: ContentId) -> io::Result<Vec<ChunkEntry>> {
    let root = page(ours, theirs, content, PageId(content.0)).await?;
    let root = Root::decode(&root, &content).map_err(io::Error::other)?;
    let mut bodies = vec![root.body];
    let mut chunks = Vec::new();
    while let Some(body) = bodies.pop() {
        match body {
            PageBody::Leaf(entries) => chunks.extend(entries),
            PageBody::Branch(pages) => {
                // The last one in is the first one out.
                for below in pages.iter().rev() {
                    let bytes = page(ours, theirs, content, below.page).await?;
                    bodies.push(Page::decode(&bytes, below).map_err(io::Error::other)?.body);
                }
            }
        }
    }
    Ok(chunks)
}

async fn page(ours: &mut Stream, theirs: &mut Stream, content: ContentId, page: PageId) -> io::Result<Vec<u8>> {
    say(ours, &message(&words::ask_for_page(content, page))).await?;
    loop {
        if let Message::PageReply(reply) = words::heard(theirs).await? {
            return reply.bytes.ok_or_else(|| io::Error::other("the node has not this page"));
        }
    }
}

fn any_span(fighter: &mut Fighter, request: u64, chunks: &[ChunkEntry]) -> SpanRequest {
    let start = fighter.random.between(0, chunks.len() as u64) as usize;
    let count = fighter.random.between(1, 30).min((chunks.len() - start) as u64) as usize;
    let payload_bytes = chunks[start..start + count].iter().map(|chunk| u64::from(chunk.length)).sum();
    SpanRequest {
        request,
        content: ContentId([0; 32]),
        chunks: ChunkRange { start: start as u32, count: count as u32 },
        skip_bytes: 0,
        payload_bytes,
        class: TrafficClass::Interactive,
        priority: 255,
        deadline_ms: 1,
        for_member: None,
        extensions: Extensions::default(),
    }
}

async fn take(stream: &mut Stream, is_silent: bool) -> io::Result<()> {
    use futures::AsyncReadExt as _;
    let mut drained = std::collections::BTreeMap::new();
    loop {
        let header = words::heard_header(stream).await?;
        let Ok(SourceFrame::Slice { request, payload_bytes, content_bytes, .. }) = SourceFrame::decode(&header) else {
            continue;
        };
        stream.read_exact(&mut vec![0; payload_bytes as usize]).await?;
        let drained: &mut u64 = drained.entry(request).or_default();
        *drained += u64::from(content_bytes);
        if !is_silent {
            say(stream, &words::getter(&GetterFrame::Receipt { request, drained_bytes: *drained })).await?;
        }
    }
}
