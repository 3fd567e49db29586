//! Which nodes and links of a world are meant: a population, and selectors over it.
//!
//! Invariant: whom a selector with luck in it meets is decided for each node by itself (the lowest ranks win, and a rank
//! depends on the luck and the node's number only). So a selector that takes fewer takes some of the same, and a further
//! node displaces one of the others at most.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::draw::{Refused, check};
use crate::random::Stream;

/// The most nodes or links that a selector may list by number.
pub const LISTED_MAX: usize = 100_000;

/// What a node is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Gets and gives.
    Peer,
    /// Has a way to the internet.
    Gateway,
    /// Brings the content.
    Publisher,
}

/// What selectors must know of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name, such as `village-3`.
    pub name: String,
    /// What it is there for.
    pub role: Role,
}

/// What selectors must know of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// The nodes it joins.
    pub ends: [u32; 2],
    /// Its class, such as `radio`.
    pub class: String,
}

/// Everyone and everything that can be selected; nodes and links have their place as number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Population {
    /// The nodes.
    pub nodes: Vec<NodeInfo>,
    /// The links.
    pub links: Vec<LinkInfo>,
    /// The names of the messages that pass; empty if any name will do.
    pub messages: Vec<String>,
}

impl Population {
    /// So many peers `n0`, `n1`, …, without links.
    #[must_use]
    pub fn peers(count: u32) -> Self {
        let nodes = (0..count).map(|node| NodeInfo { name: format!("n{node}"), role: Role::Peer });
        Self { nodes: nodes.collect(), ..Self::default() }
    }

    /// The numbers of the nodes of a role, or of all.
    pub fn of_role(&self, role: Option<Role>) -> impl Iterator<Item = u32> + '_ {
        let of_role = move |node: &NodeInfo| role.is_none_or(|role| node.role == role);
        (0..).zip(&self.nodes).filter(move |(_, node)| of_role(node)).map(|(number, _)| number)
    }

    /// The links that touch one of these nodes, which ascend.
    fn links_of(&self, nodes: &[u32]) -> Vec<u32> {
        let touches = |link: &LinkInfo| link.ends.iter().any(|end| nodes.binary_search(end).is_ok());
        (0..).zip(&self.links).filter(|(_, link)| touches(link)).map(|(number, _)| number).collect()
    }
}

/// Which nodes, or which links, are meant. In TOML a table: `{ kind = "fraction", fraction = 0.2 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Selector {
    /// All nodes.
    All {},
    /// These nodes.
    Nodes {
        /// Their numbers.
        nodes: Vec<u32>,
    },
    /// A share of the nodes, by chance; rounded, and at least one.
    Fraction {
        /// How large a share: above 0, at most 1.
        fraction: f64,
        /// Of the nodes of this role only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        among: Option<Role>,
    },
    /// So many nodes, by chance.
    Count {
        /// How many: 1 to as many as there are.
        count: u32,
        /// Of the nodes of this role only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        among: Option<Role>,
    },
    /// The nodes of a role.
    Role {
        /// The role.
        role: Role,
    },
    /// The nodes whose names begin so.
    Names {
        /// How they begin.
        prefix: String,
    },
    /// All links.
    AllLinks {},
    /// These links.
    LinkNumbers {
        /// Their numbers.
        links: Vec<u32>,
    },
    /// The links between these nodes.
    Links {
        /// The two ends of each, in either order.
        ends: Vec<[u32; 2]>,
    },
    /// The links of a class.
    LinkClass {
        /// The class.
        class: String,
    },
    /// A share of the links, by chance; rounded, and at least one.
    LinkFraction {
        /// How large a share: above 0, at most 1.
        fraction: f64,
    },
    /// So many links, by chance.
    LinkCount {
        /// How many: 1 to as many as there are.
        count: u32,
    },
}

impl Default for Selector {
    fn default() -> Self {
        Self::All {}
    }
}

/// Whom a selector meets, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// Nodes.
    Nodes(Vec<u32>),
    /// Links.
    Links(Vec<u32>),
}

impl Selected {
    /// The links: for nodes, those that touch one of them.
    #[must_use]
    pub fn links(self, population: &Population) -> Vec<u32> {
        match self {
            Self::Nodes(nodes) => population.links_of(&nodes),
            Self::Links(links) => links,
        }
    }
}

impl Selector {
    /// Whether it selects links.
    #[must_use]
    pub fn is_of_links(&self) -> bool {
        match self {
            Self::All {} | Self::Nodes { .. } | Self::Fraction { .. } | Self::Count { .. } => false,
            Self::Role { .. } | Self::Names { .. } => false,
            Self::AllLinks {} | Self::LinkNumbers { .. } | Self::Links { .. } => true,
            Self::LinkClass { .. } | Self::LinkFraction { .. } | Self::LinkCount { .. } => true,
        }
    }

