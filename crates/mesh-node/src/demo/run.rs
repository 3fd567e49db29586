//! The demo's steps: share and list, find, fetch from one, fetch from two, compare.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mesh_node::api::EventReader;
use mesh_node::api::outcome::Outcome;
use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::view::{CatalogueView, GetReport, ShareView};
use mesh_proto::port::{Event, UserCommand, UserReply};
use mesh_proto::record::Access;

use super::Fetched;
use super::compare::{difference, hash};
use super::folder::{TemporaryFolder, make_file};
use super::process::{Process, Setting};
use crate::cli::args::DemoArgs;
use crate::cli::fault::Fault;
use crate::cli::output::{self, printable, size};

const FIND_TIMEOUT: Duration = Duration::from_secs(20);
const FETCH_TIMEOUT: Duration = Duration::from_secs(600);
const POLL_DELAY: Duration = Duration::from_millis(100);

/// Where the demo takes place.
pub struct Stage {
    folder: TemporaryFolder,
    original: PathBuf,
    loud: bool,
}

impl Stage {
    /// Makes the folder and, if nothing else is to be shared, the file.
    pub fn set(args: &DemoArgs, loud: bool) -> Result<Self, Fault> {
        let failed = |error| Fault::from_io("preparing the demo", &error);
        let folder = TemporaryFolder::new().map_err(failed)?;
        let original = match &args.path {
            Some(path) => std::path::absolute(path).map_err(failed)?,
            None => {
                let path = folder.path().join("demo.bin");
                make_file(&path).map_err(failed)?;
                path
            }
        };
        if let Err(error) = std::fs::metadata(&original) {
            return Err(Fault::from_io(&format!("sharing {}", original.display()), &error));
        }
        Ok(Self { folder, original, loud })
    }

    /// Plays it; the nodes are stopped in the end.
    pub async fn play(&self, corrupt: bool) -> Result<Vec<Fetched>, Fault> {
        let mut cast = Vec::new();
        let result = self.steps(&mut cast, corrupt).await;
        for process in cast.drain(..).rev() {
            process.stop().await;
        }
        result
    }

    /// Removes everything.
    pub async fn clear(self) {
        // Many files may be gone through: not on a thread that others need. A panic in there is already told.
        let _ = tokio::task::spawn_blocking(move || drop(self.folder)).await;
    }

    fn say(&self, text: &str) -> Result<(), Fault> {
        if self.loud { output::say(text) } else { Ok(()) }
    }

    async fn steps(&self, cast: &mut Vec<Process>, corrupt: bool) -> Result<Vec<Fetched>, Fault> {
        self.say("1. Ada's node starts and shares")?;
        self.enter(cast, "ada", false).await?;
        let shared = share(&cast[0], &self.original).await?;
        self.say(&format!("   {} ({}), listed in the catalogue", printable(&shared.name), size(shared.size_bytes)))?;

        self.say("2. Ben's node starts, finds it in the catalogue and fetches it from Ada")?;
        self.enter(cast, "ben", corrupt).await?;
        let ben = self.fetch(&cast[1], &shared, "ben", 1).await?;

        self.say("3. Cleo's node starts, finds it, too, and fetches it from both")?;
        self.enter(cast, "cleo", false).await?;
        let cleo = self.fetch(&cast[2], &shared, "cleo", 2).await?;
        if cleo.report.sources.len() < 2 {
            self.say("   note: it was over before the second source was needed")?;
        }
        Ok(vec![ben, cleo])
    }

    /// Starts one more node that knows all before it.
    async fn enter(&self, cast: &mut Vec<Process>, name: &'static str, corrupt: bool) -> Result<(), Fault> {
        let peers = cast.iter().flat_map(Process::addresses).collect();
        let process = Process::start(Setting { name, root: self.folder.path(), peers, corrupt }).await?;
        self.say(&format!("   node {} at {}", process.id().short(), process.addresses().join(" ")))?;
        cast.push(process);
        Ok(())
    }

    async fn fetch(
        &self,
        process: &Process,
        shared: &ShareView,
        name: &'static str,
        holders_wanted: u32,
    ) -> Result<Fetched, Fault> {
        let found = find(process, shared, holders_wanted).await?;
        self.say(&format!("   found in the catalogue, {} holders", found.holders))?;
        let target = self.folder.path().join(format!("{name}-got"));
        let mut events = process.events().await?;
        let begun = Instant::now();
        let report = tokio::time::timeout(FETCH_TIMEOUT, get(process, &found, &target, &mut events)).await;
        let report = report.map_err(|_| process.fault("did not get it in time"))??;
        let took = begun.elapsed();
        let (original, copy, reported) = (self.original.clone(), target.clone(), report.blake3.clone());
        let mismatch = tokio::task::spawn_blocking(move || compare(&original, &copy, &reported)).await;
        let mismatch = mismatch.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let mismatch = mismatch.map_err(|error| Fault::from_io("comparing with the original", &error))?;
        Ok(Fetched { name, report, took, mismatch })
    }
}

async fn share(process: &Process, original: &Path) -> Result<ShareView, Fault> {
    let path = original.to_str().map(str::to_owned);
    let path = path.ok_or_else(|| Fault::new(Outcome::Usage, "the path is not readable as UTF-8", "Rename it."))?;
    let command = UserCommand::Share {
        path,
        name: None,
        listed: Some(true),
        tags: Some(vec!["demo".into()]),
        access: Some(Access::Public),
    };
    match process.ask(command).await? {
        UserReply::Shared(view) => Ok(view),
        _ => Err(Fault::unexpected()),
    }
}

/// Waits until the content is in the node's catalogue, and then a moment for all who hold it to be known.
async fn find(process: &Process, shared: &ShareView, holders_wanted: u32) -> Result<CatalogueView, Fault> {
    let deadline = Instant::now() + FIND_TIMEOUT;
    loop {
        let UserReply::Catalogue(entries) = process.ask(UserCommand::Search { text: "demo".into() }).await? else {
            return Err(Fault::unexpected());
        };
        let late = Instant::now() >= deadline;
        match entries.into_iter().find(|entry| entry.content_id == shared.content_id) {
            Some(entry) if late || entry.holders >= holders_wanted => return Ok(entry),
            None if late => return Err(process.fault("does not see what is listed")),
            _ => tokio::time::sleep(POLL_DELAY).await,
        }
    }
}

async fn get(
    process: &Process,
    found: &CatalogueView,
    target: &Path,
    events: &mut EventReader,
) -> Result<GetReport, Fault> {
    let command = UserCommand::Get {
        ticket: found.ticket.clone(),
        target: target.display().to_string(),
        seed_seconds: None,
        class: TrafficClass::Public,
        priority: 128,
    };
    match process.ask(command).await? {
        UserReply::Getting(view) => {
            if let Some(report) = view.report {
                return Ok(report);
            }
        }
        _ => return Err(Fault::unexpected()),
    }
    while let Some(event) = events.next().await {
        match event {
            Event::TransferComplete { report } if report.content_id == found.content_id => return Ok(report),
            Event::TransferFailed { content, error } if content == found.content_id => return Err(error.into()),
            _ => {}
        }
    }
    Err(process.fault("stopped in the middle"))
}

fn compare(original: &Path, copy: &Path, reported: &str) -> std::io::Result<Option<String>> {
    if let Some(difference) = difference(original, copy)? {
        return Ok(Some(difference));
    }
    if copy.is_file() && hash(copy)? != reported {
        return Ok(Some("its BLAKE3 is not what the node reported".to_owned()));
    }
    Ok(None)
}
