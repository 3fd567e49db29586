//! `get`: fetches what a ticket names, shows how it goes, and ends with the verification report.
//!
//! The node does the work and keeps what is verified; running the same command again goes on from there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mesh_node::api::outcome::Outcome;
use mesh_proto::port::view::{ContentView, GetReport, GetView};
use mesh_proto::port::{Event, UserCommand, UserReply};
use mesh_proto::{ContentId, Ticket};
use serde_json::json;

use super::args::GetArgs;
use super::fault::Fault;
use super::progress::Progress;
use super::session::{Events, Session, Stay, node_gone};
use super::{Context, output, resolve, show, target};

const RESUME: &str = "Run the same command again: it goes on where it stopped.";
/// How often a transfer is looked at if no event tells of it.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
const CALLERS_DELAY: Duration = Duration::from_millis(500);

/// How long to seed once complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seed {
    /// As the node likes: one started for this stops at once.
    Unsaid,
    /// Until Ctrl-C.
    Forever,
    /// So long.
    For(Duration),
}

/// How it ended well.
enum Ended {
    /// It was fetched.
    Fetched(GetReport),
    /// All of it was here already.
    Here(GetView),
}

/// Carries it out.
///
/// # Errors
/// A [`Fault`]; what was verified is kept.
pub async fn run(context: &Context, args: GetArgs) -> Result<(), Fault> {
    let (text, seed) = ticket_and_seed(&args)?;
    let ticket = resolve::ticket(&text)?;
    let session = Session::open(&context.data, &args.node.overrides(), Stay::Long).await?;
    let mut progress = Progress::new(context, args.events);
    let result = fetch(context, &session, &args, (&ticket, &text, seed), &mut progress).await;
    progress.end();
    let result = match result {
        Ok(ended) => {
            let told = match ended {
                Ended::Here(view) => print_here(context, &args, &view),
                Ended::Fetched(report) => print(context, &session, &args, seed, report),
            };
            if told.is_ok() {
                seed_on(context, &session, seed).await;
            }
            told
        }
        Err(fault) if fault.outcome == Outcome::Interrupted && !session.is_own() => {
            Err(Fault::interrupted(goes_on(ticket.content)))
        }
        Err(fault) => Err(fault),
    };
    session.close().await;
    result
}

/// What becomes of a transfer that a running node carries out when the command that asked for it ends.
fn goes_on(content: ContentId) -> String {
    format!("The running node goes on fetching; mesh-node pause {} stops it.", content.short())
}

/// `--seed` takes an optional value, so a ticket right behind it looks like one.
fn ticket_and_seed(args: &GetArgs) -> Result<(String, Seed), Fault> {
    match (&args.ticket, args.seed.as_deref()) {
        (Some(ticket), None) => Ok((ticket.clone(), Seed::Unsaid)),
        (Some(ticket), Some("")) => Ok((ticket.clone(), Seed::Forever)),
        (None, Some(ticket)) if ticket.starts_with("mesh:") => Ok((ticket.to_owned(), Seed::Forever)),
        (Some(ticket), Some(duration)) => {
            let duration = humantime::parse_duration(duration).map_err(|error| {
                let message = format!("{duration:?} is not a duration: {error}");
                Fault::new(Outcome::Usage, message, "Write it like 30m or 2h; leave it out to seed until Ctrl-C.")
            })?;
            Ok((ticket.clone(), Seed::For(duration)))
        }
        (None, _) => Err(Fault::new(Outcome::Usage, "the ticket is missing", "mesh-node get TICKET --seed 30m")),
    }
}