    /// Refuses what is wrong in any world.
    ///
    /// # Errors
    /// [`Refused`] with the field.
    pub fn validate(&self) -> Result<(), Refused> {
        match self {
            Self::Nodes { nodes } => check("number of nodes", nodes.len(), 1..=LISTED_MAX),
            Self::LinkNumbers { links } => check("number of links", links.len(), 1..=LISTED_MAX),
            Self::Links { ends } => check("number of ends", ends.len(), 1..=LISTED_MAX),
            Self::Count { count, .. } | Self::LinkCount { count } => check("count", *count, 1..=u32::MAX),
            Self::Fraction { fraction, .. } | Self::LinkFraction { fraction } => {
                match *fraction > 0.0 && *fraction <= 1.0 {
                    true => Ok(()),
                    false => Err(Refused::new("fraction", fraction, "above 0, up to 1")),
                }
            }
            Self::All {} | Self::Role { .. } | Self::Names { .. } | Self::AllLinks {} | Self::LinkClass { .. } => {
                Ok(())
            }
        }
    }

    /// Whom it meets, by the ranks that `luck` gives; does not move the stream.
    ///
    /// # Errors
    /// [`Refused`] if it is wrong in itself, names what is not there, or meets nobody.
    pub fn resolve(&self, luck: &Stream, population: &Population) -> Result<Selected, Refused> {
        self.validate()?;
        let (nodes, links) = (population.nodes.len(), population.links.len());
        let met = match self {
            Self::All {} => (0..nodes as u32).collect(),
            Self::Nodes { nodes: listed } => known("nodes", listed, nodes)?,
            Self::Fraction { fraction, among } => {
                let all: Vec<u32> = population.of_role(*among).collect();
                let count = share(*fraction, all.len());
                lowest(luck, all, count)?
            }
            Self::Count { count, among } => lowest(luck, population.of_role(*among).collect(), *count)?,
            Self::Role { role } => population.of_role(Some(*role)).collect(),
            Self::Names { prefix } => {
                let named = (0..).zip(&population.nodes).filter(|(_, node)| node.name.starts_with(prefix));
                named.map(|(number, _)| number).collect()
            }
            Self::AllLinks {} => (0..links as u32).collect(),
            Self::LinkNumbers { links: listed } => known("links", listed, links)?,
            Self::Links { ends } => between(ends, population)?,
            Self::LinkClass { class } => {
                let of_class = (0..).zip(&population.links).filter(|(_, link)| link.class == *class);
                of_class.map(|(number, _)| number).collect()
            }
            Self::LinkFraction { fraction } => lowest(luck, (0..links as u32).collect(), share(*fraction, links))?,
            Self::LinkCount { count } => lowest(luck, (0..links as u32).collect(), *count)?,
        };
        if met.is_empty() {
            return Err(Refused::new("selection", "empty here", "one that meets a node or link of this world"));
        }
        match self.is_of_links() {
            true => Ok(Selected::Links(met)),
            false => Ok(Selected::Nodes(met)),
        }
    }

    /// The nodes it meets.
    ///
    /// # Errors
    /// [`Refused`] as [`Self::resolve`] does, and if it selects links.
    pub fn resolve_nodes(&self, luck: &Stream, population: &Population) -> Result<Vec<u32>, Refused> {
        match self.resolve(luck, population)? {
            Selected::Nodes(nodes) => Ok(nodes),
            Selected::Links(_) => Err(Refused::new("selection", "of links", "one of nodes")),
        }
    }
}

/// A share of so many, rounded, at least one if there are any.
fn share(fraction: f64, all: usize) -> u32 {
    ((fraction * all as f64).round() as u32).max(1)
}

/// The listed numbers in order, once each.
fn known(what: &str, listed: &[u32], count: usize) -> Result<Vec<u32>, Refused> {
    let mut listed = listed.to_vec();
    listed.sort_unstable();
    listed.dedup();
    match listed.iter().find(|number| **number as usize >= count) {
        Some(number) => Err(Refused::new(what, number, format!("numbers below {count} here"))),
        None => Ok(listed),
    }
}

/// So many of the candidates: those whose luck is the lowest number.
fn lowest(luck: &Stream, mut candidates: Vec<u32>, count: u32) -> Result<Vec<u32>, Refused> {
    if candidates.is_empty() {
        return Ok(candidates);
    }
    check("count", count as usize, 1..=candidates.len())?;
    candidates.sort_by_cached_key(|number| (luck.at(u64::from(*number)), *number));
    candidates.truncate(count as usize);
    candidates.sort_unstable();
    Ok(candidates)
}

/// The links that join these pairs.
fn between(pairs: &[[u32; 2]], population: &Population) -> Result<Vec<u32>, Refused> {
    let ordered = |[a, b]: [u32; 2]| [a.min(b), a.max(b)];
    let mut wanted: Vec<[u32; 2]> = pairs.iter().map(|pair| ordered(*pair)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let joins = |link: &LinkInfo| wanted.binary_search(&ordered(link.ends)).ok();
    let mut met = vec![false; wanted.len()];
    let mut links = Vec::new();
    for (number, link) in (0..).zip(&population.links) {
        if let Some(pair) = joins(link) {
            met[pair] = true;
            links.push(number);
        }
    }
    match wanted.iter().zip(met).find(|(_, met)| !met) {
        Some(([a, b], _)) => Err(Refused::new("ends", format!("[{a}, {b}]"), "ends of a link of this world")),
        None => Ok(links),
    }
}
