//! Signed statements that spread from node to node: who is reachable where, what is meant to be found, who belongs.
//!
//! A [`Signed`] carries the body's bytes exactly as its signer wrote them; the signature covers those bytes, never a
//! re-encoding. A record is named by kind, signer and subject; of two with the same name the higher version wins, and
//! of two with the same version the one with the greater body (so that all nodes agree without a clock).

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::extensions::Extensions;
use crate::id::{CommunityId, ContentId, LineId, MemberId, NodeId};
use crate::limits::{
    ACCESS_MEMBERS_MAX, ADDRESS_BYTES_MAX, ADDRESSES_PER_NODE_MAX, CATALOGUE_ENTRY_BYTES_MAX, NAME_BYTES_MAX,
    RECORD_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX,
};
use crate::time::UnixMs;

/// What a record is about. Numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
pub enum RecordKind {
    /// [`NodeRecord`]: where a node is reachable. Signed by the node.
    Node,
    /// [`CatalogueEntry`]: something meant to be found. Signed by its publisher node.
    Catalogue,
    /// [`NodeCertificate`]: a member owns a node. Signed by the member.
    NodeCertificate,
    /// [`Membership`]: a community counts a member as its own. Signed by the community.
    Membership,
    /// [`Revocation`]: beats every certificate of its signer for its subject. Signed by a member or a community.
    Revocation,
    /// [`VersionRecord`]: one step of a line. Signed by its author.
    Version,
}

/// Names a record: at most one version of it is current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
pub struct RecordName {
    /// What it is about.
    pub kind: RecordKind,
    /// The Ed25519 public key that signed it.
    pub signer: [u8; 32],
    /// What the signer speaks of: a node's, content's, member's or line's id.
    pub subject: [u8; 32],
}

/// A record as it travels: bytes and a signature over them. Nothing in it is believed before the signature is verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
pub struct Signed {
    /// What the body encodes.
    pub kind: RecordKind,
    /// The Ed25519 public key.
    pub signer: [u8; 32],
    /// The encoded record.
    pub body: Vec<u8>,
    /// Ed25519 over [`Signed::signed_bytes`], the two halves of 32 bytes.
    pub signature: [[u8; 32]; 2],
}

/// A decoded record body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each variant is the type it names")]
pub enum Record {
    Node(NodeRecord),
    Catalogue(CatalogueEntry),
    NodeCertificate(NodeCertificate),
    Membership(Membership),
    Revocation(Revocation),
    Version(VersionRecord),
}

/// Where a node says it is reachable.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct NodeRecord {
    /// The node; equal to the signer.
    pub node: NodeId,
    /// Higher wins; grows across restarts.
    pub version: u64,
    /// Its addresses as multiaddr texts without `/p2p/…`, best first.
    pub addresses: Vec<String>,
    /// A name its owner gave it; may be empty.
    pub name: String,
    /// Program and version.
    pub agent: String,
    /// When it was written, by its own clock: a hint.
    pub written: UnixMs,
    /// Room for later.
    pub extensions: Extensions,
}

/// Who may fetch a content. Checked by whoever serves it, before any grant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Whoever knows the content id: the default.
    Ticket,
    /// Anyone, and it may be shown to anyone.
    Public,
    /// Members of a community.
    Community(CommunityId),
    /// Named members only.
    Members(Vec<MemberId>),
}

impl Access {
    /// Whether it is for some only, whoever else knows of it.
    #[must_use]
    pub fn is_restricted(&self) -> bool {
        matches!(self, Self::Community(_) | Self::Members(_))
    }
}

/// What a catalogue entry points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One content, for ever the same bytes.
    Content(ContentId),
    /// A line: whatever its newest version is.
    Line(LineId),
}

/// What sort of thing a content is, for people who browse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// One file.
    File,
    /// A tree of files.
    Tree,
}

/// Something meant to be found.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CatalogueEntry {
    /// What it is.
    pub subject: Subject,
    /// Higher wins.
    pub version: u64,
    /// The publisher takes it back: nothing else in the entry counts.
    pub withdrawn: bool,
    /// Its name for people.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its kind.
    pub kind: ContentKind,
    /// Words to search by.
    pub tags: Vec<String>,
    /// Who may fetch it.
    pub access: Access,
    /// 0 (lowest) to 255: what should arrive first.
    pub priority: u8,
    /// How many nodes should hold it; 0 = no wish.
    pub replicas_wanted: u8,
    /// When it stops being listed, by the publisher's clock; zero = never.
    pub expires: UnixMs,
    /// Room for later.
    pub extensions: Extensions,
}

