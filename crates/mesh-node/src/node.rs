//! A running node: everything opened, wired together and driven; and the handle by which others use it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_net::{Net, NetConfig};
use mesh_proto::NodeId;
use mesh_proto::port::{Event, UserCommand, UserReply};
use mesh_store::disk::{Disk, SystemDisk};
use mesh_store::{Store, StoreConfig};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::Instrument as _;

use crate::config::{Config, DEFAULT_PORT};
use crate::data_folder::{DataFolder, FolderError, in_use};
use crate::driver::{
    Counters, Driver, DriverCounts, EVENTS_MAX, NET_INPUTS_MAX, Parts, Progress, Published, REQUESTS_MAX, StoreInputs,
    UserRequest, stopped_reply, store_queue,
};
use crate::journal::JournalWriter;
use crate::keys::{KeyRing, KeysError};
use crate::paths;

/// How long a ready node may take to say where it listens before it is used anyway.
const LISTEN_WAIT: Duration = Duration::from_secs(2);

/// Why a node did not start. Everything that was opened is closed again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another node uses the data folder.
    #[error("{}", in_use(.folder, *.pid))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },
    /// The data folder can't be used.
    #[error("the data folder can't be used")]
    Folder(#[source] FolderError),
    /// The keys can't be used.
    #[error("the identity can't be used")]
    Keys(#[from] KeysError),
    /// The store can't be opened.
    #[error("the store can't be opened")]
    Store(#[from] mesh_store::OpenError),
    /// The network can't be started.
    #[error("the network can't be started")]
    Net(#[from] mesh_net::StartError),
    /// The journal can't be begun.
    #[error("the journal can't be begun; set `journal = false` to run without one")]
    Journal(#[source] std::io::Error),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The node ended before it was ready.
    #[error("the node ended before it was ready; its log says why")]
    Ended,
}

impl From<FolderError> for StartError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::InUse { folder, pid } => Self::InUse { folder, pid },
            other => Self::Folder(other),
        }
    }
}

/// A running node. Clones are handles to the same one; when the last is gone it stops by itself, in the background.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

struct Shared {
    id: NodeId,
    data_folder: PathBuf,
    api_token: String,
    config: Config,
    requests: mpsc::Sender<UserRequest>,
    stop: watch::Sender<bool>,
    published: Arc<Published>,
}

impl Node {
    /// Opens the data folder (making an identity at the first run), the store and the network, and returns when the
    /// node is ready to be asked.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::InUse`] if another node has the folder.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_on(Arc::new(SystemDisk), config).await
    }

    /// The same with a disk of your own for contents and what is noted of them: a program that embeds a node can make,
    /// keep or check their bytes itself. Keys, configuration and the index, which can be made anew, stay with the system.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_on(disk: Arc<dyn Disk>, config: Config) -> Result<Self, StartError> {
        let opening = config.clone();
        let opened = tokio::task::spawn_blocking(move || Opened::open(disk, &opening));
        let opened = opened.await.map_err(|_| StartError::Ended)??;
        let id = opened.keys.node_id();
        let api_token = opened.folder.api_token().to_owned();
        let (request_sender, requests) = mpsc::channel(REQUESTS_MAX);
        let (stop_sender, stop) = watch::channel(false);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let peer_id = mesh_net::peer_id_of(&id).to_string();
        let published = Arc::new(Published::new(events, Arc::clone(&opened.counters), peer_id));
        let listens = opened.listen.len();
        let parts = opened.into_parts(&config, requests, stop, Arc::clone(&published)).await?;
        let mut progress = published.progress.subscribe();
        let ended = EndedOnDrop(Arc::clone(&published));
        let run = async move {
            Driver::new(parts).run().await;
            drop(ended);
        };
        tokio::spawn(run.instrument(tracing::info_span!("node", id = id.short())));
        let data_folder = config.data_folder().to_owned();
        let shared =
            Shared { id, data_folder, api_token, config, requests: request_sender, stop: stop_sender, published };
        wait_until_ready(&mut progress, listens).await?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Its id: its public key.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.shared.id
    }

    /// Asks the node for something and waits for its answer. Paths must be absolute; see [`paths`] for what is kept.
    pub async fn request(&self, mut command: UserCommand) -> UserReply {
        if paths::has_path(&command) {
            let own = self.data_folder().to_owned();
            let settling = move || paths::settle(&mut command, &own).map(|()| command);
            match tokio::task::spawn_blocking(settling).await {
                Ok(Ok(settled)) => command = settled,
                Ok(Err(error)) => return UserReply::Failed(error),
                Err(_) => return stopped_reply(),
            }
        }
        let (reply, answer) = oneshot::channel();
        if self.shared.requests.send(UserRequest { command, reply }).await.is_err() {
            return stopped_reply();
        }
        answer.await.unwrap_or_else(|_| stopped_reply())
    }

    /// What happens from now on. A listener that is too slow is told how many events it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.published.events.subscribe()
    }

    /// Where it can be reached: full multiaddrs that end in `/p2p/…`.
    #[must_use]
    pub fn listening(&self) -> Vec<String> {
        self.shared.published.listening()
    }

    /// What its control API asks for.
    #[must_use]
    pub fn api_token(&self) -> &str {
        &self.shared.api_token
    }

    /// Where it keeps its files.
    #[must_use]
    pub fn data_folder(&self) -> &Path {
        &self.shared.data_folder
    }

    /// With what it was started.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// What its loop has counted.
    #[must_use]
    pub fn driver_counts(&self) -> DriverCounts {
        self.shared.published.counters.counts()
    }

    /// Stops the node; when this returns everything is synced and the data folder is free.
    pub async fn stop(&self) {
        self.shared.stop.send_replace(true);
        let mut progress = self.shared.published.progress.subscribe();
        // The loop says so even if it fails, and its sender lives in `shared`.
        let _ = progress.wait_for(|progress| progress.stopped).await;
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Node").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

/// Says that the loop has ended, also if it failed: nobody shall wait for it for ever.
struct EndedOnDrop(Arc<Published>);

impl Drop for EndedOnDrop {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| progress.stopped = true);
    }
}

