//! `malti`: the command-line companion of libmalti.

/// Says a line on standard error. When nobody reads that, nobody is there to be told.
macro_rules! complain {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "malti: {}", format_args!($($part)*));
    }};
}

mod check;
mod receive;
mod send;
mod settings;
mod shell;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// For the help.
const BEGIN: &str = "\
malti receive starts a server to try things with, malti check says whether a service's settings work, and
malti send delivers what an access log has. malti COMMAND --help says all of a command.";

/// Companion of libmalti, the telemetry client for Malti.
#[derive(Parser)]
#[command(name = "malti", version, arg_required_else_help = true, after_help = BEGIN)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Go step by step through what a client with these settings needs, and say what to mend
    #[command(after_help = check::EXIT_CODES)]
    Check(check::Options),
    /// Run a small server that behaves like Malti's ingest API and shows what arrives
    #[command(after_help = receive::HELP)]
    Receive(receive::Options),
    /// Send what a file or standard input holds: NDJSON or an access log; or one record
    #[command(after_help = send::HELP)]
    Send(send::Options),
    /// Print a script that completes this program's arguments in a shell
    Completions(shell::Completions),
    /// Print the manual page of this program, in the form that man reads
    Manual,
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match Cli::parse().command {
        Command::Check(options) => check::run(&options),
        Command::Receive(options) => receive::run(options).map(done),
        Command::Send(options) => send::run(&options),
        Command::Completions(options) => shell::completions(&options, Cli::command()).map(done),
        Command::Manual => shell::manual(&Cli::command()).map(done),
    };
    result.unwrap_or_else(|error| {
        complain!("{error}");
        ExitCode::FAILURE
    })
}
