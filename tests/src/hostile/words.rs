//! What is said: whole messages of every kind, and the frames around them.

use std::io;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use mesh_proto::bulk::{GetterFrame, SourceFrame};
use mesh_proto::chunk_set::{ChunkRange, ChunkSet};
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{CONTROL_FRAME_BYTES_MAX, SUMMARY_BUCKETS};
use mesh_proto::message::{
    CONTROL_PROTOCOL, DialMe, Find, Frame, Have, HaveMore, HaveRequest, Hello, Holding, Holdings, Message, PageReply,
    PageRequest, ParcelOffer, RecordList, Records, RecordsWanted, Split, Summary, Want,
};
use mesh_proto::record::{Access, RecordKind, RecordName};
use mesh_proto::time::UnixMs;
use mesh_proto::{ContentId, MemberId, NodeId, PageId};

use crate::line::{Line, Stream};
use crate::orders::Fighter;
use crate::records;

const NOTHING: Extensions = Extensions(Vec::new());

/// A frame of the control protocol, whatever is in it.
pub fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).expect("our own frames are short");
    [&length.to_le_bytes(), frame].concat()
}

/// A message as it travels.
pub fn message(message: &Message) -> Vec<u8> {
    framed(&message.encode_frame())
}

/// What a getter says, as it travels.
pub fn getter(frame: &GetterFrame) -> Vec<u8> {
    header(&frame.encode())
}

/// What a source says, as it travels.
pub fn source(frame: &SourceFrame) -> Vec<u8> {
    header(&frame.encode())
}

fn header(frame: &[u8]) -> Vec<u8> {
    let length = u16::try_from(frame.len()).expect("our own headers are short");
    [&length.to_le_bytes(), frame].concat()
}

/// The greeting every connection begins with.
pub fn hello() -> Vec<u8> {
    let (agent, name) = ("mesh-hostile".to_owned(), String::new());
    message(&Message::Hello(Hello { agent, name, credentials: Vec::new(), clock: UnixMs(0), extensions: NOTHING }))
}

/// Opens the control stream and greets.
pub async fn greet(line: &Line) -> io::Result<Stream> {
    let mut stream = line.open(CONTROL_PROTOCOL).await?;
    say(&mut stream, &hello()).await?;
    Ok(stream)
}

/// Writes all of it.
pub async fn say(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// The next message the node sends that this version knows.
pub async fn heard(stream: &mut Stream) -> io::Result<Message> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await?;
        let length = u32::from_le_bytes(length) as usize;
        if length > CONTROL_FRAME_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame).await?;
        if let Ok(Frame::Known(message)) = Message::decode_frame(&frame) {
            return Ok(message);
        }
    }
}

/// The next header of the payload protocol.
pub async fn heard_header(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut frame = vec![0; usize::from(u16::from_le_bytes(length))];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Says that all of a content is here.
pub fn have_all(content: ContentId) -> Message {
    let holding = Holding::Complete;
    Message::Have(Have { content, holding, access: Access::Ticket, others: Vec::new(), extensions: NOTHING })
}

/// Asks for a content's page.
pub fn ask_for_page(content: ContentId, page: PageId) -> Message {
    Message::PageRequest(PageRequest { content, page, extensions: NOTHING })
}

/// Answers with a page.
pub fn page_reply(content: ContentId, page: PageId, bytes: Option<Vec<u8>>) -> Message {
    Message::PageReply(PageReply { content, page, bytes, extensions: NOTHING })
}

/// Brings records.
pub fn records(records: Vec<mesh_proto::record::Signed>) -> Message {
    let records = records.into_iter().map(Into::into).collect();
    Message::Records(Records { records, extensions: NOTHING })
}

/// Says that nothing is known here, so that the node tells what it knows.
pub fn empty_summary() -> Message {
    Message::Summary(Summary { buckets: vec![0; SUMMARY_BUCKETS], extensions: NOTHING })
}

/// Asks for records by name.
pub fn wanted(names: Vec<RecordName>) -> Message {
    Message::RecordsWanted(RecordsWanted { names, extensions: NOTHING })
}

/// One well-formed message of every kind that asks for something, about things that do not exist.
pub fn wants(fighter: &mut Fighter) -> Vec<Message> {
    let content = ContentId(fighter.random_id());
    let named = RecordName { kind: RecordKind::Node, signer: fighter.random_id(), subject: fighter.random_id() };
    let member = MemberId(fighter.random_id());
    let chunks = vec![ChunkRange { start: 0, count: u32::MAX }];
    vec![
        Message::HaveRequest(HaveRequest { content, extensions: NOTHING }),
        Message::Find(Find { key: content.0, extensions: NOTHING }),
        ask_for_page(content, PageId(content.0)),
        wanted(vec![named; 1024]),
        Message::Want(Want {
            content,
            chunks,
            for_member: Some(member),
            priority: 255,
            deadline: UnixMs(u64::MAX),
            hops_left: 255,
            extensions: NOTHING,
        }),
        Message::ParcelOffer(ParcelOffer {
            content,
            to_member: member,
            size_bytes: u64::MAX,
            expires: UnixMs(u64::MAX),
            extensions: NOTHING,
        }),
    ]
}

/// One well-formed message of every kind that claims something, about things that do not exist.
pub fn claims(fighter: &mut Fighter) -> Vec<Message> {
    let content = ContentId(fighter.random_id());
    let page = PageId(fighter.random_id());
    let known = RecordName { kind: RecordKind::Catalogue, signer: fighter.random_id(), subject: fighter.random_id() };
    let chunks: ChunkSet = (0..1000).map(|number| ChunkRange { start: number * 3, count: 1 }).collect();
    let digest = (0..1000).map(|_| fighter.random.draw()).collect();
    let others = vec![NodeId(fighter.random_id()); 32];
    let bytes = Some(fighter.random_bytes(1000));
    let forged = records::forged(fighter);
    let (access, sums) = (Access::Ticket, vec![u64::MAX; SUMMARY_BUCKETS]);
    vec![
        empty_summary(),
        Message::Split(Split { path: vec![1, 2], sums, extensions: NOTHING }),
        Message::RecordList(RecordList {
            buckets: vec![0],
            known: vec![(known, u64::MAX); 100],
            answer: true,
            extensions: NOTHING,
        }),
        records(vec![forged]),
        Message::Holdings(Holdings { added: digest, removed: Vec::new(), full: true, extensions: NOTHING }),
        Message::Have(Have { content, holding: Holding::Partial(chunks.clone()), access, others, extensions: NOTHING }),
        Message::HaveMore(HaveMore { content, added: chunks.clone(), given: chunks, extensions: NOTHING }),
        page_reply(content, page, bytes),
        // Nobody is there.
        Message::DialMe(DialMe { addresses: vec!["/ip4/10.77.0.249/tcp/9".to_owned(); 16], extensions: NOTHING }),
    ]
}
