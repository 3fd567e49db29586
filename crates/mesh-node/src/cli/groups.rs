//! What can be asked of communities, members, the identity and journals: commands that have commands of their own.

use std::path::PathBuf;

use clap::Subcommand;
use mesh_proto::{MemberId, NodeId};

/// `community …`.
#[derive(Debug, Subcommand)]
pub enum CommunityCommand {
    /// Found a community on this node
    New {
        /// Its name
        name: String,
    },
    /// Write an invitation for a member
    Invite {
        /// The member's id
        member: MemberId,
        /// Into which of ours, by id, the beginning of it, or name; not needed if there is just one
        #[arg(long, value_name = "ID")]
        community: Option<String>,
    },
    /// Take an invitation
    Join {
        /// Its text
        invitation: String,
    },
    /// Show what communities this node's member is in
    List,
}

/// `member …`.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Make this node's member known, with a key of its own
    New {
        /// Its name
        name: String,
    },
    /// Certify another node as this member's; then run `member accept` there
    AddNode {
        /// Its id
        node: NodeId,
    },
    /// Say that this node belongs to a member whose key is on another one, which certifies it with `member add-node`
    Accept {
        /// The member's id
        member: MemberId,
    },
    /// Show members and their nodes as known here
    List,
    /// Take back, for ever, all that this member and the communities founded here vouched for
    Revoke {
        /// A node's or member's id
        subject: String,
        /// Why, for people
        #[arg(long, default_value = "")]
        reason: String,
        /// Only its place in this community, by id, the beginning of it, or name
        #[arg(long, value_name = "ID")]
        community: Option<String>,
        /// Also if it is this node or its own member, which then has to begin anew
        #[arg(long)]
        force: bool,
    },
}

/// `identity …`.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Show who this node and its member are
    Show,
    /// Write all keys into a new file; whoever has it can be this node
    Export {
        /// The file to make
        file: PathBuf,
    },
    /// Take up the keys of an exported file; the node must not run
    Import {
        /// The exported file
        file: PathBuf,
        /// Put an identity that is here already aside
        #[arg(long)]
        replace: bool,
    },
}

/// `journal …`.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Show the journals in the data folder
    List,
    /// Copy a journal with names taken out, to give it away; names of less than four letters and addresses stay
    Export {
        /// The journal
        #[arg(value_name = "JOURNAL")]
        journal: PathBuf,
        /// The file to make
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Do a recorded run again and compare; exit code 7 if it went another way
    Replay {
        /// The journal, of this very build
        #[arg(value_name = "JOURNAL")]
        journal: PathBuf,
    },
}