/// A member owns a node, if the node names that member, too ([`NodeRecord::member`]).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct NodeCertificate {
    /// The owner; equal to the signer.
    pub member: MemberId,
    /// The node.
    pub node: NodeId,
    /// Higher wins.
    pub version: u64,
    /// The member's name for people.
    pub member_name: String,
    /// When it was written.
    pub issued: UnixMs,
    /// When it ends; zero = never.
    pub expires: UnixMs,
    /// Room for later.
    pub extensions: Extensions,
}

/// A community counts a member as its own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Membership {
    /// The community; equal to the signer.
    pub community: CommunityId,
    /// Its name for people.
    pub community_name: String,
    /// The member.
    pub member: MemberId,
    /// Higher wins.
    pub version: u64,
    /// When it was written.
    pub issued: UnixMs,
    /// When it ends; zero = never.
    pub expires: UnixMs,
    /// Room for later.
    pub extensions: Extensions,
}

/// The signer's certificates for `subject` no longer hold, whatever their version.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Revocation {
    /// The node or member that is no longer vouched for.
    pub subject: [u8; 32],
    /// When it was written.
    pub issued: UnixMs,
    /// For people.
    pub reason: String,
    /// Room for later.
    pub extensions: Extensions,
}

/// One signed step of a line. Decoded and kept by this version of the program; acted on by later ones.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct VersionRecord {
    /// The line.
    pub line: LineId,
    /// Counts up from 1.
    pub number: u64,
    /// Hashes of the bodies of the versions it follows.
    pub parents: Vec<[u8; 32]>,
    /// What it holds.
    pub content: ContentId,
    /// The content that holds its metadata, if any.
    pub metadata: Option<ContentId>,
    /// When it was written, by its author's clock: a hint.
    pub written: UnixMs,
    /// Room for later.
    pub extensions: Extensions,
}

const SIGNATURE_DOMAIN: &[u8] = b"mesh/record/1";

impl RecordKind {
    /// Its number in what is signed.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Node => 0,
            Self::Catalogue => 1,
            Self::NodeCertificate => 2,
            Self::Membership => 3,
            Self::Revocation => 4,
            Self::Version => 5,
        }
    }
}

impl Signed {
    /// What the signature covers: a domain, the kind, and the body as it stands.
    #[must_use]
    pub fn signed_bytes(kind: RecordKind, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SIGNATURE_DOMAIN.len() + 1 + body.len());
        bytes.extend_from_slice(SIGNATURE_DOMAIN);
        bytes.push(kind.number());
        bytes.extend_from_slice(body);
        bytes
    }

    /// The signature as the 64 bytes Ed25519 knows.
    #[must_use]
    pub fn signature_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.signature[0]);
        bytes[32..].copy_from_slice(&self.signature[1]);
        bytes
    }

    /// Decodes and checks the body. Says nothing about the signature.
    ///
    /// # Errors
    /// [`DecodeError`] if the body is malformed, breaks a limit, or speaks for another signer than its own.
    pub fn record(&self) -> Result<Record, DecodeError> {
        if self.body.len() > RECORD_BYTES_MAX {
            return Err(DecodeError::Rule("the record is too long"));
        }
        let record = match self.kind {
            RecordKind::Node => Record::Node(body(&self.body)?),
            RecordKind::Catalogue => Record::Catalogue(body(&self.body)?),
            RecordKind::NodeCertificate => Record::NodeCertificate(body(&self.body)?),
            RecordKind::Membership => Record::Membership(body(&self.body)?),
            RecordKind::Revocation => Record::Revocation(body(&self.body)?),
            RecordKind::Version => Record::Version(body(&self.body)?),
        };
        record.check(&self.signer, self.body.len())?;
        Ok(record)
    }
}

fn body<T: Decode<()>>(bytes: &[u8]) -> Result<T, DecodeError> {
    codec::decode::<T, { RECORD_BYTES_MAX * 4 }>(bytes)
}

