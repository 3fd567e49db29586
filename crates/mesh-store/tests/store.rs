//! The store on a real disk: share, receive, finish; interrupted, lied to, and in the way of other files.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_proto::payload::{PayloadSink, PayloadSource, SinkError, SourceError, SpanAddress};
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Received, StoreCommand, StoreInput, StoredContent};
use mesh_proto::{ChunkRange, ChunkSet, CommandId, ContentId, PageId};
use mesh_store::{OpenError, Store, StoreConfig};

struct Bench {
    store: Store,
    inputs: Mutex<Receiver<StoreInput>>,
    next: std::cell::Cell<u64>,
}

fn try_open(folder: &Path) -> Result<Bench, OpenError> {
    let (sender, inputs) = channel();
    let config = StoreConfig { folder: folder.join("store") };
    let store = Store::open(config, Arc::new(move |input| drop(sender.send(input))))?;
    Ok(Bench { store, inputs: Mutex::new(inputs), next: std::cell::Cell::new(1) })
}

fn open(folder: &Path) -> Bench {
    let bench = try_open(folder).expect("opens");
    assert!(matches!(bench.input(), StoreInput::Opened { .. }));
    bench
}

impl Bench {
    fn input(&self) -> StoreInput {
        let inputs = self.inputs.lock().expect("one user");
        inputs.recv_timeout(Duration::from_secs(30)).expect("an answer")
    }

    fn command(&self) -> CommandId {
        self.next.set(self.next.get() + 1);
        CommandId(self.next.get())
    }

    fn share(&self, path: &Path) -> Result<StoredContent, Failure> {
        let command = self.command();
        self.store.command(StoreCommand::Share { command, path: path.to_string_lossy().into_owned() });
        loop {
            if let StoreInput::Shared { result, .. } = self.input() {
                return result;
            }
        }
    }

    fn page(&self, content: ContentId, page: PageId) -> Option<Vec<u8>> {
        let command = self.command();
        self.store.command(StoreCommand::ReadPage { command, content, page });
        loop {
            if let StoreInput::PageRead { bytes, .. } = self.input() {
                return bytes;
            }
        }
    }

    fn receive(&self, content: ContentId, root: Option<Vec<u8>>, target: &Path) -> Result<Received, Failure> {
        let target = target.to_string_lossy().into_owned();
        self.store.command(StoreCommand::Receive { command: self.command(), content, root, target });
        loop {
            if let StoreInput::Receiving { result, .. } = self.input() {
                return result;
            }
        }
    }

    fn finish(&self, content: ContentId) -> Result<StoredContent, Failure> {
        self.store.command(StoreCommand::Finish { command: self.command(), content });
        loop {
            if let StoreInput::Finished { result, .. } = self.input() {
                return result;
            }
        }
    }

    fn source(&self, content: ContentId, chunks: ChunkRange, skip: u32) -> Result<Box<dyn PayloadSource>, SourceError> {
        self.store.payload().open_source(SpanAddress { content, chunks, skip_bytes: skip })
    }

    fn sink(&self, content: ContentId, chunks: ChunkRange, skip: u32) -> Result<Box<dyn PayloadSink>, SinkError> {
        self.store.payload().open_sink(SpanAddress { content, chunks, skip_bytes: skip })
    }
}

fn read_all(source: &mut dyn PayloadSource) -> Result<Vec<u8>, SourceError> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 100_000]);
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Moves every page and chunk from one store to another, one chunk at a time.
fn copy_all(from: &Bench, to: &Bench, stored: &StoredContent, have: &ChunkSet) {
    let content = stored.content;
    for chunk in ChunkSet::full(stored.chunk_count).difference(have).iter() {
        let range = ChunkRange { start: chunk, count: 1 };
        let bytes = read_all(&mut *from.source(content, range, 0).expect("held")).expect("reads");
        let mut sink = to.sink(content, range, 0).expect("open");
        let (head, tail) = bytes.split_at(bytes.len() / 3);
        sink.write(head).expect("takes");
        assert_eq!(sink.write(tail).expect("takes").chunks_verified, 1);
    }
}

fn copy_pages(from: &Bench, to: &Bench, content: ContentId) {
    let root = from.page(content, PageId(content.0)).expect("a root");
    let root = mesh_chunk::Root::decode(&root, &content).expect("decodes");
    let mut layout = mesh_chunk::Layout::new(&root, mesh_chunk::Detail::Full).expect("a layout");
    while let Some(reference) = layout.missing_pages().first().cloned() {
        let bytes = from.page(content, reference.page).expect("a page");
        let page = mesh_chunk::Page::decode(&bytes, &reference).expect("decodes");
        layout.add_page(&reference, &page).expect("fits");
        to.store.command(StoreCommand::PutPage { command: to.command(), content, page: reference.page, bytes });
        assert!(matches!(to.input(), StoreInput::PagePut { result: Ok(()), .. }));
    }
}

