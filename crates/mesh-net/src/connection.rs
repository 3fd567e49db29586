//! What all tasks of one connection share, and how they report.
//!
//! Invariant: a fault of the peer is reported once, and the connection is then closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use mesh_proto::payload::PayloadStore;
use mesh_proto::port::NetInput;
use mesh_proto::port::net::ServeId;
use mesh_proto::{ConnectionId, NodeId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::pulse::Pulse;
use crate::routes::Routes;
use crate::source::{OpenSources, SliceBuffers};
use crate::streams::Opener;

/// How long a stream's reader may go on after its connection was closed.
const CLOSED_GRACE: Duration = Duration::from_millis(500);

/// What a connection's task asks of the swarm's task.
#[derive(Debug)]
pub(crate) struct CloseRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) why: String,
    /// Nothing gets through any more, not even a goodbye.
    pub(crate) is_cut: bool,
}

/// What every task of the network can reach.
pub(crate) struct Shared {
    pub(crate) inputs: mpsc::Sender<NetInput>,
    pub(crate) close: mpsc::Sender<CloseRequest>,
    pub(crate) store: Arc<dyn PayloadStore>,
    pub(crate) routes: Routes,
    pub(crate) slices: Arc<SliceBuffers>,
    pub(crate) sources: OpenSources,
    pub(crate) probe_interval_ms: watch::Receiver<u64>,
    /// From when the times of probes are counted.
    pub(crate) born: Instant,
    /// How long a probe waits while nothing comes.
    pub(crate) silence_max: Duration,
    next_serve: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        inputs: mpsc::Sender<NetInput>,
        close: mpsc::Sender<CloseRequest>,
        store: Arc<dyn PayloadStore>,
        probe_interval_ms: watch::Receiver<u64>,
        silence_max: Duration,
    ) -> Self {
        Self {
            inputs,
            close,
            store,
            routes: Routes::default(),
            slices: Arc::default(),
            sources: OpenSources::default(),
            probe_interval_ms,
            born: Instant::now(),
            silence_max,
            next_serve: AtomicU64::new(1),
        }
    }

    /// Reports, waiting while the brain is busy. If nobody listens any more, nobody misses it.
    pub(crate) async fn report(&self, input: NetInput) {
        let _ = self.inputs.send(input).await;
    }

    pub(crate) fn new_serve(&self) -> ServeId {
        ServeId(self.next_serve.fetch_add(1, Ordering::Relaxed))
    }
}

/// One connection, as its tasks see it.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) node: NodeId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) opener: Opener,
    /// Span requests of the peer that are not at their end.
    pub(crate) serves_open: AtomicUsize,
    /// Payload streams the peer opened that live.
    pub(crate) sources_open: AtomicUsize,
    /// Control streams the peer opened that live.
    pub(crate) controls_open: AtomicUsize,
    /// Echoes of the peer's probes that run.
    pub(crate) echoes_open: AtomicUsize,
    /// Doubts whether this connection lives that are being settled: one at most, however often the peer comes anew.
    pub(crate) doubts_open: AtomicUsize,
    /// Whether our own control stream to the peer stands.
    pub(crate) control_ready: AtomicBool,
    /// Asks for a probe before one is due.
    pub(crate) doubt: Notify,
    closed: watch::Receiver<bool>,
    faulted: AtomicBool,
}

impl Connection {
    pub(crate) fn new(
        id: ConnectionId,
        node: NodeId,
        shared: Arc<Shared>,
        opener: Opener,
        closed: watch::Receiver<bool>,
    ) -> Self {
        Self {
            id,
            node,
            shared,
            opener,
            serves_open: AtomicUsize::new(0),
            sources_open: AtomicUsize::new(0),
            controls_open: AtomicUsize::new(0),
            echoes_open: AtomicUsize::new(0),
            doubts_open: AtomicUsize::new(0),
            control_ready: AtomicBool::new(false),
            doubt: Notify::new(),
            closed,
            faulted: AtomicBool::new(false),
        }
    }

    /// Reports something about this connection.
    pub(crate) async fn report(&self, input: NetInput) {
        self.shared.report(input).await;
    }

