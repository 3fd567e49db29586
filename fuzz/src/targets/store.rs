//! The store's own files, as a failing disk or a curious person leaves them: whatever stands in them, no wrong byte is given
//! out, and what was mended once is not mended again.

use std::path::Path;
use std::sync::Arc;

use mesh_chunk::page_id;
use mesh_proto::payload::SpanAddress;
use mesh_proto::port::store::{Row, StoreCommand, StoreInput, StoredContent, Table};
use mesh_proto::{ChunkRange, CommandId, ContentId, PageId};
use mesh_store::Engine;
use mesh_store::disk::MemoryDisk;

use crate::memory::within;
use crate::{Seed, Target, input};

mod shelf;

use shelf::{LyingIndex, Shelf, read_file, write_file};

/// The log may take so many times its bytes while it is read, besides what a store takes.
const LOG_TIMES_MAX: usize = 4096;
const STORE_BYTES_MAX: usize = 1 << 20;

pub const LOG: Target = Target { name: "store-log", input_bytes_max: 4 * 1024, check: check_log, seeds: log_seeds };
pub const MANIFESTS: Target =
    Target { name: "store-manifests", input_bytes_max: 4 * 1024, check: check_manifests, seeds: manifest_seeds };
pub const ASIDE: Target =
    Target { name: "store-aside", input_bytes_max: 2 * 1024, check: check_aside, seeds: aside_seeds };

/// The first byte says what the others are: 0 = the log itself, 1 = bodies of its records, as parts, 2 = the same in the
/// format before. Checksums are set right for all but 0.
fn check_log(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else { return };
    let log = match form % 3 {
        0 => rest.to_vec(),
        1 => log_of(b"meshlog2", input::parts(rest)),
        _ => log_of(b"meshlog1", input::parts(rest)),
    };
    let disk = MemoryDisk::default();
    write_file(&disk, Path::new("/home/node/store/log"), &log);
    let open = || Shelf::open(&disk, None);
    let Some(first) = within(LOG_TIMES_MAX * log.len() + STORE_BYTES_MAX, open) else {
        assert_eq!(read_file(&disk, Path::new("/home/node/store/log")), log, "a log that is refused is left as it is");
        return;
    };
    let (rows, contents, _) = first.opened();
    drop(first);
    let again = open().expect("what was opened once opens again");
    let (rows_again, contents_again, repairs) = again.opened();
    assert!(repairs.is_empty(), "mended twice: {repairs:?}");
    assert_eq!((rows_again, contents_again), (rows, contents));
    for command in [StoreCommand::Sweep { command: CommandId(1) }, StoreCommand::Usage { command: CommandId(2) }] {
        assert_eq!(again.carry_out(command).len(), 1, "one answer to each command");
    }
}

fn log_of<'a>(magic: &[u8; 8], bodies: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut log = magic.to_vec();
    for body in bodies {
        log.extend_from_slice(&u32::try_from(body.len()).expect("parts are short").to_le_bytes());
        log.extend_from_slice(&blake3::hash(body).as_bytes()[..8]);
        log.extend_from_slice(body);
    }
    log
}

/// Parts: the manifest of a shared folder, its listing, what the index says.
fn check_manifests(bytes: &[u8]) {
    let mut parts = input::parts(bytes);
    let disk = MemoryDisk::default();
    let shared = Shelf::open(&disk, None).expect("an empty disk").share();
    for (kind, part) in [("", parts.next()), (".listing", parts.next())] {
        if let Some(part) = part {
            write_file(&disk, &manifest_path(shared.content, kind), part);
        }
    }
    let index = parts.next().map(|row| Arc::new(LyingIndex(row.to_vec())));
    let says = index.is_some();
    let shelf = Shelf::open(&disk, index).expect("the log is whole");
    for page in [PageId(shared.content.0), PageId([1; 32])] {
        let read = StoreCommand::ReadPage { command: CommandId(1), content: shared.content, page };
        for answer in shelf.carry_out(read) {
            let StoreInput::PageRead { bytes, .. } = answer else { continue };
            assert!(bytes.is_none_or(|bytes| page_id(&bytes) == page), "another page than was asked for");
        }
    }
    for command in [
        StoreCommand::Look { command: CommandId(2), content: shared.content },
        StoreCommand::Verify { command: CommandId(3), content: shared.content },
    ] {
        assert!(!shelf.carry_out(command).is_empty(), "no answer");
    }
    check_source(&shelf.engine, &shared);
    // What the index says of a path that is shared again.
    assert!(!says || shelf.share().content == shared.content, "a path is another content than it was");
}

/// Whatever a source gives is what was shared.
fn check_source(engine: &Arc<Engine>, shared: &StoredContent) {
    let chunks = ChunkRange { start: 0, count: shared.chunk_count };
    let span = SpanAddress { content: shared.content, chunks, skip_bytes: 0 };
    let Ok(mut source) = engine.payload().open_source(span) else { return };
    let (mut buffer, mut given) = (vec![0; 4096], Vec::new());
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        given.extend_from_slice(&buffer[..count]);
    }
    assert!(shelf::STREAM.starts_with(&given), "bytes were given out that nobody shared");
}

