//! `malti check`: what a client with these settings would meet, step by step.
//!
//! The settings are read, and the server is spoken to, by the library's own code, so that what passes
//! here passes there. Nothing is stored on the server.

mod local;
mod network;
mod report;
mod server;

use std::io;
use std::process::ExitCode;

use malti::Config;
use malti::transport::{Destination, Transport};

use crate::settings::Settings;
use report::{Report, Step};

/// For the help.
pub const EXIT_CODES: &str = "\
Settings come from the environment (MALTI_URL, MALTI_API_KEY, …), as for the library; each may be given
as --key=value instead (--help lists them).

Exit codes: 0 all is well, 1 the output could not be written, 2 wrong arguments; else that of the first
step that failed: 3 settings, 4 spool, 5 sink, 6 proxy, 7 dns, 8 tcp, 9 tls, 10 url, 11 server, 12 key,
13 service, 14 clock.";

#[derive(clap::Args)]
pub struct Options {
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

/// # Errors
/// Standard output can't be written.
pub fn run(options: &Options) -> io::Result<ExitCode> {
    let mut report = Report::new(options.json);
    look(options, &mut report)?;
    Ok(ExitCode::from(report.close()?))
}

/// Each step needs the one before, so the first that fails for good is the last.
fn look(options: &Options, report: &mut Report) -> io::Result<()> {
    let config = match options.settings.read() {
        Ok(config) => config,
        Err(fault) => {
            return report.failed(Step::Settings, fault, "mend or leave out that argument");
        }
    };
    let transport_settings = config.transport_settings();
    if !local::settings(&config, report)? {
        return Ok(());
    }
    let destination = transport_settings.destination.clone();
    let key = transport_settings.api_key.clone();
    let timeout = transport_settings.http_timeout;
    let transport = match Transport::new(transport_settings) {
        Ok(transport) => transport,
        Err(fault) => return report.failed(Step::Settings, fault, "mend that setting"),
    };
    report.ok(Step::Settings, local::summary(&config))?;
    local::spool(&config, report)?;
    match &destination {
        Destination::Http(url) => {
            if network::reach(url, &transport, timeout, report)? {
                server::ask(url, (config.service_name(), &key), &transport, report)?;
            }
            Ok(())
        }
        Destination::File(_) | Destination::Stderr => local::sink(&destination, &transport, report),
    }
}

/// A setting as the library shows it: secrets masked, empty where unset.
fn shown(config: &Config, key: &str) -> String {
    config.get(key).unwrap_or_default()
}
