//! The life of one transfer: find holders, get the root, prepare the store, fetch, finish.

use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_chunk::{Detail, Layout, Root, RootKind};
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Message, Uninterested};
use mesh_proto::port::store::{Received, StoreCommand, StoredContent};
use mesh_proto::port::user::{ErrorKind, UserError};
use mesh_proto::port::{Event, Failure};
use mesh_proto::{ByteCount, ChunkSet, ContentId, NodeId, PageId};

use super::state::{Phase, Transfer};
use super::{Around, Completed, Purpose, Room, Transfers};
use crate::Context;

/// The store is asked again after it could not go on.
const BLOCKED_RETRY: Duration = Duration::from_secs(10);
/// How often totals are written down while fetching.
pub(super) const SAVE_EVERY: Duration = Duration::from_secs(10);

impl Room {
    /// Why a content of this size is not even begun: it would not fit if everything that may go were gone.
    fn refusal(&self, total_bytes: u64) -> Option<UserError> {
        if total_bytes <= self.quota_bytes.saturating_sub(self.pinned_bytes) {
            return None;
        }
        let (total, quota, pinned) =
            (ByteCount(total_bytes), ByteCount(self.quota_bytes), ByteCount(self.pinned_bytes));
        let message = format!("this content has {total}; of the quota of {quota} what is pinned takes {pinned}");
        let cure =
            "raise it with `mesh-node quota`, or unpin something, then `mesh-node resume` (or the same `get` again)";
        Some(UserError::new(ErrorKind::NoSpace, message, cure))
    }
}

impl Transfers {
    /// Does what one transfer needs next.
    pub(super) fn step(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get(&content) else { return };
        match &transfer.phase {
            Phase::Locating => self.ask_for_root(ctx, content),
            Phase::Fetching => {
                if transfer.is_all_here() {
                    self.finish(ctx, content);
                } else {
                    if ctx.now.since(transfer.saved) >= SAVE_EVERY {
                        self.save(ctx, content);
                    }
                    self.ask_for_pages(ctx, content);
                    self.ask_for_chunks(ctx, content);
                }
            }
            Phase::Kept => self.restart(ctx, content),
            Phase::Blocked { until, .. } if *until <= ctx.now => self.restart(ctx, content),
            Phase::Blocked { .. } | Phase::Preparing | Phase::Finishing | Phase::Failed(_) => {}
        }
    }