async fn fetch(
    context: &Context,
    session: &Session,
    args: &GetArgs,
    (ticket, text, seed): (&Ticket, &str, Seed),
    progress: &mut Progress,
) -> Result<Ended, Fault> {
    let mut events = session.events().await?;
    let here = contents(session).await?;
    let path = target::choose(ticket, args.output.as_deref(), &here)?;
    let command = UserCommand::Get {
        ticket: text.to_owned(),
        target: target_text(path)?,
        seed_seconds: match seed {
            Seed::For(duration) => Some(duration.as_secs()),
            Seed::Unsaid | Seed::Forever => None,
        },
        class: args.class.into(),
        priority: args.priority,
    };
    let reply = session.ask_until(command.clone(), &context.interrupt, RESUME).await?;
    match reply {
        UserReply::Getting(view) if view.complete => Ok(ended(view)),
        UserReply::Getting(view) => {
            let mut follower =
                Follower { session, command, content: view.content_id, args, progress, moved: Instant::now(), done: 0 };
            tokio::select! {
                report = follower.follow(&mut events) => report,
                () = context.interrupt.wait() => Err(Fault::interrupted(RESUME)),
                () = session.stop_asked() => Err(node_gone(RESUME)),
            }
        }
        _ => Err(Fault::unexpected()),
    }
}

fn ended(view: GetView) -> Ended {
    match view.report {
        Some(report) => Ended::Fetched(report),
        None => Ended::Here(view),
    }
}

fn target_text(path: PathBuf) -> Result<String, Fault> {
    path.into_os_string().into_string().map_err(|_| {
        Fault::new(Outcome::Usage, "the target's path is not readable as UTF-8", "Choose another with -o.")
    })
}

async fn contents(session: &Session) -> Result<Vec<ContentView>, Fault> {
    match session.ask(UserCommand::List).await? {
        UserReply::Contents(contents) => Ok(contents),
        _ => Err(Fault::unexpected()),
    }
}

/// Follows one transfer to its end.
struct Follower<'a> {
    session: &'a Session,
    /// Asked again, it tells a complete transfer's report.
    command: UserCommand,
    content: ContentId,
    args: &'a GetArgs,
    progress: &'a mut Progress,
    /// When bytes last came.
    moved: Instant,
    done: u64,
}

