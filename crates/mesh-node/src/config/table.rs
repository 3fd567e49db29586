//! Every key of `mesh.toml` with its meaning, unit, default and range, and the two texts made from them.

use super::{DEFAULT_PORT, LISTEN_MAX, PEERS_MAX};

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What kind of value it has, and its unit.
    kind: &'static str,
    /// What it is if missing, as it would stand in the file.
    default: &'static str,
    range: &'static str,
    /// What it does and what it costs.
    meaning: &'static str,
}

// The table speaks of these numbers; a change of one must come with a change of the words.
const _: () = assert!(DEFAULT_PORT == 4340 && LISTEN_MAX == 16 && PEERS_MAX == 64);

/// All keys, in the order in which a person reads them.
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: "text",
        default: "\"\"",
        range: "at most 255 bytes, no control characters",
        meaning: "The node's name as others see it. It is told to every node of the network; leave it empty to stay \
                  unnamed.",
    },
    Key {
        name: "listen",
        kind: "list of multiaddr texts",
        default: "[\"/ip4/0.0.0.0/tcp/4340\", \"/ip6/::/tcp/4340\"]",
        range: "1 to 16 addresses",
        meaning: "Where other nodes can reach this one. Port 0 lets the system choose. While this key is missing and \
                  port 4340 is taken, the system chooses a port and the node says so.",
    },
    Key {
        name: "peers",
        kind: "list of multiaddr texts",
        default: "[]",
        range: "at most 64 addresses",
        meaning: "Nodes to connect to at start and to try again when lost, for networks without multicast. An address \
                  may end in /p2p/ and the peer's id; then no other node is accepted there.",
    },
    Key {
        name: "mdns",
        kind: "true or false",
        default: "true",
        range: "",
        meaning: "Whether nodes on the same network segment find each other by multicast DNS. Announces this node's \
                  addresses to everybody on the segment.",
    },
    Key {
        name: "kademlia",
        kind: "true or false",
        default: "false",
        range: "",
        meaning: "Whether the wider lookup (a distributed hash table) is used. Worth its traffic in networks of more \
                  than a thousand nodes; smaller ones know all their nodes anyway.",
    },
    Key {
        name: "limit_up",
        kind: "bytes per second: a number, or a text like \"10 MB/s\" or \"512 KiB/s\"",
        default: "0",
        range: "0 (no limit) and up",
        meaning: "The most that is sent to all peers together. A limit set while the node runs (`mesh-node limit`) is \
                  kept and beats this one.",
    },
    Key {
        name: "limit_down",
        kind: "bytes per second: a number, or a text like \"10 MB/s\" or \"512 KiB/s\"",
        default: "0",
        range: "0 (no limit) and up",
        meaning: "The most that is received from all peers together. A limit set while the node runs is kept and beats \
                  this one.",
    },
    Key {
        name: "quota",
        kind: "bytes: a number, or a text like \"50 GB\" or \"20 GiB\"",
        default: "0",
        range: "0 (no limit) and up",
        meaning: "What contents received from others may take on disk. What is shared in place does not count. What \
                  can't fit beside what is pinned is refused; else the oldest that are not pinned make room. A quota \
                  set while the node runs (`mesh-node quota`) is kept and beats this one.",
    },
    Key {
        name: "discipline",
        kind: "text",
        default: "\"deficit-round-robin\"",
        range: "\"deficit-round-robin\" or \"first-come\"",
        meaning: "How peers share what this node sends: each member the same share, or whoever asks first. The second \
                  is there to compare with.",
    },
    Key {
        name: "ping_interval",
        kind: "time, a text like \"30s\" or \"5min\"",
        default: "\"30s\"",
        range: "\"1s\" to \"1h\", or \"0s\" for never",
        meaning: "How often a quiet connection is probed: by the system, and every tenth time by the node itself. \
                  Shorter finds dead links sooner and costs some fifty bytes each time; choose minutes or never on \
                  links of a few kbit/s. A connection is given up when nothing came for twice this time and forty \
                  seconds.",
    },
    Key {
        name: "gossip_interval",
        kind: "time, a text like \"20s\" or \"5min\"",
        default: "\"20s\"",
        range: "\"1s\" to \"1h\"",
        meaning: "How often what is known of nodes and of listed contents is compared with a random peer. Shorter \
                  spreads news sooner and costs about a kilobyte each time.",
    },
    Key {
        name: "api_listen",
        kind: "address and port",
        default: "\"127.0.0.1:0\"",
        range: "a loopback address; port 0 lets the system choose",
        meaning: "Where the control API listens. Commands find it through the file api.address in the data folder and \
                  show the token in api.token.",
    },
    Key {
        name: "journal",
        kind: "true or false",
        default: "false",
        range: "",
        meaning: "Whether all that goes in and out of the node's brain is recorded, so that a run can be replayed when \
                  something went wrong. Takes at most 256 MiB of disk and holds names and paths: `mesh-node journal \
                  export` takes them out before it is given away.",
    },
    Key {
        name: "log",
        kind: "text",
        default: "\"info\"",
        range: "error, warn, info, debug, trace, off, or a filter like \"info,mesh_net=debug\"",
        meaning: "What is written to the log (standard error).",
    },
];

const WIDTH: usize = 100;

/// The page `docs/config.md`.
pub(super) fn document() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         A node reads `mesh.toml` in its data folder; the first run writes one with every key commented out. Every key \
         may be missing. An unknown key or a value out of its range is refused with its line shown. What is given on the \
         command line beats the file.\n\n\
         This page is generated from the program; do not edit it.\n",
    );
    for key in KEYS {
        page.push_str(&format!("\n## `{}`\n\n{}\n\n", key.name, key.meaning));
        page.push_str(&format!("- Value: {}\n", key.kind));
        if !key.range.is_empty() {
            page.push_str(&format!("- Range: {}\n", key.range));
        }
        page.push_str(&format!("- Default: `{}`\n", key.default));
    }
    page
}

/// The commented `mesh.toml` of the first run.
pub(super) fn sample() -> String {
    let mut file = String::from(
        "# Settings of this Mesh node, read when it starts. Every key is at its default; take away the # to change one.\n",
    );
    for key in KEYS {
        file.push('\n');
        comment(&mut file, key.meaning);
        comment(&mut file, &format!("Value: {}.", key.kind));
        if !key.range.is_empty() {
            comment(&mut file, &format!("Range: {}.", key.range));
        }
        file.push_str(&format!("#{} = {}\n", key.name, key.default));
    }
    file
}

fn comment(file: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            file.push_str(&line);
            file.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    file.push_str(&line);
    file.push('\n');
}
