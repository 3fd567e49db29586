//! What every store of the simulator promises at its port: one suite, run over the real store on a faulty disk and over the
//! model that stands for it where there are many nodes.

use mesh_proto::payload::{SinkError, SourceError, SpanAddress};
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Look, Received, Row, StoreCommand, StoreInput, StoredContent, Table};
use mesh_proto::{ChunkRange, ChunkSet, CommandId, ContentId, PageId};
use mesh_sim::world::store::{DiskTrouble, Ending, Library, ModelStore, NodeStore, RealStore};

/// A source and a getter of one kind.
struct Two {
    source: Bench,
    getter: Bench,
}

struct Bench {
    store: Box<dyn NodeStore>,
    opened: Vec<StoreInput>,
    next: u64,
}

impl Bench {
    fn new(mut store: Box<dyn NodeStore>) -> Self {
        let opened = store.open().expect("opens");
        Self { store, opened, next: 1 }
    }

    fn restart(&mut self, ending: Ending) {
        self.store.end(ending);
        self.opened = self.store.open().expect("opens again");
    }

    fn ask(&mut self, make: impl FnOnce(CommandId) -> StoreCommand) -> StoreInput {
        self.next += 1;
        let mut told = self.store.carry_out(make(CommandId(self.next)));
        told.pop().expect("an answer")
    }

