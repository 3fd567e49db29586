//! The way from the store's threads to the loop.
//!
//! The store must never wait for the loop, as the loop may wait for the store: so the channel has no limit of its own.
//! What bounds it: an answer comes once per command, and the brain bounds the commands it has under way; `Changed`
//! and `ListingChecked` come once per content that is shared or received. Only progress repeats; beyond
//! [`STORE_PROGRESS_MAX`] waiting inputs it is dropped (the next one says more anyway), and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_proto::port::StoreInput;
use tokio::sync::mpsc;

use super::Counters;

/// Inputs of the store that may wait before progress is dropped.
pub(crate) const STORE_PROGRESS_MAX: usize = 256;

/// The receiving end.
pub(crate) struct StoreInputs {
    receiver: mpsc::UnboundedReceiver<StoreInput>,
    waiting: Arc<AtomicUsize>,
}

/// What the store calls.
pub(crate) type StoreReport = Arc<dyn Fn(StoreInput) + Send + Sync>;

/// Makes the queue.
pub(crate) fn store_queue(counters: Arc<Counters>) -> (StoreReport, StoreInputs) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waiting);
    let report = move |input: StoreInput| {
        if matches!(input, StoreInput::Progress { .. }) && count.load(Ordering::Relaxed) >= STORE_PROGRESS_MAX {
            Counters::add(&counters.store_progress_dropped);
            return;
        }
        count.fetch_add(1, Ordering::Relaxed);
        // After the loop's end nobody listens, and nobody needs to.
        if sender.send(input).is_err() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    };
    (Arc::new(report), StoreInputs { receiver, waiting })
}

impl StoreInputs {
    pub(crate) async fn recv(&mut self) -> Option<StoreInput> {
        let input = self.receiver.recv().await;
        self.taken(input)
    }

    pub(crate) fn try_recv(&mut self) -> Option<StoreInput> {
        let input = self.receiver.try_recv().ok();
        self.taken(input)
    }

    fn taken(&self, input: Option<StoreInput>) -> Option<StoreInput> {
        if input.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::CommandId;

    #[tokio::test]
    async fn progress_is_dropped_at_the_limit_and_answers_never() {
        let counters = Arc::new(Counters::default());
        let (report, mut inputs) = store_queue(Arc::clone(&counters));
        for number in 0..STORE_PROGRESS_MAX as u64 + 10 {
            report(StoreInput::Progress { command: CommandId(1), done_bytes: number, total_bytes: 0 });
        }
        report(StoreInput::Done { command: CommandId(2), result: Ok(()) });
        assert_eq!(counters.counts().store_progress_dropped, 10);
        let mut last = None;
        let mut count = 0;
        while let Some(input) = inputs.try_recv() {
            last = Some(input);
            count += 1;
        }
        assert_eq!(count, STORE_PROGRESS_MAX + 1);
        assert!(matches!(last, Some(StoreInput::Done { .. })));
        report(StoreInput::Progress { command: CommandId(1), done_bytes: 0, total_bytes: 0 });
        assert!(inputs.recv().await.is_some());
    }
}
