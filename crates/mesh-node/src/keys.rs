//! The private keys of this machine: the node's, its member's, and those of communities founded here.
//!
//! A key is one file in the data folder's `identity/`, readable by its owner only: `node.key`, `member.key`,
//! `community-<public key>.key`. It holds the Ed25519 seed in 64 hex digits, then the public key on a line of its own, so
//! that a damaged seed is not taken for another key; files of older versions have the seed alone. Invariant: a seed never
//! leaves this module except through [`KeyRing::node_secret`] (for the network's handshake) and [`export`].
//!
//! The brain asks through [`KeysCommand`](mesh_proto::port::KeysCommand); the driver answers with what stands here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use mesh_proto::NodeId;
use mesh_proto::port::{Failure, KeyRole, KeysInput};
use mesh_proto::record::{RecordKind, Signed};

use crate::system;

/// Communities one node may have founded.
pub const COMMUNITIES_MAX: usize = 64;
/// Far more than all keys take: what is longer is another file.
const EXPORT_BYTES_MAX: u64 = 64 * 1024;
const EXPORT_HEAD: &str = "mesh-identity 1";
const NODE_KEY: &str = "node.key";
const COMMUNITY_PREFIX: &str = "community-";
const KEY_SUFFIX: &str = ".key";

/// Why keys can't be read, made or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The system said no.
    #[error("{what} {path} failed")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// A file is not a key.
    #[error("{path} is not a key, or is damaged; put back a copy made with `mesh-node identity export`")]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// A file is not an exported identity.
    #[error("line {line} of {path} is not part of an exported identity")]
    NotAnIdentity {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// There is another identity already.
    #[error("{path} holds another identity")]
    Exists {
        /// Its folder.
        path: PathBuf,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// Too many communities were founded here.
    #[error("this node has founded {COMMUNITIES_MAX} communities, which is the most it may")]
    TooMany,
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let path = path.to_owned();
    move |source| KeysError::Io { what, path, source }
}

/// The keys of one node.
#[derive(Clone)]
pub struct KeyRing {
    node: SigningKey,
    member: Option<SigningKey>,
    communities: BTreeMap<[u8; 32], SigningKey>,
}

impl KeyRing {
    /// Whether the node's key is in `folder`: without it, [`open`](Self::open) makes a new node.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        folder.join(NODE_KEY).exists()
    }

    /// Reads the keys in `folder`; makes the node's at the first run.
    ///
    /// # Errors
    /// [`KeysError`]; a file that is not a key is left as it is.
    pub fn open(folder: &Path) -> Result<Self, KeysError> {
        system::create_private_folder(folder).map_err(io_error("making the folder", folder))?;
        let node = match read_key(&folder.join(NODE_KEY))? {
            Some(key) => key,
            None => {
                let key = new_key()?;
                write_key(&folder.join(NODE_KEY), &key)?;
                key
            }
        };
        let member = read_key(&folder.join("member.key"))?;
        Ok(Self { node, member, communities: read_communities(folder)? })
    }

    /// The node's id: its public key.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(self.node.verifying_key().to_bytes())
    }

    /// The node's seed, for the network's handshake.
    #[must_use]
    pub fn node_secret(&self) -> [u8; 32] {
        self.node.to_bytes()
    }

    /// What the brain is told at start.
    #[must_use]
    pub fn loaded(&self) -> KeysInput {
        KeysInput::Loaded {
            node: self.node.verifying_key().to_bytes(),
            member: self.member.as_ref().map(|key| key.verifying_key().to_bytes()),
            communities: self.communities.keys().copied().collect(),
        }
    }

    /// Signs a record's body.
    ///
    /// # Errors
    /// A [`Failure`] if the key of that role is not here.
    pub fn sign(&self, role: KeyRole, kind: RecordKind, body: Vec<u8>) -> Result<Signed, Failure> {
        let key = match role {
            KeyRole::Node => Some(&self.node),
            KeyRole::Member => self.member.as_ref(),
            KeyRole::Community(public) => self.communities.get(&public),
        };
        let key = key.ok_or_else(|| Failure::lasting("the key to sign with is not on this node"))?;
        let signature = key.sign(&Signed::signed_bytes(kind, &body)).to_bytes();
        let mut halves = [[0; 32]; 2];
        halves[0].copy_from_slice(&signature[..32]);
        halves[1].copy_from_slice(&signature[32..]);
        Ok(Signed { kind, signer: key.verifying_key().to_bytes(), body, signature: halves })
    }

    /// The member's public key, if it is here.
    #[must_use]
    pub fn member(&self) -> Option<[u8; 32]> {
        self.member.as_ref().map(|key| key.verifying_key().to_bytes())
    }

    /// Whether one more community key may be made.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.communities.len() < COMMUNITIES_MAX
    }

    /// Takes up a key that [`create`] made.
    pub fn add(&mut self, key: NewKey) {
        match key.community {
            true => drop(self.communities.insert(key.public(), key.key)),
            false => self.member = Some(key.key),
        }
    }
}

