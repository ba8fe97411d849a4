//! A configuration from environment variables, read once.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::keys::{KEYS, likely};
use super::proxy::EnvProxies;
use super::{Config, ConfigError};

const PREFIX: &str = "MALTI_";

/// Environment variables as they were at one moment.
pub(super) struct Environment(Vec<(String, OsString)>);

impl Environment {
    pub(super) fn new(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // A name that is not UTF-8 is none of ours.
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(vars.into_iter().filter_map(named).collect())
    }

    pub(super) fn get(&self, wanted: &str) -> Option<&OsStr> {
        let found = self.0.iter().find(|(name, _)| match cfg!(windows) {
            true => name.eq_ignore_ascii_case(wanted),
            false => name == wanted,
        });
        found.map(|(_, value)| value.as_os_str())
    }

    /// The first of these variables that is set; an empty one counts as unset, as it does for curl.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<(&'static str, &OsStr)> {
        names.iter().find_map(|name| {
            let value = self.get(name)?;
            (!value.is_empty()).then_some((*name, value))
        })
    }

    /// The variables whose names start with `MALTI_`, as keys.
    fn keys(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|(name, _)| {
            let (prefix, key) = name.split_at_checked(PREFIX.len())?;
            let ours = match cfg!(windows) {
                true => prefix.eq_ignore_ascii_case(PREFIX),
                false => prefix == PREFIX,
            };
            ours.then(|| key.to_ascii_lowercase())
        })
    }
}

/// The variable of a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase())
}

/// Defaults, then what the environment says. What can't be used becomes a warning: a bad variable must
/// not take the application down.
pub(super) fn read(environment: &Environment) -> Config {
    let path = |name| {
        let (_, value) = environment.first(&[name])?;
        Some(PathBuf::from(value))
    };
    let mut config = Config {
        env_proxies: EnvProxies::read(environment),
        ssl_cert_file: path("SSL_CERT_FILE"),
        ssl_cert_dir: path("SSL_CERT_DIR"),
        ..Config::default()
    };
    let mut warnings = Vec::new();

    if let Some((name, value)) = environment.first(&["no_proxy", "NO_PROXY"]) {
        match value.to_str() {
            Some(text) => config.no_proxy = text.trim().to_owned(),
            None => warnings.push(format!("{name}: not valid UTF-8; ignored")),
        }
    }

    for key in KEYS {
        let name = variable(key.name);
        let Some(value) = environment.get(&name) else {
            continue;
        };
        let fault = match value.to_str().map(|text| config.set(key.name, text)) {
            Some(Ok(())) => continue,
            Some(Err(ConfigError::InvalidValue {
                value,
                reason,
                accepted,
                ..
            })) => format!("invalid value {value:?}: {reason}; accepted: {accepted}"),
            Some(Err(error)) => error.to_string(),
            None => "not valid UTF-8".to_owned(),
        };
        let instead = match key.default {
            "" => "ignored".to_owned(),
            default => format!("using the default {default}"),
        };
        warnings.push(format!("{name}: {fault}; {instead}"));
    }

    // Other MALTI_ variables belong to the bindings and tools, unless they look like a slip.
    for key in environment.keys() {
        if let Some(meant) = likely(&key) {
            let (name, meant) = (variable(&key), variable(meant));
            warnings.push(format!("{name} is not a setting: did you mean {meant}?"));
        }
    }
    config.warnings = warnings;
    config
}
