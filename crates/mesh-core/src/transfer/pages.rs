//! The manifest of a transfer: its root and pages, from our own store where they are kept, else from sources.

use std::time::Duration;

use mesh_chunk::Page;
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Message, PageReply, PageRequest};
use mesh_proto::port::Failure;
use mesh_proto::port::store::StoreCommand;
use mesh_proto::{ChunkRange, ContentId, NodeId, PageId};

use super::source::Source;
use super::{Purpose, Transfers};
use crate::Context;

/// Pages asked for ahead, over all sources. A page covers some 256 chunks.
const PAGES_AHEAD: usize = 16;
/// With so many chunks known and wanted, pages can wait until somebody gets chunks below them.
const CHUNKS_KNOWN_MIN: u32 = 64;
/// Pages asked of one source at once.
const PAGES_PER_SOURCE: usize = 4;
/// A page must come within so long, or within four times what it should take at the source's rate.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

impl Transfers {
    /// Asks a source for the root, unless one was asked.
    pub(super) fn ask_for_root(&mut self, ctx: &mut Context, content: ContentId) {
        self.ask_for_page(ctx, content, PageId(content.0));
    }

    /// Asks for pages that the chunks wanted next need.
    pub(super) fn ask_for_pages(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get(&content) else { return };
        let mut pages = transfer.next_pages();
        if pages.len() > 1 && transfer.is_in_crowd() {
            // Who begins with another page than the others has chunks to trade that they have not.
            let first = usize::try_from(ctx.random_below(pages.len() as u64)).unwrap_or(0);
            pages.rotate_left(first);
        }
        for page in pages {
            let Some(transfer) = self.transfers.get_mut(&content) else { return };
            if transfer.pages_at_store.contains(&page) {
                continue;
            }
            if transfer.pages_not_here.contains(&page) {
                self.ask_for_page(ctx, content, page);
            } else {
                transfer.pages_at_store.insert(page);
                let command = self.expect(ctx, content, Purpose::ReadPage(page));
                ctx.store(StoreCommand::ReadPage { command, content, page });
            }
        }
    }

    fn ask_for_page(&mut self, ctx: &mut Context, content: ContentId, page: PageId) {
        let now = ctx.now;
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        for source in transfer.sources.values_mut() {
            if source.pages.get(&page).is_some_and(|until| *until <= now) {
                source.pages.remove(&page);
                source.back_off(now);
            }
        }
        if transfer.sources.values().any(|source| source.pages.contains_key(&page)) {
            return;
        }
        let in_crowd = transfer.is_in_crowd();
        let has_much = in_crowd && transfer.candidates().len() >= CHUNKS_KNOWN_MIN;
        let below = transfer.layout.as_ref().and_then(|layout| layout.chunks_of_missing(&page));
        let best = transfer
            .sources
            .iter_mut()
            .filter(|(_, source)| source.is_usable(now) && source.may_be_asked_for_page(below, in_crowd, has_much))
            .min_by_key(|(_, source)| (source.is_complete(), source.pages.len(), source.cost_ms_per_mib));
        if let Some((node, source)) = best {
            source.pages.insert(page, now.after(page_timeout(source)));
            let request = PageRequest { content, page, extensions: Extensions::default() };
            ctx.send(*node, Message::PageRequest(request));
        }
    }

    /// A page came from a peer. Returns whether a transfer had asked for it.
    pub fn on_page_reply(&mut self, ctx: &mut Context, node: NodeId, reply: &PageReply) -> bool {
        let PageReply { content, page, .. } = *reply;
        let Some(transfer) = self.transfers.get_mut(&content) else { return false };
        let Some(source) = transfer.sources.get_mut(&node) else { return false };
        if source.pages.remove(&page).is_none() {
            return false;
        }
        let Some(bytes) = &reply.bytes else {
            source.back_off(ctx.now);
            return true;
        };
        if page.0 == content.0 {
            self.on_root(ctx, content, node, bytes.clone());
            return true;
        }
        if mesh_chunk::page_id(bytes) != page {
            self.ban(ctx, content, node, "a manifest page it sent is not what its name says".to_owned());
            return true;
        }
        transfer.pages_at_store.insert(page);
        let command = self.expect(ctx, content, Purpose::PutPage(page, bytes.clone()));
        ctx.store(StoreCommand::PutPage { command, content, page, bytes: bytes.clone() });
        true
    }

