//! The command line: each command is carried out by the node that runs on the data folder, or by one started for it.
//!
//! | to find | look in |
//! |---|---|
//! | what can be asked | [`args`], [`groups`], [`values`] |
//! | which node carries it out | [`session`] |
//! | the long commands | [`up`], [`share`], [`get`] with [`target`] and [`progress`] |
//! | all others | [`simple`], [`identity`], [`journal`], [`shell`] |
//! | what is printed | [`output`], [`show`], [`table`] |
//! | how it fails | [`fault`] |

pub mod args;
pub mod fault;
pub mod get;
pub mod groups;
pub mod identity;
pub mod interrupt;
pub mod journal;
pub mod logging;
pub mod output;
pub mod progress;
pub mod resolve;
pub mod session;
pub mod share;
pub mod shell;
pub mod show;
pub mod simple;
pub mod table;
pub mod target;
pub mod up;
pub mod values;

use std::path::PathBuf;
use std::process::ExitCode;

use mesh_node::api::openapi;
use mesh_node::api::outcome::Outcome;

use args::{Cli, Command};
use fault::Fault;
use interrupt::Interrupt;

/// What every command needs to know.
pub struct Context {
    /// The data folder.
    pub data: PathBuf,
    /// Print data instead of text.
    pub json: bool,
    /// Print no more than was asked for.
    pub quiet: bool,
    /// Log more.
    pub verbose: u8,
    /// Ctrl-C and its kin.
    pub interrupt: Interrupt,
}

/// Carries a command out.
///
/// # Errors
/// A [`Fault`] with its exit code.
pub async fn run(cli: Cli) -> Result<(), Fault> {
    let data = match cli.global.data {
        Some(data) => data,
        None => mesh_node::default_data_folder()
            .map_err(|error| Fault::new(Outcome::Usage, error.to_string(), "Give one with --data or MESH_DATA."))?,
    };
    let data = std::path::absolute(&data).map_err(|error| Fault::from_io("finding the data folder", &error))?;
    let context = Context {
        data,
        json: cli.global.json,
        quiet: cli.global.quiet,
        verbose: cli.global.verbose,
        interrupt: Interrupt::listen()?,
    };
    if !matches!(cli.command, Command::Up(_)) {
        logging::start("error", context.verbose);
    }
    match cli.command {
        Command::Up(args) => up::run(&context, args).await,
        Command::Share(args) => share::run(&context, args).await,
        Command::Get(args) => get::run(&context, args).await,
        Command::Demo(args) => crate::demo::run(&context, args).await,
        Command::Identity { command } => identity::run(&context, command).await,
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { folder } => shell::man(&folder),
        Command::Journal { command } => journal::run(&context, command).await,
        Command::ConfigDoc => output::say(mesh_node::Config::document().trim_end()),
        Command::Openapi => output::say(&openapi::text()),
        command => simple::run(&context, command).await,
    }
}

/// How a failure is told beside the text for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Not at all.
    Text,
    /// As JSON.
    Json,
    /// As the last of several lines of JSON.
    Lines,
}

impl Telling {
    /// What a command line asks for.
    #[must_use]
    pub fn of(cli: &Cli) -> Self {
        match &cli.command {
            Command::Get(args) if args.events => Self::Lines,
            _ if cli.global.json => Self::Json,
            _ => Self::Text,
        }
    }
}

/// Says why a command failed and how the process ends.
#[must_use]
pub fn fail(telling: Telling, fault: &Fault) -> ExitCode {
    // Where that can't be written, the text and the exit code still tell.
    let _ = match telling {
        Telling::Text => Ok(()),
        Telling::Json => output::say(&format!("{:#}", fault.to_json())),
        Telling::Lines => output::say(&fault.to_event().to_string()),
    };
    output::tell(&fault.to_text());
    ExitCode::from(fault.outcome.meaning().exit_code)
}

/// Says what is wrong with the command line itself, or shows the help that was asked for.
#[must_use]
pub fn usage(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(Outcome::Usage.meaning().exit_code);
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let text = text.trim().trim_start_matches("error: ");
        let fault = Fault::new(Outcome::Usage, text, "See mesh-node --help.");
        let _ = output::say(&format!("{:#}", fault.to_json()));
    }
    match output::written(error.print()) {
        // Help that was asked for is a result.
        Err(fault) if !error.use_stderr() => fail(Telling::Text, &fault),
        _ => ExitCode::from(code),
    }
}
