//! What was recorded elsewhere, from CSV text with this head:
//!
//! ```csv
//! time_s,node,action,content,bytes
//! 0,0,share,17,1048576
//! 0,0,announce,17,
//! 12.5,3,get,17,
//! 60,0,update,17,1050000
//! 90,3,leave,,
//! ```
//!
//! Times are seconds from the start of the run, with decimals if need be, in any order; lines of the same time keep
//! theirs. Actions are `share` and `update` (with content and bytes), `announce` and `get` (with content), `absent`, `leave`,
//! `crash` and `return` (with neither). Fields are numbers and words, without quotes; empty lines and lines that begin with
//! `#` are passed over. Updates of a content are numbered from 1 in order of time.
//!
//! Invariant: a trace that was read is in order, and every number in it is in range.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_proto::Timestamp;

use super::catalogue::CONTENT_BYTES_MAX;
use super::{Demand, Want};
use crate::draw::{RANKS_MAX, SECONDS_MAX, nanos};

/// The most rows of a trace.
pub const TRACE_ROWS_MAX: usize = 2_000_000;
/// The first line.
const HEAD: &str = "time_s,node,action,content,bytes";

/// Why a trace can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TraceError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// Demands that were recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    rows: Arc<[Demand]>,
}

impl Trace {
    /// Reads a trace. It takes memory for its rows, and at most [`TRACE_ROWS_MAX`] of them.
    ///
    /// # Errors
    /// [`TraceError`] with the line.
    pub fn from_csv(text: &str) -> Result<Self, TraceError> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        match lines.next() {
            Some((_, HEAD)) => {}
            Some((line, other)) => return Err(wrong(line, "head", shown(other), HEAD)),
            None => return Err(wrong(1, "head", "missing", HEAD)),
        }
        let mut rows = Vec::new();
        for (line, text) in lines {
            if rows.len() == TRACE_ROWS_MAX {
                return Err(wrong(line, "number of rows", "higher", &format!("up to {TRACE_ROWS_MAX}")));
            }
            rows.push(row(line, text)?);
        }
        rows.sort_by_key(|row| row.at);
        number_versions(&mut rows);
        Ok(Self { rows: rows.into() })
    }

    /// The rows, in order of time.
    #[must_use]
    pub fn rows(&self) -> &[Demand] {
        &self.rows
    }

    /// The highest number of a node.
    #[must_use]
    pub fn highest_node(&self) -> Option<u32> {
        self.rows.iter().map(|row| row.node).max()
    }

    /// The rows, one after another, without holding on to the trace.
    pub(super) fn demands(&self) -> impl Iterator<Item = Demand> + use<> {
        let rows = Arc::clone(&self.rows);
        (0..rows.len()).map(move |place| rows[place])
    }
}

fn wrong(line: usize, field: &str, value: &str, allowed: &str) -> TraceError {
    TraceError { line, what: format!("{field} is {value}; allowed: {allowed}") }
}

/// The beginning of what stands there.
fn shown(text: &str) -> &str {
    match text.char_indices().nth(40) {
        Some((end, _)) => &text[..end],
        None if text.is_empty() => "empty",
        None => text,
    }
}

fn row(line: usize, text: &str) -> Result<Demand, TraceError> {
    let mut fields = text.split(',').map(str::trim);
    let mut all = [""; 5];
    for place in &mut all {
        *place = fields.next().ok_or_else(|| wrong(line, "number of fields", "lower", "5"))?;
    }
    if fields.next().is_some() {
        return Err(wrong(line, "number of fields", "higher", "5"));
    }
    let [time, node, action, content, bytes] = all;
    let time_s = time.parse().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    let time_s = time_s.ok_or_else(|| wrong(line, "time_s", shown(time), &format!("0 to {SECONDS_MAX}")))?;
    let number = |field, text: &str, least: u64, most: u64| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| wrong(line, field, shown(text), &format!("{least} to {most}")))
    };
    let none = |field, text: &str| match text.is_empty() {
        true => Ok(()),
        false => Err(wrong(line, field, shown(text), &format!("nothing for `{action}`"))),
    };
    let content_number = || number("content", content, 0, u64::from(RANKS_MAX) - 1).map(|content| content as u32);
    let size = || number("bytes", bytes, 1, CONTENT_BYTES_MAX);
    let what = match action {
        "share" => Want::Share { content: content_number()?, bytes: size()? },
        "update" => Want::Update { content: content_number()?, version: 0, bytes: size()? },
        "announce" => Want::Announce { content: content_number()? },
        "get" => Want::Get { content: content_number()? },
        "absent" => Want::Absent,
        "leave" => Want::Leave,
        "crash" => Want::Crash,
        "return" => Want::Return,
        other => {
            let allowed = "share, update, announce, get, absent, leave, crash or return";
            return Err(wrong(line, "action", shown(other), allowed));
        }
    };
    if matches!(what, Want::Absent | Want::Leave | Want::Crash | Want::Return) {
        none("content", content)?;
    }
    if !matches!(what, Want::Share { .. } | Want::Update { .. }) {
        none("bytes", bytes)?;
    }
    let node = number("node", node, 0, u64::from(u32::MAX) - 1)? as u32;
    Ok(Demand { at: Timestamp(nanos(time_s)), node, what })
}

fn number_versions(rows: &mut [Demand]) {
    let mut versions: BTreeMap<u32, u32> = BTreeMap::new();
    for row in rows {
        if let Want::Update { content, version, .. } = &mut row.what {
            let last = versions.entry(*content).or_default();
            *last += 1;
            *version = *last;
        }
    }
}
