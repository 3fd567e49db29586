//! What a person can set: read from `mesh.toml` in the data folder, then overridden by the command line.
//!
//! Two steps: `RawConfig` holds the file's texts with their places; [`Config`] is proven, and every
//! value in it is within its range. Meaning, unit, default and range of each key stand once, in `table`; the
//! commented file of the first run and the page `docs/config.md` are written from there.
//!
//! Invariant: a file with an unknown key or a value out of range is refused with its line shown, never guessed at.

mod filter;
mod quantity;
mod raw;
mod table;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_core::BrainConfig;
use mesh_proto::limits::NAME_BYTES_MAX;

use crate::system;
pub use filter::{check as check_log, read as read_log};
use raw::{FieldError, RawConfig};

/// The port a node listens on if nothing else is said and nobody else has it.
pub const DEFAULT_PORT: u16 = 4340;
/// Addresses to listen on.
pub const LISTEN_MAX: usize = 16;
/// Static peers.
pub const PEERS_MAX: usize = 64;
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// Setting this variable to `1` keeps a journal whatever the file says: for tests.
const JOURNAL_VARIABLE: &str = "MESH_JOURNAL";

/// Why a configuration is refused. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not TOML, or has a key we do not know; the text shows the line.
    #[error("{path} can't be understood\n{text}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The line and what is wrong with it.
        text: String,
    },
    /// A value in the file is out of its range.
    #[error("{path}, line {line}: {key}: {why}\n  |\n{line} | {text}\n  |")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// The line.
        text: String,
        /// Which key.
        key: &'static str,
        /// What is wrong, and what is possible.
        why: String,
    },
    /// A value given on the command line is out of its range.
    #[error("{key}: {why}")]
    Override {
        /// The key it stands for.
        key: &'static str,
        /// What is wrong, and what is possible.
        why: String,
    },
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
}

/// What the command line says, beating the file. The default overrides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where to listen, instead of what the file says; empty = as the file says.
    pub listen: Vec<String>,
    /// Static peers, besides those of the file.
    pub peers: Vec<String>,
    /// Neither announce nor look for peers by multicast.
    pub no_mdns: bool,
    /// Use the wider lookup.
    pub kademlia: bool,
    /// Limit on sending in bytes per second; 0 = none.
    pub limit_up: Option<u64>,
    /// Limit on receiving in bytes per second; 0 = none.
    pub limit_down: Option<u64>,
    /// What received contents may take on disk in bytes; 0 = no limit.
    pub quota: Option<u64>,
    /// The node's name.
    pub name: Option<String>,
    /// Where the control API listens.
    pub api_listen: Option<String>,
    /// Keep a journal of the run.
    pub journal: bool,
    /// What is logged.
    pub log: Option<String>,
}

/// A node's proven configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    data_folder: PathBuf,
    listen: Vec<String>,
    listen_is_default: bool,
    journal: bool,
    api_listen: SocketAddr,
    log: String,
    brain: BrainConfig,
}

impl Config {
    /// Reads the folder's `mesh.toml`, writing a commented one at the first run, and applies the overrides.
    ///
    /// # Errors
    /// [`ConfigError`] says which line is wrong and why.
    pub fn load(data_folder: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        // Commands may run in another folder than the node: what is kept must not depend on it.
        let data_folder = std::path::absolute(data_folder).map_err(io_error("finding", data_folder))?;
        let path = data_folder.join("mesh.toml");
        let text = match read(&path)? {
            Some(text) => text,
            None => {
                system::create_private_folder(&data_folder).map_err(io_error("making the folder", &data_folder))?;
                system::write_private(&path, Self::sample().as_bytes()).map_err(io_error("writing", &path))?;
                String::new()
            }
        };
        // Which paths are the node's own is told by their beginning: without links there is one spelling of it.
        let data_folder = data_folder.canonicalize().map_err(io_error("finding", &data_folder))?;
        let mut config = Self::parse(&data_folder, &path, &text)?;
        config.apply(overrides).map_err(|error| ConfigError::Override { key: error.key, why: error.why })?;
        config.journal |= std::env::var(JOURNAL_VARIABLE).is_ok_and(|value| value == "1");
        Ok(config)
    }

