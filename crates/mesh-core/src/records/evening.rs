//! Evening out: two nodes find where their sets of records differ, and each asks for what it lacks.
//!
//! Summaries are compared bucket by bucket. A bucket that differs is listed if it is small, else split and compared part
//! by part, so that little is said about much that is equal. Everything goes in small steps, so that no queue fills: a few
//! buckets at a time beginning at a random one, a few hundred records asked for at a time. When all of those came and
//! some were news, the two compare again, until nothing is news.

use std::time::Duration;

use mesh_proto::NodeId;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{RECORD_NAMES_PER_MESSAGE_MAX, SUMMARY_LEVELS_MAX};
use mesh_proto::message::{Message, RecordList, RecordsWanted, Split, Summary};
use mesh_proto::record::RecordName;
use mesh_proto::record_list::Listed;

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

const _: () = assert!(LISTED_MAX <= RECORD_NAMES_PER_MESSAGE_MAX && WANTED_MAX * 2 <= UNVERIFIED_MAX);

impl Records {
    pub(super) fn send_summary(&mut self, ctx: &mut Context, node: NodeId) {
        let buckets = self.book.summary();
        ctx.send(node, Message::Summary(Summary { buckets, extensions: Extensions::default() }));
    }

    pub(super) fn on_summary(&mut self, ctx: &mut Context, node: NodeId, summary: &Summary) {
        let differing = differing(&self.book.summary(), &summary.buckets);
        self.tell_buckets(ctx, node, &[], differing, true);
    }

    pub(super) fn on_split(&mut self, ctx: &mut Context, node: NodeId, split: &Split) {
        let differing = differing(&self.book.sums(&split.path), &split.sums);
        self.tell_buckets(ctx, node, &split.path, differing, true);
    }

    /// Says what is in some buckets, all parts of `parent`: names, or sums of their parts where there are too many.
    fn tell_buckets(&mut self, ctx: &mut Context, node: NodeId, parent: &[u8], mut buckets: Vec<u8>, answer: bool) {
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
                    ctx.send(node, Message::Split(Split { path, sums, extensions: Extensions::default() }));
                }
            } else if lists.done.len() < LISTS_MAX {
                lists.add(bucket, self.book.list(&path).collect());
            }
        }
        lists.finish();
        lists.done.into_iter().for_each(|list| ctx.send(node, Message::RecordList(list)));
    }

    pub(super) fn on_list(&mut self, ctx: &mut Context, node: NodeId, list: &RecordList) {
        let Some(peer) = self.connected.get_mut(&node) else { return };
        for listed in list.listed().filter(|listed| self.book.lacks(listed)) {
            if peer.lacking.len() < LACKING_MAX {
                peer.lacking.insert(listed.name, listed);
            }
        }
        if let (true, Some(parent)) = (list.answer, list.parent()) {
            let parent = parent.to_vec();
            self.tell_buckets(ctx, node, &parent, list.buckets.clone(), false);
        }
        self.want_more(ctx, node);
    }

    /// Records came, or time passed: asks for the next ones that are lacking.
    pub(super) fn want_more(&mut self, ctx: &mut Context, node: NodeId) {
        let Some(peer) = self.connected.get_mut(&node) else { return };
        let waits = peer.wanted > 0 && ctx.now.since(peer.wanted_at) < PATIENCE;
        if waits || peer.unverified > 0 {
            return;
        }
        peer.wanted = 0;
        let mut names: Vec<RecordName> = Vec::new();
        while names.len() < WANTED_MAX
            && let Some((name, listed)) = peer.lacking.pop_first()
        {
            if self.book.lacks(&listed) {
                names.push(name);
            }
        }
        if !names.is_empty() {
            (peer.wanted, peer.wanted_at, peer.evening) = (names.len(), ctx.now, true);
            ctx.send(node, Message::RecordsWanted(RecordsWanted { names, extensions: Extensions::default() }));
        } else if std::mem::take(&mut peer.evening) && std::mem::take(&mut peer.had_news) {
            self.send_summary(ctx, node);
        }
    }

    /// Peers whose answers are overdue are asked for what else is lacking.
    pub(super) fn want_from_all(&mut self, ctx: &mut Context) {
        let unfinished = |peer: &Connected| peer.evening || !peer.lacking.is_empty();
        let nodes: Vec<NodeId> =
            self.connected.iter().filter(|(_, peer)| unfinished(peer)).map(|(node, _)| *node).collect();
        nodes.into_iter().for_each(|node| self.want_more(ctx, node));
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
