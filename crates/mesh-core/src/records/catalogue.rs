//! What is meant to be found, and which connected peers say they hold it.

use mesh_proto::extensions::Extensions;
use mesh_proto::limits::HOLDINGS_PER_DIGEST_MAX;
use mesh_proto::message::{Holdings, Message};
use mesh_proto::port::KeyRole;
use mesh_proto::record::{Access, CatalogueEntry, Record, RecordKind, RecordName, Subject};
use mesh_proto::{ContentId, NodeId, SharedRecord};

use super::{Asked, BATCH, Records};
use crate::Context;

/// Entries of a peer's digest that are remembered.
const HOLDINGS_PER_PEER_MAX: usize = 65_536;

/// How a content is named in a digest.
fn prefix(content: ContentId) -> u64 {
    content.0.first_chunk::<8>().map_or(0, |head| u64::from_le_bytes(*head))
}

fn entry_of(known: &SharedRecord) -> Option<CatalogueEntry> {
    match known.record() {
        Ok(Record::Catalogue(entry)) => Some(entry),
        _ => None,
    }
}

impl Records {
    fn entry(&self, publisher: NodeId, content: ContentId) -> Option<CatalogueEntry> {
        let name = RecordName { kind: RecordKind::Catalogue, signer: publisher.0, subject: content.0 };
        self.book.find(&name).and_then(entry_of)
    }

    /// Lists a content of ours, or changes how it is listed.
    pub fn publish(&mut self, ctx: &mut Context, mut entry: CatalogueEntry) {
        let Subject::Content(content) = entry.subject else { return };
        let known = self.entry(ctx.node, content);
        entry.version = known.as_ref().map_or(1, |known| known.version);
        if known.as_ref() == Some(&entry) {
            return;
        }
        entry.version = entry.version.saturating_add(u64::from(known.is_some()));
        self.sign(ctx, KeyRole::Node, &Record::Catalogue(entry), Asked::SignOwn);
    }

    /// No longer lists a content of ours.
    pub fn withdraw(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(mut entry) = self.entry(ctx.node, content).filter(|entry| !entry.withdrawn) else { return };
        entry.version = entry.version.saturating_add(1);
        entry.withdrawn = true;
        self.sign(ctx, KeyRole::Node, &Record::Catalogue(entry), Asked::SignOwn);
    }

    /// What is listed now, and by whom.
    pub fn catalogue(&self) -> impl Iterator<Item = (CatalogueEntry, NodeId)> {
        let entries = self.book.of_kind(RecordKind::Catalogue);
        entries.filter_map(|known| Some((entry_of(known)?, NodeId(known.signer)))).filter(|(entry, _)| !entry.withdrawn)
    }

    /// What is listed and has all these words in its name or tags.
    #[must_use]
    pub fn search(&self, words: &str) -> Vec<(CatalogueEntry, NodeId)> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        self.catalogue()
            .filter(|(entry, _)| {
                let text = format!("{} {}", entry.name, entry.tags.join(" ")).to_lowercase();
                words.iter().all(|word| text.contains(word))
            })
            .collect()
    }

    /// Who lists a content.
    #[must_use]
    pub fn publishers(&self, content: ContentId) -> Vec<NodeId> {
        self.book.publishers(content).collect()
    }

    /// The rule under which a listed content is given.
    #[must_use]
    pub fn listed_access(&self, content: ContentId) -> Option<Access> {
        let publisher = self.book.publishers(content).next()?;
        self.entry(publisher, content).map(|entry| entry.access)
    }

    /// Notes whether we hold a content; if it is listed, connected peers hear of it soon.
    pub fn set_holding(&mut self, ctx: &mut Context, content: ContentId, held: bool) {
        let news = if held { self.held.insert(content) } else { self.held.remove(&content) };
        if news && !self.connected.is_empty() {
            self.held_news.insert(content, held);
            self.held_due.get_or_insert(ctx.now.after(BATCH));
        }
    }

    fn is_listed(&self, content: ContentId) -> bool {
        self.book.publishers(content).next().is_some()
    }

    pub(super) fn tell_holdings(&mut self, ctx: &mut Context) {
        let news = std::mem::take(&mut self.held_news);
        let listed = news.into_iter().filter(|(content, _)| self.is_listed(*content));
        let (added, removed): (Vec<_>, Vec<_>) = listed.partition(|(_, held)| *held);
        let prefixes = |contents: Vec<(ContentId, bool)>| -> Vec<u64> {
            contents.into_iter().map(|(content, _)| prefix(content)).take(HOLDINGS_PER_DIGEST_MAX).collect()
        };
        let (added, removed) = (prefixes(added), prefixes(removed));
        if added.is_empty() && removed.is_empty() {
            return;
        }
        for node in self.connected.keys() {
            let (added, removed) = (added.clone(), removed.clone());
            let holdings = Holdings { added, removed, full: false, extensions: Extensions::default() };
            ctx.send(*node, Message::Holdings(holdings));
        }
    }

    pub(super) fn send_all_holdings(&mut self, ctx: &mut Context, node: NodeId) {
        let listed = self.held.iter().filter(|content| self.is_listed(**content));
        let added: Vec<u64> = listed.map(|content| prefix(*content)).take(HOLDINGS_PER_DIGEST_MAX).collect();
        if !added.is_empty() {
            let holdings = Holdings { added, removed: Vec::new(), full: true, extensions: Extensions::default() };
            ctx.send(node, Message::Holdings(holdings));
        }
    }

    pub(super) fn on_holdings(&mut self, node: NodeId, holdings: &Holdings) {
        let Some(peer) = self.connected.get_mut(&node) else { return };
        if holdings.full {
            peer.holdings.clear();
        }
        holdings.removed.iter().for_each(|gone| {
            peer.holdings.remove(gone);
        });
        let room = HOLDINGS_PER_PEER_MAX.saturating_sub(peer.holdings.len());
        peer.holdings.extend(holdings.added.iter().take(room).copied());
    }

    /// Connected peers that say they hold all of a listed content.
    #[must_use]
    pub fn holders(&self, content: ContentId) -> Vec<NodeId> {
        let prefix = prefix(content);
        let holds = self.connected.iter().filter(|(_, peer)| peer.holdings.contains(&prefix));
        holds.map(|(node, _)| *node).collect()
    }
}