    /// A root came from a peer: if it is the right one, the store prepares to receive.
    pub(super) fn on_root(&mut self, ctx: &mut Context, content: ContentId, node: NodeId, bytes: Vec<u8>) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        if transfer.phase != Phase::Locating {
            return;
        }
        let root = match Root::decode(&bytes, &content) {
            Err(error) => {
                let why = format!("the manifest root it sent is wrong: {error}");
                self.ban(ctx, content, node, why);
                return;
            }
            Ok(root) => root,
        };
        if let Some(error) = self.room.and_then(|room| room.refusal(root.total_bytes)) {
            self.fail(ctx, content, error);
            return;
        }
        transfer.phase = Phase::Preparing;
        transfer.root_from = Some(node);
        let target = transfer.order.target.clone();
        let told = transfer.sources.get(&node).and_then(|source| source.access.clone());
        if let Some(access) = told.filter(|access| *access != transfer.order.access) {
            // Written down before the first byte is: after a restart it is not given under another rule.
            transfer.order.access = access;
            self.save(ctx, content);
        }
        let command = self.expect(ctx, content, Purpose::Receive);
        ctx.store(StoreCommand::Receive { command, content, root: Some(bytes), target });
    }

    pub(super) fn on_receiving(&mut self, ctx: &mut Context, content: ContentId, result: &Result<Received, Failure>) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        match result {
            Err(failure) if transfer.repair && transfer.stored.is_none() && !failure.may_pass => {
                // Nothing is left to repair, as when the file is gone: it is fetched anew. Whatever lies there stays.
                transfer.repair = false;
                transfer.phase = Phase::Locating;
                let command = ctx.command_id();
                ctx.store(StoreCommand::Remove { command, content, delete_files: false });
            }
            Err(failure) => self.on_store_failure(ctx, content, failure),
            Ok(received) => {
                transfer.phase = Phase::Fetching;
                transfer.stored = Some(received.stored.clone());
                transfer.have = received.have.clone();
                transfer.open = ChunkSet::full(received.stored.chunk_count).difference(&received.have);
                transfer.aside = received.aside.iter().copied().collect();
                let fetches = transfer.sources.values_mut().flat_map(|source| source.fetches.values_mut());
                fetches.for_each(|fetch| fetch.stale = true);
                transfer.listing_pending_bytes = (!received.listing_checked).then_some(u64::MAX);
                transfer.layout = None;
                // The root is with the store in any case; from there on both ways are one.
                let page = PageId(content.0);
                transfer.pages_at_store.insert(page);
                let command = self.expect(ctx, content, Purpose::ReadPage(page));
                ctx.store(StoreCommand::ReadPage { command, content, page });
            }
        }
    }

    /// The root came back from our own store.
    pub(super) fn on_own_root(&mut self, ctx: &mut Context, content: ContentId, bytes: &[u8]) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        match Root::decode(bytes, &content) {
            Err(error) => {
                let failure = Failure::lasting(format!("the manifest kept on this machine is damaged: {error}"));
                self.on_store_failure(ctx, content, &failure);
            }
            Ok(root) => {
                if let (Some(pending), RootKind::Tree { listing_bytes }) =
                    (transfer.listing_pending_bytes.as_mut(), &root.kind)
                {
                    *pending = *listing_bytes;
                }
                match Layout::new(&root, Detail::LengthsOnly) {
                    Ok(layout) => {
                        transfer.count_holders(layout.chunk_count());
                        transfer.layout = Some(layout);
                        transfer.opened += 1;
                    }
                    Err(error) => self.on_bad_manifest(ctx, content, &error.to_string()),
                }
                if let Some(transfer) = self.transfers.get_mut(&content) {
                    transfer.recount();
                }
            }
        }
    }

    pub(super) fn on_listing_checked(
        &mut self,
        ctx: &mut Context,
        content: ContentId,
        result: &Result<(), Failure>,
    ) -> bool {
        let Some(transfer) = self.transfers.get_mut(&content) else { return false };
        match result {
            Ok(()) => {
                transfer.listing_pending_bytes = None;
                transfer.opened += 1;
            }
            Err(failure) => self.on_store_failure(ctx, content, failure),
        }
        true
    }

    /// The store can't go on: for a while, or until a person helps.
    pub(super) fn on_store_failure(&mut self, ctx: &mut Context, content: ContentId, failure: &Failure) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        ctx.count(EventKind::StoreFailed);
        if failure.may_pass {
            // What is in flight fails with it.
            if !matches!(transfer.phase, Phase::Blocked { .. }) {
                transfer.take_back(ctx);
            }
            transfer.phase = Phase::Blocked { why: failure.why.clone(), until: ctx.now.after(BLOCKED_RETRY) };
            if transfer.told_blocked.as_ref() != Some(&failure.why) {
                transfer.told_blocked = Some(failure.why.clone());
                ctx.report(Event::TransferWaiting { content, why: failure.why.clone() });
            }
            return;
        }
        let cure = "remove the cause, then `mesh-node resume` (or the same `get` again)";
        let error = UserError::new(ErrorKind::Unavailable, failure.why.clone(), cure);
        self.fail(ctx, content, error);
    }

    /// Ends the work on a transfer until a person helps. What is here stays.
    pub(super) fn fail(&mut self, ctx: &mut Context, content: ContentId, error: UserError) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        transfer.phase = Phase::Failed(error.clone());
        ctx.count(EventKind::TransferFailed);
        ctx.report(Event::TransferFailed { content, error });
    }

    fn finish(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        transfer.phase = Phase::Finishing;
        let command = self.expect(ctx, content, Purpose::Finish);
        ctx.store(StoreCommand::Finish { command, content });
    }

    pub(super) fn on_finished(
        &mut self,
        ctx: &mut Context,
        content: ContentId,
        result: &Result<StoredContent, Failure>,
    ) {
        let stored = match result {
            Err(failure) => return self.on_store_failure(ctx, content, failure),
            Ok(stored) => stored.clone(),
        };
        self.on_complete(ctx, content, stored);
    }

    /// The files are under their final name and synced: the rest of the brain takes over.
    pub(super) fn on_complete(&mut self, ctx: &mut Context, content: ContentId, stored: StoredContent) {
        let Some(transfer) = self.transfers.remove(&content) else { return };
        for (node, _) in transfer.sources.iter().filter(|(_, source)| source.asked) {
            let message = Uninterested { content, extensions: Extensions::default() };
            ctx.send(*node, Message::Uninterested(message));
        }
        ctx.count(EventKind::TransferFinished);
        let report = transfer.report(ctx.now, &stored);
        self.completed.push(Completed { stored, order: transfer.order, report });
    }
}

impl Transfer {
    /// Says once for what it waits while nobody has any of it.
    pub(super) fn tell_whether_somebody_has_it(&mut self, ctx: &mut Context, around: &Around<'_>) {
        let nobody = !self.sources.values().any(|source| source.holds_something() && !source.banned);
        let waited = ctx.now.since(self.begun) > Duration::from_secs(5);
        if nobody && waited && !self.told_waiting {
            self.told_waiting = true;
            let access = around.records.listed_access(self.content);
            let forbidden = access.is_some_and(|access| !around.records.admits_us(ctx, &access));
            let why = match forbidden {
                true => "it is listed for a community or for members that this node does not belong to",
                false => "no peer that has it is connected; it goes on by itself when one is",
            };
            ctx.report(Event::TransferWaiting { content: self.content, why: why.to_owned() });
        } else if !nobody {
            self.told_waiting = false;
        }
    }
}
