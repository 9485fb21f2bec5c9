//! The `tidegate` program: command line, configuration, wiring, background work.

mod cli;
mod clock;
mod commands;
mod config;
mod copied;
mod data_dir;
mod failure;
mod installation;
mod logging;
mod opening;
mod output;
mod peppers;
mod program;
mod schema;
mod secrets;
mod settings;
mod spilling;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use mimalloc::MiMalloc;
use rustix::fs::Mode;

use crate::cli::Cli;
use crate::failure::Failure;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // All files written here, databases included, are accessible to their owner only.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(error),
    };
    program::remember(&cli.global);
    let as_json = cli.global.json;
    let code = match commands::run(cli) {
        Ok(Some(answer)) => {
            answer.print(as_json);
            output::tell_afterwords();
            ExitCode::from(if answer.good { 0 } else { 1 })
        }
        Ok(None) => {
            output::tell_afterwords();
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, as_json),
    };
    logging::flush();
    code
}

fn fail(failure: &Failure, as_json: bool) -> ExitCode {
    if as_json {
        output::print_json(&failure.json());
    } else {
        for line in failure.message().lines() {
            let line = if line.starts_with("hint: ") { line.to_owned() } else { format!("error: {line}") };
            output::tell(&line);
        }
    }
    failure.exit_code()
}

/// Help, the version, or a command line that cannot be read.
fn refuse(mut error: clap::Error) -> ExitCode {
    cli::correct(&mut error, std::env::args_os());
    let wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !wanted && std::env::args_os().any(|argument| argument == "--json") {
        return fail(&Failure::usage(error.render().to_string().trim()), true);
    }
    let _ = error.print();
    ExitCode::from(if wanted { 0 } else { 2 })
}
