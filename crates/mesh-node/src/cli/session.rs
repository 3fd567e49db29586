//! Which node carries a command out: the one that runs on the data folder, or one started for the command.
//!
//! One that is started for long opens the same API, so that further commands join it. Of two that start at once, one
//! finds the folder in use and joins the other. One that is started for a moment opens none, as whoever joined would
//! lose it in the middle: others wait until the folder is free.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_node::api::outcome::Outcome;
use mesh_node::api::{Client, EventReader, Server};
use mesh_node::{Config, Node, Overrides};
use mesh_proto::port::user::UserError;
use mesh_proto::port::{Event, UserCommand, UserReply};
use tokio::sync::broadcast;

use super::fault::Fault;
use super::interrupt::Interrupt;
use super::output;

/// How long a node that holds the folder may take to answer.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);
const JOIN_DELAY: Duration = Duration::from_millis(150);

/// A node that carries commands out.
pub enum Session {
    /// One started for this command.
    Own {
        /// The node.
        node: Node,
        /// Its API, if others may join.
        server: Option<Server>,
    },
    /// One that ran already.
    Joined(Client),
}

/// How long a node is wanted, if it has to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// For one answer: nobody can join it.
    Moment,
    /// For as long as the command takes: others join it.
    Long,
}

/// What happens at the node.
pub enum Events {
    /// Heard directly.
    Own(broadcast::Receiver<Event>),
    /// Heard through the API.
    Joined(EventReader),
}

/// Starts a node and, if it is to stay, its API.
async fn start(config: Config, stay: Stay) -> Result<Session, Fault> {
    let (data, listen) = (config.data_folder().to_owned(), config.api_listen());
    let node = Node::start(config).await?;
    if stay == Stay::Moment {
        return Ok(Session::Own { node, server: None });
    }
    match Server::start(Arc::new(node.clone()), &data, listen).await {
        Ok(server) => Ok(Session::Own { node, server: Some(server) }),
        Err(error) => {
            node.stop().await;
            Err(error.into())
        }
    }
}

/// Starts a node to stay. A command that has the folder for a moment is waited for; a node that stays there is not.
///
/// # Errors
/// A [`Fault`]; nothing runs then.
pub async fn start_to_stay(data: &Path, overrides: &Overrides, interrupt: &Interrupt) -> Result<Session, Fault> {
    let deadline = Instant::now() + JOIN_TIMEOUT;
    loop {
        match start(Config::load(data, overrides)?, Stay::Long).await {
            Err(fault) if fault.outcome == Outcome::InUse && Instant::now() < deadline => {
                if Client::find(data).await.is_some() {
                    return Err(fault);
                }
                tokio::select! {
                    () = tokio::time::sleep(JOIN_DELAY) => {}
                    () = interrupt.wait() => return Err(Fault::interrupted("")),
                }
            }
            result => return result,
        }
    }
}

impl Session {
    /// Joins the node that runs on the folder, or starts one.
    ///
    /// # Errors
    /// A [`Fault`] if neither works.
    pub async fn open(data: &Path, overrides: &Overrides, stay: Stay) -> Result<Self, Fault> {
        let deadline = Instant::now() + JOIN_TIMEOUT;
        loop {
            if let Some(client) = Client::find(data).await {
                let session = Self::Joined(client);
                if stay == Stay::Long {
                    session.pass_on(overrides).await;
                }
                return Ok(session);
            }
            match start(Config::load(data, overrides)?, stay).await {
                Err(fault) if fault.outcome == Outcome::InUse => {
                    if Instant::now() >= deadline {
                        let cure = "Another process holds the folder and does not answer: end it, then try again.";
                        return Err(Fault { cure: cure.to_owned(), ..fault });
                    }
                    tokio::time::sleep(JOIN_DELAY).await;
                }
                Err(fault) => return Err(fault),
                Ok(session) => return Ok(session),
            }
        }
    }

    /// Tells a node that runs already whom to connect to, and says what it can't be told.
    async fn pass_on(&self, overrides: &Overrides) {
        if !overrides.listen.is_empty() || overrides.no_mdns {
            output::tell("note: a node runs already; --listen and --no-mdns do not change it");
        }
        for address in &overrides.peers {
            if let Err(fault) = self.ask(UserCommand::Dial { address: address.clone() }).await {
                output::tell(&format!("warning: {address}: {}", output::printable(&fault.message)));
            }
        }
    }

    /// Whether the node runs only for this command.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own { .. })
    }

    /// Asks for something.
    ///
    /// # Errors
    /// A [`Fault`] if it was refused or no answer came.
    pub async fn ask(&self, command: UserCommand) -> Result<UserReply, Fault> {
        let reply = match self {
            Self::Own { node, .. } => node.request(command).await,
            Self::Joined(client) => client.request(&command).await?,
        };
        match reply {
            UserReply::Failed(error) => Err(Fault::from(error)),
            reply => Ok(reply),
        }
    }

    /// Asks for something, unless somebody stops it.
    ///
    /// # Errors
    /// As [`Session::ask`]; interrupted, with this cure.
    pub async fn ask_until(&self, command: UserCommand, interrupt: &Interrupt, cure: &str) -> Result<UserReply, Fault> {
        tokio::select! {
            reply = self.ask(command) => reply,
            () = interrupt.wait() => Err(Fault::interrupted(cure)),
        }
    }

    /// Hears what happens from now on.
    ///
    /// # Errors
    /// A [`Fault`] if the node does not say.
    pub async fn events(&self) -> Result<Events, Fault> {
        match self {
            Self::Own { node, .. } => Ok(Events::Own(node.events())),
            Self::Joined(client) => Ok(Events::Joined(client.events().await?)),
        }
    }

    /// Waits until a caller of our own node's API asks it to stop; for ever, if the node is not ours.
    pub async fn stop_asked(&self) {
        match self {
            Self::Own { server: Some(server), .. } => server.stop_asked().await,
            _ => std::future::pending().await,
        }
    }

    /// Other commands that use our own node at this moment.
    #[must_use]
    pub fn callers(&self) -> usize {
        match self {
            Self::Own { server: Some(server), .. } => server.callers(),
            _ => 0,
        }
    }

    /// Stops the node if it is ours.
    pub async fn close(self) {
        if let Self::Own { node, server } = self {
            if let Some(server) = server {
                server.close().await;
            }
            node.stop().await;
        }
    }
}

impl Events {
    /// The next event; `None` once there will be none. What came too fast is skipped.
    pub async fn next(&mut self) -> Option<Event> {
        match self {
            Self::Joined(reader) => reader.next().await,
            Self::Own(receiver) => loop {
                match receiver.recv().await {
                    Ok(event) => return Some(event),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            },
        }
    }
}

/// The error of a node that is gone in the middle.
#[must_use]
pub fn node_gone(cure: &str) -> Fault {
    Fault::from(UserError::new(mesh_proto::port::user::ErrorKind::Unavailable, "the running node has stopped", cure))
}
