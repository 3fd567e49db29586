//! The brain as peers, people and its own rows may reach it: no order of what is well-formed makes it panic, go on for
//! ever, or hold what its limits do not allow.

use mesh_core::contents::Treatment;
use mesh_core::transfer::Order;
use mesh_proto::bulk::{GetterFrame, TrafficClass};
use mesh_proto::message::{Frame, Message};
use mesh_proto::port::net::ServeId;
use mesh_proto::port::store::{Row, StoredContent, Table};
use mesh_proto::port::{Input, NetInput, UserCommand, UserReply};
use mesh_proto::record::{Access, ContentKind};
use mesh_proto::{ContentId, NodeId, Ticket, UnixMs, codec};

use crate::memory::within;
use crate::targets::record::{signed_node_record, specimens};
use crate::{Seed, Target, input};

mod head;

use head::{FETCHED, HELD, Head, PEERS, fetched_root};

/// What a brain may hold of an input besides what any brain holds: so many bytes for each of its bytes.
const HELD_TIMES_MAX: usize = 600;
/// What a brain holds that was told little, outputs and answers included.
const HELD_BYTES_MAX: usize = 1 << 20;

pub const MESSAGES: Target =
    Target { name: "brain-messages", input_bytes_max: 8 * 1024, check: check_messages, seeds: message_seeds };
pub const ROWS: Target = Target { name: "brain-rows", input_bytes_max: 4 * 1024, check: check_rows, seeds: row_seeds };
pub const WORDS: Target =
    Target { name: "brain-words", input_bytes_max: 4 * 1024, check: check_words, seeds: word_seeds };

fn bounded(bytes: &[u8], work: impl FnOnce()) {
    within(HELD_TIMES_MAX * bytes.len() + HELD_BYTES_MAX, work);
}

/// Parts: who says it and how (one byte), how much later (one byte), then a frame.
fn check_messages(bytes: &[u8]) {
    bounded(bytes, || {
        let mut head = Head::opened(rows());
        let mut serves = 0;
        for part in input::parts(bytes) {
            let [how, later, frame @ ..] = part else { continue };
            head.pass(*later);
            let (connection, node) = PEERS[usize::from(how % 2)];
            let heard = match how / 2 % 4 {
                0 | 1 => match Message::decode_frame(frame) {
                    Ok(Frame::Known(message)) => NetInput::Received { connection, node, message },
                    Ok(Frame::Unknown(number)) => NetInput::UnknownMessage { connection, node, number },
                    Err(error) => NetInput::Malformed { connection, node, why: error.to_string() },
                },
                2 => match GetterFrame::decode(frame) {
                    Ok(GetterFrame::Request(request)) => {
                        serves += 1;
                        NetInput::SpanRequested { serve: ServeId(serves), connection, node, request }
                    }
                    Ok(GetterFrame::Receipt { drained_bytes, .. }) => {
                        NetInput::Receipt { serve: ServeId(serves), drained_bytes }
                    }
                    Ok(GetterFrame::Cancel { .. }) => NetInput::SpanWithdrawn { serve: ServeId(serves) },
                    Err(_) => continue,
                },
                _ => {
                    head.hear(Input::Tick);
                    continue;
                }
            };
            head.hear(Input::Net(heard));
        }
        head.ask(UserCommand::Status);
    });
}

/// Parts: which table, how long the key is, key, value.
fn check_rows(bytes: &[u8]) {
    const TABLES: [Table; 5] = [Table::Treatment, Table::Transfer, Table::Record, Table::Peer, Table::Setting];
    bounded(bytes, || {
        let row = |part: &[u8]| {
            let [table, key_bytes, rest @ ..] = part else { return None };
            let (key, value) = rest.split_at(rest.len().min(usize::from(*key_bytes)));
            let table = TABLES[usize::from(*table) % TABLES.len()];
            Some(Row { table, key: key.to_vec(), value: value.to_vec() })
        };
        let mut head = Head::opened(input::parts(bytes).filter_map(row).collect());
        for later in [30, 36, 40] {
            head.pass(later);
            head.hear(Input::Tick);
        }
        for command in [UserCommand::Status, UserCommand::List, UserCommand::Browse, UserCommand::MemberList] {
            head.ask(command);
        }
    });
}

/// Parts: what is asked (one byte), then the text of it.
fn check_words(bytes: &[u8]) {
    bounded(bytes, || {
        let mut head = Head::opened(rows());
        for part in input::parts(bytes) {
            let Some((what, text)) = part.split_first() else { continue };
            let text = input::text(text);
            let replies = head.ask(command(*what, text));
            assert!(replies.len() <= 1, "answered {} times", replies.len());
            for reply in replies {
                if let UserReply::Failed(error) = reply {
                    assert!(!error.message.is_empty(), "an error that says nothing");
                }
            }
        }
    });
}

fn command(what: u8, text: String) -> UserCommand {
    match what % 7 {
        0 => {
            let (target, class) = ("/home/target".to_owned(), TrafficClass::Public);
            UserCommand::Get { ticket: text, target, seed_seconds: None, class, priority: 0 }
        }
        1 => UserCommand::CommunityJoin { invitation: text },
        2 => UserCommand::Dial { address: text },
        3 => UserCommand::MemberRevoke { subject: text, reason: String::new(), community: None, force: false },
        4 => UserCommand::Search { text },
        5 => UserCommand::MemberNew { name: text },
        _ => UserCommand::CommunityNew { name: text },
    }
}

