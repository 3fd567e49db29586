//! The set of verified records. Of two with one name the higher version wins, then the greater body.

use std::cmp::Ordering;
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

/// How a record that somebody lists stands to what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not here, or an older one, or another of the same version.
    Lacking,
    /// It is here.
    Same,
    /// A newer one is here.
    Beaten,
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

/// The content that a record lists.
fn listed_content(record: &Record) -> Option<ContentId> {
    match record {
        Record::Catalogue(CatalogueEntry { subject: Subject::Content(content), withdrawn: false, .. }) => {
            Some(*content)
        }
        _ => None,
    }
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
        let signer = signed.signer;
        let old = self.records.insert(name, Known { signed, record: record.clone(), hash });
        self.index(old.as_ref().map(|old| &old.record), &record, signer);
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

    /// Keeps who lists which content in step with a record that takes the place of another.
    fn index(&mut self, old: Option<&Record>, new: &Record, signer: [u8; 32]) {
        let publisher = NodeId(signer);
        if let Some(content) = old.and_then(listed_content)
            && let Some(publishers) = self.by_content.get_mut(&content)
        {
            publishers.remove(&publisher);
            if publishers.is_empty() {
                self.by_content.remove(&content);
            }
        }
        if let Some(content) = listed_content(new) {
            self.by_content.entry(content).or_default().insert(publisher);
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

    /// How a record that somebody lists stands to what is here.
    #[must_use]
    pub fn standing(&self, listed: &Listed) -> Standing {
        let Some(known) = self.records.get(&listed.name) else { return Standing::Lacking };
        let differs = listed.hash.is_some_and(|hash| Some(hash) != known.listed().hash);
        match listed.version.cmp(&known.record.version()) {
            Ordering::Greater => Standing::Lacking,
            Ordering::Equal if differs => Standing::Lacking,
            Ordering::Equal => Standing::Same,
            Ordering::Less => Standing::Beaten,
        }
    }

    /// Whether a record that somebody lists should be asked for.
    #[must_use]
    pub fn lacks(&self, listed: &Listed) -> bool {
        self.standing(listed) == Standing::Lacking
    }

    /// How many nodes are known by record.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.counts.get(&RecordKind::Node).copied().unwrap_or(0)
    }
}

impl Known {
    /// As it is listed.
    #[must_use]
    pub fn listed(&self) -> Listed {
        Listed {
            name: self.record.name(self.signed.signer),
            version: self.record.version(),
            hash: Some(self.hash as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::extensions::Extensions;
    use mesh_proto::record::{Access, ContentKind, Membership, NodeCertificate, Revocation};
    use mesh_proto::{CommunityId, LineId, MemberId, UnixMs};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn one(kind: u8, signer: u8, subject: u8, version: u64, variant: u8) -> Record {
        let (key, other) = ([signer; 32], [subject; 32]);
        let name = format!("name {variant}");
        let extensions = Extensions::default();
        let issued = UnixMs(u64::from(variant));
        match kind {
            0 => Record::Node(NodeRecord {
                node: NodeId(key),
                version,
                addresses: Vec::new(),
                name,
                agent: String::new(),
                written: issued,
                extensions,
            }),
            1 => Record::Catalogue(CatalogueEntry {
                subject: match variant {
                    0 => Subject::Line(LineId(other)),
                    _ => Subject::Content(ContentId(other)),
                },
                version,
                withdrawn: variant == 1,
                name,
                size_bytes: 1,
                kind: ContentKind::File,
                tags: Vec::new(),
                access: Access::Public,
                priority: 0,
                replicas_wanted: 0,
                expires: UnixMs(0),
                extensions,
            }),
            2 => Record::NodeCertificate(NodeCertificate {
                member: MemberId(key),
                node: NodeId(other),
                version,
                member_name: name,
                issued,
                expires: UnixMs(0),
                extensions,
            }),
            3 => Record::Membership(Membership {
                community: CommunityId(key),
                community_name: name,
                member: MemberId(other),
                version,
                issued,
                expires: UnixMs(0),
                extensions,
            }),
            _ => Record::Revocation(Revocation { subject: other, issued, reason: name, extensions }),
        }
    }

    fn any_record() -> impl Strategy<Value = (Signed, Record)> {
        (0..5_u8, 0..3_u8, 0..3_u8, 1..4_u64, 0..4_u8).prop_map(|(kind, signer, subject, version, variant)| {
            let record = one(kind, signer, subject, version, variant);
            let (kind, body) = (record.kind(), record.encode_body());
            (Signed { kind, signer: [signer; 32], body, signature: [[0; 32]; 2] }, record)
        })
    }

    /// All that can be asked of a book.
    fn state(book: &Book) -> impl PartialEq + std::fmt::Debug {
        let records: Vec<Signed> = book.records.values().map(|known| known.signed.clone()).collect();
        let publishers: Vec<Vec<NodeId>> =
            (0..3).map(|content| book.publishers(ContentId([content; 32])).collect()).collect();
        let sums: Vec<Vec<u64>> = (0..64).map(|bucket| book.sums(&[bucket])).collect();
        (records, publishers, book.by_content.clone(), book.summary(), sums)
    }

    #[test]
    fn an_entry_for_a_line_takes_the_place_of_one_for_a_content() {
        let mut book = Book::default();
        for (version, variant) in [(1, 2), (2, 0)] {
            let record = one(1, 7, 1, version, variant);
            let body = record.encode_body();
            let signed = Signed { kind: record.kind(), signer: [7; 32], body, signature: [[0; 32]; 2] };
            assert_eq!(book.put(signed, record), Ok(true));
            let listed = book.publishers(ContentId([1; 32])).next().is_some();
            assert_eq!(listed, variant == 2, "a name is its subject's bytes, whatever sort of subject it is");
        }
    }

    proptest! {
        #[test]
        fn any_order_of_the_same_records_ends_in_the_same_book(
            (records, mixed) in vec(any_record(), 1..40).prop_flat_map(|records| {
                // Some arrive twice.
                let twice: Vec<_> = records.iter().chain(records.iter().take(10)).cloned().collect();
                (Just(records), Just(twice).prop_shuffle())
            })
        ) {
            let (mut book, mut other) = (Book::default(), Book::default());
            for (signed, record) in records {
                book.put(signed, record).expect("there is room");
            }
            for (signed, record) in mixed {
                other.put(signed, record).expect("there is room");
            }
            prop_assert_eq!(state(&book), state(&other));
        }

        #[test]
        fn the_sums_of_a_bucket_s_parts_make_its_own(records in vec(any_record(), 1..40)) {
            let mut book = Book::default();
            for (signed, record) in records {
                book.put(signed, record).expect("there is room");
            }
            let summary = book.summary();
            for bucket in 0..64_u8 {
                let parts = book.sums(&[bucket]).into_iter().fold(0_u64, u64::wrapping_add);
                prop_assert_eq!(parts, summary[usize::from(bucket)]);
                let listed = book.list(&[bucket]).count();
                prop_assert_eq!(book.count(&[bucket], usize::MAX), listed);
            }
            prop_assert_eq!(book.sums(&[]), summary);
        }
    }
}
