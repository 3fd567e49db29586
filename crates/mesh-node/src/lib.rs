//! A Mesh node one can embed, and what the `mesh-node` program is made of.
//!
//! | to find | look in |
//! |---|---|
//! | a running node | [`Node`], started from a [`Config`] |
//! | what can be set, and where it is read from | [`config`] |
//! | where a node keeps its files | [`data_folder`] |
//! | its private keys, which the brain never sees | [`keys`] |
//! | the record of a run, and how it is replayed | [`journal`] |
//! | which spelling of a path is kept | [`paths`] |
//! | the control API of a running node | [`api`] |
//!
//! Invariant: nothing here decides what a node does. `mesh-core` decides; the driver feeds it what happened and
//! carries out what it asks for.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use mesh_node::{Config, Node, Overrides};
//! use mesh_proto::port::UserCommand;
//!
//! let config = Config::load(&mesh_node::default_data_folder()?, &Overrides::default())?;
//! let node = Node::start(config).await?;
//! println!("{:?}", node.request(UserCommand::Status).await);
//! node.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod api;
pub mod config;
mod corrupt;
pub mod data_folder;
mod driver;
pub mod journal;
pub mod keys;
mod node;
pub mod paths;
mod system;

pub use config::{Config, ConfigError, Overrides};
pub use data_folder::default_data_folder;
pub use driver::DriverCounts;
pub use node::{Node, StartError};
