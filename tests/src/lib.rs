//! The kit for tests of the real program: nodes as processes, hosts as network namespaces, networks with faults.
//!
//! | to find | look in |
//! |---|---|
//! | a network of hosts, and how it is cleaned up | [`lan`] |
//! | how its TCP behaves | [`congestion`] |
//! | its faults: slow, lossy, deaf to multicast, unplugged | [`fault`] |
//! | what most tests begin with: sources, a file, a getter | [`scene`] |
//! | honest nodes under attack; the attackers' own program is in `hostile/` | [`siege`] |
//! | a node on a host or on this machine | [`node`] |
//! | a folder for one test, a small disk to fill | [`folder`], [`small_disk`] |
//! | a running process: its lines, its memory, its end | [`process`] |
//! | waiting for something, with a deadline | [`wait`] |
//! | files and trees to share, and comparing them | [`files`] |
//! | plain HTTP to a node's control API | [`http`] |
//! | replaying what a node's brain did | [`journal`] |
//! | how often a test tries something, in CI and in a soak | [`soak`] |
//!
//! Invariant: nothing waits for a fixed time in the hope that something has happened by then; everything polls with a
//! deadline. What a test starts, it ends, also when it fails.

pub mod congestion;
pub mod fault;
pub mod files;
pub mod folder;
pub mod http;
pub mod journal;
pub mod json;
pub mod lan;
pub mod node;
pub mod place;
pub mod process;
pub mod program;
pub mod random;
pub mod scene;
pub mod siege;
pub mod small_disk;
pub mod soak;
pub mod wait;

pub use congestion::Congestion;
pub use folder::Folder;
pub use lan::{Host, Lan};
pub use node::TestNode;
pub use place::Place;
pub use process::{Outcome, Running};
pub use scene::Scene;
pub use siege::Siege;
pub use small_disk::SmallDisk;
