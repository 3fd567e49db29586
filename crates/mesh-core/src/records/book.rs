//! The set of verified records. Of two with one name the higher version wins, then the greater body.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::limits::{
    CATALOGUE_ENTRIES_MAX, CATALOGUE_ENTRIES_PER_PUBLISHER_MAX, NODES_KNOWN_MAX, SUMMARY_BUCKETS, SUMMARY_LEVELS_MAX,
    VOUCHERS_PER_KIND_MAX,
};
use mesh_proto::record::{CatalogueEntry, NodeRecord, Record, RecordKind, RecordName, Subject};
use mesh_proto::record_list::Listed;
use mesh_proto::shared_record::{LEVEL_BITS, Outline, PLACE_BITS, place};
use mesh_proto::{ContentId, NodeId, SharedRecord};

/// How many records of a kind are kept.
const fn limit(kind: RecordKind) -> usize {
    match kind {
        RecordKind::Node => NODES_KNOWN_MAX,
        RecordKind::Catalogue => CATALOGUE_ENTRIES_MAX,
        _ => VOUCHERS_PER_KIND_MAX,
    }
}

/// A limit is reached; the record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A record in the order of names.
#[derive(Debug, Clone)]
struct ByName(SharedRecord);

/// A record in the order of places, so that each bucket is a range.
#[derive(Debug, Clone)]
struct ByPlace(SharedRecord);

fn outline(record: &SharedRecord) -> &Outline {
    record.outline().expect("only well-formed records are in the book")
}

impl Borrow<RecordName> for ByName {
    fn borrow(&self) -> &RecordName {
        outline(&self.0).name()
    }
}

impl Borrow<(u64, RecordName)> for ByPlace {
    fn borrow(&self) -> &(u64, RecordName) {
        &outline(&self.0).seat
    }
}

macro_rules! ordered_by {
    ($type:ty, $key:ty) => {
        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                Borrow::<$key>::borrow(self).cmp(other.borrow())
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $type {}
    };
}

ordered_by!(ByName, RecordName);
ordered_by!(ByPlace, (u64, RecordName));

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
///
/// Each is kept as it travels and shared with all who hold it; what it says is decoded when somebody asks.
#[derive(Debug, Default)]
pub struct Book {
    by_name: BTreeSet<ByName>,
    by_place: BTreeSet<ByPlace>,
    by_content: BTreeMap<ContentId, BTreeSet<NodeId>>,
    /// Who vouched for whom: kind, subject, signer.
    vouchers: BTreeSet<(RecordKind, [u8; 32], [u8; 32])>,
    per_publisher: BTreeMap<[u8; 32], usize>,
    counts: BTreeMap<RecordKind, usize>,
    buckets: Vec<u64>,
}

/// The content that a record lists.
fn listed_content(record: &SharedRecord) -> Option<ContentId> {
    if record.kind != RecordKind::Catalogue {
        return None;
    }
    match record.record() {
        Ok(Record::Catalogue(CatalogueEntry { subject: Subject::Content(content), withdrawn: false, .. })) => {
            Some(content)
        }
        _ => None,
    }
}

/// The first and the last name of a kind.
fn bounds(kind: RecordKind) -> [RecordName; 2] {
    [0, 255].map(|byte| RecordName { kind, signer: [byte; 32], subject: [byte; 32] })
}