impl Follower<'_> {
    async fn follow(&mut self, events: &mut Events) -> Result<Ended, Fault> {
        let mut look = tokio::time::interval(LOOK_INTERVAL.min(self.args.timeout.unwrap_or(LOOK_INTERVAL)));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        look.tick().await;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => {
                        look.reset();
                        if let Some(report) = self.handle(event)? {
                            return Ok(Ended::Fetched(report));
                        }
                    }
                    None => return Err(node_gone(RESUME)),
                },
                _ = look.tick() => {
                    if let Some(ended) = self.look().await? {
                        return Ok(ended);
                    }
                }
            }
            self.check_timeout()?;
        }
    }

    fn handle(&mut self, event: Event) -> Result<Option<GetReport>, Fault> {
        if self.args.events {
            output::say(&serde_json::to_string(&event).unwrap_or_default())?;
        }
        match event {
            Event::TransferProgress { transfer } if transfer.content_id == self.content => {
                if transfer.done_bytes != self.done {
                    (self.done, self.moved) = (transfer.done_bytes, Instant::now());
                }
                self.progress.transfer(&transfer);
            }
            Event::TransferComplete { report } if report.content_id == self.content => return Ok(Some(report)),
            Event::TransferFailed { content, error } if content == self.content => return Err(error.into()),
            Event::TransferWaiting { content, why } if content == self.content => {
                self.progress.note(&format!("waiting: {}", output::printable(&why)));
            }
            Event::PeerBanned { node, content, why } if content == self.content => {
                self.progress.note(&format!("peer {} is banned: {}", node.short(), output::printable(&why)));
            }
            Event::Warning { message } => self.progress.note(&format!("warning: {}", output::printable(&message))),
            _ => {}
        }
        Ok(None)
    }

    /// Events may be lost if they come too fast: now and then the transfer itself is looked at.
    async fn look(&mut self) -> Result<Option<Ended>, Fault> {
        let contents = contents(self.session).await?;
        let found = contents.iter().find(|content| content.content_id == self.content);
        match found.map(|content| content.state.as_str()) {
            Some("complete") => match self.session.ask(self.command.clone()).await? {
                UserReply::Getting(view) => Ok(view.complete.then(|| ended(view))),
                _ => Err(Fault::unexpected()),
            },
            Some(_) => Ok(None),
            // Its event was lost: somebody cancelled or removed it.
            None => {
                Err(Fault::new(Outcome::Unavailable, "the transfer was cancelled", "The same command begins anew."))
            }
        }
    }

    fn check_timeout(&self) -> Result<(), Fault> {
        match self.args.timeout {
            Some(timeout) if self.moved.elapsed() >= timeout => {
                let then = if self.session.is_own() { RESUME.to_owned() } else { goes_on(self.content) };
                Err(Fault::new(
                    Outcome::Unavailable,
                    format!("nothing came for {}", humantime::format_duration(timeout)),
                    format!("Is a node that has it running and reachable? mesh-node doctor looks. {then}"),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn print_here(context: &Context, args: &GetArgs, view: &GetView) -> Result<(), Fault> {
    if args.events {
        return output::say(&json!({ "event": "here", "view": view }).to_string());
    }
    if context.json {
        return output::say(&format!("{:#}", json!(view)));
    }
    if context.quiet {
        return Ok(());
    }
    let (id, path) = (view.content_id.short(), output::printable(&view.path));
    output::say(&format!("all of it is here already: {path}\nmesh-node verify {id} hashes it again"))
}

fn print(context: &Context, session: &Session, args: &GetArgs, seed: Seed, mut report: GetReport) -> Result<(), Fault> {
    // The node says it goes on seeding; one that runs only for this command can't.
    report.seeding &= !session.is_own() || seed != Seed::Unsaid;
    if args.events {
        return match context.quiet {
            true => Ok(()),
            false => output::say(&json!({ "event": "report", "report": report }).to_string()),
        };
    }
    if context.json {
        return output::say(&format!("{:#}", json!(report)));
    }
    if context.quiet {
        return Ok(());
    }
    output::say(&show::report(&report))?;
    output::say(match (report.seeding, session.is_own(), seed) {
        (false, true, _) => "not seeding: this node stops now; --seed goes on, mesh-node up serves it again",
        (false, false, _) => "not seeding",
        (true, false, _) => "seeding: the running node serves it to others",
        (true, true, Seed::For(_)) => "seeding for the time given; Ctrl-C stops",
        (true, true, _) => "seeding until Ctrl-C",
    })
}

/// Seeds as long as was asked for, and as long as other commands use the node.
async fn seed_on(context: &Context, session: &Session, seed: Seed) {
    if !session.is_own() {
        return;
    }
    let time = async {
        match seed {
            Seed::Unsaid => {}
            Seed::For(duration) => tokio::time::sleep(duration).await,
            Seed::Forever => std::future::pending().await,
        }
        if session.callers() > 0 && !context.quiet {
            output::tell("another command uses this node: waiting for it; Ctrl-C stops both");
        }
        while session.callers() > 0 {
            tokio::time::sleep(CALLERS_DELAY).await;
        }
    };
    tokio::select! {
        () = time => {}
        () = context.interrupt.wait() => {}
        () = session.stop_asked() => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<(String, Seed), Outcome> {
        let arguments = ["mesh-node", "get"].iter().chain(arguments);
        match Cli::try_parse_from(arguments).map(|cli| cli.command) {
            Ok(Command::Get(args)) => ticket_and_seed(&args).map_err(|fault| fault.outcome),
            _ => Err(Outcome::Internal),
        }
    }

    #[test]
    fn the_seed_time_is_optional_wherever_it_stands() {
        let ticket = "mesh:x".to_owned();
        assert_eq!(parsed(&["mesh:x"]), Ok((ticket.clone(), Seed::Unsaid)));
        assert_eq!(parsed(&["mesh:x", "--seed"]), Ok((ticket.clone(), Seed::Forever)));
        assert_eq!(parsed(&["--seed", "mesh:x"]), Ok((ticket.clone(), Seed::Forever)));
        assert_eq!(parsed(&["--seed", "2m", "mesh:x"]), Ok((ticket.clone(), Seed::For(Duration::from_secs(120)))));
        assert_eq!(parsed(&["mesh:x", "--seed=soon"]), Err(Outcome::Usage));
        assert_eq!(parsed(&["--seed"]), Err(Outcome::Usage));
    }
}
