//! `demo`: the main job on this machine, start to end, with three real nodes as separate processes.
//!
//! Ada shares a file and lists it. Ben finds it in the catalogue and fetches it from Ada. Cleo finds it, too, and
//! fetches it from both. What both got is compared with the original, and with the BLAKE3 the nodes reported.
//! Everything lies in one temporary folder, which is removed in the end.

mod compare;
mod folder;
mod process;
mod run;

use std::time::Duration;

use mesh_node::api::outcome::Outcome;
use mesh_proto::port::view::GetReport;
use serde_json::{Value, json};

use crate::cli::args::DemoArgs;
use crate::cli::fault::Fault;
use crate::cli::output::{self, duration, rate, size};
use crate::cli::table::Table;
use crate::cli::{Context, show};

use run::Stage;

/// What became of one getter.
struct Fetched {
    /// Its name.
    name: &'static str,
    /// What the node reported.
    report: GetReport,
    /// How long it took, as seen from outside.
    took: Duration,
    /// Why it is not what was shared; `None` if it is.
    mismatch: Option<String>,
}

/// Runs it.
///
/// # Errors
/// A [`Fault`] if a step fails, or if anything differs from the original.
pub async fn run(context: &Context, args: DemoArgs) -> Result<(), Fault> {
    let loud = !context.quiet && !context.json;
    let fetched = tokio::select! {
        fetched = play(&args, loud) => fetched?,
        () = context.interrupt.wait() => return Err(Fault::interrupted("The demo left nothing behind.")),
    };
    match context.json {
        true => output::say(&format!("{:#}", to_json(&fetched))),
        false => output::say(&to_text(&fetched)),
    }?;
    judge(&fetched, args.corrupt)
}

async fn play(args: &DemoArgs, loud: bool) -> Result<Vec<Fetched>, Fault> {
    let stage = Stage::set(args, loud)?;
    let result = stage.play(args.corrupt).await;
    stage.clear().await;
    result
}

fn judge(fetched: &[Fetched], corrupt: bool) -> Result<(), Fault> {
    if let Some((name, why)) = fetched.iter().find_map(|one| one.mismatch.as_ref().map(|why| (one.name, why))) {
        let message = format!("what {name} got is not what was shared: {why}");
        return Err(Fault::new(Outcome::Mismatch, message, "This is a fault of the program: please report it."));
    }
    let banned = fetched.iter().any(|one| one.report.sources.iter().any(|source| source.banned));
    match corrupt && !banned {
        true => Err(Fault::new(Outcome::Mismatch, "a source sent wrong bytes and nobody was banned", "")),
        false => Ok(()),
    }
}

fn megabytes_per_s(one: &Fetched) -> u64 {
    let bytes = u128::from(one.report.size_bytes) * 1000 / one.took.as_millis().max(1);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn to_text(fetched: &[Fetched]) -> String {
    let mut table = Table::new(&["NODE", "SOURCE", "LINK", "BYTES", "WASTED", "TIME", "RATE", "VERIFIED"]);
    for one in fetched {
        for (index, source) in one.report.sources.iter().enumerate() {
            let first = |text: String| if index == 0 { text } else { String::new() };
            let verified = match (&one.mismatch, source.banned) {
                (_, true) => "BANNED: sent wrong bytes",
                (None, _) if index == 0 => "yes, equal to the original",
                (Some(_), _) if index == 0 => "NO",
                _ => "",
            };
            table.row(vec![
                first(one.name.to_owned()),
                source.node.short(),
                show::class(source.class).to_owned(),
                size(source.bytes),
                size(source.wasted_bytes),
                first(duration(milliseconds(one.took))),
                first(rate(megabytes_per_s(one))),
                verified.to_owned(),
            ]);
        }
    }
    let hash = fetched.first().map(|one| one.report.blake3.clone()).unwrap_or_default();
    format!("{}\nblake3 {hash}", table.render())
}

fn to_json(fetched: &[Fetched]) -> Value {
    let nodes: Vec<Value> = fetched
        .iter()
        .map(|one| {
            json!({
                "node": one.name,
                "elapsed_ms": milliseconds(one.took),
                "rate_bytes_per_s": megabytes_per_s(one),
                "verified": one.mismatch.is_none(),
                "mismatch": one.mismatch,
                "report": one.report,
            })
        })
        .collect();
    json!({ "getters": nodes })
}

#[cfg(test)]
mod tests {
    use mesh_proto::port::view::SourceReport;
    use mesh_proto::{ContentId, NodeId};

    use super::*;

    fn fetched(mismatch: Option<&str>, banned: bool) -> Fetched {
        let source = SourceReport { node: NodeId([1; 32]), class: None, bytes: 1, wasted_bytes: 0, banned };
        let report = GetReport {
            content_id: ContentId([1; 32]),
            path: "/x".into(),
            name: "x".into(),
            size_bytes: 1,
            blake3: "00".into(),
            received_bytes: 1,
            earlier_bytes: 1,
            duplicate_bytes: 0,
            rejected_bytes: 0,
            chunks: 1,
            elapsed_ms: 1,
            sources: vec![source],
            seeding: true,
        };
        Fetched { name: "Ben", report, took: Duration::from_secs(1), mismatch: mismatch.map(str::to_owned) }
    }

    #[test]
    fn any_mismatch_fails_the_demo() {
        assert!(judge(&[fetched(None, false)], false).is_ok());
        let fault = judge(&[fetched(None, false), fetched(Some("it is shorter"), false)], false).unwrap_err();
        assert_eq!(fault.outcome, Outcome::Mismatch);
        assert!(fault.message.contains("it is shorter"));
    }

    #[test]
    fn a_corrupt_source_must_be_banned_and_shown() {
        assert!(judge(&[fetched(None, false)], true).is_err());
        assert!(judge(&[fetched(None, true)], true).is_ok());
        assert!(to_text(&[fetched(None, true)]).contains("BANNED"));
    }
}
