//! A source that lies, for tests and the demonstration of a ban: behind the store's own verification it flips a byte of
//! every span it gives. Only a node started with `MESH_TEST_CORRUPT=1` does so, and it says so loudly.

use std::sync::Arc;

use mesh_proto::payload::{PayloadSink, PayloadSource, PayloadStore, SinkError, SourceError, SpanAddress};

/// The variable that makes a node lie.
pub const VARIABLE: &str = "MESH_TEST_CORRUPT";

/// The way of payload as it is, or as a liar's if the variable says so.
pub fn wrap(payload: Arc<dyn PayloadStore>) -> Arc<dyn PayloadStore> {
    match std::env::var_os(VARIABLE) {
        Some(value) if value == "1" => {
            tracing::warn!("{VARIABLE} is set: this node gives wrong bytes on purpose");
            Arc::new(LyingStore(payload))
        }
        _ => payload,
    }
}

struct LyingStore(Arc<dyn PayloadStore>);

impl PayloadStore for LyingStore {
    fn open_source(&self, span: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
        let honest = self.0.open_source(span)?;
        Ok(Box::new(LyingSource { honest, lied: false }))
    }

    fn open_sink(&self, span: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
        self.0.open_sink(span)
    }
}

struct LyingSource {
    honest: Box<dyn PayloadSource>,
    lied: bool,
}

impl PayloadSource for LyingSource {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let count = self.honest.read(buffer)?;
        if count > 0 && !std::mem::replace(&mut self.lied, true) {
            buffer[count / 2] ^= 0x20;
        }
        Ok(count)
    }
}
