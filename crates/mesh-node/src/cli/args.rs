//! What can be asked on the command line. Help, completions and manual pages are made from here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mesh_node::Overrides;
use mesh_node::api::outcome::MEANINGS;
use mesh_proto::bulk::TrafficClass;
use mesh_proto::record::Access;

use super::groups::{CommunityCommand, IdentityCommand, JournalCommand, MemberCommand};
use super::values::{parse_access, parse_rate, parse_size};

/// Shares files and folders with others on the same network, and fetches theirs, from everyone who has them.
#[derive(Debug, Parser)]
#[command(name = "mesh-node", version, after_help = exit_codes(), arg_required_else_help = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The node's data folder; by default `mesh` in your data folder
    #[arg(long, global = true, value_name = "DIR", env = "MESH_DATA")]
    pub data: Option<PathBuf>,
    /// Print the result, or the error, as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but the result
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log more; twice for everything (or set MESH_LOG to a filter)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How a node is run.
#[derive(Debug, Default, Args)]
pub struct NodeArgs {
    /// Listen here, as a multiaddr; may be repeated
    #[arg(long, value_name = "MULTIADDR")]
    pub listen: Vec<String>,
    /// Connect to this node; may be repeated
    #[arg(long, value_name = "MULTIADDR")]
    pub peer: Vec<String>,
    /// Neither announce nor look for peers by multicast
    #[arg(long)]
    pub no_mdns: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node until Ctrl-C; the first run makes its identity and a commented mesh.toml
    Up(UpArgs),
    /// Share a file or folder in place, and print its ticket
    Share(ShareArgs),
    /// Fetch what a ticket names; run the same command again to resume
    #[command(override_usage = "mesh-node get [OPTIONS] <TICKET>")]
    Get(GetArgs),
    /// Show what others list
    Browse,
    /// Show what others list, by words in name and tags
    Search {
        /// The words; all must occur
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Show what is here
    Ls,
    /// Forget a content; shared files are never touched
    Rm {
        /// Its id, the beginning of it, or its ticket
        id: String,
        /// Delete the files, too, if they were received
        #[arg(long)]
        delete: bool,
    },
    /// Keep a content from being collected
    Pin {
        /// Its id, the beginning of it, or its ticket
        id: String,
    },
    /// Let a content be collected again
    Unpin {
        /// Its id, the beginning of it, or its ticket
        id: String,
    },
    /// Stop fetching for now
    Pause {
        /// Its id, the beginning of it, or its ticket
        id: String,
    },
    /// Go on fetching
    Resume {
        /// Its id, the beginning of it, or its ticket
        id: String,
    },
    /// Give up a transfer and delete what is partial
    Cancel {
        /// Its id, the beginning of it, or its ticket
        id: String,
    },
    /// Limit rates, in bytes per second, like 2MB or 500KiB/s; 0 lifts a limit. Without options, show those in force
    Limit {
        /// Sending
        #[arg(long, value_name = "RATE", value_parser = parse_rate)]
        up: Option<u64>,
        /// Receiving
        #[arg(long, value_name = "RATE", value_parser = parse_rate)]
        down: Option<u64>,
    },
    /// Limit what received contents may take on disk, like 20GiB; 0 = no limit. Without a size, show the limit
    Quota {
        /// Bytes
        #[arg(value_parser = parse_size)]
        size: Option<u64>,
    },
    /// Remove received contents that are not pinned until the quota is met, and stray files
    Gc,
    /// Hash a content again and fetch what is bad
    Verify {
        /// Its id, the beginning of it, or its ticket
        id: String,
    },
    /// Show the node at a glance
    Status,
    /// Show who is connected or known
    Peers,
    /// Show peers with link class, round trip, goodput and cost
    Topology,
    /// Show what is wrong with this set-up, and what to do
    Doctor,
    /// Communities: members who know each other by invitation
    Community {
        /// What to do.
        #[command(subcommand)]
        command: CommunityCommand,
    },
    /// Members: the people and households that own nodes
    Member {
        /// What to do.
        #[command(subcommand)]
        command: MemberCommand,
    },
    /// This node's keys
    Identity {
        /// What to do.
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Records of a node's runs, kept with `journal = true` in mesh.toml
    Journal {
        /// What to do.
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Show the main job on this machine: three nodes, one file, two sources, verified
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions {
        /// Which
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a folder
    Man {
        /// Which
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print the OpenAPI document of the local API
    #[command(hide = true)]
    Openapi,
    /// Print the page that documents every setting of mesh.toml
    #[command(hide = true)]
    ConfigDoc,
}

/// `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// How the node is run.
    #[command(flatten)]
    pub node: NodeArgs,
    /// Stop when standard input ends, as when whoever started it is gone
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
}

/// `share`.
#[derive(Debug, Args)]
pub struct ShareArgs {
    /// The file or folder; `-` reads standard input. Of a symbolic link, what it leads to is shared, under the link's name
    pub path: PathBuf,
    /// Its name for others; by default the path's last part
    #[arg(long)]
    pub name: Option<String>,
    /// Put it in the catalogue, where others find it. Its name, size and tags are shown to everybody, also to those whom
    /// --access does not let fetch it
    #[arg(long)]
    pub listed: bool,
    /// Take it out of the catalogue
    #[arg(long, conflicts_with = "listed")]
    pub unlisted: bool,
    /// A word to search by; may be repeated
    #[arg(long = "tag", value_name = "T")]
    pub tags: Vec<String>,
    /// Who may fetch it: ticket (whoever has it; the default), public, community:ID, or members:ID,ID
    #[arg(long, value_name = "WHO", value_parser = parse_access)]
    pub access: Option<Access>,
    /// How the node is run, if it has to be.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The ticket: mesh:…
    #[arg(required_unless_present = "seed")]
    pub ticket: Option<String>,
    /// The file or folder to make; an existing folder gets it inside. By default, the ticket's name in this folder
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Go on seeding when complete, for so long (like 30m) or until Ctrl-C
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "")]
    pub seed: Option<String>,
    /// Print what happens as lines of JSON, last the report or the error
    #[arg(long)]
    pub events: bool,
    /// How urgent it is
    #[arg(long, value_enum, default_value_t = Class::Public)]
    pub class: Class,
    /// Within its class, 0 to 255, highest first
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub priority: u8,
    /// Give up (exit code 6) if nothing comes for so long; by default, wait for ever
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// How the node is run, if it has to be.
    #[command(flatten)]
    pub node: NodeArgs,
}

/// How urgent a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Class {
    /// Somebody waits for it now
    Interactive,
    /// Somebody fetches it
    Public,
    /// It can wait
    Bulk,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// What to share; by default a file of 64 MiB made for it
    pub path: Option<PathBuf>,
    /// Let one source send wrong bytes, and expect that it is banned
    #[arg(long, hide = true)]
    pub corrupt: bool,
}

impl From<Class> for TrafficClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Interactive => Self::Interactive,
            Class::Public => Self::Public,
            Class::Bulk => Self::Bulk,
        }
    }
}

impl NodeArgs {
    /// What they change in the configuration.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            peers: self.peer.clone(),
            no_mdns: self.no_mdns,
            ..Overrides::default()
        }
    }
}

fn exit_codes() -> String {
    let lines = MEANINGS.iter().map(|meaning| format!("  {:>3}  {}", meaning.exit_code, meaning.text));
    let lines: Vec<String> = lines.collect();
    format!(
        "Commands on a data folder join the node that runs on it; without one, share and get run it as long as they \
         need it.\n\nExit codes:\n{}",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        let help = Cli::command().render_long_help().to_string();
        for meaning in MEANINGS {
            assert!(help.contains(&format!("{:>3}  {}", meaning.exit_code, meaning.text)), "{}", meaning.exit_code);
        }
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let cli = Cli::try_parse_from(["mesh-node", "ls", "--json", "--data", "/x", "-q"]).unwrap();
        assert!(cli.global.json && cli.global.quiet && cli.global.data == Some("/x".into()));
        assert!(Cli::try_parse_from(["mesh-node", "get"]).is_err());
        assert!(Cli::try_parse_from(["mesh-node", "share", "-", "--access", "friends"]).is_err());
    }
}
