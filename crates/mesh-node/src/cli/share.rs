//! `share`: shares a file or folder in place and prints its ticket; seeds until Ctrl-C if no other node does.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use mesh_node::api::call::answer_of;
use mesh_node::api::outcome::Outcome;
use mesh_node::paths::settled;
use mesh_proto::port::view::ShareView;
use mesh_proto::port::{Event, UserCommand, UserReply};

use super::args::ShareArgs;
use super::fault::Fault;
use super::progress::Progress;
use super::session::{Events, Session, Stay};
use super::target::plain_name;
use super::{Context, output, show};

/// Carries it out.
///
/// # Errors
/// A [`Fault`]; nothing is shared then.
pub async fn run(context: &Context, args: ShareArgs) -> Result<(), Fault> {
    let path = if args.path == Path::new("-") { from_stdin(context, &args).await? } else { existing(&args.path)? };
    let session = Session::open(&context.data, &args.node.overrides(), Stay::Long).await?;
    let mut events = match session.events().await {
        Ok(events) => events,
        Err(fault) => {
            session.close().await;
            return Err(fault);
        }
    };
    let result = share(context, &session, args, path, &mut events).await;
    let seeds = session.is_own() && result.is_ok();
    if seeds {
        if !context.quiet {
            output::tell("seeding until Ctrl-C; others fetch it with: mesh-node get TICKET");
        }
        tokio::select! {
            () = context.interrupt.wait() => {}
            () = session.stop_asked() => {}
            () = warn(&mut events) => {}
        }
        if !context.quiet {
            output::tell("stopping; what is shared is remembered, and mesh-node up serves it again");
        }
    } else if result.is_ok() && !context.quiet {
        output::tell("the node that runs on this data folder serves it for as long as it runs");
    }
    session.close().await;
    result
}

async fn share(
    context: &Context,
    session: &Session,
    args: ShareArgs,
    path: String,
    events: &mut Events,
) -> Result<(), Fault> {
    let mut progress = Progress::new(context, false);
    let command = UserCommand::Share {
        path: path.clone(),
        name: args.name,
        listed: (args.listed || args.unlisted).then_some(args.listed),
        tags: (!args.tags.is_empty()).then_some(args.tags),
        access: args.access,
    };
    let reply = tokio::select! {
        reply = session.ask_until(command, &context.interrupt, "Nothing was shared.") => reply,
        () = watch(events, &mut progress, &path) => Err(Fault::unexpected()),
    };
    progress.end();
    match reply? {
        UserReply::Shared(view) => print(context, view),
        _ => Err(Fault::unexpected()),
    }
}

fn print(context: &Context, view: ShareView) -> Result<(), Fault> {
    output::say(&match (context.json, context.quiet) {
        (true, _) => format!("{:#}", answer_of(UserReply::Shared(view))?.view),
        (false, true) => view.ticket,
        (false, false) => show::share(&view),
    })
}

/// Shows progress; never ends by itself, as the reply is what counts.
async fn watch(events: &mut Events, progress: &mut Progress, path: &str) {
    while let Some(event) = events.next().await {
        match event {
            Event::ShareProgress { path: read, done_bytes, total_bytes } if read == path => {
                progress.reading(done_bytes, total_bytes);
            }
            Event::Warning { message } => progress.note(&format!("warning: {}", output::printable(&message))),
            _ => {}
        }
    }
    std::future::pending().await
}

/// Says what a person should look at while something is seeded; never ends by itself.
async fn warn(events: &mut Events) {
    while let Some(event) = events.next().await {
        match event {
            Event::ContentChanged { content, why } => output::tell(&format!(
                "warning: {} is no longer given: {}\n  → Restore the file, or share it again as it is now.",
                content.short(),
                output::printable(&why)
            )),
            Event::Warning { message } => output::tell(&format!("warning: {}", output::printable(&message))),
            _ => {}
        }
    }
    std::future::pending().await
}

/// The path of something that is there, as it is kept.
fn existing(path: &Path) -> Result<String, Fault> {
    let failed = |error: &io::Error| Fault::from_io(&format!("sharing {}", path.display()), error);
    fs::metadata(path).map_err(|error| failed(&error))?;
    text_of(settled(path).map_err(|error| failed(&error))?)
}

fn text_of(path: PathBuf) -> Result<String, Fault> {
    path.into_os_string().into_string().map_err(|path| {
        let message = format!("{} is not readable as UTF-8", Path::new(&path).display());
        Fault::new(Outcome::Usage, message, "Rename it, then share it.")
    })
}

/// Writes standard input into a file of the data folder, under its final name only once it is complete.
async fn from_stdin(context: &Context, args: &ShareArgs) -> Result<String, Fault> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let name = plain_name(args.name.as_deref().unwrap_or_default(), &format!("stdin-{seconds}"));
    let folder = context.data.join("stdin-shares");
    let part = folder.join(format!(".part-{}", std::process::id()));
    let copied = {
        let (folder, part) = (folder.clone(), part.clone());
        tokio::task::spawn_blocking(move || copy_stdin(&folder, &part))
    };
    let copied = tokio::select! {
        copied = copied => copied.unwrap_or_else(|error| Err(io::Error::other(error))),
        () = context.interrupt.wait() => Err(io::ErrorKind::Interrupted.into()),
    };
    let kept = copied.and_then(|()| {
        let path = free_name(&folder, &name);
        fs::rename(&part, &path).map(|()| path)
    });
    match kept {
        Ok(path) => text_of(settled(&path).map_err(|error| Fault::from_io("keeping standard input", &error))?),
        Err(error) => {
            // It may never have been made.
            let _ = fs::remove_file(&part);
            match context.interrupt.is_set() {
                true => Err(Fault::interrupted("Nothing was shared.")),
                false => Err(Fault::from_io("keeping standard input", &error)),
            }
        }
    }
}

fn copy_stdin(folder: &Path, part: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part)?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.flush()?;
    file.sync_all()
}

fn free_name(folder: &Path, name: &str) -> PathBuf {
    let plain = folder.join(name);
    let mut numbered = (2..).map(|number| folder.join(format!("{number}-{name}")));
    if plain.exists() { numbered.find(|path| !path.exists()).unwrap_or(plain) } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_piped_in_before_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(free_name(folder.path(), "x"), folder.path().join("x"));
        fs::write(folder.path().join("x"), "").unwrap();
        fs::write(folder.path().join("2-x"), "").unwrap();
        assert_eq!(free_name(folder.path(), "x"), folder.path().join("3-x"));
    }

    #[test]
    fn what_is_not_there_is_told() {
        let fault = existing(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(fault.outcome, Outcome::NotFound);
        assert!(fault.message.contains("/no/such/file"));
    }
}
