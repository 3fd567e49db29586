//! What is here: complete contents and how each is treated (name, access, listed, pinned).

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};
use mesh_proto::address::with_node;
use mesh_proto::codec;
use mesh_proto::extensions::Extensions;
use mesh_proto::port::store::{Row, StoredContent, Table};
use mesh_proto::port::view::ContentView;
use mesh_proto::record::{Access, CatalogueEntry, Subject};
use mesh_proto::{ContentId, NodeId, Ticket, UnixMs};

/// How a content is treated here. Kept across restarts; never part of what the content is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Treatment {
    /// Its name for others.
    pub name: String,
    /// Who may fetch it.
    pub access: Access,
    /// Whether it stands in the catalogue.
    pub listed: bool,
    /// Words to search by.
    pub tags: Vec<String>,
    /// Whether it is kept from being collected.
    pub pinned: bool,
    /// When it came, by this machine's clock.
    pub added: UnixMs,
    /// When it is no longer served, by this machine's clock; zero = never.
    pub seed_until: UnixMs,
    /// The ticket it was fetched with, to find sources again when it needs repair; may be empty.
    pub ticket: String,
}

/// A complete content.
#[derive(Debug, Clone)]
pub struct Content {
    /// How the store holds it.
    pub stored: StoredContent,
    /// How it is treated.
    pub treatment: Treatment,
    /// Why it is no longer served, if its files changed.
    pub changed: Option<String>,
}

/// The complete contents of this node.
#[derive(Debug, Default)]
pub struct Contents {
    contents: BTreeMap<ContentId, Content>,
    by_key: BTreeMap<[u8; 32], ContentId>,
    /// By a hash of the path: a short one, since whoever looks there compares paths anyway.
    by_path: BTreeSet<(u64, ContentId)>,
    /// How contents under repair were treated and will be again.
    repairing: BTreeMap<ContentId, Treatment>,
    /// Those that are served for a time only, by when it ends.
    timed: BTreeSet<(UnixMs, ContentId)>,
    revision: u64,
}

impl Treatment {
    /// The row that keeps it.
    #[must_use]
    pub fn row(&self, content: ContentId) -> Row {
        Row { table: Table::Treatment, key: content.0.to_vec(), value: codec::encode(self) }
    }

    /// Reads a row.
    #[must_use]
    pub fn from_row(row: &Row) -> Option<(ContentId, Self)> {
        let content = ContentId(row.key.as_slice().try_into().ok()?);
        Some((content, codec::decode::<Self, 65_536>(&row.value).ok()?))
    }

    /// A treatment for a content whose row was lost: by ticket only, named like its file.
    #[must_use]
    pub fn of_unknown(path: &str) -> Self {
        Self {
            name: last_part(path).to_owned(),
            access: Access::Ticket,
            listed: false,
            tags: Vec::new(),
            pinned: true,
            added: UnixMs(0),
            seed_until: UnixMs(0),
            ticket: String::new(),
        }
    }
}

