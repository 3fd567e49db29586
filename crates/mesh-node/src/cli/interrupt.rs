//! Ctrl-C and its kin: the first asks for a clean stop, the second ends the process at once.

use mesh_node::api::outcome::Outcome;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::fault::Fault;

/// Hears whether somebody wants the process to stop.
#[derive(Debug, Clone)]
pub struct Interrupt {
    stop: watch::Sender<bool>,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP from here on.
    ///
    /// # Errors
    /// A [`Fault`] if the system does not let us.
    pub fn listen() -> Result<Self, Fault> {
        let stop = watch::Sender::new(false);
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind).map_err(|error| Fault::from_io("listening for signals", &error))?;
            let stop = stop.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if stop.send_replace(true) {
                        std::process::exit(Outcome::Interrupted.meaning().exit_code.into());
                    }
                }
            });
        }
        Ok(Self { stop })
    }

    /// Waits for the first signal.
    pub async fn wait(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives in `self`: an error can't be.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Whether the first signal came.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.stop.borrow()
    }

    /// Asks for a clean stop, as a signal would.
    pub fn set(&self) {
        self.stop.send_replace(true);
    }
}