/// What is opened before anything runs.
struct Opened {
    folder: DataFolder,
    keys: KeyRing,
    store: Store,
    store_inputs: StoreInputs,
    counters: Arc<Counters>,
    journal: Option<JournalWriter>,
    seed: [u8; 32],
    listen: Vec<String>,
}

impl Opened {
    /// Blocks on the disk.
    fn open(disk: Arc<dyn Disk>, config: &Config) -> Result<Self, StartError> {
        let folder = DataFolder::open(config.data_folder())?;
        if folder.was_used() && !KeyRing::is_in(&folder.identity()) {
            tracing::warn!(
                folder = %folder.identity().display(),
                "node.key was gone: to all others this node is a new one from now on; to be the old one again, import a \
                 copy made with `mesh-node identity export`"
            );
        }
        let keys = KeyRing::open(&folder.identity())?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(StartError::Random)?;
        let journal = match config.journal() {
            true => Some(JournalWriter::start(&folder.journal(), config.brain(), seed).map_err(StartError::Journal)?),
            false => None,
        };
        if let Some(journal) = &journal {
            tracing::info!(path = %journal.path().display(), "recording a journal");
        }
        let counters = Arc::new(Counters::default());
        let (report, store_inputs) = store_queue(Arc::clone(&counters));
        let store = Store::open(StoreConfig { disk, ..StoreConfig::on_disk(folder.store()) }, report)?;
        Ok(Self { folder, keys, store, store_inputs, counters, journal, seed, listen: usable_listen(config) })
    }

    /// Starts the network; if that fails, the store is closed again.
    async fn into_parts(
        self,
        config: &Config,
        requests: mpsc::Receiver<UserRequest>,
        stop: watch::Receiver<bool>,
        published: Arc<Published>,
    ) -> Result<Parts, StartError> {
        let Self { folder, keys, store, store_inputs, journal, seed, listen, .. } = self;
        let (net_sender, net_inputs) = mpsc::channel(NET_INPUTS_MAX);
        let net_config = NetConfig {
            listen,
            mdns: config.mdns(),
            kademlia: config.brain().kademlia,
            agent: config.brain().agent.clone(),
            ping_interval_ms: config.brain().ping_interval_ms,
            ..NetConfig::default()
        };
        let net = match Net::start(net_config, keys.node_secret(), crate::corrupt::wrap(store.payload()), net_sender) {
            Ok(net) => net,
            Err(error) => {
                // Its own failure would hide the one that matters.
                let _ = tokio::task::spawn_blocking(move || store.close()).await;
                return Err(error.into());
            }
        };
        let brain = mesh_core::Node::new(config.brain().clone(), seed);
        Ok(Parts { brain, store, net, keys, folder, journal, net_inputs, store_inputs, requests, stop, published })
    }
}

/// Waits for the brain, then a little for the first address.
async fn wait_until_ready(progress: &mut watch::Receiver<Progress>, listens: usize) -> Result<(), StartError> {
    let ready = progress.wait_for(|progress| progress.ready || progress.stopped).await;
    if !ready.is_ok_and(|progress| progress.ready) {
        return Err(StartError::Ended);
    }
    let answered =
        |progress: &Progress| progress.stopped || progress.listening > 0 || progress.listens_failed >= listens;
    let answered = tokio::time::timeout(LISTEN_WAIT, progress.wait_for(answered));
    if answered.await.is_err() {
        tracing::warn!("the network has not said yet where it listens");
    }
    Ok(())
}

/// The addresses to listen on. If nobody chose them: without IPv6 where there is none, and where the usual port is taken
/// also one of the system's choice; the usual one is still tried, so that people are told that it is taken.
fn usable_listen(config: &Config) -> Vec<String> {
    if !config.listen_is_default() {
        return config.listen().to_vec();
    }
    let mut addresses = Vec::new();
    for (host, ip) in [("/ip4/0.0.0.0", "0.0.0.0"), ("/ip6/::", "[::]")] {
        match TcpListener::bind(format!("{ip}:{DEFAULT_PORT}")) {
            Ok(_) => addresses.push(format!("{host}/tcp/{DEFAULT_PORT}")),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tracing::warn!(port = DEFAULT_PORT, "the usual port is taken by another program; another one is used");
                addresses.extend([format!("{host}/tcp/{DEFAULT_PORT}"), format!("{host}/tcp/0")]);
            }
            Err(error) => tracing::debug!(host, %error, "not listening there"),
        }
    }
    addresses
}
