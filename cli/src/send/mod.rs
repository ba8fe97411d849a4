//! `malti send`: records that were written down elsewhere, delivered by the library's own client.
//!
//! A thread reads lines; this one understands them, names their routes and records them, no faster than
//! the server takes them, so that neither memory nor the ledger knows how long the input is.

mod caddy;
mod delivery;
mod entry;
mod format;
mod lines;
mod log_format;
mod ndjson;
mod progress;
mod routes;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use malti::Config;
use malti::consumer::Rules;

use crate::settings::Settings;
use delivery::{Delivery, Halt};
use entry::Entry;
use format::Format;
use lines::{Lines, Source};
use progress::Progress;
use routes::Routes;

/// For the help.
pub const HELP: &str = "\
Formats: ndjson (as the library writes to a file: sink), common, combined, caddy, or a line of nginx's
variables, such as '$remote_addr [$time_local] \"$request\" $status $request_time'. Read are
  $request, or $request_method and $request_uri (or $uri and $args); $status;
  $time_local, $time_iso8601 or $msec; $request_time (seconds), $request_time_ms or $request_time_us;
  $remote_user, $http_NAME and $remote_addr (for the consumer, by the library's rules);
  $hostname (the node) and $request_id (the context). Other names are passed over.

Settings come from the environment (MALTI_URL, MALTI_API_KEY, …); each may be given as --key=value
instead (--help lists them). With --url=stderr: the records are shown instead of sent. For a flood, those
that are not set are here: max-connections 4, buffer-bytes 268435456, overflow-threshold-percent 20, and
with --follow batch-interval 1.

A first SIGINT or SIGTERM ends the reading, and what was read is still delivered; a second one gives that
up too.

Exit codes: 0 all that was understood was delivered or left out by a setting, 1 not so, or the input was
not read to its end, 2 wrong arguments.";

#[derive(clap::Args)]
pub struct Options {
    /// The file to read; none or -: standard input
    file: Option<PathBuf>,

    /// How lines are written; auto goes by the first that is understood
    #[arg(long, default_value = "auto", value_parser = Format::parse)]
    format: Format,

    /// Go on when the file ends, with what is appended to it or to the one that takes its place
    #[arg(long, requires = "file")]
    follow: bool,

    /// Route patterns, one a line (/users/{id} or GET /users/{id}), or an OpenAPI description as JSON;
    /// without one that matches, what looks like an id is guessed to be one
    #[arg(long, value_name = "FILE")]
    routes: Option<PathBuf>,

    /// Keep the paths that no route of the file matches as they are
    #[arg(long)]
    no_guess: bool,

    /// Give up when nothing is delivered for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    give_up: f64,

    /// Print the ledger as one JSON object to standard output
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    one: One,

    #[command(flatten)]
    settings: Settings,
}

/// One record, given by arguments.
#[derive(clap::Args)]
struct One {
    /// Of a single record, instead of a file
    #[arg(long, requires_all = ["endpoint", "status"], conflicts_with_all = ["file", "format", "follow", "routes"], help_heading = "A single record")]
    method: Option<String>,
    /// Its route pattern
    #[arg(long, requires = "method", help_heading = "A single record")]
    endpoint: Option<String>,
    /// Its HTTP status
    #[arg(long, requires = "method", help_heading = "A single record")]
    status: Option<u16>,
    /// Its response time in milliseconds
    #[arg(long, value_name = "MS", requires = "method", value_parser = seconds, help_heading = "A single record")]
    response_time: Option<f64>,
    /// Who called
    #[arg(long, requires = "method", help_heading = "A single record")]
    consumer: Option<String>,
    /// Free text
    #[arg(long, requires = "method", help_heading = "A single record")]
    context: Option<String>,
}

/// A number of seconds, or of milliseconds: finite, and not below 0.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1e9).contains(&number) => Ok(number),
        _ => Err("a number from 0 is expected".to_owned()),
    }
}

impl One {
    fn entry(&self) -> Option<Entry<'_>> {
        let time = self.response_time.unwrap_or(0.0);
        Some(Entry {
            method: self.method.as_deref()?.into(),
            path: self.endpoint.as_deref()?.into(),
            is_route: true,
            status: self.status?,
            response_time: Duration::from_secs_f64(time / 1000.0),
            consumer: self.consumer.as_deref().map(Into::into),
            context: self.context.as_deref().map(Into::into),
            ..Entry::default()
        })
    }
}

/// # Errors
/// A file can't be read, a setting or format is none, the client can't start.
pub fn run(options: &Options) -> io::Result<ExitCode> {
    let config = options.settings.read().map_err(io::Error::other)?;
    if !config.is_enabled() {
        return Err(io::Error::other(
            "nothing would be sent: api_key is not set, or enabled is false",
        ));
    }
    let input = match options.one.method {
        Some(_) => None,
        None => Some(Input::open(options, &config)?),
    };
    // From here on, since to open a pipe may take for ever.
    let signals = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&signals);
    ctrlc::set_handler(move || {
        // The first ends the reading, the second the waiting, and each is obeyed within a moment.
        if seen.fetch_add(1, Ordering::AcqRel) >= 2 {
            std::process::exit(130);
        }
    })
    .map_err(io::Error::other)?;
    let give_up = Duration::from_secs_f64(options.give_up);
    let progress = Progress::new();
    let mut delivery = Delivery::new(&config, options.follow, give_up, &signals, &progress);
    let mut tally = Tally::default();
    let halt = match input {
        Some(input) => {
            let rules = config.rules();
            copy(options, &rules, input, &mut delivery, &mut tally, &progress)
        }
        None => {
            tally.lines = 1;
            let entry = options.one.entry();
            entry.and_then(|entry| delivery.record(&entry).err())
        }
    };
    let halt = match halt {
        None | Some(Halt::Unread(_)) => delivery.settle().err().or(halt),
        _ => halt,
    };
    progress.end();
    close(options, delivery, &tally, halt)
}