    fn share(&mut self, path: &str) -> Result<StoredContent, Failure> {
        match self.ask(|command| StoreCommand::Share { command, path: path.to_owned() }) {
            StoreInput::Shared { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    fn page(&mut self, content: ContentId, page: PageId) -> Option<Vec<u8>> {
        match self.ask(|command| StoreCommand::ReadPage { command, content, page }) {
            StoreInput::PageRead { bytes, .. } => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn receive(&mut self, content: ContentId, root: Option<Vec<u8>>) -> Result<Received, Failure> {
        let target = "/home/copy".to_owned();
        match self.ask(|command| StoreCommand::Receive { command, content, root, target }) {
            StoreInput::Receiving { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self, content: ContentId) -> Result<StoredContent, Failure> {
        match self.ask(|command| StoreCommand::Finish { command, content }) {
            StoreInput::Finished { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    fn verify(&mut self, content: ContentId) -> ChunkSet {
        match self.ask(|command| StoreCommand::Verify { command, content }) {
            StoreInput::Verified { result, .. } => result.expect("can be verified"),
            other => panic!("{other:?}"),
        }
    }

    fn done(&mut self, make: impl FnOnce(CommandId) -> StoreCommand) -> Result<(), Failure> {
        match self.ask(make) {
            StoreInput::Done { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }
}

impl Two {
    fn model() -> Self {
        let library = Library::shared();
        let new = || Bench::new(Box::new(ModelStore::new(library.clone())));
        Self { source: new(), getter: new() }
    }

    fn real() -> Self {
        let new = || Bench::new(Box::new(RealStore::default()));
        Self { source: new(), getter: new() }
    }

    /// Shares a file of so many bytes at the source.
    fn shared(&mut self, bytes: u64) -> StoredContent {
        self.source.store.put_file("/home/file", bytes, 7);
        self.source.share("/home/file").expect("shares")
    }

    fn begin(&mut self, stored: &StoredContent) -> Received {
        let root = self.source.page(stored.content, PageId(stored.content.0)).expect("has its root");
        self.getter.receive(stored.content, Some(root)).expect("begins")
    }

    /// Copies chunks as a fetch does; says what the sink said.
    fn copy(&mut self, content: ContentId, chunks: ChunkRange, wrong: Option<u64>) -> Result<u32, SinkError> {
        let span = SpanAddress { content, chunks, skip_bytes: 0 };
        let mut slice = self.source.store.read(1, span, 0, u64::from(u32::MAX)).expect("reads");
        self.source.store.end_read(1);
        if let Some(at) = wrong {
            slice.corrupt(at);
        }
        let written = self.getter.store.write(1, span, &slice);
        self.getter.store.end_write(1, false);
        written.map(|progress| progress.chunks_verified)
    }

    fn copy_all(&mut self, stored: &StoredContent) {
        for start in 0..stored.chunk_count {
            assert_eq!(self.copy(stored.content, ChunkRange { start, count: 1 }, None), Ok(1));
        }
    }
}

fn all(stored: &StoredContent) -> ChunkRange {
    ChunkRange { start: 0, count: stored.chunk_count }
}

/// Makes a test for each kind of store.
macro_rules! promises {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[test]
            fn of_the_real_store() {
                super::promise::$name(super::Two::real());
            }
            #[test]
            fn of_the_model() {
                super::promise::$name(super::Two::model());
            }
        }
    )* };
}

promises!(
    what_is_received_whole_is_complete,
    an_empty_file_is_complete_at_once,
    a_wrong_byte_is_refused_and_not_served,
    what_is_missing_is_neither_served_nor_finished,
    too_many_bytes_are_refused,
    a_span_that_was_never_begun_is_refused,
    what_was_kept_survives_a_power_cut,
    what_was_written_survives_a_kill,
    bytes_kept_aside_are_gone_on_with,
    a_lost_disk_is_empty,
    a_full_disk_takes_nothing_and_loses_nothing,
    rows_are_kept_through_a_power_cut,
    pages_are_found_and_only_ones_of_the_content_taken,
    what_is_removed_is_gone,
    a_path_in_use_is_left_alone,
    what_is_complete_looks_the_same,
    verifying_finds_all_good,
);

mod promise {
    use super::*;

    pub fn what_is_received_whole_is_complete(mut two: Two) {
        let stored = two.shared(3_000_000);
        assert!(stored.complete && stored.in_place && stored.chunk_count > 10);
        let received = two.begin(&stored);
        assert!(received.have.is_empty() && !received.stored.complete && received.listing_checked);
        two.copy_all(&stored);
        let done = two.getter.finish(stored.content).expect("finishes");
        assert!(done.complete && !done.in_place);
        assert_eq!((done.total_bytes, done.whole_hash), (3_000_000, stored.whole_hash));
        let span = SpanAddress { content: stored.content, chunks: all(&stored), skip_bytes: 0 };
        assert_eq!(two.getter.store.read(9, span, 0, 4_000_000).expect("is served on").bytes(), 3_000_000);
        assert!(two.getter.store.audit().is_empty());
    }

    pub fn an_empty_file_is_complete_at_once(mut two: Two) {
        let stored = two.shared(0);
        assert_eq!((stored.chunk_count, stored.total_bytes), (0, 0));
        two.begin(&stored);
        assert!(two.getter.finish(stored.content).expect("finishes").complete);
    }

    pub fn a_wrong_byte_is_refused_and_not_served(mut two: Two) {
        let stored = two.shared(1_000_000);
        two.begin(&stored);
        let wrong = two.copy(stored.content, ChunkRange { start: 2, count: 1 }, Some(5));
        assert_eq!(wrong, Err(SinkError::Mismatch { chunk: 2 }));
        let span = SpanAddress { content: stored.content, chunks: ChunkRange { start: 2, count: 1 }, skip_bytes: 0 };
        assert_eq!(two.getter.store.read(2, span, 0, 100), Err(SourceError::NotHeld));
        assert!(two.getter.finish(stored.content).is_err());
        assert_eq!(two.copy(stored.content, ChunkRange { start: 2, count: 1 }, None), Ok(1));
        assert!(two.getter.store.audit().is_empty());
    }

    pub fn what_is_missing_is_neither_served_nor_finished(mut two: Two) {
        let stored = two.shared(1_000_000);
        two.begin(&stored);
        assert_eq!(two.copy(stored.content, ChunkRange { start: 0, count: 3 }, None), Ok(3));
        let span =
            |start, count| SpanAddress { content: stored.content, chunks: ChunkRange { start, count }, skip_bytes: 0 };
        assert!(two.getter.store.read(2, span(0, 3), 0, 100).is_ok());
        two.getter.store.end_read(2);
        assert_eq!(two.getter.store.read(3, span(2, 2), 0, 100), Err(SourceError::NotHeld));
        assert!(two.getter.finish(stored.content).is_err());
    }

    pub fn too_many_bytes_are_refused(mut two: Two) {
        let stored = two.shared(1_000_000);
        two.begin(&stored);
        let whole = SpanAddress { content: stored.content, chunks: ChunkRange { start: 0, count: 2 }, skip_bytes: 0 };
        let slice = two.source.store.read(1, whole, 0, 10_000_000).expect("reads");
        let first = SpanAddress { chunks: ChunkRange { start: 0, count: 1 }, ..whole };
        assert_eq!(two.getter.store.write(1, first, &slice), Err(SinkError::TooMany));
        assert_eq!(two.getter.store.write(1, first, &slice), Err(SinkError::NotOpen));
    }

    pub fn a_span_that_was_never_begun_is_refused(mut two: Two) {
        let stored = two.shared(1_000_000);
        assert_eq!(two.copy(stored.content, ChunkRange { start: 0, count: 1 }, None), Err(SinkError::NotOpen));
        assert!(two.getter.receive(stored.content, None).is_err(), "there is nothing to go on with");
    }

    pub fn what_was_kept_survives_a_power_cut(mut two: Two) {
        let stored = two.shared(2_000_000);
        two.begin(&stored);
        assert_eq!(two.copy(stored.content, ChunkRange { start: 0, count: 9 }, None), Ok(9));
        two.getter.store.checkpoint();
        assert_eq!(two.copy(stored.content, ChunkRange { start: 12, count: 2 }, None), Ok(2));
        two.getter.restart(Ending::PowerCut { seed: 3 });
        let again = two.getter.receive(stored.content, None).expect("goes on");
        assert!(again.have.contains_range(ChunkRange { start: 0, count: 9 }), "{:?}", again.have);
        for start in again.have.len()..stored.chunk_count {
            assert!(!again.have.contains(start) || start >= 12);
        }
        let missing = ChunkSet::full(stored.chunk_count).difference(&again.have);
        for run in missing.runs() {
            assert_eq!(two.copy(stored.content, *run, None), Ok(run.count));
        }
        two.getter.finish(stored.content).expect("finishes");
        two.getter.restart(Ending::PowerCut { seed: 4 });
        let StoreInput::Opened { contents, .. } = &two.getter.opened[0] else { panic!("opened comes first") };
        assert!(contents[0].complete, "what was told to be complete is");
        assert!(two.getter.store.audit().is_empty());
    }

    pub fn what_was_written_survives_a_kill(mut two: Two) {
        let stored = two.shared(1_000_000);
        two.begin(&stored);
        assert_eq!(two.copy(stored.content, ChunkRange { start: 0, count: 5 }, None), Ok(5));
        two.getter.store.checkpoint();
        assert_eq!(two.copy(stored.content, ChunkRange { start: 5, count: 2 }, None), Ok(2));
        two.getter.restart(Ending::Killed);
        let again = two.getter.receive(stored.content, None).expect("goes on");
        assert!(again.have.contains_range(ChunkRange { start: 0, count: 7 }), "{:?}", again.have);
    }

    pub fn bytes_kept_aside_are_gone_on_with(mut two: Two) {
        let stored = two.shared(1_000_000);
        two.begin(&stored);
        let span = SpanAddress { content: stored.content, chunks: ChunkRange { start: 0, count: 1 }, skip_bytes: 0 };
        let slice = two.source.store.read(1, span, 0, 1000).expect("reads");
        two.source.store.end_read(1);
        assert_eq!(two.getter.store.write(1, span, &slice).expect("takes").chunks_verified, 0);
        assert_eq!(two.getter.store.end_write(1, true), 1000);
        two.getter.restart(Ending::Closed);
        let again = two.getter.receive(stored.content, None).expect("goes on");
        assert_eq!(again.aside, [(0, 1000)]);
        let span = SpanAddress { skip_bytes: 1000, ..span };
        let slice = two.source.store.read(2, span, 0, 10_000_000).expect("reads");
        assert_eq!(two.getter.store.write(2, span, &slice).expect("takes").chunks_verified, 1);
    }

    pub fn a_lost_disk_is_empty(mut two: Two) {
        let stored = two.shared(500_000);
        two.begin(&stored);
        two.copy_all(&stored);
        two.getter.finish(stored.content).expect("finishes");
        two.getter.restart(Ending::DiskLost);
        let StoreInput::Opened { contents, rows, .. } = &two.getter.opened[0] else { panic!("opened comes first") };
        assert!(contents.is_empty() && rows.is_empty());
    }

    pub fn a_full_disk_takes_nothing_and_loses_nothing(mut two: Two) {
        let stored = two.shared(1_000_000);
        two.begin(&stored);
        assert_eq!(two.copy(stored.content, ChunkRange { start: 0, count: 2 }, None), Ok(2));
        two.getter.store.set_trouble(DiskTrouble::Full, true);
        let full = two.copy(stored.content, ChunkRange { start: 2, count: 1 }, None);
        assert!(matches!(full, Err(SinkError::NoSpace { .. })), "{full:?}");
        let row = Row { table: Table::Setting, key: vec![1], value: vec![2] };
        let failed = two.getter.done(|command| StoreCommand::Write { command, put: vec![row], delete: Vec::new() });
        assert!(failed.is_err_and(|failure| failure.may_pass));
        two.getter.store.set_trouble(DiskTrouble::Full, false);
        assert_eq!(two.copy(stored.content, ChunkRange { start: 2, count: 1 }, None), Ok(1));
        let again = two.getter.receive(stored.content, None).expect("goes on");
        assert!(again.have.contains_range(ChunkRange { start: 0, count: 3 }));
    }

    pub fn rows_are_kept_through_a_power_cut(mut two: Two) {
        let row = |key, value| Row { table: Table::Peer, key: vec![key], value: vec![value] };
        let put = vec![row(1, 1), row(2, 2), row(3, 3)];
        two.getter.done(|command| StoreCommand::Write { command, put, delete: Vec::new() }).expect("writes");
        let (put, delete) = (vec![row(2, 9)], vec![(Table::Peer, vec![3])]);
        two.getter.done(|command| StoreCommand::Write { command, put, delete }).expect("writes");
        two.getter.restart(Ending::PowerCut { seed: 1 });
        let StoreInput::Opened { rows, .. } = &two.getter.opened[0] else { panic!("opened comes first") };
        let mut rows = rows.clone();
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(rows, [row(1, 1), row(2, 9)]);
    }

    pub fn pages_are_found_and_only_ones_of_the_content_taken(mut two: Two) {
        let stored = two.shared(200_000_000);
        let id = stored.content;
        let received = two.begin(&stored);
        assert!(received.have.is_empty());
        let span = SpanAddress { content: id, chunks: ChunkRange { start: 0, count: 1 }, skip_bytes: 0 };
        let slice = two.source.store.read(1, span, 0, 10_000_000).expect("reads");
        two.source.store.end_read(1);
        assert_eq!(two.getter.store.write(1, span, &slice), Err(SinkError::NotOpen), "its page is not here yet");
        two.getter.store.end_write(1, false);
        let root = two.source.page(id, PageId(id.0)).expect("has its root");
        let root = mesh_chunk::Root::decode(&root, &id).expect("is good");
        let mut layout = mesh_chunk::Layout::new(&root, mesh_chunk::Detail::LengthsOnly).expect("is good");
        let mut pages = 0;
        while let Some(reference) = layout.missing_pages().first().copied() {
            let page = reference.page;
            let bytes = two.source.page(id, page).expect("has its pages");
            assert_eq!(two.getter.page(id, page), None);
            let put = |bytes: Vec<u8>| move |command| StoreCommand::PutPage { command, content: id, page, bytes };
            match two.getter.ask(put(bytes.clone())) {
                StoreInput::PagePut { result, .. } => result.expect("takes it"),
                other => panic!("{other:?}"),
            }
            assert_eq!(two.getter.page(id, page).as_ref(), Some(&bytes));
            let decoded = mesh_chunk::Page::decode(&bytes, &reference).expect("is good");
            layout.add_page(&reference, &decoded).expect("was missing");
            pages += 1;
        }
        assert!(pages > 1);
        assert_eq!(two.copy(id, ChunkRange { start: 0, count: 1 }, None), Ok(1));
    }

    pub fn what_is_removed_is_gone(mut two: Two) {
        let stored = two.shared(500_000);
        two.begin(&stored);
        two.copy_all(&stored);
        two.getter.finish(stored.content).expect("finishes");
        let content = stored.content;
        two.getter.done(|command| StoreCommand::Remove { command, content, delete_files: true }).expect("removes");
        let span = SpanAddress { content, chunks: all(&stored), skip_bytes: 0 };
        assert_eq!(two.getter.store.read(1, span, 0, 10), Err(SourceError::NotHeld));
        two.getter.restart(Ending::PowerCut { seed: 2 });
        let StoreInput::Opened { contents, .. } = &two.getter.opened[0] else { panic!("opened comes first") };
        assert!(contents.is_empty());
        assert!(two.begin(&stored).have.is_empty(), "it can be fetched anew");
    }

    pub fn a_path_in_use_is_left_alone(mut two: Two) {
        let stored = two.shared(500_000);
        two.getter.store.put_file("/home/copy", 100, 9);
        let root = two.source.page(stored.content, PageId(stored.content.0)).expect("has its root");
        let failure = two.getter.receive(stored.content, Some(root)).expect_err("something is in the way");
        assert!(!failure.may_pass && failure.why.contains("exists already"), "{failure:?}");
    }

    pub fn what_is_complete_looks_the_same(mut two: Two) {
        let stored = two.shared(500_000);
        let content = stored.content;
        match two.source.ask(|command| StoreCommand::Look { command, content }) {
            StoreInput::Looked { look, .. } => assert_eq!(look, Look::Same),
            other => panic!("{other:?}"),
        }
    }

    pub fn verifying_finds_all_good(mut two: Two) {
        let stored = two.shared(500_000);
        assert_eq!(two.source.verify(stored.content).len(), stored.chunk_count);
        two.begin(&stored);
        two.copy_all(&stored);
        two.getter.finish(stored.content).expect("finishes");
        assert_eq!(two.getter.verify(stored.content).len(), stored.chunk_count);
    }
}
