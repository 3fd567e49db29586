//! What a person set while the node ran, kept across restarts; it beats the configuration.

use mesh_proto::codec;
use mesh_proto::port::store::{Row, Table};

use crate::Context;
use crate::config::BrainConfig;
use crate::serve::Serving;
use crate::transfer::Transfers;

/// Limits and quota in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Sending; 0 = no limit.
    pub up_bytes_per_s: u64,
    /// Receiving; 0 = no limit.
    pub down_bytes_per_s: u64,
    /// Received contents on disk; 0 = no limit.
    pub quota_bytes: u64,
}

const UP: &[u8] = b"limit_up";
const DOWN: &[u8] = b"limit_down";
const QUOTA: &[u8] = b"quota";

impl Settings {
    /// What the configuration says.
    #[must_use]
    pub fn from_config(config: &BrainConfig) -> Self {
        Self {
            up_bytes_per_s: config.limit_up_bytes_per_s,
            down_bytes_per_s: config.limit_down_bytes_per_s,
            quota_bytes: config.quota_bytes,
        }
    }

    /// Takes what was set in an earlier run.
    pub fn load_row(&mut self, row: &Row) {
        let Ok(value) = codec::decode::<u64, 16>(&row.value) else { return };
        match row.key.as_slice() {
            UP => self.up_bytes_per_s = value,
            DOWN => self.down_bytes_per_s = value,
            QUOTA => self.quota_bytes = value,
            _ => {}
        }
    }

    /// Sets rates, `None` leaving one as it is; the rows that keep what was set. What was not set stays with the
    /// configuration.
    pub fn limit(&mut self, up_bytes_per_s: Option<u64>, down_bytes_per_s: Option<u64>) -> Vec<Row> {
        self.up_bytes_per_s = up_bytes_per_s.unwrap_or(self.up_bytes_per_s);
        self.down_bytes_per_s = down_bytes_per_s.unwrap_or(self.down_bytes_per_s);
        let rows = [up_bytes_per_s.map(|rate| row(UP, rate)), down_bytes_per_s.map(|rate| row(DOWN, rate))];
        rows.into_iter().flatten().collect()
    }

    /// Sets the quota; the row that keeps it.
    pub fn set_quota(&mut self, bytes: u64) -> Vec<Row> {
        self.quota_bytes = bytes;
        vec![row(QUOTA, bytes)]
    }

    /// Puts them in force.
    pub fn apply(&self, ctx: &Context, serving: &mut Serving, transfers: &mut Transfers) {
        serving.set_limit(ctx.now, self.up_bytes_per_s);
        transfers.set_limit(ctx, self.down_bytes_per_s);
    }
}

fn row(key: &[u8], value: u64) -> Row {
    Row { table: Table::Setting, key: key.to_vec(), value: codec::encode(&value) }
}