/// A key just made and kept on disk.
pub struct NewKey {
    key: SigningKey,
    community: bool,
}

impl NewKey {
    /// Its public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }
}

/// Makes a community's or the member's key and keeps it in `folder`. Blocks on the disk.
///
/// # Errors
/// [`KeysError`]; nothing is kept then.
pub fn create(folder: &Path, community: bool) -> Result<NewKey, KeysError> {
    let key = new_key()?;
    let name = match community {
        true => format!("{COMMUNITY_PREFIX}{}{KEY_SUFFIX}", hex(&key.verifying_key().to_bytes())),
        false => "member.key".to_owned(),
    };
    write_key(&folder.join(name), &key)?;
    Ok(NewKey { key, community })
}

/// Whether a record's signature holds, by the strict rules: no weak keys, one valid form per signature.
#[must_use]
pub fn verify(record: &Signed) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&record.signer) else {
        return false;
    };
    let signature = Signature::from_bytes(&record.signature_bytes());
    key.verify_strict(&Signed::signed_bytes(record.kind, &record.body), &signature).is_ok()
}

fn read_communities(folder: &Path) -> Result<BTreeMap<[u8; 32], SigningKey>, KeysError> {
    let mut keys = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(io_error("reading the folder", folder))? {
        let name = entry.map_err(io_error("reading the folder", folder))?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(COMMUNITY_PREFIX) || !name.ends_with(KEY_SUFFIX) {
            continue;
        }
        if keys.len() == COMMUNITIES_MAX {
            return Err(KeysError::TooMany);
        }
        if let Some(key) = read_key(&folder.join(&*name))? {
            keys.insert(key.verifying_key().to_bytes(), key);
        }
    }
    Ok(keys)
}

fn new_key() -> Result<SigningKey, KeysError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(KeysError::Random)?;
    Ok(SigningKey::from_bytes(&seed))
}

fn read_key(path: &Path) -> Result<Option<SigningKey>, KeysError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(KeysError::NotAKey { path: path.to_owned() });
        }
        read => read.map_err(io_error("reading", path))?,
    };
    match key_in(&text) {
        Some(key) => Ok(Some(key)),
        None => Err(KeysError::NotAKey { path: path.to_owned() }),
    }
}

/// The key that a file's text says; `None` if its two halves do not belong together.
fn key_in(text: &str) -> Option<SigningKey> {
    let mut lines = text.trim().lines();
    let key = SigningKey::from_bytes(&seed(lines.next()?.trim())?);
    let public = lines.next().map_or(Some(key.verifying_key().to_bytes()), |line| seed(line.trim()));
    (public == Some(key.verifying_key().to_bytes()) && lines.next().is_none()).then_some(key)
}

fn write_key(path: &Path, key: &SigningKey) -> Result<(), KeysError> {
    let text = format!("{}\n{}\n", hex(&key.to_bytes()), hex(&key.verifying_key().to_bytes()));
    system::write_private(path, text.as_bytes()).map_err(io_error("writing", path))
}

/// A seed has the same 64 hex digits as an id.
fn seed(text: &str) -> Option<[u8; 32]> {
    text.parse::<NodeId>().ok().map(|id| id.0)
}

fn hex(bytes: &[u8; 32]) -> String {
    NodeId(*bytes).to_string()
}

/// Writes all keys of a data folder into one new file, for its owner only: whoever has it can be this node.
///
/// # Errors
/// [`KeysError`], also if the file exists.
pub fn export(data_folder: &Path, file: &Path) -> Result<NodeId, KeysError> {
    let ring = KeyRing::open(&data_folder.join("identity"))?;
    let mut text = format!("{EXPORT_HEAD}\nnode {}\n", hex(&ring.node.to_bytes()));
    if let Some(member) = &ring.member {
        text.push_str(&format!("member {}\n", hex(&member.to_bytes())));
    }
    for key in ring.communities.values() {
        text.push_str(&format!("community {}\n", hex(&key.to_bytes())));
    }
    let mut out = system::create_private(file).map_err(io_error("making", file))?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(io_error("writing", file))?;
    Ok(ring.node_id())
}

