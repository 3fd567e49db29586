//! `journal`: shows, gives away and does again what was recorded of a node's runs.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mesh_node::api::outcome::Outcome;
use mesh_node::journal::{self, Difference, JournalError, ReplayReport};
use serde_json::{Value, json};

use super::fault::Fault;
use super::groups::JournalCommand;
use super::output::size;
use super::table::Table;
use super::{Context, output};

/// Carries it out.
///
/// # Errors
/// A [`Fault`]; a replay that went another way is one.
pub async fn run(context: &Context, command: JournalCommand) -> Result<(), Fault> {
    match command {
        JournalCommand::List => list(context),
        JournalCommand::Export { journal, output } => {
            let file = output.clone();
            let cure = format!("{} is not complete: remove it.", output.display());
            let names = work(context, cure, move || journal::export_redacted(&journal, &file)).await?;
            let text = format!("{names} names were taken out; network addresses and names of up to 3 letters stay");
            told(context, &json!({ "path": output, "names": names }), &text)
        }
        JournalCommand::Replay { journal } => {
            let report = work(context, String::new(), move || journal::replay(&journal)).await?;
            match &report.difference {
                Some(difference) => Err(went_another_way(&report, difference)),
                None => replayed(context, &report),
            }
        }
    }
}

/// Long work on the disk, beside Ctrl-C.
async fn work<T: Send + 'static>(
    context: &Context,
    cure: String,
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, Fault> {
    tokio::select! {
        done = tokio::task::spawn_blocking(work) => match done {
            Ok(result) => result.map_err(Fault::from),
            Err(error) => Err(Fault::new(Outcome::Internal, error.to_string(), "")),
        },
        () = context.interrupt.wait() => Err(Fault::interrupted(cure)),
    }
}

fn told(context: &Context, value: &Value, text: &str) -> Result<(), Fault> {
    match (context.json, context.quiet) {
        (true, _) => output::say(&format!("{value:#}")),
        (false, true) => Ok(()),
        (false, false) => output::say(text),
    }
}

/// One journal: where it is, its bytes, and when it was last written to.
type Listed = (PathBuf, u64, SystemTime);

fn list(context: &Context) -> Result<(), Fault> {
    let folder = context.data.join("journal");
    let found = listed(&folder).map_err(|error| Fault::from_io(&format!("reading {}", folder.display()), &error))?;
    let time = |at: &SystemTime| humantime::format_rfc3339_seconds(*at).to_string();
    if context.json {
        let all =
            found.iter().map(|(path, bytes, at)| json!({ "path": path, "size_bytes": bytes, "written": time(at) }));
        return output::say(&format!("{:#}", Value::Array(all.collect())));
    }
    let mut table = Table::new(&["WRITTEN", "SIZE", "PATH"]);
    for (path, bytes, at) in &found {
        table.row(vec![time(at), size(*bytes), path.display().to_string()]);
    }
    match table.is_empty() {
        true => output::say("no journals; `journal = true` in mesh.toml keeps them from the next run on"),
        false => output::say(&table.render()),
    }
}

fn listed(folder: &Path) -> io::Result<Vec<Listed>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let with_figures = |path: PathBuf| {
        let metadata = path.metadata()?;
        Ok((path, metadata.len(), metadata.modified()?))
    };
    journal::list(folder)?.into_iter().map(with_figures).collect()
}

fn replayed(context: &Context, report: &ReplayReport) -> Result<(), Fault> {
    let value = json!({
        "same": true, "inputs": report.inputs, "outputs": report.outputs, "torn": report.torn,
        "redacted": report.redacted,
    });
    let torn = if report.torn { "; it ends in the middle of a step, as after a crash" } else { "" };
    let text = format!("the same again: {} inputs, {} outputs{torn}", report.inputs, report.outputs);
    told(context, &value, &text)
}

fn went_another_way(report: &ReplayReport, difference: &Difference) -> Fault {
    let nothing = || "nothing more".to_owned();
    let message = format!(
        "the run went another way at step {}, output {}, on {}\nrecorded: {}\nreplayed: {}",
        difference.step,
        difference.output,
        difference.input,
        difference.recorded.clone().unwrap_or_else(nothing),
        difference.replayed.clone().unwrap_or_else(nothing),
    );
    let cure = match report.redacted {
        true => "Names were taken out of it, and what depends on them may differ: replay it as it was recorded.",
        false => "This is a fault of the program: please report it, with the journal exported.",
    };
    Fault::new(Outcome::Mismatch, message, cure)
}