    /// The page `docs/config.md`: every key with its meaning, unit, default and range.
    #[must_use]
    pub fn document() -> String {
        table::document()
    }

    /// The commented `mesh.toml` of the first run: every key at its default, commented out.
    #[must_use]
    pub fn sample() -> String {
        table::sample()
    }

    /// Where the node keeps its files.
    #[must_use]
    pub fn data_folder(&self) -> &Path {
        &self.data_folder
    }

    /// Where the node listens, as multiaddr texts.
    #[must_use]
    pub fn listen(&self) -> &[String] {
        &self.listen
    }

    /// Whether nobody chose where to listen, so that another port is as good if the usual one is taken.
    #[must_use]
    pub fn listen_is_default(&self) -> bool {
        self.listen_is_default
    }

    /// Whether peers are looked for by multicast.
    #[must_use]
    pub fn mdns(&self) -> bool {
        self.brain.mdns
    }

    /// Whether the run is journalled.
    #[must_use]
    pub fn journal(&self) -> bool {
        self.journal
    }

    /// Where the control API listens; always a loopback address.
    #[must_use]
    pub fn api_listen(&self) -> SocketAddr {
        self.api_listen
    }

    /// What is logged: a level, or a filter in the syntax of `tracing`.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// What the brain is told.
    #[must_use]
    pub fn brain(&self) -> &BrainConfig {
        &self.brain
    }

    /// Reads the text of a `mesh.toml`; `path` is only for what is said of errors.
    ///
    /// # Errors
    /// [`ConfigError`] says which line is wrong and why.
    pub fn parse(data_folder: &Path, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw: RawConfig = toml::from_str(text)
            .map_err(|error| ConfigError::Syntax { path: path.to_owned(), text: error.to_string() })?;
        Self::prove(data_folder, &raw).map_err(|error| {
            let (line, text) = line_at(text, error.offset);
            ConfigError::Value { path: path.to_owned(), line, text, key: error.key, why: error.why }
        })
    }

    fn prove(data_folder: &Path, raw: &RawConfig) -> Result<Self, FieldError> {
        let usual = BrainConfig::default();
        let brain = BrainConfig {
            node_name: raw::checked("name", &raw.name, String::new(), check_name)?,
            agent: concat!("mesh-node/", env!("CARGO_PKG_VERSION")).to_owned(),
            seeds: raw::checked("peers", &raw.peers, Vec::new(), check_peers)?,
            limit_up_bytes_per_s: raw::bytes("limit_up", &raw.limit_up, quantity::parse_rate)?,
            limit_down_bytes_per_s: raw::bytes("limit_down", &raw.limit_down, quantity::parse_rate)?,
            quota_bytes: raw::bytes("quota", &raw.quota, quantity::parse_size)?,
            discipline: raw::checked("discipline", &raw.discipline, usual.discipline, check_discipline)?,
            ping_interval_ms: raw::interval("ping_interval", &raw.ping_interval, usual.ping_interval_ms, PING_RANGE)?,
            mdns: raw::plain(&raw.mdns, true),
            kademlia: raw::plain(&raw.kademlia, false),
            gossip_interval_ms: raw::interval(
                "gossip_interval",
                &raw.gossip_interval,
                usual.gossip_interval_ms,
                GOSSIP_RANGE,
            )?,
        };
        let api_listen = raw::checked("api_listen", &raw.api_listen, "127.0.0.1:0".to_owned(), |text: &str| {
            check_api_listen(text).map(drop)
        })?;
        let api_listen = check_api_listen(&api_listen).map_err(|why| FieldError::new("api_listen", 0, why))?;
        Ok(Self {
            data_folder: data_folder.to_owned(),
            listen: raw::checked("listen", &raw.listen, default_listen(), check_listen)?,
            listen_is_default: raw.listen.is_none(),
            journal: raw::plain(&raw.journal, false),
            api_listen,
            log: raw::checked("log", &raw.log, "info".to_owned(), check_log)?,
            brain,
        })
    }

