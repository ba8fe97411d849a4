//! What can be told without the network.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use malti::Config;
use malti::transport::{Destination, Transport};

use super::report::{Report, Step};
use super::shown;

/// Variables that language bindings and tests read.
const OF_TOOLS: &[&str] = &["library", "prebuilt_lib", "python_call", "receiver"];

/// Whether a client with these settings would record anything.
pub fn settings(config: &Config, report: &mut Report) -> io::Result<bool> {
    for fault in config.environment_faults() {
        report.failed(Step::Settings, fault, "mend or unset that variable")?;
    }
    for name in unknown(config) {
        let text = format!("{name} is no setting; the library does not look at it");
        report.warn(Step::Settings, text, "unset it")?;
    }
    if !config.is_enabled() {
        let (text, remedy) = if shown(config, "enabled") == "false" {
            (
                "enabled is false: nothing is recorded",
                "set MALTI_ENABLED=true, or unset it",
            )
        } else {
            (
                "api_key is not set: nothing is recorded",
                "set MALTI_API_KEY to the service's key",
            )
        };
        report.failed(Step::Settings, text, remedy)?;
        return Ok(false);
    }
    let others = config.startup_warnings();
    for warning in &others {
        if config.environment_faults().all(|fault| fault != warning) {
            report.warn(Step::Settings, warning, "")?;
        }
    }
    Ok(true)
}

/// What records carry, and where they go.
pub fn summary(config: &Config) -> String {
    let key = match shown(config, "api_key").as_str() {
        "" => "no key",
        _ => "a key",
    };
    let (service, url) = (config.service_name(), shown(config, "url"));
    format!("service {service:?}, {key}, url {url}")
}

/// The variables that start as the library's do and are none, but for those that look like a slip: they
/// are among the faults.
fn unknown(config: &Config) -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut unknown: Vec<_> = names
        .filter(|name| {
            name.strip_prefix("MALTI_").is_some_and(|key| {
                let key = key.to_ascii_lowercase();
                !OF_TOOLS.contains(&key.as_str()) && Config::keys().all(|known| known.name != key)
            })
        })
        .filter(|name| {
            config
                .environment_faults()
                .all(|fault| fault.split([':', ' ']).next() != Some(name))
        })
        .collect();
    unknown.sort();
    unknown
}

/// Whether the durable buffer can have files there.
pub fn spool(config: &Config, report: &mut Report) -> io::Result<()> {
    let dir = shown(config, "spool_dir");
    if dir.is_empty() {
        return Ok(());
    }
    // What is not there yet, the library makes.
    let written = nearest(Path::new(&dir))
        .and_then(tempfile::tempfile_in)
        .and_then(|mut file| file.write_all(&[0; 4096]));
    match written {
        Ok(()) => report.ok(Step::Spool, format!("{dir} can be written")),
        Err(error) => report.failed(
            Step::Spool,
            format!("{dir}: {error}"),
            "MALTI_SPOOL_DIR names a directory that this user may write, on a disk that has room; else records are kept in memory alone",
        ),
    }
}

/// The directory, or the one above that is there.
fn nearest(dir: &Path) -> io::Result<PathBuf> {
    let exists = |dir: &&Path| dir.exists();
    match dir.ancestors().find(exists) {
        Some(found) if found.is_dir() => Ok(found.to_owned()),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Appends nothing, which opens what records would be appended to.
pub fn sink(
    destination: &Destination,
    transport: &Transport,
    report: &mut Report,
) -> io::Result<()> {
    let made = matches!(destination, Destination::File(path) if !path.exists());
    let appended = transport.round().post(b"", false);
    if made && let Destination::File(path) = destination {
        // Its first record will make it again.
        let _ = std::fs::remove_file(path);
    }
    match appended {
        Ok(_) => report.ok(
            Step::Sink,
            format!("{destination} takes records, one JSON object a line"),
        ),
        Err(failure) => report.failed(
            Step::Sink,
            failure.text,
            "the folder must be there, and this user may append to the file",
        ),
    }
}
