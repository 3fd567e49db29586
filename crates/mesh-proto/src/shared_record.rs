//! A signed record as it is held, passed on and looked up: one copy for all who hold it, and what it says of itself read once.
//!
//! On the wire it is its [`Signed`], byte for byte. Invariant: name, version, hash and place are those of its bytes; they say
//! nothing about the signature.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::{BorrowDecode, Decode, Encode};
use serde::{Serialize, Serializer};

use crate::codec;
use crate::limits::{SUMMARY_BUCKETS, SUMMARY_LEVELS_MAX};
use crate::record::{RecordName, Signed};
use crate::record_list::Listed;

/// Bits of a place that tell the buckets of one level apart.
pub const LEVEL_BITS: usize = 6;
/// Bits of a place: those of all levels.
pub const PLACE_BITS: usize = LEVEL_BITS * SUMMARY_LEVELS_MAX;

const _: () = assert!(SUMMARY_BUCKETS == 1 << LEVEL_BITS && PLACE_BITS < 64);

/// A signed record that is cheap to clone. See the module.
#[derive(Clone)]
pub struct SharedRecord(Arc<Inner>);

struct Inner {
    signed: Signed,
    outline: Option<Outline>,
}

/// What a well-formed record says of itself, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Where it stands among all records, then its name.
    pub seat: (u64, RecordName),
    /// Of two with one name the higher wins.
    pub version: u64,
    /// Of signer and body.
    pub hash: u64,
}

/// Where a name stands: the numbers of its buckets, from the top level down.
#[must_use]
pub fn place(name: &RecordName) -> u64 {
    let digest = blake3::hash(&codec::encode(name));
    let levels = digest.as_bytes().iter().take(SUMMARY_LEVELS_MAX);
    levels.fold(0, |place, byte| (place << LEVEL_BITS) | (u64::from(*byte) % SUMMARY_BUCKETS as u64))
}

fn hash(signed: &Signed) -> u64 {
    let digest = blake3::Hasher::new().update(&signed.signer).update(&signed.body).finalize();
    let head = digest.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(head)
}

impl SharedRecord {
    /// What it says of itself; `None` if its body is malformed or speaks for another than its signer.
    #[must_use]
    pub fn outline(&self) -> Option<&Outline> {
        self.0.outline.as_ref()
    }
}

impl Outline {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &RecordName {
        &self.seat.1
    }

    /// As it is listed.
    #[must_use]
    pub fn listed(&self) -> Listed {
        Listed { name: self.seat.1, version: self.version, hash: Some(self.hash as u32) }
    }
}

impl From<Signed> for SharedRecord {
    fn from(signed: Signed) -> Self {
        let outline = signed.record().ok().map(|record| {
            let name = record.name(signed.signer);
            Outline { seat: (place(&name), name), version: record.version(), hash: hash(&signed) }
        });
        Self(Arc::new(Inner { signed, outline }))
    }
}

impl Deref for SharedRecord {
    type Target = Signed;

    fn deref(&self) -> &Signed {
        &self.0.signed
    }
}

impl std::fmt::Debug for SharedRecord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.signed.fmt(formatter)
    }
}

impl PartialEq for SharedRecord {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.signed == other.0.signed
    }
}

impl Eq for SharedRecord {}

impl PartialOrd for SharedRecord {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedRecord {
    fn cmp(&self, other: &Self) -> Ordering {
        match Arc::ptr_eq(&self.0, &other.0) {
            true => Ordering::Equal,
            false => self.0.signed.cmp(&other.0.signed),
        }
    }
}

impl Encode for SharedRecord {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.0.signed.encode(encoder)
    }
}

impl<Context> Decode<Context> for SharedRecord {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        // What a list of these claims for each of them is the pointer only.
        decoder.claim_container_read::<Inner>(1)?;
        Signed::decode(decoder).map(Self::from)
    }
}

impl<'de, Context> BorrowDecode<'de, Context> for SharedRecord {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Self::decode(decoder)
    }
}

impl Serialize for SharedRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.signed.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::Extensions;
    use crate::id::NodeId;
    use crate::record::{NodeRecord, Record, RecordKind};
    use crate::time::UnixMs;

    fn signed(node: u8, signer: u8) -> Signed {
        let record = Record::Node(NodeRecord {
            node: NodeId([node; 32]),
            version: 7,
            addresses: vec!["/ip4/10.0.0.1/tcp/4340".to_owned()],
            name: "attic".to_owned(),
            agent: String::new(),
            written: UnixMs(0),
            extensions: Extensions::default(),
        });
        let (kind, body) = (record.kind(), record.encode_body());
        Signed { kind, signer: [signer; 32], body, signature: [[3; 32], [4; 32]] }
    }

    #[test]
    fn it_travels_as_what_was_signed() {
        let signed = signed(1, 1);
        let shared = SharedRecord::from(signed.clone());
        let bytes = codec::encode(&vec![shared.clone()]);
        assert_eq!(bytes, codec::encode(&vec![signed.clone()]));
        let read = codec::decode::<Vec<SharedRecord>, 65_536>(&bytes).expect("it was just encoded");
        assert_eq!(read, [shared]);
        assert_eq!(*read[0], signed);
    }

    #[test]
    fn it_says_of_itself_what_its_bytes_say() {
        let signed = signed(1, 1);
        let shared = SharedRecord::from(signed.clone());
        let outline = shared.outline().expect("it is well formed");
        let name = RecordName { kind: RecordKind::Node, signer: [1; 32], subject: [1; 32] };
        assert_eq!((outline.name(), outline.version), (&name, 7));
        let digest = blake3::hash(&[signed.signer.as_slice(), &signed.body].concat());
        assert_eq!(outline.hash.to_le_bytes(), digest.as_bytes()[..8]);
        let levels = blake3::hash(&codec::encode(&name));
        assert_eq!(outline.seat.0 >> (PLACE_BITS - LEVEL_BITS), u64::from(levels.as_bytes()[0]) % 64);
        assert_eq!(outline.listed(), Listed { name, version: 7, hash: Some(outline.hash as u32) });
    }

    #[test]
    fn a_record_that_speaks_for_another_says_nothing() {
        assert_eq!(SharedRecord::from(signed(1, 2)).outline(), None);
        assert_eq!(SharedRecord::from(Signed { body: vec![255; 9], ..signed(1, 1) }).outline(), None);
    }

    #[test]
    fn what_it_takes_counts_against_the_limit_of_a_message() {
        let bytes = codec::encode(&vec![signed(1, 1)]);
        assert!(codec::decode::<Vec<Signed>, 300>(&bytes).is_ok());
        assert!(codec::decode::<Vec<SharedRecord>, 300>(&bytes).is_err());
        assert!(codec::decode::<Vec<SharedRecord>, 600>(&bytes).is_ok());
    }
}
