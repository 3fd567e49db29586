//! The brain's port to the store: contents on this machine's disk, and the brain's own small truths.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::chunk_set::ChunkSet;
use crate::id::{CommandId, ContentId, PageId};
use crate::record::ContentKind;

/// The brain's own rows, by what they are. Numbers are stable; the store does not look inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
pub enum Table {
    /// How a content is treated: name, access, listed, pinned.
    Treatment,
    /// A fetch the node was asked for.
    Transfer,
    /// A signed record, own or another's.
    Record,
    /// A peer and where it was last reached.
    Peer,
    /// Counters and settings.
    Setting,
}

/// One row of the brain's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Row {
    /// Which table.
    pub table: Table,
    /// Its key, unique within the table, at most 128 bytes.
    pub key: Vec<u8>,
    /// Its value, at most 64 KiB.
    pub value: Vec<u8>,
}

/// A content as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StoredContent {
    /// Which.
    pub content: ContentId,
    /// File or tree.
    pub kind: ContentKind,
    /// All its bytes; a tree's listing included.
    pub total_bytes: u64,
    /// All its chunks.
    pub chunk_count: u32,
    /// BLAKE3 of the file (equal to `b3sum`), or of a tree's chunk sequence.
    pub whole_hash: [u8; 32],
    /// Where it lies (a file or a folder), under its final name or, while received, the name it will have.
    pub path: String,
    /// Whether all of it is here.
    pub complete: bool,
    /// Whether it was shared in place: its files belong to the person, and are never deleted by us.
    pub in_place: bool,
}

/// Disk space of the folder that holds the data, and what we use of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Bytes of received contents and partial files.
    pub received_bytes: u64,
    /// Bytes of manifests, index and logs.
    pub overhead_bytes: u64,
    /// Bytes free on the file system.
    pub free_bytes: u64,
}

/// How a complete content's files look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub enum Look {
    /// As they were.
    #[default]
    Same,
    /// They are there, and something about them changed: what.
    Changed(String),
    /// They are not there: what is missing.
    Gone(String),
}

/// What the store answers.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum StoreInput {
    /// At start, once: everything kept.
    Opened {
        /// The brain's rows.
        rows: Vec<Row>,
        /// The contents.
        contents: Vec<StoredContent>,
        /// What had to be repaired, for people; empty if nothing.
        repairs: Vec<String>,
    },
    /// A share, copy or verify goes on; at most ten times a second.
    Progress {
        /// Which command.
        command: CommandId,
        /// Bytes done.
        done_bytes: u64,
        /// Of so many; 0 = not known.
        total_bytes: u64,
    },
    /// Answers [`StoreCommand::Share`].
    Shared {
        /// Which command.
        command: CommandId,
        /// What it is now.
        result: Result<StoredContent, Failure>,
    },
    /// Answers [`StoreCommand::Receive`].
    Receiving {
        /// Which command.
        command: CommandId,
        /// What is here already, or why it can't be received.
        result: Result<Received, Failure>,
    },
    /// A tree's listing is complete and was found good (or bad): files can be laid out now.
    ListingChecked {
        /// Of which content.
        content: ContentId,
        /// Why the tree is refused, if it is.
        result: Result<(), Failure>,
    },
    /// Answers [`StoreCommand::PutPage`].
    PagePut {
        /// Which command.
        command: CommandId,
        /// Whether it is kept.
        result: Result<(), Failure>,
    },
    /// Answers [`StoreCommand::ReadPage`].
    PageRead {
        /// Which command.
        command: CommandId,
        /// Its bytes, `None` if not here.
        bytes: Option<Vec<u8>>,
    },
    /// Answers [`StoreCommand::Finish`].
    Finished {
        /// Which command.
        command: CommandId,
        /// Where it lies now.
        result: Result<StoredContent, Failure>,
    },
    /// Answers [`StoreCommand::Look`].
    Looked {
        /// Which command.
        command: CommandId,
        /// What was seen.
        look: Look,
    },
    /// Answers [`StoreCommand::Verify`].
    Verified {
        /// Which command.
        command: CommandId,
        /// The chunks that are good, or why it could not be checked.
        result: Result<ChunkSet, Failure>,
    },
    /// Answers [`StoreCommand::Copy`], [`StoreCommand::Remove`], [`StoreCommand::Write`] and [`StoreCommand::Sweep`].
    Done {
        /// Which command.
        command: CommandId,
        /// Whether it was done; durably, for `Write`.
        result: Result<(), Failure>,
    },
    /// Answers [`StoreCommand::Usage`].
    Usage {
        /// Which command.
        command: CommandId,
        /// The figures.
        usage: DiskUsage,
    },
    /// A shared content's files are no longer what they were; it is not served any more.
    Changed {
        /// Which.
        content: ContentId,
        /// What was noticed, for people.
        why: String,
    },
}

