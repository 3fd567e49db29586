//! Which stream's task answers for a request under way.
//!
//! Invariant: whoever takes a route out answers for it; so every fetch and every grant is answered once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_proto::CommandId;
use mesh_proto::port::net::ServeId;
use tokio::sync::mpsc;

use crate::getter::GetterCommand;
use crate::source::SourceCommand;

/// The tasks behind fetches and serves. Locked for single look-ups only.
#[derive(Default)]
pub(crate) struct Routes {
    fetches: Mutex<HashMap<CommandId, mpsc::Sender<GetterCommand>>>,
    serves: Mutex<HashMap<ServeId, mpsc::Sender<SourceCommand>>>,
}

impl Routes {
    pub(crate) fn add_fetch(&self, command: CommandId, to: mpsc::Sender<GetterCommand>) {
        lock(&self.fetches).insert(command, to);
    }

    pub(crate) fn remove_fetch(&self, command: CommandId) {
        lock(&self.fetches).remove(&command);
    }

    pub(crate) fn fetch(&self, command: CommandId) -> Option<mpsc::Sender<GetterCommand>> {
        lock(&self.fetches).get(&command).cloned()
    }

    pub(crate) fn add_serve(&self, serve: ServeId, to: mpsc::Sender<SourceCommand>) {
        lock(&self.serves).insert(serve, to);
    }

    pub(crate) fn remove_serve(&self, serve: ServeId) {
        lock(&self.serves).remove(&serve);
    }

    pub(crate) fn serve(&self, serve: ServeId) -> Option<mpsc::Sender<SourceCommand>> {
        lock(&self.serves).get(&serve).cloned()
    }
}

/// Locks, also after another task panicked: single inserts and removals leave nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