struct Two {
    folder: tempfile::TempDir,
    source: Bench,
    getter: Bench,
}

impl Two {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, getter) = (open(&folder.path().join("a")), open(&folder.path().join("b")));
        Self { folder, source, getter }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shared(&self, bytes: &[u8]) -> StoredContent {
        std::fs::write(self.path("file"), bytes).expect("writes");
        self.source.share(&self.path("file")).expect("shares")
    }

    fn begin(&self, stored: &StoredContent) -> Received {
        let root = self.source.page(stored.content, PageId(stored.content.0));
        let received = self.getter.receive(stored.content, root, &self.path("copy")).expect("begins");
        copy_pages(&self.source, &self.getter, stored.content);
        received
    }
}

#[test]
fn files_of_every_size_arrive_as_they_were() {
    for length in [0, 1, 65_536, 5_000_000] {
        let two = Two::new();
        let bytes = noise(length, 7);
        let stored = two.shared(&bytes);
        assert_eq!(stored.whole_hash, *blake3::hash(&bytes).as_bytes());
        let received = two.begin(&stored);
        assert!(received.have.is_empty());
        copy_all(&two.source, &two.getter, &stored, &received.have);
        assert!(!two.path("copy").exists(), "the final name appears only when all is verified");
        let done = two.getter.finish(stored.content).expect("finishes");
        assert!(done.complete && !done.in_place);
        assert_eq!(std::fs::read(two.path("copy")).expect("reads"), bytes);
    }
}

#[test]
fn a_folder_arrives_with_modes_links_and_empty_parts() {
    let two = Two::new();
    let folder = two.path("folder");
    std::fs::create_dir_all(folder.join("deep/empty")).expect("makes");
    std::fs::write(folder.join("deep/large"), noise(300_000, 3)).expect("writes");
    std::fs::write(folder.join("script"), b"#!/bin/sh\n").expect("writes");
    std::fs::write(folder.join("nothing"), b"").expect("writes");
    std::fs::set_permissions(folder.join("script"), std::fs::Permissions::from_mode(0o750)).expect("sets");
    std::os::unix::fs::symlink("script", folder.join("link")).expect("links");
    let stored = two.source.share(&folder).expect("shares");
    let root = two.source.page(stored.content, PageId(stored.content.0));
    let received = two.getter.receive(stored.content, root, &two.path("copy")).expect("begins");
    assert!(!received.listing_checked);
    copy_pages(&two.source, &two.getter, stored.content);
    copy_all(&two.source, &two.getter, &stored, &received.have);
    let done = two.getter.finish(stored.content);
    done.expect("finishes");
    let copy = two.path("copy");
    assert_eq!(std::fs::read(copy.join("deep/large")).expect("reads"), noise(300_000, 3));
    assert_eq!(std::fs::metadata(copy.join("script")).expect("is there").permissions().mode() & 0o777, 0o750);
    assert_eq!(std::fs::read_link(copy.join("link")).expect("a link"), PathBuf::from("script"));
    assert!(copy.join("deep/empty").is_dir() && copy.join("nothing").is_file());
}

#[test]
fn a_wrong_byte_is_refused_and_never_visible() {
    let two = Two::new();
    let stored = two.shared(&noise(1_000_000, 5));
    let _ = two.begin(&stored);
    let range = ChunkRange { start: 0, count: 2 };
    let mut bytes = read_all(&mut *two.source.source(stored.content, range, 0).expect("held")).expect("reads");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let mut sink = two.getter.sink(stored.content, range, 0).expect("open");
    assert_eq!(sink.write(&bytes), Err(SinkError::Mismatch { chunk: 1 }));
    assert!(sink.write(&bytes).is_err(), "a sink that was lied to takes nothing more");
    drop(sink);
    let second = ChunkRange { start: 1, count: 1 };
    assert!(matches!(two.getter.source(stored.content, second, 0), Err(SourceError::NotHeld)));
    assert!(two.getter.finish(stored.content).is_err());
    assert!(!two.path("copy").exists());
}

