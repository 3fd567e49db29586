//! What a [`RecordList`] says in its extensions: of which bucket it lists parts, and a hash of each record, so that two
//! different records of one name and version are told apart.

use crate::extensions::{Extension, Extensions};
use crate::limits::{EXTENSION_BYTES_MAX, RECORD_NAMES_PER_MESSAGE_MAX, SUMMARY_BUCKETS, SUMMARY_LEVELS_MAX};
use crate::message::RecordList;
use crate::record::RecordName;

/// The bucket whose parts are listed: its number on each level from the top. Absent on the top level.
const PARENT: u16 = 2;
/// Four bytes for each record listed.
const HASHES: u16 = 4;

const _: () = assert!(RECORD_NAMES_PER_MESSAGE_MAX * 4 <= EXTENSION_BYTES_MAX);

/// One record in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: RecordName,
    /// Its version.
    pub version: u64,
    /// A hash of signer and body; `None` if the sender did not say.
    pub hash: Option<u32>,
}

impl RecordList {
    /// Lists records of some parts of a bucket (of the whole, if `parent` is empty).
    #[must_use]
    pub fn new(parent: &[u8], buckets: Vec<u8>, listed: &[Listed], answer: bool) -> Self {
        let mut extensions = Extensions::default();
        if !parent.is_empty() {
            extensions.0.push(Extension { number: PARENT, body: parent.to_vec() });
        }
        let hashes: Vec<u8> = listed.iter().flat_map(|one| one.hash.unwrap_or_default().to_le_bytes()).collect();
        if !hashes.is_empty() {
            extensions.0.push(Extension { number: HASHES, body: hashes });
        }
        let known = listed.iter().map(|one| (one.name, one.version)).collect();
        Self { buckets, known, answer, extensions }
    }

    /// The bucket whose parts are listed; empty for the whole, `None` if what it says is no bucket.
    #[must_use]
    pub fn parent(&self) -> Option<&[u8]> {
        let Some(parent) = self.extensions.body_of(PARENT) else { return Some(&[]) };
        let is_bucket = |bucket: &u8| usize::from(*bucket) < SUMMARY_BUCKETS;
        (parent.len() < SUMMARY_LEVELS_MAX && parent.iter().all(is_bucket)).then_some(parent)
    }

    /// The records listed.
    pub fn listed(&self) -> impl Iterator<Item = Listed> + '_ {
        let (hashes, _) = self.extensions.body_of(HASHES).unwrap_or_default().as_chunks::<4>();
        self.known.iter().enumerate().map(|(index, (name, version))| Listed {
            name: *name,
            version: *version,
            hash: hashes.get(index).map(|bytes| u32::from_le_bytes(*bytes)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Frame, Message};
    use crate::record::RecordKind;

    #[test]
    fn a_full_list_fits_a_frame_and_says_what_it_was_told() {
        let name = RecordName { kind: RecordKind::Catalogue, signer: [255; 32], subject: [255; 32] };
        let one = |index: usize| Listed { name, version: u64::MAX, hash: Some(index as u32) };
        let listed: Vec<Listed> = (0..RECORD_NAMES_PER_MESSAGE_MAX).map(one).collect();
        let list = RecordList::new(&[63; 4], (0..64).collect(), &listed, true);
        let frame = Message::RecordList(list).encode_frame();
        assert!(frame.len() <= crate::limits::CONTROL_FRAME_BYTES_MAX);
        let Ok(Frame::Known(Message::RecordList(list))) = Message::decode_frame(&frame) else { panic!("a list") };
        assert_eq!(list.parent(), Some([63; 4].as_slice()));
        assert_eq!(list.listed().collect::<Vec<_>>(), listed);
    }

    #[test]
    fn a_list_without_extensions_is_of_the_top_level() {
        let name = RecordName { kind: RecordKind::Node, signer: [1; 32], subject: [1; 32] };
        let list =
            RecordList { buckets: vec![1], known: vec![(name, 3)], answer: false, extensions: Default::default() };
        assert_eq!(list.parent(), Some([].as_slice()));
        assert_eq!(list.listed().next(), Some(Listed { name, version: 3, hash: None }));
        let lost = RecordList::new(&[64], Vec::new(), &[], false);
        assert_eq!(lost.parent(), None);
    }
}
