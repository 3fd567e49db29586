//! What is *kept*: every two seconds, or sixteen mebibytes, received bytes are synced and then noted in the log.
//!
//! The order is the promise: a chunk is noted only after its bytes are on the disk.

use std::sync::Arc;
use std::time::Duration;

use mesh_proto::port::Failure;

use crate::content::Reception;
use crate::log::Entry;
use crate::store::Inner;

/// Received bytes are synced at the latest after this long …
pub const INTERVAL: Duration = Duration::from_secs(2);
/// … or when so many wait.
pub const BYTES: u64 = 16 << 20;

/// Syncs one reception and notes what is kept of it.
pub fn checkpoint(store: &Inner, reception: &Reception) -> Result<(), Failure> {
    let (have, fresh) = {
        let mut progress = reception.progress.lock();
        if progress.closed || progress.unsynced_bytes == 0 {
            return Ok(());
        }
        progress.unsynced_bytes = 0;
        (progress.have.clone(), progress.have.difference(&progress.kept))
    };
    let space = reception.space.read().clone();
    let Some(space) = space else { return Ok(()) };
    space.sync().map_err(|error| Failure::passing(format!("can't sync {}: {error}", space.path().display())))?;
    store.append(&[Entry::Kept(reception.content, fresh.runs().to_vec())])?;
    reception.progress.lock().kept.union_with(&have);
    Ok(())
}

/// The thread that does it.
pub fn run(store: &Arc<Inner>) {
    loop {
        let stopped = store.wait_for_checkpoint(INTERVAL);
        for reception in store.receptions() {
            if let Err(failure) = checkpoint(store, &reception) {
                tracing::warn!(content = %reception.content, why = failure.why, "checkpoint failed");
            }
        }
        if stopped {
            return;
        }
    }
}
