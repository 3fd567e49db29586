//! A store in memory that keeps manifests and remembers which chunks were received, but no bytes.

use std::collections::BTreeMap;

use mesh_chunk::{ChunkEntry, ChunkParameters, ManifestBuilder, Root, RootKind};
use mesh_proto::codec;
use mesh_proto::port::Failure;
use mesh_proto::port::store::{DiskUsage, Look, Received, Row, StoreCommand, StoreInput, StoredContent, Table};
use mesh_proto::record::{ContentKind, Signed};
use mesh_proto::{ChunkId, ChunkRange, ChunkSet, CommandId, ContentId, PageId};

/// A content in the store.
#[derive(Debug, Clone)]
struct Kept {
    stored: StoredContent,
    have: ChunkSet,
    pages: BTreeMap<PageId, Vec<u8>>,
}

/// The store. See the module.
#[derive(Debug, Default)]
pub struct Store {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    contents: BTreeMap<ContentId, Kept>,
    /// The next `finish` fails with this.
    pub finish_failure: Option<Failure>,
    /// How complete contents look.
    pub look: Look,
    /// Removals fail with this.
    pub remove_failure: Option<Failure>,
    /// What was removed, and whether with its files.
    pub removed: Vec<(ContentId, bool)>,
    /// Writes fail with this.
    pub write_failure: Option<Failure>,
}

/// A made-up file: chunk lengths and names that follow from its path.
fn manifest(path: &str, chunks: u32) -> Kept {
    let mut builder = ManifestBuilder::new(ChunkParameters::for_size(1));
    let mut pages = BTreeMap::new();
    let seed = mesh_chunk::chunk_id(path.as_bytes()).0[0];
    for index in 0..chunks {
        let name = [path.as_bytes(), &index.to_le_bytes()].concat();
        let id: ChunkId = mesh_chunk::chunk_id(&name);
        let length = 40_000 + u32::from(seed) + (u32::from(id.0[0]) * 200);
        for page in builder.push(ChunkEntry { id, length }).expect("few chunks") {
            pages.insert(page.reference.page, page.bytes);
        }
    }
    let built = builder.finish(RootKind::File, [seed; 32]);
    pages.extend(built.pages.into_iter().map(|page| (page.reference.page, page.bytes)));
    pages.insert(PageId(built.id.0), built.root_bytes);
    let stored = StoredContent {
        content: built.id,
        kind: ContentKind::File,
        total_bytes: built.root.total_bytes,
        chunk_count: chunks,
        whole_hash: [seed; 32],
        path: path.to_owned(),
        complete: true,
        in_place: true,
    };
    Kept { stored, have: ChunkSet::full(chunks), pages }
}

impl Store {
    /// What the store says at start.
    pub fn opened(&self) -> StoreInput {
        let row = |((table, key), value): (&(Table, Vec<u8>), &Vec<u8>)| Row {
            table: *table,
            key: key.clone(),
            value: value.clone(),
        };
        StoreInput::Opened {
            rows: self.rows.iter().map(row).collect(),
            contents: self.contents.values().map(|kept| kept.stored.clone()).collect(),
            repairs: Vec::new(),
        }
    }

    /// Puts records in before the node starts, as if an earlier run had learnt them.
    pub fn keep_records(&mut self, records: &[Signed]) {
        for signed in records {
            let name = signed.record().expect("a good record").name(signed.signer);
            self.rows.insert((Table::Record, codec::encode(&name)), codec::encode(signed));
        }
    }

    /// The records a node wrote down, by name.
    pub fn records(&self) -> BTreeMap<Vec<u8>, Signed> {
        let rows = self.rows.iter().filter(|((table, _), _)| *table == Table::Record);
        rows.map(|((_, key), value)| (key.clone(), codec::decode::<Signed, 65_536>(value).expect("a record"))).collect()
    }

    /// The process dies. Everything written stays, as after `kill -9`.
    pub fn crash(&mut self) {
        self.finish_failure = None;
    }

    /// Chunks of a content arrived.
    pub fn received(&mut self, content: ContentId, chunks: ChunkRange) {
        if let Some(kept) = self.contents.get_mut(&content) {
            kept.have.insert(chunks);
        }
    }

    /// Files have no listing.
    pub fn listing_news(&self, _: ContentId) -> Vec<StoreInput> {
        Vec::new()
    }

    /// Chunks held of a content.
    pub fn have(&self, content: ContentId) -> ChunkSet {
        self.contents.get(&content).map(|kept| kept.have.clone()).unwrap_or_default()
    }