    /// Returns when the connection has ended.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.clone();
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Returns some time after the connection has ended. Its streams end by themselves once what had already come was
    /// read from them; this is the last resort for those that don't.
    pub(crate) async fn closed_for_long(&self) {
        self.closed().await;
        tokio::time::sleep(CLOSED_GRACE).await;
    }

    /// When the last byte came from the peer, on any stream.
    pub(crate) fn pulse(&self) -> &Pulse {
        self.opener.pulse()
    }

    /// Reports that the peer broke the protocol, once, and closes the connection.
    pub(crate) async fn fault(&self, why: String) {
        if self.faulted.swap(true, Ordering::Relaxed) {
            return;
        }
        let input = NetInput::Malformed { connection: self.id, node: self.node, why: why.clone() };
        self.report(input).await;
        self.close(format!("the peer broke the protocol: {why}")).await;
    }

    /// Asks for the connection to be closed.
    pub(crate) async fn close(&self, why: String) {
        let _ = self.shared.close.send(CloseRequest { connection: self.id, why, is_cut: false }).await;
    }

    /// The peer came anew, perhaps from elsewhere: has this older connection closed unless the peer answers on it.
    pub(crate) async fn prove(&self) {
        let began = Instant::now();
        self.doubt.notify_one();
        tokio::time::sleep(self.shared.silence_max).await;
        if self.pulse().last() < began {
            let why = "the peer came anew and is silent here".to_owned();
            let _ = self.shared.close.send(CloseRequest { connection: self.id, why, is_cut: true }).await;
        }
    }

    /// Counts something up unless it is at its limit; the guard counts it down again.
    pub(crate) fn try_count(
        self: &Arc<Self>,
        counter: fn(&Connection) -> &AtomicUsize,
        limit: usize,
    ) -> Option<Counted> {
        let counted = counter(self)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < limit).then_some(count + 1))
            .is_ok();
        counted.then(|| Counted { connection: Arc::clone(self), counter })
    }
}

/// One of a bounded number of things that a connection has.
pub(crate) struct Counted {
    connection: Arc<Connection>,
    counter: fn(&Connection) -> &AtomicUsize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.connection).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::payload::{PayloadSink, PayloadSource, SinkError, SourceError, SpanAddress};

    use super::*;
    use crate::streams::tests::bare_opener;

    const SILENCE_MAX: Duration = Duration::from_secs(20);

    struct NoStore;

    impl PayloadStore for NoStore {
        fn open_source(&self, _: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
            Err(SourceError::NotHeld)
        }

        fn open_sink(&self, _: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
            unreachable!("nothing is fetched here")
        }
    }

    /// A connection that nobody is at the other end of, and what it asks of the loop.
    fn connection() -> (Connection, mpsc::Receiver<CloseRequest>) {
        let (close, closes) = mpsc::channel(4);
        let (inputs, _) = mpsc::channel(4);
        let probes = watch::channel(0).1;
        let shared = Arc::new(Shared::new(inputs, close, Arc::new(NoStore), probes, SILENCE_MAX));
        let closed = watch::channel(false).1;
        (Connection::new(ConnectionId(7), NodeId([9; 32]), shared, bare_opener().0, closed), closes)
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_connection_that_stays_silent_is_cut() {
        let (connection, mut closes) = connection();
        connection.pulse().beat();
        tokio::time::advance(Duration::from_millis(1)).await;
        let began = Instant::now();
        connection.prove().await;
        assert_eq!(began.elapsed(), SILENCE_MAX, "so long it may be silent");
        let request = closes.try_recv().unwrap();
        assert_eq!((request.connection, request.is_cut), (ConnectionId(7), true));
        connection.doubt.notified().await;
    }

    /// On a short path the answer is here within a fraction of a millisecond.
    #[tokio::test(start_paused = true)]
    async fn an_older_connection_that_answers_stays_however_soon_or_late() {
        for answer_us in [0, 1, 200, 1_000, 19_999_000] {
            let (connection, mut closes) = connection();
            tokio::time::advance(Duration::from_micros(300)).await;
            let answer = async {
                connection.doubt.notified().await;
                tokio::time::advance(Duration::from_micros(answer_us)).await;
                connection.pulse().beat();
            };
            tokio::join!(connection.prove(), answer);
            assert!(closes.try_recv().is_err(), "it was cut though it answered after {answer_us} µs");
        }
    }
}