#[test]
fn what_was_written_is_there_after_the_store_is_dropped() {
    let two = Two::new();
    let stored = two.shared(&noise(3_000_000, 9));
    let received = two.begin(&stored);
    let half = ChunkRange { start: 0, count: stored.chunk_count / 2 };
    let rest = ChunkRange { start: half.count, count: stored.chunk_count - half.count };
    let mut later: ChunkSet = received.have.clone();
    later.insert(rest);
    copy_all(&two.source, &two.getter, &stored, &later);
    let Two { folder, source, getter } = two;
    drop(getter);
    let getter = open(&folder.path().join("b"));
    let again = getter.receive(stored.content, None, &folder.path().join("copy")).expect("goes on");
    assert!(again.have.contains_range(half), "{:?}", again.have);
    copy_all(&source, &getter, &stored, &again.have);
    getter.finish(stored.content).expect("finishes");
    assert_eq!(std::fs::read(folder.path().join("copy")).expect("reads"), noise(3_000_000, 9));
}

#[test]
fn bytes_noted_as_kept_but_damaged_since_are_caught_and_fetched_again() {
    let two = Two::new();
    let stored = two.shared(&noise(2_000_000, 11));
    let received = two.begin(&stored);
    copy_all(&two.source, &two.getter, &stored, &received.have);
    let Two { folder, source, getter } = two;
    drop(getter);
    let partial = std::fs::read_dir(folder.path())
        .expect("lists")
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().ends_with(".mesh-part"))
        .expect("a partial file");
    let mut bytes = std::fs::read(partial.path()).expect("reads");
    bytes[1_000_000] ^= 1;
    std::fs::write(partial.path(), bytes).expect("writes");
    let getter = open(&folder.path().join("b"));
    getter.receive(stored.content, None, &folder.path().join("copy")).expect("goes on");
    let failure = getter.finish(stored.content).expect_err("a flipped bit must not get the final name");
    assert!(failure.may_pass && failure.why.contains("1 chunks were damaged"), "{}", failure.why);
    assert!(!folder.path().join("copy").exists());
    let again = getter.receive(stored.content, None, &folder.path().join("copy")).expect("goes on");
    assert_eq!(again.have.len(), stored.chunk_count - 1);
    copy_all(&source, &getter, &stored, &again.have);
    getter.finish(stored.content).expect("finishes");
}

#[test]
fn an_unfinished_chunk_is_kept_aside_and_gone_on_with() {
    let two = Two::new();
    let stored = two.shared(&noise(500_000, 13));
    let _ = two.begin(&stored);
    let range = ChunkRange { start: 0, count: 1 };
    let bytes = read_all(&mut *two.source.source(stored.content, range, 0).expect("held")).expect("reads");
    let mut sink = two.getter.sink(stored.content, range, 0).expect("open");
    sink.write(&bytes[..1000]).expect("takes");
    assert_eq!(sink.set_aside(), 1000);
    let rest = read_all(&mut *two.source.source(stored.content, range, 1000).expect("held")).expect("reads");
    let mut sink = two.getter.sink(stored.content, range, 1000).expect("open");
    assert_eq!(sink.write(&rest).expect("takes").chunks_verified, 1);
}

#[test]
fn a_changed_file_is_noticed_and_not_served() {
    let two = Two::new();
    let stored = two.shared(&noise(500_000, 17));
    let mut bytes = std::fs::read(two.path("file")).expect("reads");
    bytes[10] ^= 1;
    std::fs::write(two.path("file"), bytes).expect("writes");
    let range = ChunkRange { start: 0, count: 1 };
    assert!(matches!(two.source.source(stored.content, range, 0), Err(SourceError::Changed { .. })));
    assert!(matches!(two.source.input(), StoreInput::Changed { .. }));
}

#[test]
fn what_is_in_the_way_is_left_alone() {
    let two = Two::new();
    let stored = two.shared(&noise(100_000, 19));
    std::fs::write(two.path("copy"), b"mine").expect("writes");
    let root = two.source.page(stored.content, PageId(stored.content.0));
    let failure = two.getter.receive(stored.content, root, &two.path("copy")).expect_err("in the way");
    assert!(failure.why.contains("exists already"), "{}", failure.why);
    std::fs::remove_file(two.path("copy")).expect("removes");
    let received = two.begin(&stored);
    copy_all(&two.source, &two.getter, &stored, &received.have);
    std::fs::write(two.path("copy"), b"mine").expect("writes");
    let failure = two.getter.finish(stored.content).expect_err("in the way");
    assert!(failure.why.contains("came into being"), "{}", failure.why);
    assert_eq!(std::fs::read(two.path("copy")).expect("reads"), b"mine");
    std::fs::remove_file(two.path("copy")).expect("removes");
    two.getter.finish(stored.content).expect("now it can");
}

#[test]
fn a_store_is_opened_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path());
    assert!(matches!(try_open(folder.path()), Err(OpenError::Locked { .. })));
    drop(first);
    drop(open(folder.path()));
}
