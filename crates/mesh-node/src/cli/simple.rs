//! The commands that are one question and one answer.

use std::time::{Duration, Instant};

use mesh_node::Overrides;
use mesh_node::api::call::answer_of;
use mesh_proto::CommunityId;
use mesh_proto::port::view::{Finding, StatusView};
use mesh_proto::port::{UserCommand, UserReply};
use serde_json::{Value, json};

use super::args::Command;
use super::fault::Fault;
use super::groups::{CommunityCommand, MemberCommand};
use super::session::{Session, Stay};
use super::{Context, output, resolve, show};

/// How long a node just started may take to see what others list.
const PEERS_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_DELAY: Duration = Duration::from_millis(250);

/// Overrides for a node that is started to look at its own folder and talks to nobody.
#[must_use]
pub fn local_only() -> Overrides {
    Overrides { listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()], no_mdns: true, ..Overrides::default() }
}

/// What a command needs of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Its folder: it is started for a moment if none runs.
    Folder,
    /// The network: started, and given time to find peers.
    Network,
}

/// Carries it out.
///
/// # Errors
/// A [`Fault`] with its exit code.
pub async fn run(context: &Context, command: Command) -> Result<(), Fault> {
    let session = match need(&command) {
        Need::Folder => Session::open(&context.data, &local_only(), Stay::Moment).await?,
        Need::Network => Session::open(&context.data, &Overrides::default(), Stay::Moment).await?,
    };
    let result = tokio::select! {
        result = question_and_answer(context, &session, &command) => result,
        () = context.interrupt.wait() => Err(Fault::interrupted("")),
    };
    let own = session.is_own();
    session.close().await;
    let (asked, mut reply) = result?;
    if own && let UserReply::Doctor(view) = &mut reply {
        let problems = view.findings.iter().take_while(|finding| finding.severity == "problem").count();
        view.findings.insert(problems, no_node());
    }
    let mut text = show::reply(&asked, &reply);
    if own && let (UserCommand::Verify { .. }, UserReply::Getting(_)) = (&asked, &reply) {
        text.push_str("\nno node runs here that could do it: mesh-node up does");
    }
    if let UserReply::Status(status) = &reply
        && let Some((words, data)) = in_force(&command, status)
    {
        return output::say(&if context.json { format!("{data:#}") } else { words });
    }
    let is_status = matches!(command, Command::Status);
    if own
        && is_status
        && let UserReply::Status(status) = &reply
    {
        text = show::status(status, false);
    }
    match context.json {
        true => {
            let mut view = answer_of(reply)?.view;
            if is_status {
                view["running"] = json!(!own);
            }
            output::say(&format!("{view:#}"))
        }
        false if context.quiet && matches!(reply, UserReply::Done) => Ok(()),
        false => output::say(&text),
    }
}

/// What a command about limits says of those in force, for people and as data.
fn in_force(command: &Command, status: &StatusView) -> Option<(String, Value)> {
    match command {
        Command::Limit { .. } => {
            let data = json!({
                "limit_up_bytes_per_s": status.limit_up_bytes_per_s,
                "limit_down_bytes_per_s": status.limit_down_bytes_per_s,
            });
            Some((show::limits(status), data))
        }
        Command::Quota { .. } => Some((show::quota(status), json!({ "quota_bytes": status.quota_bytes }))),
        _ => None,
    }
}

/// What is wrong when a node had to be started to ask it.
fn no_node() -> Finding {
    Finding {
        severity: "warning".to_owned(),
        subject: "node".to_owned(),
        message: "none runs here, so nobody can fetch what is shared; one was started for this look".to_owned(),
        cure: "run mesh-node up, or install it as a service".to_owned(),
    }
}

fn need(command: &Command) -> Need {
    match command {
        Command::Browse | Command::Search { .. } | Command::Peers | Command::Topology | Command::Doctor => {
            Need::Network
        }
        Command::Verify { .. } => Need::Network,
        _ => Need::Folder,
    }
}

async fn question_and_answer(
    context: &Context,
    session: &Session,
    command: &Command,
) -> Result<(UserCommand, UserReply), Fault> {
    let asked = question(session, command).await?;
    if session.is_own() && need(command) == Need::Network {
        wait_for_peers(context, session, &asked).await?;
    }
    let reply = session.ask(asked.clone()).await?;
    // Whoever sets limits sees those in force.
    let reply = match asked {
        UserCommand::Limit { .. } => session.ask(UserCommand::Status).await?,
        _ => reply,
    };
    Ok((asked, reply))
}

