//! Evening out: two nodes find where their sets of records differ, and each asks for what it lacks.
//!
//! Summaries are compared bucket by bucket. A bucket that differs is listed if it is small, else split and compared part
//! by part, so that little is said about much that is equal. Everything goes in small steps, so that no queue fills: a few
//! buckets at a time beginning at a random one, a few hundred records asked for at a time. When all of those came and
//! some were news, the two compare again, until nothing is news.
//!
//! Who meets many at once would find the same lacking against each of them. So comparisons begin one after another, only
//! few are under way at a time, and a record that somebody was asked for is for a while asked of nobody else.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{RECORD_NAMES_PER_MESSAGE_MAX, SUMMARY_LEVELS_MAX};
use mesh_proto::message::{Message, RecordList, RecordsWanted, Split, Summary};
use mesh_proto::record::RecordName;
use mesh_proto::record_list::Listed;
use mesh_proto::{NodeId, Timestamp};

use super::book::Standing;
use super::gossip::UNVERIFIED_MAX;
use super::{Connected, Records};
use crate::Context;

/// A bucket with more records than this is split.
const LISTED_MAX: usize = 512;
/// Buckets split in answer to one message.
const SPLITS_MAX: usize = 2;
/// Lists sent in answer to one message.
const LISTS_MAX: usize = 2;
/// Names noted as lacking per peer; what is more is found lacking again later.
const LACKING_MAX: usize = 2048;
/// Records asked for at once.
const WANTED_MAX: usize = 256;
/// Records asked for that do not come in this time are given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// A record asked for that does not come in this time may be asked of others.
const ASK_OTHERS: Duration = Duration::from_secs(5);
/// Peers with whom records are evened out at once.
const EVENINGS_MAX: usize = 2;
/// Who says nothing for so long while that goes on takes no place any more.
const EVENING_SILENCE: Duration = Duration::from_secs(5);
/// Comparisons begin so often, and up to as much later by lot.
const COMPARE_EVERY_MS: u64 = 150;

const _: () = assert!(LISTED_MAX <= RECORD_NAMES_PER_MESSAGE_MAX && WANTED_MAX * 2 <= UNVERIFIED_MAX);

impl Records {
    pub(super) fn send_summary(&mut self, ctx: &mut Context, node: NodeId) {
        self.to_compare.remove(&node);
        let buckets = self.book.summary();
        self.say(ctx, node, Message::Summary(Summary { buckets, extensions: Extensions::default() }));
    }

    /// When the next comparison begins.
    pub(super) fn next_comparison(&self) -> Option<Timestamp> {
        (!self.to_compare.is_empty()).then_some(self.compare_after)
    }

    /// Compares with one of those that wait for it, unless others are being evened out with.
    pub(super) fn compare_next(&mut self, ctx: &mut Context) {
        let wait_ms = COMPARE_EVERY_MS + ctx.random_below(COMPARE_EVERY_MS);
        self.compare_after = ctx.now.after(Duration::from_millis(wait_ms));
        if self.evenings(ctx.now) >= EVENINGS_MAX {
            return;
        }
        let bears = |node: &&NodeId| self.connected.get(node).is_some_and(|peer| peer.not_before <= ctx.now);
        let ready: Vec<NodeId> = self.to_compare.iter().filter(bears).copied().collect();
        let pick = usize::try_from(ctx.random_below(ready.len() as u64)).unwrap_or(0);
        match ready.get(pick) {
            Some(node) => self.send_summary(ctx, *node),
            None => {
                let waits = self.to_compare.iter().filter_map(|node| self.connected.get(node));
                let next = waits.map(|peer| peer.not_before).min();
                self.compare_after = self.compare_after.max(next.unwrap_or(self.compare_after));
            }
        }
    }

    /// With how many peers records are being evened out.
    fn evenings(&self, now: Timestamp) -> usize {
        self.connected.values().filter(|peer| peer.evening_until > now).count()
    }

