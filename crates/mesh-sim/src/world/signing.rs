//! Keys and signatures of a world: real Ed25519, each signature made and checked once in the whole run.
//!
//! Invariant: a memoised answer is the answer the arithmetic would give; a forged record is refused as on a real node.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use mesh_proto::port::{Failure, KeyRole, KeysCommand, KeysInput};
use mesh_proto::record::{RecordKind, Signed};

/// The keys of one node.
#[derive(Debug, Clone)]
pub struct KeyRing {
    node: SigningKey,
    member: Option<SigningKey>,
    communities: BTreeMap<[u8; 32], SigningKey>,
    /// From what its next keys follow.
    name: [u8; 32],
    made: u64,
}

impl KeyRing {
    /// The keys of a node, a function of the run's seed and its number.
    #[must_use]
    pub fn new(seed: u64, node: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"keys of a simulated node").update(&seed.to_le_bytes()).update(&node.to_le_bytes());
        let name = *hasher.finalize().as_bytes();
        Self { node: SigningKey::from_bytes(&name), member: None, communities: BTreeMap::new(), name, made: 0 }
    }

    /// The node's name: its public key.
    #[must_use]
    pub fn node_id(&self) -> [u8; 32] {
        self.node.verifying_key().to_bytes()
    }

    /// The node's member: the public key of it, if it has one.
    #[must_use]
    pub fn member(&self) -> Option<[u8; 32]> {
        self.member.as_ref().map(|key| key.verifying_key().to_bytes())
    }

    /// What the brain is told at its start.
    #[must_use]
    pub fn loaded(&self) -> KeysInput {
        KeysInput::Loaded {
            node: self.node_id(),
            member: self.member(),
            communities: self.communities.keys().copied().collect(),
        }
    }

    /// Makes and keeps a new key.
    fn create(&mut self, community: bool) -> [u8; 32] {
        if let (false, Some(member)) = (community, &self.member) {
            return member.verifying_key().to_bytes();
        }
        self.made += 1;
        let seed = blake3::keyed_hash(&self.name, &self.made.to_le_bytes());
        let key = SigningKey::from_bytes(seed.as_bytes());
        let public = key.verifying_key().to_bytes();
        match community {
            true => _ = self.communities.insert(public, key),
            false => self.member = Some(key),
        }
        public
    }

    fn key(&self, role: KeyRole) -> Option<&SigningKey> {
        match role {
            KeyRole::Node => Some(&self.node),
            KeyRole::Member => self.member.as_ref(),
            KeyRole::Community(public) => self.communities.get(&public),
        }
    }
}

/// What was found out about signatures, for all nodes of a world.
#[derive(Debug, Default)]
pub struct Signatures {
    /// By the hash of signer, kind, body and signature.
    known: BTreeMap<[u8; 32], bool>,
    /// How often the arithmetic was done.
    checked: u64,
    /// How often it was asked for.
    asked: u64,
}

impl Signatures {
    /// Carries out a command of a node.
    pub fn carry_out(&mut self, ring: &mut KeyRing, command: KeysCommand) -> KeysInput {
        match command {
            KeysCommand::Sign { command, role, kind, body } => {
                KeysInput::Signed { command, result: self.sign(ring, role, kind, body) }
            }
            KeysCommand::Verify { command, records } => {
                KeysInput::Verified { command, valid: records.iter().map(|record| self.verify(record)).collect() }
            }
            KeysCommand::Create { command, community } => {
                KeysInput::Created { command, result: Ok(ring.create(community)) }
            }
        }
    }

    /// Signatures asked about, and those of them that had to be computed.
    #[must_use]
    pub fn asked_and_checked(&self) -> (u64, u64) {
        (self.asked, self.checked)
    }

    fn sign(&mut self, ring: &KeyRing, role: KeyRole, kind: RecordKind, body: Vec<u8>) -> Result<Signed, Failure> {
        let key = ring.key(role).ok_or_else(|| Failure::lasting("this node has no such key"))?;
        let signature = key.sign(&Signed::signed_bytes(kind, &body)).to_bytes();
        let halves = halves(signature);
        let signed = Signed { kind, signer: key.verifying_key().to_bytes(), body, signature: halves };
        self.known.insert(name(&signed), true);
        Ok(signed)
    }

    fn verify(&mut self, record: &Signed) -> bool {
        self.asked += 1;
        let name = name(record);
        if let Some(known) = self.known.get(&name) {
            return *known;
        }
        self.checked += 1;
        let valid = is_valid(record);
        self.known.insert(name, valid);
        valid
    }
}

fn halves(signature: [u8; 64]) -> [[u8; 32]; 2] {
    let (first, second) = signature.split_at(32);
    [first.try_into().expect("half of 64 bytes"), second.try_into().expect("half of 64 bytes")]
}

fn is_valid(record: &Signed) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&record.signer) else { return false };
    let signature = Signature::from_bytes(&record.signature_bytes());
    key.verify_strict(&Signed::signed_bytes(record.kind, &record.body), &signature).is_ok()
}

fn name(record: &Signed) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&record.signer).update(record.signature.as_flattened());
    hasher.update(&Signed::signed_bytes(record.kind, &record.body));
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::CommandId;

    fn signed(signatures: &mut Signatures, ring: &mut KeyRing) -> Signed {
        let (kind, body) = (RecordKind::Node, vec![1, 2, 3]);
        match signatures.carry_out(ring, KeysCommand::Sign { command: CommandId(1), role: KeyRole::Node, kind, body }) {
            KeysInput::Signed { result: Ok(signed), .. } => signed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_forged_record_is_refused_and_a_good_one_checked_once() {
        let mut ring = KeyRing::new(1, 2);
        let good = signed(&mut Signatures::default(), &mut ring);
        let forged = Signed { body: vec![9], ..good.clone() };
        let mut fresh = Signatures::default();
        for _ in 0..3 {
            assert!(fresh.verify(&good));
            assert!(!fresh.verify(&forged));
        }
        assert_eq!(fresh.asked_and_checked(), (6, 2));
    }

    #[test]
    fn keys_follow_from_the_seed_and_the_node() {
        assert_eq!(KeyRing::new(1, 2).node_id(), KeyRing::new(1, 2).node_id());
        assert_ne!(KeyRing::new(1, 2).node_id(), KeyRing::new(1, 3).node_id());
        assert_ne!(KeyRing::new(1, 2).node_id(), KeyRing::new(2, 2).node_id());
        let (mut one, mut two) = (KeyRing::new(1, 2), KeyRing::new(1, 2));
        let member = one.create(false);
        assert_eq!(two.create(false), member);
        assert_eq!(one.create(false), member, "a second member key is the first");
        assert_ne!(one.create(true), member);
    }
}
