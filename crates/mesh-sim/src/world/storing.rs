//! Commands to a node's store, and how long its disk takes for them.

use mesh_proto::port::Input;
use mesh_proto::port::store::{StoreCommand, StoreInput};

use super::happening::Happening;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;

/// A sync of a few rows or names, as a small solid-state disk or a good card takes it.
const SYNC_NS: u64 = 3_000_000;
/// A look at a page or a file's state.
const LOOK_NS: u64 = 100_000;
/// Reading and hashing, in trillionths of a second: some 0.75 GB/s, on one core with the disk beside it.
const HASH_PS_PER_BYTE: u64 = 1_300;
/// What was received is synced so long after the first of it.
const CHECKPOINT_NS: u64 = 2_000_000_000;

impl NodeWorld {
    /// Carries out a command; the answers come when the disk is done.
    pub(super) fn store(&mut self, stage: &mut NodeStage, member: Member, command: StoreCommand) {
        let base = match &command {
            StoreCommand::ReadPage { .. } | StoreCommand::Look { .. } | StoreCommand::Usage { .. } => LOOK_NS,
            StoreCommand::PutPage { .. } | StoreCommand::Stop { .. } => LOOK_NS,
            _ => SYNC_NS,
        };
        let base = base + self.faults.disk_slower_ns(member);
        let answers = self.node_mut(member).store.carry_out(command);
        for answer in answers {
            let takes = base + hashed_bytes(&answer).saturating_mul(HASH_PS_PER_BYTE) / 1000;
            let at = mesh_proto::Timestamp(stage.now().0 + takes);
            stage.deliver(at, member, Input::Store(answer));
        }
    }

    /// What the store told outside of commands.
    pub(super) fn deliver_store_news(&mut self, stage: &mut NodeStage, member: Member) {
        for input in self.node_mut(member).store.take_news() {
            stage.deliver(stage.now(), member, Input::Store(input));
        }
    }

    /// Bytes were received: they are to be synced soon.
    pub(super) fn checkpoint_soon(&mut self, stage: &mut NodeStage, member: Member) {
        let node = self.node_mut(member);
        if !node.checkpoint_due {
            node.checkpoint_due = true;
            let at = mesh_proto::Timestamp(stage.now().0 + CHECKPOINT_NS);
            stage.happen(at, Happening::Checkpoint(member));
        }
    }

    pub(super) fn checkpoint(&mut self, stage: &mut NodeStage, member: Member) {
        let is_on = self.is_on(member);
        let node = self.node_mut(member);
        node.checkpoint_due = false;
        if is_on {
            node.store.checkpoint();
            self.deliver_store_news(stage, member);
        }
    }
}

/// How many bytes were read and hashed for an answer.
fn hashed_bytes(answer: &StoreInput) -> u64 {
    match answer {
        StoreInput::Shared { result: Ok(stored), .. } | StoreInput::Finished { result: Ok(stored), .. } => {
            stored.total_bytes
        }
        _ => 0,
    }
}
