//! A configuration from environment variables, read once.

use std::path::PathBuf;

use super::keys::{KEYS, likely};
use super::proxy::EnvProxies;
use super::variables::{Environment, PREFIX};
use super::{Config, ConfigError};

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

    if let Some((name, value)) = environment.first(&["no_proxy", "NO_PROXY"]) {
        match value.to_str() {
            Some(text) => config.no_proxy = text.trim().to_owned(),
            None => config.warnings.push((
                format!("{name}: not valid UTF-8; ignored"),
                Some("no_proxy"),
            )),
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
        config
            .warnings
            .push((format!("{name}: {fault}; {instead}"), Some(key.name)));
    }

    // Other MALTI_ variables belong to the bindings and tools, unless they look like a slip.
    for key in environment.keys() {
        if let Some(meant) = likely(&key) {
            let (name, meant) = (variable(&key), variable(meant));
            config.warnings.push((
                format!("{name} is not a setting: did you mean {meant}?"),
                None,
            ));
        }
    }
    config
}
