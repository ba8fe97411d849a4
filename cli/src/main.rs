//! `malti`: the command-line companion of libmalti.

mod receive;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Companion of libmalti, the telemetry client for Malti.
#[derive(Parser)]
#[command(name = "malti", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a small server that behaves like Malti's ingest API and shows what arrives
    Receive(receive::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Receive(options) => receive::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("malti: {error}");
            ExitCode::FAILURE
        }
    }
}
