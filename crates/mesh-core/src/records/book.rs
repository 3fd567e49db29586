//! The set of verified records. Of two with one name the higher version wins, then the greater body.

use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::limits::{
    CATALOGUE_ENTRIES_MAX, CATALOGUE_ENTRIES_PER_PUBLISHER_MAX, NODES_KNOWN_MAX, SUMMARY_BUCKETS, SUMMARY_LEVELS_MAX,
};
use mesh_proto::record::{CatalogueEntry, NodeRecord, Record, RecordKind, RecordName, Signed, Subject};
use mesh_proto::record_list::Listed;
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
    /// Of signer and body.
    hash: u64,
}

/// The records. See the module.
#[derive(Debug, Default)]
pub struct Book {
    records: BTreeMap<RecordName, Known>,
    /// The same names in the order of their places, so that each bucket is a range.
    places: BTreeSet<(u64, RecordName)>,
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

/// Bits of a place that tell the buckets of one level apart.
const LEVEL_BITS: usize = 6;
/// Bits of a place: those of all levels.
const PLACE_BITS: usize = LEVEL_BITS * SUMMARY_LEVELS_MAX;

const _: () = assert!(SUMMARY_BUCKETS == 1 << LEVEL_BITS && PLACE_BITS < 64);

/// Where a name stands: the numbers of its buckets, from the top level down.
fn place(name: &RecordName) -> u64 {
    let digest = blake3::hash(&mesh_proto::codec::encode(name));
    let levels = digest.as_bytes().iter().take(SUMMARY_LEVELS_MAX);
    levels.fold(0, |place, byte| (place << LEVEL_BITS) | (u64::from(*byte) % SUMMARY_BUCKETS as u64))
}

/// Which of the buckets below `level` levels a place is in.
fn bucket_at(place: u64, level: usize) -> usize {
    (place >> (PLACE_BITS - LEVEL_BITS * (level + 1))) as usize % SUMMARY_BUCKETS
}

/// The top level's bucket a record's name falls into.
#[must_use]
pub fn bucket(name: &RecordName) -> usize {
    bucket_at(place(name), 0)
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
        let old_hash = known.map(|known| known.hash);
        if old_hash.is_none() {
            self.make_room(&name)?;
        }
        let (place, hash) = (place(&name), hash(&signed));
        self.buckets.resize(SUMMARY_BUCKETS, 0);
        let sum = &mut self.buckets[bucket_at(place, 0)];
        *sum = sum.wrapping_sub(old_hash.unwrap_or(0)).wrapping_add(hash);
        self.places.insert((place, name));
        self.index(&record, signed.signer);
        self.records.insert(name, Known { signed, record, hash });
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

    fn range(&self, path: &[u8]) -> impl Iterator<Item = &(u64, RecordName)> {
        let below = PLACE_BITS - LEVEL_BITS * path.len().min(SUMMARY_LEVELS_MAX);
        let first = path.iter().fold(0, |place, bucket| (place << LEVEL_BITS) | u64::from(*bucket)) << below;
        let least = RecordName { kind: RecordKind::Node, signer: [0; 32], subject: [0; 32] };
        self.places.range((first, least)..(first + (1 << below), least))
    }

    /// How many records a bucket holds; counts no further than `most`.
    #[must_use]
    pub fn count(&self, path: &[u8], most: usize) -> usize {
        self.range(path).take(most).count()
    }

    /// One sum of hashes for each part of a bucket.
    #[must_use]
    pub fn sums(&self, path: &[u8]) -> Vec<u64> {
        let mut sums = vec![0_u64; SUMMARY_BUCKETS];
        for (place, name) in self.range(path) {
            let sum = &mut sums[bucket_at(*place, path.len())];
            *sum = sum.wrapping_add(self.records.get(name).map_or(0, |known| known.hash));
        }
        sums
    }

    /// The records in a bucket, as they are listed.
    pub fn list(&self, path: &[u8]) -> impl Iterator<Item = Listed> {
        self.range(path).filter_map(|(_, name)| self.records.get(name)).map(Known::listed)
    }

    /// Whether a record that somebody lists should be asked for.
    #[must_use]
    pub fn lacks(&self, listed: &Listed) -> bool {
        let Some(known) = self.records.get(&listed.name) else { return true };
        let version = known.record.version();
        let differs = listed.hash.is_some_and(|hash| Some(hash) != known.listed().hash);
        version < listed.version || (version == listed.version && differs)
    }
}

impl Known {
    fn listed(&self) -> Listed {
        Listed {
            name: self.record.name(self.signed.signer),
            version: self.record.version(),
            hash: Some(self.hash as u32),
        }
    }
}