impl Record {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Node(_) => RecordKind::Node,
            Self::Catalogue(_) => RecordKind::Catalogue,
            Self::NodeCertificate(_) => RecordKind::NodeCertificate,
            Self::Membership(_) => RecordKind::Membership,
            Self::Revocation(_) => RecordKind::Revocation,
            Self::Version(_) => RecordKind::Version,
        }
    }

    /// Its name, given who signed it.
    #[must_use]
    pub fn name(&self, signer: [u8; 32]) -> RecordName {
        let subject = match self {
            Self::Node(record) => record.node.0,
            Self::Catalogue(entry) => match entry.subject {
                Subject::Content(content) => content.0,
                Subject::Line(line) => line.0,
            },
            Self::NodeCertificate(certificate) => certificate.node.0,
            Self::Membership(membership) => membership.member.0,
            Self::Revocation(revocation) => revocation.subject,
            Self::Version(version) => version.line.0,
        };
        RecordName { kind: self.kind(), signer, subject }
    }

    /// Its version: of two records with one name the higher wins.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Node(record) => record.version,
            Self::Catalogue(entry) => entry.version,
            Self::NodeCertificate(certificate) => certificate.version,
            Self::Membership(membership) => membership.version,
            Self::Revocation(_) => u64::MAX,
            Self::Version(version) => version.number,
        }
    }

    /// The body's bytes, ready to be signed.
    #[must_use]
    pub fn encode_body(&self) -> Vec<u8> {
        match self {
            Self::Node(record) => codec::encode(record),
            Self::Catalogue(entry) => codec::encode(entry),
            Self::NodeCertificate(certificate) => codec::encode(certificate),
            Self::Membership(membership) => codec::encode(membership),
            Self::Revocation(revocation) => codec::encode(revocation),
            Self::Version(version) => codec::encode(version),
        }
    }

    fn check(&self, signer: &[u8; 32], body_bytes: usize) -> Result<(), DecodeError> {
        let own = |key: &[u8; 32]| match key == signer {
            true => Ok(()),
            false => Err(DecodeError::Rule("the record speaks for another than its signer")),
        };
        match self {
            Self::Node(record) => {
                own(&record.node.0)?;
                check_name(&record.name)?;
                check_name(&record.agent)?;
                let long = record.addresses.iter().any(|address| address.len() > ADDRESS_BYTES_MAX);
                if long || record.addresses.len() > ADDRESSES_PER_NODE_MAX {
                    return Err(DecodeError::Rule("too many or too long addresses"));
                }
                record.extensions.check()
            }
            Self::Catalogue(entry) => {
                if body_bytes > CATALOGUE_ENTRY_BYTES_MAX {
                    return Err(DecodeError::Rule("the catalogue entry is too long"));
                }
                check_name(&entry.name)?;
                let long = entry.tags.iter().any(|tag| tag.len() > TAG_BYTES_MAX);
                if long || entry.tags.len() > TAGS_MAX {
                    return Err(DecodeError::Rule("too many or too long tags"));
                }
                entry.access.check()?;
                entry.extensions.check()
            }
            Self::NodeCertificate(certificate) => {
                own(&certificate.member.0)?;
                check_name(&certificate.member_name)?;
                certificate.extensions.check()
            }
            Self::Membership(membership) => {
                own(&membership.community.0)?;
                check_name(&membership.community_name)?;
                membership.extensions.check()
            }
            Self::Revocation(revocation) => {
                check_name(&revocation.reason)?;
                revocation.extensions.check()
            }
            Self::Version(version) => {
                if version.parents.len() > crate::limits::VERSION_PARENTS_MAX {
                    return Err(DecodeError::Rule("too many parents"));
                }
                version.extensions.check()
            }
        }
    }
}

impl Access {
    /// Checks its limits.
    ///
    /// # Errors
    /// [`DecodeError::Rule`] if it names too many members.
    pub fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Members(members) if members.len() > ACCESS_MEMBERS_MAX => {
                Err(DecodeError::Rule("too many members in the access rule"))
            }
            _ => Ok(()),
        }
    }
}

fn check_name(name: &str) -> Result<(), DecodeError> {
    match name.len() <= NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(DecodeError::Rule("a name is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(member: MemberId) -> Record {
        Record::NodeCertificate(NodeCertificate {
            member,
            node: NodeId([2; 32]),
            version: 1,
            member_name: "Ada".into(),
            issued: UnixMs(5),
            expires: UnixMs(0),
            extensions: Extensions::default(),
        })
    }

    #[test]
    fn a_record_for_another_signer_is_refused() {
        let record = certificate(MemberId([1; 32]));
        let mut signed =
            Signed { kind: record.kind(), signer: [1; 32], body: record.encode_body(), signature: [[0; 32]; 2] };
        assert_eq!(signed.record().ok(), Some(record));
        signed.signer = [9; 32];
        assert!(signed.record().is_err());
    }

    #[test]
    fn the_kind_is_part_of_what_is_signed() {
        assert_ne!(Signed::signed_bytes(RecordKind::Node, b"x"), Signed::signed_bytes(RecordKind::Catalogue, b"x"));
    }
}
