//! The set of verified records. Of two with one name the higher version wins, then the greater body.

use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::limits::{
    CATALOGUE_ENTRIES_MAX, CATALOGUE_ENTRIES_PER_PUBLISHER_MAX, NODES_KNOWN_MAX, SUMMARY_BUCKETS,
};
use mesh_proto::record::{CatalogueEntry, NodeRecord, Record, RecordKind, RecordName, Signed, Subject};
use mesh_proto::{ContentId, NodeId};

/// Certificates, memberships, revocations and versions kept in all.
const OTHERS_MAX: usize = 16_384;

/// A limit is reached; the record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A record and its decoded body.
#[derive(Debug, Clone)]
pub struct Known {
    /// As it travels.
    pub signed: Signed,
    /// Decoded.
    pub record: Record,
}

/// The records. See the module.
#[derive(Debug, Default)]
pub struct Book {
    records: BTreeMap<RecordName, Known>,
    by_content: BTreeMap<ContentId, BTreeSet<NodeId>>,
    per_publisher: BTreeMap<[u8; 32], usize>,
    counts: BTreeMap<RecordKind, usize>,
    buckets: Vec<u64>,
}

fn hash(signed: &Signed) -> u64 {
    let bytes = [signed.signer.as_slice(), &signed.body].concat();
    let digest = blake3::hash(&bytes);
    let head = digest.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(head)
}

/// The bucket a record's name falls into.
#[must_use]
pub fn bucket(name: &RecordName) -> usize {
    let digest = blake3::hash(&mesh_proto::codec::encode(name));
    usize::from(digest.as_bytes()[0]) % SUMMARY_BUCKETS
}

impl Book {
    /// Takes a verified record. Says whether it was news.
    ///
    /// # Errors
    /// [`Full`] at a limit.
    pub fn put(&mut self, signed: Signed, record: Record) -> Result<bool, Full> {
        let name = record.name(signed.signer);
        let known = self.records.get(&name);
        let is_news =
            known.is_none_or(|known| (record.version(), &signed.body) > (known.record.version(), &known.signed.body));
        if !is_news {
            return Ok(false);
        }
        let old_hash = known.map(|known| hash(&known.signed));
        if old_hash.is_none() {
            self.make_room(&name)?;
        }
        self.buckets.resize(SUMMARY_BUCKETS, 0);
        let sum = &mut self.buckets[bucket(&name)];
        *sum = sum.wrapping_sub(old_hash.unwrap_or(0)).wrapping_add(hash(&signed));
        self.index(&record, signed.signer);
        self.records.insert(name, Known { signed, record });
        Ok(true)
    }

    fn make_room(&mut self, name: &RecordName) -> Result<(), Full> {
        let max = match name.kind {
            RecordKind::Node => NODES_KNOWN_MAX,
            RecordKind::Catalogue => CATALOGUE_ENTRIES_MAX,
            _ => OTHERS_MAX,
        };
        let count = self.counts.entry(name.kind).or_default();
        if *count >= max {
            return Err(Full);
        }
        if name.kind == RecordKind::Catalogue {
            let mine = self.per_publisher.entry(name.signer).or_default();
            if *mine >= CATALOGUE_ENTRIES_PER_PUBLISHER_MAX {
                return Err(Full);
            }
            *mine += 1;
        }
        *count += 1;
        Ok(())
    }

    fn index(&mut self, record: &Record, signer: [u8; 32]) {
        if let Record::Catalogue(CatalogueEntry { subject: Subject::Content(content), withdrawn, .. }) = record {
            let publishers = self.by_content.entry(*content).or_default();
            match withdrawn {
                true => publishers.remove(&NodeId(signer)),
                false => publishers.insert(NodeId(signer)),
            };
            if publishers.is_empty() {
                self.by_content.remove(content);
            }
        }
    }

    /// One record.
    #[must_use]
    pub fn find(&self, name: &RecordName) -> Option<&Known> {
        self.records.get(name)
    }

    /// A node's own record.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&NodeRecord> {
        let name = RecordName { kind: RecordKind::Node, signer: node.0, subject: node.0 };
        match &self.records.get(&name)?.record {
            Record::Node(record) => Some(record),
            _ => None,
        }
    }

    /// Nodes known by record.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.of_kind(RecordKind::Node).map(|known| NodeId(known.signed.signer))
    }

    /// All records of a kind.
    pub fn of_kind(&self, kind: RecordKind) -> impl Iterator<Item = &Known> {
        let first = RecordName { kind, signer: [0; 32], subject: [0; 32] };
        let last = RecordName { kind, signer: [255; 32], subject: [255; 32] };
        self.records.range(first..=last).map(|(_, known)| known)
    }

    /// Who lists a content.
    pub fn publishers(&self, content: ContentId) -> impl Iterator<Item = NodeId> + '_ {
        self.by_content.get(&content).into_iter().flatten().copied()
    }

    /// One sum of hashes a bucket.
    #[must_use]
    pub fn summary(&self) -> Vec<u64> {
        let mut buckets = self.buckets.clone();
        buckets.resize(SUMMARY_BUCKETS, 0);
        buckets
    }

    /// Names and versions in the given buckets.
    pub fn in_buckets<'a>(&'a self, buckets: &'a BTreeSet<u8>) -> impl Iterator<Item = (RecordName, u64)> + 'a {
        self.records
            .iter()
            .filter(|(name, _)| u8::try_from(bucket(name)).is_ok_and(|bucket| buckets.contains(&bucket)))
            .map(|(name, known)| (*name, known.record.version()))
    }
}