/// What is here of a content that is being received.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Received {
    /// How it stands in the store.
    pub stored: StoredContent,
    /// Chunks verified and written.
    pub have: ChunkSet,
    /// Bytes kept aside of chunks not complete: position and count.
    pub aside: Vec<(u32, u32)>,
    /// Whether a tree's listing is complete and checked (always true for a file).
    pub listing_checked: bool,
}

/// What the brain asks of the store.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum StoreCommand {
    /// Reads, chunks and hashes a file or folder and keeps its manifest; its bytes stay where they are.
    Share {
        /// Answered by [`StoreInput::Shared`].
        command: CommandId,
        /// Absolute path.
        path: String,
    },
    /// Stops a share, copy, receive or verify under way, whose answer then is a failure. Not answered itself.
    Stop {
        /// Which.
        command: CommandId,
    },
    /// Prepares to receive a content, or goes on after a restart: what is on the disk is checked again.
    Receive {
        /// Answered by [`StoreInput::Receiving`].
        command: CommandId,
        /// Which.
        content: ContentId,
        /// Its root's bytes, verified by the brain; `None` to go on with what is kept.
        root: Option<Vec<u8>>,
        /// Absolute path it will have when complete; must not exist (unless going on).
        target: String,
    },
    /// Keeps a manifest page of a content, verified by the brain.
    PutPage {
        /// Answered by [`StoreInput::PagePut`].
        command: CommandId,
        /// Of which content.
        content: ContentId,
        /// Which.
        page: PageId,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Reads a manifest page; the root is the page named like the content.
    ReadPage {
        /// Answered by [`StoreInput::PageRead`].
        command: CommandId,
        /// Of which content.
        content: ContentId,
        /// Which.
        page: PageId,
    },
    /// Every chunk is here: checks the whole, syncs, and gives the final name.
    Finish {
        /// Answered by [`StoreInput::Finished`].
        command: CommandId,
        /// Which.
        content: ContentId,
    },
    /// Looks whether a complete content's files are as they were, without reading them.
    Look {
        /// Answered by [`StoreInput::Looked`].
        command: CommandId,
        /// Which.
        content: ContentId,
    },
    /// Reads everything held of a content and hashes it again; bad chunks are no longer served.
    Verify {
        /// Answered by [`StoreInput::Verified`].
        command: CommandId,
        /// Which.
        content: ContentId,
    },
    /// Makes a complete content receivable again where `Verify` found chunks bad, in place; answered like `Receive`.
    Repair {
        /// Answered by [`StoreInput::Receiving`].
        command: CommandId,
        /// Which.
        content: ContentId,
    },
    /// Writes a second copy of a complete content, verified on its way, under a name where nothing stands. The copy is the
    /// person's: it is not remembered.
    Copy {
        /// Answered by [`StoreInput::Done`].
        command: CommandId,
        /// Which.
        content: ContentId,
        /// Absolute path.
        target: String,
    },
    /// Forgets a content. Partial files are deleted; complete ones only if asked and never those shared in place.
    Remove {
        /// Answered by [`StoreInput::Done`].
        command: CommandId,
        /// Which.
        content: ContentId,
        /// Whether files received by us are deleted, too.
        delete_files: bool,
    },
    /// Writes rows and deletes keys, all or nothing, synced before it is answered.
    Write {
        /// Answered by [`StoreInput::Done`].
        command: CommandId,
        /// Rows to put.
        put: Vec<Row>,
        /// Rows to delete.
        delete: Vec<(Table, Vec<u8>)>,
    },
    /// Asks for the disk's figures.
    Usage {
        /// Answered by [`StoreInput::Usage`].
        command: CommandId,
    },
    /// Looks for unreferenced files of ours and deletes them.
    Sweep {
        /// Answered by [`StoreInput::Done`].
        command: CommandId,
    },
}