/// One fewer of something that is counted.
fn less_one<Key: Ord>(counts: &mut BTreeMap<Key, usize>, key: Key) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        match *count.get() {
            0 | 1 => _ = count.remove(),
            _ => *count.get_mut() -= 1,
        }
    }
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
    /// Takes a verified record. Says whether it was news. A malformed one never is.
    ///
    /// # Errors
    /// [`Full`] at a limit.
    pub fn put(&mut self, record: SharedRecord) -> Result<bool, Full> {
        let Some(Outline { seat: (_, name), version, .. }) = record.outline() else { return Ok(false) };
        let beats = |known: &SharedRecord| (*version, &record.body) > (outline(known).version, &known.body);
        if !self.find(name).is_none_or(beats) {
            return Ok(false);
        }
        self.replace(record).map(|()| true)
    }

    /// Puts a well-formed record in the place of whatever has its name.
    pub(super) fn replace(&mut self, record: SharedRecord) -> Result<(), Full> {
        let Outline { seat: (place, name), hash, .. } = *outline(&record);
        let known = self.find(&name).cloned();
        if known.is_none() {
            self.make_room(&name)?;
        }
        self.buckets.resize(SUMMARY_BUCKETS, 0);
        let sum = &mut self.buckets[bucket_at(place, 0)];
        *sum = sum.wrapping_sub(known.as_ref().map_or(0, |known| outline(known).hash)).wrapping_add(hash);
        self.index(known.as_ref(), &record);
        self.by_place.replace(ByPlace(record.clone()));
        self.by_name.replace(ByName(record));
        Ok(())
    }

    fn make_room(&mut self, name: &RecordName) -> Result<(), Full> {
        if self.is_full(name.kind) {
            return Err(Full);
        }
        if name.kind == RecordKind::Catalogue {
            let mine = self.per_publisher.entry(name.signer).or_default();
            if *mine >= CATALOGUE_ENTRIES_PER_PUBLISHER_MAX {
                return Err(Full);
            }
            *mine += 1;
        }
        *self.counts.entry(name.kind).or_default() += 1;
        Ok(())
    }

    /// Whether there are as many records of a kind as are kept.
    #[must_use]
    pub fn is_full(&self, kind: RecordKind) -> bool {
        self.counts.get(&kind).is_some_and(|count| *count >= limit(kind))
    }

    /// Whether a record by this name would be one more, and its signer may have one more.
    #[must_use]
    pub fn may_add(&self, name: &RecordName) -> bool {
        let entries = self.per_publisher.get(&name.signer).copied().unwrap_or(0);
        let is_within = name.kind != RecordKind::Catalogue || entries < CATALOGUE_ENTRIES_PER_PUBLISHER_MAX;
        is_within && self.find(name).is_none()
    }

    /// All of a name's kind, in the order of names from its own place on, round.
    pub fn all_from(&self, name: &RecordName) -> impl Iterator<Item = &RecordName> {
        let [first, last] = bounds(name.kind);
        let round = self.by_name.range(*name..=last).chain(self.by_name.range(first..*name));
        round.map(|known| outline(&known.0).name())
    }

    /// Forgets a record.
    pub(super) fn remove(&mut self, name: &RecordName) {
        let Some(ByName(record)) = self.by_name.take(name) else { return };
        let Outline { seat, hash, .. } = outline(&record);
        self.by_place.remove(seat);
        let sum = &mut self.buckets[bucket_at(seat.0, 0)];
        *sum = sum.wrapping_sub(*hash);
        less_one(&mut self.counts, name.kind);
        if name.kind == RecordKind::Catalogue {
            less_one(&mut self.per_publisher, name.signer);
        }
        self.unlist(&record);
        self.vouchers.remove(&(name.kind, name.subject, name.signer));
    }

    /// Keeps who lists which content and who vouched for whom in step with a record that takes the place of another.
    fn index(&mut self, old: Option<&SharedRecord>, new: &SharedRecord) {
        if let Some(old) = old {
            self.unlist(old);
        }
        if let Some(content) = listed_content(new) {
            self.by_content.entry(content).or_default().insert(NodeId(new.signer));
        }
        let RecordName { kind, signer, subject } = *outline(new).name();
        if matches!(kind, RecordKind::NodeCertificate | RecordKind::Membership) {
            self.vouchers.insert((kind, subject, signer));
        }
    }

    /// What a record listed is no longer listed by its signer.
    fn unlist(&mut self, record: &SharedRecord) {
        if let Some(content) = listed_content(record)
            && let Some(publishers) = self.by_content.get_mut(&content)
        {
            publishers.remove(&NodeId(record.signer));
            if publishers.is_empty() {
                self.by_content.remove(&content);
            }
        }
    }

    /// One record.
    #[must_use]
    pub fn find(&self, name: &RecordName) -> Option<&SharedRecord> {
        self.by_name.get(name).map(|known| &known.0)
    }

    /// The version of a record.
    #[must_use]
    pub fn version(&self, name: &RecordName) -> Option<u64> {
        self.find(name).map(|known| outline(known).version)
    }

    /// A node's own record.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<NodeRecord> {
        let name = RecordName { kind: RecordKind::Node, signer: node.0, subject: node.0 };
        match self.find(&name)?.record() {
            Ok(Record::Node(record)) => Some(record),
            _ => None,
        }
    }

    /// Nodes known by record.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.of_kind(RecordKind::Node).map(|known| NodeId(known.signer))
    }

    /// All records of a kind.
    pub fn of_kind(&self, kind: RecordKind) -> impl Iterator<Item = &SharedRecord> {
        let [first, last] = bounds(kind);
        self.by_name.range(first..=last).map(|known| &known.0)
    }

    /// Whom a key signed records of this kind for.
    pub fn vouched_for(&self, kind: RecordKind, signer: [u8; 32]) -> impl Iterator<Item = [u8; 32]> + '_ {
        let [first, last] = [0, 255].map(|byte| RecordName { kind, signer, subject: [byte; 32] });
        self.by_name.range(first..=last).map(|known| outline(&known.0).name().subject)
    }

    /// Who signed records of this kind for a subject: node certificates or memberships.
    pub fn vouchers(&self, kind: RecordKind, subject: [u8; 32]) -> impl Iterator<Item = [u8; 32]> + '_ {
        let all = (kind, subject, [0; 32])..=(kind, subject, [255; 32]);
        self.vouchers.range(all).map(|(_, _, signer)| *signer)
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

    fn range(&self, path: &[u8]) -> impl Iterator<Item = &Outline> {
        let below = PLACE_BITS - LEVEL_BITS * path.len().min(SUMMARY_LEVELS_MAX);
        let first = path.iter().fold(0, |place, bucket| (place << LEVEL_BITS) | u64::from(*bucket)) << below;
        let least = RecordName { kind: RecordKind::Node, signer: [0; 32], subject: [0; 32] };
        self.by_place.range((first, least)..(first + (1 << below), least)).map(|known| outline(&known.0))
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
        for known in self.range(path) {
            let sum = &mut sums[bucket_at(known.seat.0, path.len())];
            *sum = sum.wrapping_add(known.hash);
        }
        sums
    }

    /// The records in a bucket, as they are listed.
    pub fn list(&self, path: &[u8]) -> impl Iterator<Item = Listed> {
        self.range(path).map(Outline::listed)
    }

    /// How a record that somebody lists stands to what is here.
    #[must_use]
    pub fn standing(&self, listed: &Listed) -> Standing {
        let Some(known) = self.find(&listed.name).map(outline) else { return Standing::Lacking };
        let differs = listed.hash.is_some_and(|hash| Some(hash) != known.listed().hash);
        match listed.version.cmp(&known.version) {
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

#[cfg(test)]
mod tests {
    use mesh_proto::extensions::Extensions;
    use mesh_proto::record::{Access, ContentKind, Membership, NodeCertificate, Revocation, Signed};
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

    fn shared(signer: u8, record: &Record) -> SharedRecord {
        let (kind, body) = (record.kind(), record.encode_body());
        Signed { kind, signer: [signer; 32], body, signature: [[0; 32]; 2] }.into()
    }

    fn any_record() -> impl Strategy<Value = SharedRecord> {
        (0..5_u8, 0..3_u8, 0..3_u8, 1..4_u64, 0..4_u8).prop_map(|(kind, signer, subject, version, variant)| {
            shared(signer, &one(kind, signer, subject, version, variant))
        })
    }

    /// All that can be asked of a book.
    fn state(book: &Book) -> impl PartialEq + std::fmt::Debug {
        let records: Vec<SharedRecord> = book.by_name.iter().map(|known| known.0.clone()).collect();
        let placed: BTreeSet<SharedRecord> = book.by_place.iter().map(|known| known.0.clone()).collect();
        assert_eq!(placed, records.iter().cloned().collect(), "both orders hold the same");
        let publishers: Vec<Vec<NodeId>> =
            (0..3).map(|content| book.publishers(ContentId([content; 32])).collect()).collect();
        let sums: Vec<Vec<u64>> = (0..64).map(|bucket| book.sums(&[bucket])).collect();
        (records, publishers, book.by_content.clone(), book.vouchers.clone(), book.summary(), sums)
    }

    #[test]
    fn an_entry_for_a_line_takes_the_place_of_one_for_a_content() {
        let mut book = Book::default();
        for (version, variant) in [(1, 2), (2, 0)] {
            let record = one(1, 7, 1, version, variant);
            assert_eq!(book.put(shared(7, &record)), Ok(true));
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
            for record in records {
                book.put(record).expect("there is room");
            }
            for record in mixed {
                other.put(record).expect("there is room");
            }
            prop_assert_eq!(state(&book), state(&other));
        }

        #[test]
        fn a_record_forgotten_leaves_nothing_behind(records in vec(any_record(), 1..40), which in 0..40_usize) {
            let (mut book, mut other) = (Book::default(), Book::default());
            let gone = *outline(&records[which % records.len()]).name();
            for record in records {
                if *outline(&record).name() != gone {
                    other.put(record.clone()).expect("there is room");
                }
                book.put(record).expect("there is room");
            }
            book.remove(&gone);
            prop_assert_eq!(state(&book), state(&other));
            prop_assert_eq!((&book.counts, &book.per_publisher), (&other.counts, &other.per_publisher));
        }

        #[test]
        fn the_sums_of_a_bucket_s_parts_make_its_own(records in vec(any_record(), 1..40)) {
            let mut book = Book::default();
            for record in records {
                book.put(record).expect("there is room");
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