fn path_hash(path: &str) -> u64 {
    let hash = blake3::hash(path.as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// The last part of a path.
#[must_use]
pub fn last_part(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '\\']);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

impl Content {
    /// Whether peers may be given any of it now.
    #[must_use]
    pub fn is_served(&self, now: UnixMs) -> bool {
        let until = self.treatment.seed_until;
        self.changed.is_none() && (until.0 == 0 || now < until)
    }

    /// What to put in the catalogue; the version is the record keeper's business.
    #[must_use]
    pub fn entry(&self) -> CatalogueEntry {
        CatalogueEntry {
            subject: Subject::Content(self.stored.content),
            version: 0,
            withdrawn: false,
            name: self.treatment.name.clone(),
            size_bytes: self.stored.total_bytes,
            kind: self.stored.kind,
            tags: self.treatment.tags.clone(),
            access: self.treatment.access.clone(),
            priority: 0,
            replicas_wanted: 0,
            expires: UnixMs(0),
            extensions: Extensions::default(),
        }
    }

    /// How it stands, for people.
    #[must_use]
    pub fn view(&self, ticket: String) -> ContentView {
        let state = match (&self.changed, self.stored.in_place) {
            (Some(_), _) => "changed",
            (None, true) => "shared",
            (None, false) => "complete",
        };
        ContentView {
            content_id: self.stored.content,
            name: self.treatment.name.clone(),
            kind: self.stored.kind,
            size_bytes: self.stored.total_bytes,
            path: self.stored.path.clone(),
            state: state.to_owned(),
            have_bytes: self.stored.total_bytes,
            listed: self.treatment.listed,
            pinned: self.treatment.pinned,
            access: self.treatment.access.clone(),
            ticket,
        }
    }
}

impl Contents {
    /// Adds or replaces a content.
    pub fn add(&mut self, stored: StoredContent, treatment: Treatment) {
        self.revision += 1;
        if treatment.seed_until.0 > 0 {
            self.timed.insert((treatment.seed_until, stored.content));
        }
        self.by_key.insert(stored.content.discovery_key(), stored.content);
        let (content, here) = (stored.content, (path_hash(&stored.path), stored.content));
        if let Some(before) = self.contents.insert(content, Content { stored, treatment, changed: None }) {
            self.by_path.remove(&(path_hash(&before.stored.path), content));
        }
        self.by_path.insert(here);
    }

    /// Takes back a content that could not be removed.
    pub fn restore(&mut self, content: Content) {
        let changed = content.changed.clone();
        let id = content.stored.content;
        self.add(content.stored, content.treatment);
        if let Some(content) = self.contents.get_mut(&id) {
            content.changed = changed;
        }
    }

    /// Keeps how a content is treated while it is repaired.
    pub fn set_repairing(&mut self, content: ContentId, treatment: Treatment) {
        self.repairing.insert(content, treatment);
    }

    /// How a content under repair is treated.
    #[must_use]
    pub fn repairing(&self, content: ContentId) -> Option<&Treatment> {
        self.repairing.get(&content)
    }

    /// Takes how a content under repair was treated.
    pub fn take_repairing(&mut self, content: ContentId) -> Option<Treatment> {
        self.repairing.remove(&content)
    }

    /// Contents whose time of being served ended since the last call.
    pub fn take_ended(&mut self, now: UnixMs) -> Vec<ContentId> {
        let ended: Vec<(UnixMs, ContentId)> = self.timed.iter().take_while(|(at, _)| *at <= now).copied().collect();
        for entry in &ended {
            self.timed.remove(entry);
        }
        self.revision += u64::from(!ended.is_empty());
        ended.into_iter().map(|(_, content)| content).collect()
    }

    /// One content.
    #[must_use]
    pub fn find(&self, content: ContentId) -> Option<&Content> {
        self.contents.get(&content)
    }

    /// The content with a discovery key.
    #[must_use]
    pub fn by_discovery_key(&self, key: &[u8; 32]) -> Option<ContentId> {
        self.by_key.get(key).copied()
    }

    /// One content, to change.
    pub fn find_mut(&mut self, content: ContentId) -> Option<&mut Content> {
        self.revision += 1;
        self.contents.get_mut(&content)
    }

    /// Forgets one.
    pub fn remove(&mut self, content: ContentId) -> Option<Content> {
        self.revision += 1;
        self.by_key.remove(&content.discovery_key());
        let removed = self.contents.remove(&content)?;
        self.by_path.remove(&(path_hash(&removed.stored.path), content));
        Some(removed)
    }

    /// Contents that lie at a path.
    pub fn at_path<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Content> {
        let hash = path_hash(path);
        let alike = self.by_path.range((hash, ContentId([0; 32]))..=(hash, ContentId([255; 32])));
        alike.filter_map(|(_, content)| self.contents.get(content)).filter(move |content| content.stored.path == path)
    }

    /// All, by id.
    pub fn all(&self) -> impl Iterator<Item = &Content> {
        self.contents.values()
    }

    /// A number that grows whenever something here may have changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }
}

/// The text to give to others for a content of this node.
#[must_use]
pub fn ticket(content: ContentId, name: &str, size_bytes: u64, node: NodeId, addresses: &[String]) -> String {
    let mut ticket = Ticket::new(content);
    ticket.name = Some(name.to_owned()).filter(|name| !name.is_empty());
    ticket.size_bytes = Some(size_bytes);
    ticket.peers = addresses.iter().map(|address| with_node(address, node)).collect();
    ticket.to_string()
}