/// A node just started knows nobody yet: gives it a few seconds, less once an answer is there.
async fn wait_for_peers(context: &Context, session: &Session, asked: &UserCommand) -> Result<(), Fault> {
    if !context.quiet && !context.json {
        output::tell("no node runs here; starting one for a moment and looking for peers");
    }
    let deadline = Instant::now() + PEERS_TIMEOUT;
    while Instant::now() < deadline {
        tokio::time::sleep(POLL_DELAY).await;
        let enough = match asked {
            // Only what changes nothing may be asked again and again.
            UserCommand::Browse | UserCommand::Search { .. } => {
                matches!(session.ask(asked.clone()).await?, UserReply::Catalogue(entries) if !entries.is_empty())
            }
            UserCommand::Topology => {
                matches!(session.ask(asked.clone()).await?, UserReply::Topology(topology) if !topology.links.is_empty())
            }
            _ => connected(session).await?,
        };
        if enough {
            break;
        }
    }
    Ok(())
}

async fn connected(session: &Session) -> Result<bool, Fault> {
    match session.ask(UserCommand::Status).await? {
        UserReply::Status(status) => Ok(status.peers_connected > 0),
        _ => Err(Fault::unexpected()),
    }
}

/// The command line's command as the node's.
async fn question(session: &Session, command: &Command) -> Result<UserCommand, Fault> {
    Ok(match command {
        Command::Browse => UserCommand::Browse,
        Command::Search { words } => UserCommand::Search { text: words.join(" ") },
        Command::Ls => UserCommand::List,
        Command::Rm { id, delete } => {
            UserCommand::Remove { content: resolve::content(session, id).await?, delete_files: *delete }
        }
        Command::Pin { id } => UserCommand::Pin { content: resolve::content(session, id).await?, pinned: true },
        Command::Unpin { id } => UserCommand::Pin { content: resolve::content(session, id).await?, pinned: false },
        Command::Pause { id } => UserCommand::Pause { content: resolve::content(session, id).await? },
        Command::Resume { id } => UserCommand::Resume { content: resolve::content(session, id).await? },
        Command::Cancel { id } => UserCommand::Cancel { content: resolve::content(session, id).await? },
        Command::Limit { up: None, down: None } => UserCommand::Status,
        Command::Limit { up, down } => UserCommand::Limit { up_bytes_per_s: *up, down_bytes_per_s: *down },
        Command::Quota { size: None } => UserCommand::Status,
        Command::Quota { size: Some(bytes) } => UserCommand::Quota { bytes: *bytes },
        Command::Gc => UserCommand::Gc,
        Command::Verify { id } => UserCommand::Verify { content: resolve::content(session, id).await? },
        Command::Status => UserCommand::Status,
        Command::Peers => UserCommand::Peers,
        Command::Topology => UserCommand::Topology,
        Command::Doctor => UserCommand::Doctor,
        Command::Community { command } => community(session, command).await?,
        Command::Member { command } => member(session, command).await?,
        _ => return Err(Fault::unexpected()),
    })
}

async fn community(session: &Session, command: &CommunityCommand) -> Result<UserCommand, Fault> {
    Ok(match command {
        CommunityCommand::New { name } => UserCommand::CommunityNew { name: name.clone() },
        CommunityCommand::Invite { member, community } => {
            let community = own_community(session, community.as_deref()).await?;
            UserCommand::CommunityInvite { community, member: *member }
        }
        CommunityCommand::Join { invitation } => UserCommand::CommunityJoin { invitation: invitation.clone() },
        CommunityCommand::List => UserCommand::CommunityList,
    })
}

async fn member(session: &Session, command: &MemberCommand) -> Result<UserCommand, Fault> {
    Ok(match command {
        MemberCommand::New { name } => UserCommand::MemberNew { name: name.clone() },
        MemberCommand::AddNode { node } => UserCommand::MemberAddNode { node: *node },
        MemberCommand::Accept { member } => UserCommand::MemberAccept { member: *member },
        MemberCommand::List => UserCommand::MemberList,
        MemberCommand::Revoke { subject, reason, community, force } => UserCommand::MemberRevoke {
            subject: subject.clone(),
            reason: reason.clone(),
            community: own_community(session, community.as_deref()).await?,
            force: *force,
        },
    })
}

async fn own_community(session: &Session, text: Option<&str>) -> Result<Option<CommunityId>, Fault> {
    match text {
        Some(text) => resolve::community(session, text).await.map(Some),
        None => Ok(None),
    }
}