    fn apply(&mut self, overrides: &Overrides) -> Result<(), FieldError> {
        if !overrides.listen.is_empty() {
            raw::check("listen", overrides.listen.as_slice(), check_listen)?;
            self.listen.clone_from(&overrides.listen);
            self.listen_is_default = false;
        }
        self.brain.seeds.extend(overrides.peers.iter().cloned());
        raw::check("peers", self.brain.seeds.as_slice(), check_peers)?;
        if let Some(name) = &overrides.name {
            raw::check("name", name.as_str(), check_name)?;
            self.brain.node_name.clone_from(name);
        }
        if let Some(log) = &overrides.log {
            raw::check("log", log.as_str(), check_log)?;
            self.log.clone_from(log);
        }
        if let Some(text) = &overrides.api_listen {
            self.api_listen = check_api_listen(text).map_err(|why| FieldError::new("api_listen", 0, why))?;
        }
        self.brain.limit_up_bytes_per_s = overrides.limit_up.unwrap_or(self.brain.limit_up_bytes_per_s);
        self.brain.limit_down_bytes_per_s = overrides.limit_down.unwrap_or(self.brain.limit_down_bytes_per_s);
        self.brain.quota_bytes = overrides.quota.unwrap_or(self.brain.quota_bytes);
        self.brain.kademlia |= overrides.kademlia;
        self.brain.mdns &= !overrides.no_mdns;
        self.journal |= overrides.journal;
        Ok(())
    }
}

/// How often links may be probed, if at all.
const PING_RANGE: raw::IntervalRange =
    raw::IntervalRange { min: Duration::from_secs(1), max: Duration::from_secs(3600), zero: true };
/// How often records may be compared.
const GOSSIP_RANGE: raw::IntervalRange =
    raw::IntervalRange { min: Duration::from_secs(1), max: Duration::from_secs(3600), zero: false };
const DISCIPLINES: [&str; 2] = ["deficit-round-robin", "first-come"];

fn default_listen() -> Vec<String> {
    vec![format!("/ip4/0.0.0.0/tcp/{DEFAULT_PORT}"), format!("/ip6/::/tcp/{DEFAULT_PORT}")]
}

fn check_name(name: &str) -> Result<(), String> {
    match name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(format!("a name has at most {NAME_BYTES_MAX} bytes and no control characters")),
    }
}

fn check_listen(addresses: &[String]) -> Result<(), String> {
    check_addresses(addresses, LISTEN_MAX)?;
    match addresses.is_empty() {
        true => Err("at least one address to listen on is needed".to_owned()),
        false => Ok(()),
    }
}

fn check_peers(addresses: &[String]) -> Result<(), String> {
    check_addresses(addresses, PEERS_MAX)
}

fn check_addresses(addresses: &[String], len_max: usize) -> Result<(), String> {
    if addresses.len() > len_max {
        return Err(format!("{} addresses are given, at most {len_max} are possible", addresses.len()));
    }
    for address in addresses {
        mesh_net::check_address(address).map_err(|error| {
            format!("`{address}` is not an address like /ip4/192.0.2.1/tcp/{DEFAULT_PORT}: {error}")
        })?;
    }
    Ok(())
}

fn check_discipline(name: &str) -> Result<(), String> {
    match DISCIPLINES.contains(&name) {
        true => Ok(()),
        false => Err(format!("`{name}` is unknown; there are {}", DISCIPLINES.join(" and "))),
    }
}

fn check_api_listen(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| format!("`{text}` is not an address and port like 127.0.0.1:0"))?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(format!("`{text}` can be reached from outside; the control API listens on this machine only")),
    }
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let size = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(io_error("reading", path))?.len(),
    };
    if size > CONFIG_BYTES_MAX {
        let source = io::Error::other(format!("it has {size} bytes, at most {CONFIG_BYTES_MAX} are read"));
        return Err(ConfigError::Io { what: "reading", path: path.to_owned(), source });
    }
    fs::read_to_string(path).map(Some).map_err(io_error("reading", path))
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ConfigError {
    let path = path.to_owned();
    move |source| ConfigError::Io { what, path, source }
}

/// The line (from 1) that holds the byte at `offset`, and its text.
fn line_at(text: &str, offset: usize) -> (usize, String) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.matches('\n').count();
    (line + 1, text.lines().nth(line).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests;