    pub(super) fn on_summary(&mut self, ctx: &mut Context, node: NodeId, summary: &Summary) {
        let differing = differing(&self.book.summary(), &summary.buckets);
        self.to_compare.remove(&node);
        if differing.is_empty() {
            return self.rumours.are_known_by(node);
        }
        let Some(peer) = self.connected.get(&node) else { return };
        match peer.evening_until > ctx.now || self.evenings(ctx.now) < EVENINGS_MAX {
            true => self.tell_buckets(ctx, node, &[], differing, true),
            false => _ = self.to_compare.insert(node),
        }
    }

    pub(super) fn on_split(&mut self, ctx: &mut Context, node: NodeId, split: &Split) {
        let differing = differing(&self.book.sums(&split.path), &split.sums);
        self.tell_buckets(ctx, node, &split.path, differing, true);
    }

    /// Says what is in some buckets, all parts of `parent`: names, or sums of their parts where there are too many.
    fn tell_buckets(&mut self, ctx: &mut Context, node: NodeId, parent: &[u8], mut buckets: Vec<u8>, answer: bool) {
        if let Some(peer) = self.connected.get_mut(&node) {
            peer.keep_evening(ctx.now);
        }
        let first = ctx.random_below(buckets.len() as u64);
        buckets.rotate_left(usize::try_from(first).unwrap_or(0));
        let mut lists = Lists { parent: parent.to_vec(), answer, ..Lists::default() };
        let mut splits = 0;
        for bucket in buckets {
            let path = [parent, &[bucket]].concat();
            if path.len() < SUMMARY_LEVELS_MAX && self.book.count(&path, LISTED_MAX + 1) > LISTED_MAX {
                if splits < SPLITS_MAX {
                    splits += 1;
                    let sums = self.book.sums(&path);
                    self.say(ctx, node, Message::Split(Split { path, sums, extensions: Extensions::default() }));
                }
            } else if lists.done.len() < LISTS_MAX {
                lists.add(bucket, self.book.list(&path).collect());
            }
        }
        lists.finish();
        lists.done.into_iter().for_each(|list| self.say(ctx, node, Message::RecordList(list)));
    }

    pub(super) fn on_list(&mut self, ctx: &mut Context, node: NodeId, list: &RecordList) {
        let Some(peer) = self.connected.get_mut(&node) else { return };
        for listed in list.listed() {
            match self.book.standing(&listed) {
                Standing::Lacking if peer.lacking.len() < LACKING_MAX => _ = peer.lacking.insert(listed.name, listed),
                Standing::Same => self.rumours.is_known_by(&listed.name, node),
                Standing::Lacking | Standing::Beaten => {}
            }
        }
        if let (true, Some(parent)) = (list.answer, list.parent()) {
            let parent = parent.to_vec();
            self.tell_buckets(ctx, node, &parent, list.buckets.clone(), false);
        }
        self.want_more(ctx, node);
    }

    /// Records came, or time passed: asks for the next ones that are lacking and that nobody else was asked for.
    pub(super) fn want_more(&mut self, ctx: &mut Context, node: NodeId) {
        let Some(peer) = self.connected.get_mut(&node) else { return };
        let waits = !peer.wanted.is_empty() && ctx.now.since(peer.wanted_at) < PATIENCE;
        if waits || peer.unverified > 0 {
            return;
        }
        for name in std::mem::take(&mut peer.wanted) {
            if self.under_way.get(&name).is_some_and(|(asked, _)| *asked == node) {
                self.under_way.remove(&name);
            }
        }
        let is_recent = |at: Timestamp| ctx.now.since(at) < ASK_OTHERS;
        let mut names: Vec<RecordName> = Vec::new();
        peer.lacking.retain(|name, listed| {
            let asked = self.under_way.get(name).is_some_and(|(asked, at)| *asked != node && is_recent(*at));
            let is_lacking = self.book.lacks(listed);
            let ask = is_lacking && !asked && names.len() < WANTED_MAX;
            if ask {
                names.push(*name);
            }
            is_lacking && !ask
        });
        if !names.is_empty() {
            peer.keep_evening(ctx.now);
            (peer.wanted_at, peer.evening) = (ctx.now, true);
            peer.wanted.extend(&names);
            self.under_way.extend(names.iter().map(|name| (*name, (node, ctx.now))));
            self.say(ctx, node, Message::RecordsWanted(RecordsWanted { names, extensions: Extensions::default() }));
            return;
        }
        peer.evening_until = Timestamp::ZERO;
        if !peer.lacking.is_empty() {
            // Others were asked for all of it.
            self.ask_others_at.get_or_insert(ctx.now.after(ASK_OTHERS));
            return;
        }
        // An empty map keeps its last node.
        peer.lacking = BTreeMap::new();
        if std::mem::take(&mut peer.evening) && std::mem::take(&mut peer.had_news) {
            self.send_summary(ctx, node);
        }
    }