/// Takes up the keys of an exported file. The node must not run. With `replace`, an identity that is here already is
/// put aside under another name beside it; without, it is an error.
///
/// # Errors
/// [`KeysError`]; the identity that was here is still here then.
pub fn import(data_folder: &Path, file: &Path, replace: bool) -> Result<NodeId, KeysError> {
    let not_identity = |line| KeysError::NotAnIdentity { path: file.to_owned(), line };
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(EXPORT_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(io_error("reading", file))?;
    let text = String::from_utf8(bytes).map_err(|_| not_identity(1))?;
    let ring = parse_export(&text).map_err(not_identity)?;
    let folder = data_folder.join("identity");
    let present = read_key(&folder.join(NODE_KEY))?;
    if present.is_some() {
        if !replace {
            return Err(KeysError::Exists { path: folder });
        }
        put_aside(data_folder, &folder)?;
    }
    system::create_private_folder(&folder).map_err(io_error("making the folder", &folder))?;
    for (public, key) in &ring.communities {
        write_key(&folder.join(format!("{COMMUNITY_PREFIX}{}{KEY_SUFFIX}", hex(public))), key)?;
    }
    if let Some(member) = &ring.member {
        write_key(&folder.join("member.key"), member)?;
    }
    write_key(&folder.join(NODE_KEY), &ring.node)?;
    Ok(ring.node_id())
}

fn put_aside(data_folder: &Path, identity: &Path) -> Result<(), KeysError> {
    let free = (1..).map(|number| data_folder.join(format!("identity-replaced-{number}"))).find(|path| !path.exists());
    let target = free.expect("numbers do not run out");
    fs::rename(identity, &target).map_err(io_error("renaming", identity))?;
    system::sync_folder(data_folder).map_err(io_error("syncing", data_folder))
}

/// The keys in the text of an exported file.
///
/// # Errors
/// The number of the first line that is wrong, from 1.
pub fn parse_export(text: &str) -> Result<KeyRing, usize> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    if lines.next().map(|(_, head)| head) != Some(EXPORT_HEAD) {
        return Err(1);
    }
    let (mut node, mut member, mut communities) = (None, None, BTreeMap::new());
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let (role, digits) = line.split_once(' ').ok_or(number)?;
        let key = SigningKey::from_bytes(&seed(digits.trim()).ok_or(number)?);
        match role {
            "node" if node.is_none() => node = Some(key),
            "member" if member.is_none() => member = Some(key),
            "community" if communities.len() < COMMUNITIES_MAX => {
                communities.insert(key.verifying_key().to_bytes(), key);
            }
            _ => return Err(number),
        }
    }
    Ok(KeyRing { node: node.ok_or(1_usize)?, member, communities })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(folder: &Path) -> KeyRing {
        KeyRing::open(&folder.join("identity")).unwrap()
    }

    #[test]
    fn the_identity_survives_a_restart_and_a_move() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = ring(old.path());
        create(&old.path().join("identity"), false).unwrap();
        create(&old.path().join("identity"), true).unwrap();
        let again = ring(old.path());
        assert_eq!(again.node_id(), first.node_id());
        assert!(again.member().is_some());
        let file = old.path().join("export");
        export(old.path(), &file).unwrap();
        assert!(export(old.path(), &file).is_err(), "an existing file is not overwritten");
        import(new.path(), &file, false).unwrap();
        assert_eq!(ring(new.path()).loaded(), again.loaded());
        assert!(matches!(import(new.path(), &file, false), Err(KeysError::Exists { .. })));
        import(new.path(), &file, true).unwrap();
        assert!(new.path().join("identity-replaced-1/node.key").exists());
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(folder.path());
        let mut signed = ring.sign(KeyRole::Node, RecordKind::Node, b"body".to_vec()).unwrap();
        assert!(verify(&signed));
        signed.kind = RecordKind::Catalogue;
        assert!(!verify(&signed), "the kind is covered");
        signed.kind = RecordKind::Node;
        signed.body[0] ^= 1;
        assert!(!verify(&signed));
        assert!(ring.sign(KeyRole::Member, RecordKind::Node, Vec::new()).is_err());
    }

    #[test]
    fn a_weak_key_is_refused() {
        // The neutral element as a public key "signs" anything for lax verifiers.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let signed =
            Signed { kind: RecordKind::Node, signer: neutral, body: b"x".to_vec(), signature: [neutral, [0; 32]] };
        assert!(!verify(&signed));
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity/node.key");
        ring(folder.path());
        fs::write(&path, "short").unwrap();
        assert!(matches!(KeyRing::open(&folder.path().join("identity")), Err(KeysError::NotAKey { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
    }

    #[test]
    fn a_flipped_bit_never_makes_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let (path, node) = (folder.path().join("identity/node.key"), ring(folder.path()).node_id());
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            match KeyRing::open(&folder.path().join("identity")) {
                Ok(ring) => assert_eq!(ring.node_id(), node, "bit {bit}"),
                Err(error) => assert!(error.to_string().contains("node.key"), "bit {bit}: {error}"),
            }
        }
        // As older versions wrote it.
        fs::write(&path, &whole[..65]).unwrap();
        assert_eq!(ring(folder.path()).node_id(), node);
    }
}