/// What is kept of a content that is here, and of one that is being fetched.
fn rows() -> Vec<Row> {
    vec![treatment().row(HELD), order().row(*FETCHED)]
}

fn treatment() -> Treatment {
    Treatment {
        name: "held".to_owned(),
        access: Access::Public,
        listed: true,
        tags: vec!["tag".to_owned()],
        pinned: false,
        added: UnixMs(1),
        seed_until: UnixMs(0),
        ticket: String::new(),
    }
}

fn order() -> Order {
    Order {
        ticket: Ticket::new(*FETCHED).to_string(),
        target: "/home/fetched".to_owned(),
        name: "fetched".to_owned(),
        seed_seconds: Some(60),
        class: TrafficClass::Interactive,
        priority: 7,
        access: Access::Ticket,
        paused: false,
        totals: Default::default(),
    }
}

fn said(how: u8, later: u8, frame: &[u8]) -> Vec<u8> {
    [&[how, later], frame].concat()
}

fn message_seeds() -> Vec<Seed> {
    use mesh_proto::ChunkSet;
    use mesh_proto::PageId;
    use mesh_proto::message::{Have, HaveMore, Holding, PageReply, Records};
    let none = specimens::none;
    let have = |holding| {
        let (content, access) = (*FETCHED, Access::Public);
        Message::Have(Have { content, holding, access, others: vec![NodeId([9; 32])], extensions: none() })
    };
    let (content, page) = (*FETCHED, PageId(FETCHED.0));
    let root = Message::PageReply(PageReply { content, page, bytes: Some(fetched_root()), extensions: none() });
    let some: ChunkSet = ChunkSet::full(2);
    let more = Message::HaveMore(HaveMore { content, added: some.clone(), given: some.clone(), extensions: none() });
    let records = Message::Records(Records { records: vec![signed_node_record().into()], extensions: none() });
    let fetch =
        [have(Holding::Complete), root.clone(), more.clone()].map(|message| said(0, 30, &message.encode_frame()));
    let crowd = [have(Holding::Partial(some)), root, more, records].map(|message| said(1, 20, &message.encode_frame()));
    let specimen = |message: Message| Seed::new(message.name(), input::join([said(0, 9, &message.encode_frame())]));
    let mut seeds: Vec<Seed> = specimens::messages().into_iter().map(specimen).collect();
    let mut frames = specimens::getter_frames();
    if let GetterFrame::Request(request) = &mut frames[0] {
        (request.content, request.chunks.start, request.chunks.count) = (HELD, 0, 2);
    }
    let asked = frames.iter().map(|frame| said(4, 5, &frame.encode()));
    seeds.push(Seed::new("fetching", input::join(fetch.iter().chain(&crowd))));
    seeds.push(Seed::new("serving", input::join(asked)));
    seeds.push(Seed::new("waiting", input::join([said(6, 30, &[]), said(6, 36, &[])])));
    seeds
}

fn row_seeds() -> Vec<Seed> {
    let part = |table: u8, key: &[u8], value: &[u8]| {
        let length = u8::try_from(key.len()).expect("keys are short");
        [&[table, length], key, value].concat()
    };
    let of = |number: u8, row: Row| part(number, &row.key, &row.value);
    let record = codec::encode(&signed_node_record());
    let peer = codec::encode(&(vec!["/ip4/10.0.0.1/tcp/4340".to_owned()], 5u64));
    let setting = codec::encode(&70_000u64);
    let all = [
        of(0, treatment().row(HELD)),
        of(1, order().row(*FETCHED)),
        part(2, b"any", &record),
        part(3, &[5; 32], &peer),
        part(4, b"limit_up", &setting),
        part(4, b"counters", &mesh_analytics::Counters::new().encode()),
    ];
    let mut seeds: Vec<Seed> =
        all.iter().enumerate().map(|(number, part)| Seed::new(number.to_string(), input::join([part]))).collect();
    seeds.push(Seed::new("all", input::join(&all)));
    seeds
}

fn word_seeds() -> Vec<Seed> {
    let invitation: String = codec::encode(&signed_node_record()).iter().map(|byte| format!("{byte:02x}")).collect();
    let all = [
        (0, Ticket::new(ContentId([5; 32])).to_string()),
        (1, format!("mesh-invite:{invitation}")),
        (2, "/ip4/10.0.0.1/tcp/4340".to_owned()),
        (3, "ab".repeat(32)),
        (4, "held".to_owned()),
        (5, "Ada".to_owned()),
        (6, "Hill".to_owned()),
    ];
    let part = |(what, text): &(u8, String)| [&[*what], text.as_bytes()].concat();
    let mut seeds: Vec<Seed> = all.iter().map(|all| Seed::new(all.0.to_string(), input::join([part(all)]))).collect();
    seeds.push(Seed::new("all", input::join(all.iter().map(part))));
    seeds
}

/// A content that is here.
fn held() -> StoredContent {
    StoredContent {
        content: HELD,
        kind: ContentKind::File,
        total_bytes: 300_000,
        chunk_count: 5,
        whole_hash: [1; 32],
        path: "/home/held".to_owned(),
        complete: true,
        in_place: true,
    }
}
