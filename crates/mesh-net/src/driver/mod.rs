//! Starts the network, takes commands, and runs the swarm's loop.
//!
//! The loop's task does nothing that could take long: streams have their own tasks, the store its blocking threads. It
//! waits only for the brain, when the brain's own queue is full.

mod commands;
mod dials;
mod events;
mod links;
mod listening;
mod moving;
mod multicast;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::Swarm;
use libp2p::identity::Keypair;
use mesh_proto::payload::PayloadStore;
use mesh_proto::port::net::{FetchOutcome, ServeState};
use mesh_proto::port::{Failure, NetCommand, NetInput};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::address_book::AddressBook;
use crate::behaviour::{MeshBehaviour, build_swarm};
use crate::config::{NetConfig, StartError};
use crate::connection::{CloseRequest, Shared};
use crate::interfaces::Interfaces;
use crate::lookup::Lookup;
use dials::Dials;
use links::Links;
use listening::Listening;
use moving::Departed;
use multicast::Multicast;

/// Commands that wait for the loop. One more is answered as failed at once.
const COMMANDS_MAX: usize = 16 * 1024;
/// Wishes of connections' tasks that wait for the loop.
const CLOSES_MAX: usize = 1024;
/// How long stopping may take before what still runs is cut off.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// How long connections get to close by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The running network. Dropping it cuts it off; [`stop`](Net::stop) closes it properly.
#[derive(Debug)]
pub struct Net {
    commands: mpsc::Sender<NetCommand>,
    inputs: mpsc::Sender<NetInput>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Net {
    /// Starts on the current tokio runtime. `secret` is the Ed25519 seed of the node key.
    ///
    /// Listening begins at once; its success or failure is reported as `Listening` and `ListenFailed`.
    ///
    /// # Errors
    /// [`StartError`] if there is no runtime, or the key or the transport can't be used.
    pub fn start(
        config: NetConfig,
        secret: [u8; 32],
        payload: Arc<dyn PayloadStore>,
        inputs: mpsc::Sender<NetInput>,
    ) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let keypair =
            Keypair::ed25519_from_bytes(secret).map_err(|error| StartError::Key { why: error.to_string() })?;
        let swarm = build_swarm(&config, keypair)?;
        let (commands, commands_out) = mpsc::channel(COMMANDS_MAX);
        let (close, closes) = mpsc::channel(CLOSES_MAX);
        let (stop, stopped) = oneshot::channel();
        let (probe_interval, probe_interval_out) = watch::channel(config.ping_interval_ms);
        let silence_max = Duration::from_millis(config.silence_ms_max.max(1));
        let shared = Arc::new(Shared::new(inputs.clone(), close, payload, probe_interval_out, silence_max));
        let driver = Driver {
            swarm,
            shared,
            probe_interval,
            interfaces: Interfaces::new(),
            links: Links::default(),
            dials: Dials::default(),
            book: AddressBook::default(),
            lookup: Lookup::default(),
            listening: Listening::default(),
            multicast: Multicast::default(),
            farewells: JoinSet::new(),
            departed: Departed::default(),
        };
        let task = runtime.spawn(driver.run(config.listen, commands_out, closes, stopped));
        Ok(Self { commands, inputs, stop: Some(stop), task })
    }

    /// Hands a command over; never waits. If far too many wait already, the command is answered as failed.
    pub fn command(&self, command: NetCommand) {
        let Err(error) = self.commands.try_send(command) else {
            return;
        };
        if let mpsc::error::TrySendError::Full(_) = error {
            tracing::error!("the network's command queue is full");
        }
        let Some(answer) = refusal(error.into_inner()) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(answer)) = self.inputs.try_send(answer) {
            let inputs = self.inputs.clone();
            tokio::spawn(async move { inputs.send(answer).await });
        }
    }

    /// Closes all connections and ends.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.task).await.is_err() {
            tracing::warn!("the network did not stop in time and was cut off");
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a command that is not carried out at all; `None` if it wants none.
fn refusal(command: NetCommand) -> Option<NetInput> {
    match command {
        NetCommand::Dial { command, .. } => {
            Some(NetInput::Dialled { command, result: Err(Failure::passing("the network is overloaded or stopped")) })
        }
        NetCommand::Fetch { command, .. } => Some(NetInput::Fetched {
            command,
            outcome: FetchOutcome::Disconnected,
            received_bytes: 0,
            chunks_verified: 0,
            aside_bytes: 0,
        }),
        NetCommand::Grant { command, serve, .. } => {
            Some(NetInput::Granted { command, serve, sent_bytes: 0, state: ServeState::Gone })
        }
        NetCommand::FindProviders { command, .. } => Some(NetInput::ProvidersFound { command, nodes: Vec::new() }),
        _ => None,
    }
}

/// The loop's state.
struct Driver {
    swarm: Swarm<MeshBehaviour>,
    shared: Arc<Shared>,
    probe_interval: watch::Sender<u64>,
    interfaces: Interfaces,
    links: Links,
    dials: Dials,
    book: AddressBook,
    lookup: Lookup,
    listening: Listening,
    multicast: Multicast,
    /// Tasks that report a connection's end once all else about it was reported.
    farewells: JoinSet<()>,
    departed: Departed,
}

impl Driver {
    async fn run(
        mut self,
        listen: Vec<String>,
        mut commands: mpsc::Receiver<NetCommand>,
        mut closes: mpsc::Receiver<CloseRequest>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        self.interfaces.settle().await;
        self.listen(listen).await;
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                event = self.swarm.select_next_some() => self.handle_event(event).await,
                Some(command) = commands.recv() => self.handle_command(command).await,
                Some(request) = closes.recv() => self.carry_out(request),
                gone = self.interfaces.changed() => if let Some(own) = gone {
                    self.departed.note(own);
                },
                Some(own) = self.departed.next() => self.leave_address(own),
                () = self.multicast.rested() => self.resume_multicast(),
                Some(_) = self.farewells.join_next() => {}
            }
        }
        self.shut_down(commands, closes).await;
    }

    /// Closes all connections, and answers what still waits.
    async fn shut_down(mut self, mut commands: mpsc::Receiver<NetCommand>, mut closes: mpsc::Receiver<CloseRequest>) {
        commands.close();
        while let Ok(command) = commands.try_recv() {
            if let Some(answer) = refusal(command) {
                self.shared.report(answer).await;
            }
        }
        for connection in self.links.ids() {
            self.end_connection(connection, "this node stops".to_owned());
        }
        let closing = async {
            while !self.links.is_empty() {
                tokio::select! {
                    event = self.swarm.select_next_some() => self.handle_event(event).await,
                    Some(request) = closes.recv() => self.carry_out(request),
                }
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
        drop(closes);
        self.give_up_dials().await;
        while self.farewells.join_next().await.is_some() {}
    }
}