fn manifest_path(content: ContentId, ending: &str) -> std::path::PathBuf {
    let name = content.to_string();
    Path::new("/home/node/store/manifests").join(&name[..2]).join(name + ending)
}

/// The file of unfinished chunks, found when a reception is gone on with.
fn check_aside(bytes: &[u8]) {
    let disk = MemoryDisk::default();
    let (content, root) = shelf::received_root();
    let shelf = Shelf::open(&disk, None).expect("an empty disk");
    let begin =
        StoreCommand::Receive { command: CommandId(1), content, root: Some(root), target: "/home/got".to_owned() };
    shelf.carry_out(begin);
    drop(shelf);
    write_file(&disk, &manifest_path(content, ".aside"), bytes);
    let shelf = Shelf::open(&disk, None).expect("the log is whole");
    let resume = StoreCommand::Receive { command: CommandId(2), content, root: None, target: String::new() };
    let answers = within(LOG_TIMES_MAX * bytes.len() + STORE_BYTES_MAX, || shelf.carry_out(resume));
    let [StoreInput::Receiving { result: Ok(received), .. }] = answers.as_slice() else {
        panic!("a reception can't be gone on with: {answers:?}");
    };
    for (chunk, length) in &received.aside {
        let whole = shelf::received_chunk(*chunk);
        assert!(0 < *length && (*length as usize) < whole.len(), "{length} bytes of chunk {chunk} are no part of it");
        let span = SpanAddress { content, chunks: ChunkRange { start: *chunk, count: 1 }, skip_bytes: *length };
        let mut sink = shelf.engine.payload().open_sink(span).expect("the store said so itself");
        let good = bytes.windows(*length as usize).any(|part| part == &whole[..*length as usize]);
        let written = sink.write(&whole[*length as usize..]);
        assert!(good || written.is_err(), "a chunk passed that is not what it should be");
    }
}

fn log_seeds() -> Vec<Seed> {
    let disk = MemoryDisk::default();
    let shelf = Shelf::open(&disk, None).expect("an empty disk");
    shelf.share();
    let row = |key: u8| Row { table: Table::Setting, key: vec![key], value: vec![key; 9] };
    let put = |number, put, delete| StoreCommand::Write { command: CommandId(number), put, delete };
    shelf.carry_out(put(1, vec![row(1), row(2)], Vec::new()));
    shelf.carry_out(put(2, Vec::new(), vec![(Table::Setting, vec![2])]));
    let (content, root) = shelf::received_root();
    let target = "/home/got".to_owned();
    shelf.carry_out(StoreCommand::Receive { command: CommandId(3), content, root: Some(root), target });
    let log = read_file(&disk, Path::new("/home/node/store/log"));
    let bodies = bodies_of(&log);
    vec![
        Seed::new("file", [&[0], log.as_slice()].concat()),
        Seed::new("torn", [&[0], &log[..log.len() - 5]].concat()),
        Seed::new("bodies", [&[1], input::join(&bodies).as_slice()].concat()),
        // A record's body was one entry, without their number in front.
        Seed::new("before", [&[2], input::join(bodies.iter().map(|body| &body[1..])).as_slice()].concat()),
    ]
}

fn bodies_of(log: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &log[8..];
    let mut bodies = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let end = 8 + u32::from_le_bytes(*length) as usize;
        bodies.push(after[8..end].to_vec());
        rest = &after[end..];
    }
    bodies
}

fn manifest_seeds() -> Vec<Seed> {
    let disk = MemoryDisk::default();
    let shared = Shelf::open(&disk, None).expect("an empty disk").share();
    let files = ["", ".listing"].map(|ending| read_file(&disk, &manifest_path(shared.content, ending)));
    let place = [&4u64.to_le_bytes()[..], &90u32.to_le_bytes()].concat();
    let share = [&[7; 32], &shared.content.0[..]].concat();
    vec![
        Seed::new("whole", input::join(&files)),
        Seed::new("no-listing", input::join([files[0].as_slice(), &[]])),
        Seed::new("index-place", input::join([files[0].as_slice(), &files[1], &place])),
        Seed::new("index-share", input::join([files[0].as_slice(), &files[1], &share])),
    ]
}

fn aside_seeds() -> Vec<Seed> {
    let kept = |chunks: &[(u32, usize)]| {
        let entries = chunks.iter().map(|(chunk, length)| (*chunk, shelf::received_chunk(*chunk)[..*length].to_vec()));
        let entries: std::collections::BTreeMap<u32, Vec<u8>> = entries.collect();
        mesh_proto::codec::encode(&entries)
    };
    vec![Seed::new("none", kept(&[])), Seed::new("one", kept(&[(0, 50)])), Seed::new("two", kept(&[(0, 1), (1, 99)]))]
}