    /// What did not come is asked of others who have it.
    pub(super) fn want_from_all(&mut self, ctx: &mut Context) {
        self.ask_others_at = None;
        let unfinished = |peer: &Connected| peer.evening || !peer.lacking.is_empty();
        let nodes: Vec<NodeId> =
            self.connected.iter().filter(|(_, peer)| unfinished(peer)).map(|(node, _)| *node).collect();
        nodes.into_iter().for_each(|node| self.want_more(ctx, node));
    }
}

impl Connected {
    /// The evening out goes on.
    pub(super) fn keep_evening(&mut self, now: Timestamp) {
        self.evening_until = now.after(EVENING_SILENCE);
    }
}

/// Lists in the making: whole buckets as long as they fit, a bucket too large for one list in several.
#[derive(Debug, Default)]
struct Lists {
    parent: Vec<u8>,
    answer: bool,
    buckets: Vec<u8>,
    listed: Vec<Listed>,
    done: Vec<RecordList>,
}

impl Lists {
    fn add(&mut self, bucket: u8, mut listed: Vec<Listed>) {
        if self.listed.len() + listed.len() > RECORD_NAMES_PER_MESSAGE_MAX {
            self.finish();
        }
        while listed.len() > RECORD_NAMES_PER_MESSAGE_MAX {
            let rest = listed.split_off(RECORD_NAMES_PER_MESSAGE_MAX);
            // Only the last part asks for an answer.
            self.done.push(RecordList::new(&self.parent, vec![bucket], &listed, false));
            listed = rest;
        }
        self.buckets.push(bucket);
        self.listed.extend(listed);
    }

    fn finish(&mut self) {
        let buckets = std::mem::take(&mut self.buckets);
        if !buckets.is_empty() {
            let listed = std::mem::take(&mut self.listed);
            self.done.push(RecordList::new(&self.parent, buckets, &listed, self.answer));
        }
    }
}

fn differing(own: &[u64], theirs: &[u64]) -> Vec<u8> {
    let pairs = own.iter().zip(theirs).enumerate();
    pairs.filter(|(_, (own, theirs))| own != theirs).filter_map(|(index, _)| u8::try_from(index).ok()).collect()
}

#[cfg(test)]
mod tests {
    use mesh_proto::record::RecordKind;

    use super::*;

    fn names(count: usize) -> Vec<Listed> {
        let name = |index: usize| {
            let mut subject = [0; 32];
            subject[..8].copy_from_slice(&(index as u64).to_be_bytes());
            RecordName { kind: RecordKind::Catalogue, signer: [1; 32], subject }
        };
        (0..count).map(|index| Listed { name: name(index), version: 1, hash: Some(1) }).collect()
    }

    #[test]
    fn a_bucket_that_can_t_be_split_is_listed_in_parts() {
        let mut lists = Lists { parent: vec![1, 2, 3, 4], answer: true, ..Lists::default() };
        lists.add(7, names(10));
        lists.add(8, names(2 * RECORD_NAMES_PER_MESSAGE_MAX + 1));
        lists.add(9, names(10));
        lists.finish();
        let said: Vec<_> =
            lists.done.iter().map(|list| (list.buckets.clone(), list.known.len(), list.answer)).collect();
        let full = RECORD_NAMES_PER_MESSAGE_MAX;
        assert_eq!(said, [(vec![7], 10, true), (vec![8], full, false), (vec![8], full, false), (vec![8, 9], 11, true)]);
    }
}