    pub(super) fn on_page_put(
        &mut self,
        ctx: &mut Context,
        content: ContentId,
        page: PageId,
        bytes: &[u8],
        result: &Result<(), Failure>,
    ) {
        match result {
            Ok(()) => self.add_page(ctx, content, page, bytes),
            Err(failure) => {
                if let Some(transfer) = self.transfers.get_mut(&content) {
                    transfer.pages_at_store.remove(&page);
                }
                self.on_store_failure(ctx, content, failure);
            }
        }
    }

    pub(super) fn on_page_read(&mut self, ctx: &mut Context, content: ContentId, page: PageId, bytes: Option<&[u8]>) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        transfer.pages_at_store.remove(&page);
        match bytes {
            Some(bytes) if page.0 == content.0 => self.on_own_root(ctx, content, bytes),
            Some(bytes) => self.add_page(ctx, content, page, bytes),
            None if page.0 == content.0 => {
                let failure = Failure::lasting("the manifest kept on this machine is gone");
                self.on_store_failure(ctx, content, &failure);
            }
            None => {
                transfer.pages_not_here.insert(page);
            }
        }
    }

    fn add_page(&mut self, ctx: &mut Context, content: ContentId, page: PageId, bytes: &[u8]) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        transfer.pages_at_store.remove(&page);
        transfer.pages_not_here.remove(&page);
        let Some(layout) = &mut transfer.layout else { return };
        let Some(reference) = layout.missing_page(&page) else { return };
        let added = Page::decode(bytes, &reference)
            .map_err(|error| error.to_string())
            .and_then(|page| layout.add_page(&reference, &page).map_err(|error| error.to_string()));
        match added {
            Ok(_) => {
                transfer.opened += 1;
                transfer.recount();
            }
            Err(why) => self.on_bad_manifest(ctx, content, &why),
        }
    }

    /// A root or page that its own hash vouches for and that still breaks a rule was published so: the content itself
    /// is bad, and no source can help.
    pub(super) fn on_bad_manifest(&mut self, ctx: &mut Context, content: ContentId, why: &str) {
        let failure = Failure::lasting(format!("the content's manifest breaks the rules: {why}"));
        self.on_store_failure(ctx, content, &failure);
    }
}

impl Source {
    /// Whether it is one to ask for a page with these chunks below it. Who holds one of them has the page. In a crowd who
    /// holds all gives a page at a time to those who have nothing else to ask for: the others have it from each other.
    fn may_be_asked_for_page(&self, below: Option<ChunkRange>, in_crowd: bool, has_much: bool) -> bool {
        if self.is_complete() && in_crowd && below.is_some() {
            return self.pages.is_empty() && (!has_much || self.drained_since.is_some());
        }
        self.pages.len() < PAGES_PER_SOURCE && below.is_none_or(|below| self.holds_some_of(below))
    }
}

fn page_timeout(source: &Source) -> Duration {
    let bytes = mesh_proto::limits::PAGE_BYTES_MAX as u64;
    match source.rate_bytes_per_s() {
        0 => PAGE_TIMEOUT,
        rate => PAGE_TIMEOUT.max(Duration::from_millis(bytes.saturating_mul(4000) / rate)),
    }
}

impl super::state::Transfer {
    /// Counts again the bytes that are here, now that more lengths are known. Most pages of what was here before are not
    /// read again; how many bytes each stands for is known without.
    pub(super) fn recount(&mut self) {
        let Some(layout) = &self.layout else { return };
        self.have_bytes = self.have.runs().iter().map(|run| layout.bytes_told_of(*run)).sum();
    }

    /// The pages that the chunks wanted next need.
    fn next_pages(&self) -> Vec<PageId> {
        let Some(layout) = &self.layout else { return Vec::new() };
        let from = self.open.runs().first().map_or(0, |run| run.start);
        layout.next_missing_pages(from, PAGES_AHEAD).into_iter().map(|page| page.page).collect()
    }

    /// Whether our own store may have of the manifest what is wanted next.
    pub(super) fn may_have_pages(&self) -> bool {
        self.layout.is_none() || self.next_pages().iter().any(|page| !self.pages_not_here.contains(page))
    }
}
