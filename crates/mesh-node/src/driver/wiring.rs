//! What the loop is made of, and what of it others can see.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_net::Net;
use mesh_proto::port::{Event, NetInput};
use mesh_store::Store;
use tokio::sync::{broadcast, mpsc, watch};

use super::queue::StoreInputs;
use super::{Counters, UserRequest};
use crate::data_folder::DataFolder;
use crate::journal::JournalWriter;
use crate::keys::KeyRing;

/// How far a node has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Its brain said that it is ready.
    pub(crate) ready: bool,
    /// Its loop has ended and everything is synced.
    pub(crate) stopped: bool,
    /// Addresses that it can't listen on.
    pub(crate) listens_failed: usize,
    /// Addresses that it listens on.
    pub(crate) listening: usize,
}

/// What others see of the loop.
pub(crate) struct Published {
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) counters: Arc<Counters>,
    listening: Mutex<Vec<String>>,
    /// The end of each full address.
    peer_id: String,
}

impl Published {
    pub(crate) fn new(events: broadcast::Sender<Event>, counters: Arc<Counters>, peer_id: String) -> Self {
        let (progress, _) = watch::channel(Progress::default());
        Self { events, progress, counters, listening: Mutex::new(Vec::new()), peer_id }
    }

    /// Full addresses, each ending in `/p2p/…`.
    pub(crate) fn listening(&self) -> Vec<String> {
        self.addresses().clone()
    }

    /// Notes what the network says about listening.
    pub(crate) fn note(&self, input: &NetInput) {
        match input {
            NetInput::Listening { address } => {
                let full = format!("{address}/p2p/{}", self.peer_id);
                let mut listening = self.addresses();
                if !listening.contains(&full) {
                    listening.push(full);
                }
                let count = listening.len();
                drop(listening);
                self.progress.send_modify(|progress| progress.listening = count);
            }
            NetInput::ListenFailed { .. } => self.progress.send_modify(|progress| progress.listens_failed += 1),
            _ => {}
        }
    }

    fn addresses(&self) -> MutexGuard<'_, Vec<String>> {
        // A list of texts is whole whatever happened to its last holder.
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything the loop owns.
pub(crate) struct Parts {
    pub(crate) brain: mesh_core::Node,
    pub(crate) store: Store,
    pub(crate) net: Net,
    pub(crate) keys: KeyRing,
    /// Held until everything is synced.
    pub(crate) folder: DataFolder,
    pub(crate) journal: Option<JournalWriter>,
    pub(crate) net_inputs: mpsc::Receiver<NetInput>,
    pub(crate) store_inputs: StoreInputs,
    pub(crate) requests: mpsc::Receiver<UserRequest>,
    /// Changes once, when the node shall stop.
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) published: Arc<Published>,
}
