//! The `mesh-node` program: reads the command line, carries it out, and ends with a code that says how it went.
//!
//! Start at [`cli::args`] for what can be asked, [`cli::run`] for where it goes. The table of exit codes is
//! [`mesh_node::api::outcome`].

mod cli;
mod demo;
mod open_files;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match cli::args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::usage(&error),
    };
    let telling = cli::Telling::of(&cli);
    open_files::raise_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(telling, &cli::fault::Fault::from_io("starting the runtime", &error)),
    };
    let result = runtime.block_on(cli::run(cli));
    // A thread that waits for standard input must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => cli::fail(telling, &fault),
    }
}