/// What became of the lines.
#[derive(Default)]
struct Tally {
    lines: u64,
    /// Of them, those that were not looked at any more.
    left: u64,
    not_understood: u64,
    /// The first of them, and what was wrong.
    example: Option<String>,
    guessed: u64,
    guess: Option<String>,
}

impl Tally {
    /// They were read, and nothing is done with them.
    fn leave<'a>(&mut self, lines: impl Iterator<Item = &'a [u8]>) {
        let count = lines.count() as u64;
        self.lines += count;
        self.left += count;
    }
}

/// The lines that are not empty, without blanks around them, and without the byte order mark that some
/// editors begin a file with.
fn filled(batch: &Lines) -> impl Iterator<Item = &[u8]> {
    let mark = "\u{feff}".as_bytes();
    let lines = batch.lines();
    let trimmed = lines.map(move |line| line.strip_prefix(mark).unwrap_or(line).trim_ascii());
    trimmed.filter(|line| !line.is_empty())
}

impl Options {
    /// None: standard input.
    fn file(&self) -> Option<&Path> {
        let file = self.file.as_deref();
        file.filter(|file| *file != Path::new("-"))
    }
}

/// For a message.
fn name(file: Option<&Path>) -> std::path::Display<'_> {
    file.unwrap_or(Path::new("-")).display()
}

/// What is read, and how.
struct Input {
    routes: Routes,
    format: Format,
    source: Source,
}

impl Input {
    fn open(options: &Options, config: &Config) -> io::Result<Self> {
        let routes = match &options.routes {
            Some(path) => Routes::read(path)?,
            None => Routes::default(),
        };
        let file = options.file();
        let destination = config.transport_settings().destination;
        if lines::is_own_sink(file, &destination) {
            return Err(io::Error::other(format!(
                "{}: records would go to this very file ({destination}), and it would never end: read a copy, or name another --url",
                name(file)
            )));
        }
        let source = Source::open(file, options.follow)?;
        Ok(Self {
            routes,
            format: options.format.clone(),
            source,
        })
    }
}

/// Records line after line; the reason to stop early.
fn copy(
    options: &Options,
    rules: &Rules,
    input: Input,
    delivery: &mut Delivery<'_>,
    tally: &mut Tally,
    progress: &Progress,
) -> Option<Halt> {
    let Input {
        routes,
        mut format,
        source,
    } = input;
    progress.expect(source.length());
    loop {
        let batch = match source.next(|| delivery.tick()) {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                return Some(Halt::Unread(format!("{}: {error}", name(options.file()))));
            }
        };
        progress.read(batch.bytes());
        let mut lines = filled(&batch);
        while let Some(line) = lines.next() {
            tally.lines += 1;
            let entry = match format.entry(line) {
                Ok(entry) => entry,
                Err(fault) => {
                    tally.not_understood += 1;
                    tally.example.get_or_insert_with(|| {
                        let text: String =
                            String::from_utf8_lossy(line).chars().take(120).collect();
                        format!("line {}: {fault}: {text}", tally.lines)
                    });
                    continue;
                }
            };
            let mut entry = entry.with_consumer(rules);
            if let Some(guess) = routes.name(&mut entry, !options.no_guess) {
                tally.guessed += 1;
                tally.guess.get_or_insert(guess);
            }
            if let Err(halt) = delivery.record(&entry) {
                tally.left = 1;
                tally.leave(lines);
                while let Ok(Some(batch)) = source.next(|| false) {
                    tally.leave(filled(&batch));
                }
                return Some(halt);
            }
        }
    }
    // To follow has no other end.
    let cut = !source.has_ended() && !options.follow;
    cut.then(|| Halt::Unread("interrupted".to_owned()))
}

/// Says how it went.
fn close(
    options: &Options,
    delivery: Delivery<'_>,
    tally: &Tally,
    halt: Option<Halt>,
) -> io::Result<ExitCode> {
    let ledger = delivery.close();
    let understood = tally.lines - tally.not_understood;
    let lost = ledger.recorded - ledger.sent + tally.left;
    let well =
        halt.is_none() && lost == 0 && ledger.invalid == 0 && (understood > 0 || tally.lines == 0);
    let report = options.json.then(|| {
        serde_json::json!({
            "lines": tally.lines, "not_understood": tally.not_understood, "guessed": tally.guessed,
            "recorded": ledger.recorded, "sent": ledger.sent, "filtered": ledger.filtered,
            "invalid": ledger.invalid, "rejected": ledger.rejected, "undelivered": lost - ledger.rejected,
            "stopped": halt.as_ref().map(ToString::to_string),
        })
    });
    if let Some(halt) = &halt {
        complain!("{halt}");
    }
    if let Some(example) = &tally.example {
        let hint = match understood {
            0 => " (--format says how they are written)",
            _ => "",
        };
        complain!(
            "{} of {} lines were not understood{hint}, such as {}",
            tally.not_understood,
            tally.lines,
            example.replace(char::is_control, " ")
        );
    }
    if let Some(guess) = &tally.guess {
        complain!(
            "the route of {} records is guessed, such as {guess}; --routes names them",
            tally.guessed
        );
    }
    if let Some(report) = report {
        writeln!(io::stdout(), "{report}")?;
    } else {
        complain!(
            "{} lines: sent {}, left out by settings {}, refused {}, not delivered {}, not understood {}",
            tally.lines,
            ledger.sent,
            ledger.filtered,
            ledger.rejected + ledger.invalid,
            lost - ledger.rejected,
            tally.not_understood,
        );
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