    fn receive(&mut self, content: ContentId, root: Option<Vec<u8>>, target: &str) -> Result<Received, Failure> {
        if let Some(bytes) = root {
            let root = Root::decode(&bytes, &content).map_err(|error| Failure::lasting(error.to_string()))?;
            let stored = StoredContent {
                content,
                kind: ContentKind::File,
                total_bytes: root.total_bytes,
                chunk_count: root.chunk_count,
                whole_hash: root.whole_hash,
                path: target.to_owned(),
                complete: false,
                in_place: false,
            };
            let pages = [(PageId(content.0), bytes)].into();
            self.contents.entry(content).or_insert(Kept { stored, have: ChunkSet::new(), pages });
        }
        let kept = self.contents.get(&content).ok_or_else(|| Failure::lasting("nothing is kept of this content"))?;
        Ok(Received { stored: kept.stored.clone(), have: kept.have.clone(), aside: Vec::new(), listing_checked: true })
    }

    fn finish(&mut self, content: ContentId) -> Result<StoredContent, Failure> {
        if let Some(failure) = self.finish_failure.take() {
            return Err(failure);
        }
        let kept = self.contents.get_mut(&content).ok_or_else(|| Failure::lasting("unknown"))?;
        if kept.have.len() != kept.stored.chunk_count {
            return Err(Failure::lasting("chunks are missing"));
        }
        kept.stored.complete = true;
        Ok(kept.stored.clone())
    }

    /// Does what the store would, at once.
    pub fn carry_out(&mut self, command: StoreCommand) -> Vec<StoreInput> {
        let done = |command: CommandId| vec![StoreInput::Done { command, result: Ok(()) }];
        match command {
            StoreCommand::Share { command, path } => {
                let chunks = path.rsplit('-').next().and_then(|count| count.parse().ok()).unwrap_or(10);
                let kept = manifest(&path, chunks);
                let stored = kept.stored.clone();
                self.contents.insert(stored.content, kept);
                vec![StoreInput::Shared { command, result: Ok(stored) }]
            }
            StoreCommand::Receive { command, content, root, target } => {
                vec![StoreInput::Receiving { command, result: self.receive(content, root, &target) }]
            }
            StoreCommand::Repair { command, content } => {
                vec![StoreInput::Receiving { command, result: self.receive(content, None, "") }]
            }
            StoreCommand::PutPage { command, content, page, bytes } => {
                if let Some(kept) = self.contents.get_mut(&content) {
                    kept.pages.insert(page, bytes);
                }
                vec![StoreInput::PagePut { command, result: Ok(()) }]
            }
            StoreCommand::ReadPage { command, content, page } => {
                let bytes = self.contents.get(&content).and_then(|kept| kept.pages.get(&page).cloned());
                vec![StoreInput::PageRead { command, bytes }]
            }
            StoreCommand::Finish { command, content } => {
                vec![StoreInput::Finished { command, result: self.finish(content) }]
            }
            StoreCommand::Verify { command, content } => {
                vec![StoreInput::Verified { command, result: Ok(self.have(content)) }]
            }
            StoreCommand::Look { command, .. } => vec![StoreInput::Looked { command, look: self.look.clone() }],
            StoreCommand::Remove { command, .. } if self.remove_failure.is_some() => {
                let failure = self.remove_failure.clone().expect("just seen");
                vec![StoreInput::Done { command, result: Err(failure) }]
            }
            StoreCommand::Remove { command, content, delete_files } => {
                self.removed.push((content, delete_files));
                self.contents.remove(&content);
                done(command)
            }
            StoreCommand::Write { command, .. } if self.write_failure.is_some() => {
                let failure = self.write_failure.clone().expect("just seen");
                vec![StoreInput::Done { command, result: Err(failure) }]
            }
            StoreCommand::Write { command, put, delete } => {
                self.rows.extend(put.into_iter().map(|row| ((row.table, row.key), row.value)));
                delete.iter().for_each(|key| {
                    self.rows.remove(key);
                });
                done(command)
            }
            StoreCommand::Usage { command } => {
                let usage = DiskUsage { free_bytes: 1 << 40, ..DiskUsage::default() };
                vec![StoreInput::Usage { command, usage }]
            }
            StoreCommand::Sweep { command } | StoreCommand::Copy { command, .. } => done(command),
            StoreCommand::Stop { .. } => Vec::new(),
        }
    }
}
