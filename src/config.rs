//! Settings: keys, defaults, environment, validation.
//!
//! A [`Config`] starts from the defaults and the environment, once ([`Config::from_env`]), and is then
//! changed key by key ([`Config::set`]). Both ways take the same keys and values, and the order of calls
//! never matters: no setting is refused for what another one says. The keys stand in one table,
//! [`Config::keys`].

mod environment;
mod error;
mod keys;
mod proxy;
mod secret;
mod values;
mod variables;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use ring::hmac;

pub use self::error::ConfigError;
pub use self::keys::Key;
pub use self::secret::Secret;
pub use self::values::Compression;

use self::error::quoted;
use self::keys::{KEYS, Secrecy};
use self::proxy::{EnvProxies, EnvProxy, Proxy};
use self::secret::{MASK, mask_userinfo};
use self::values::KeyFile;
use self::variables::Environment;
use crate::consumer::{Rules, Source};
use crate::log::Level;
use crate::spool;
use crate::transport::{self, Destination};

/// The service of a configuration that names none.
const DEFAULT_SERVICE: &str = "default-service";

/// Every setting of a client, validated.
///
/// Its debug print shows neither the API key nor a proxy's password.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) enabled: bool,
    service_name: Option<String>,
    api_key: Option<Secret>,
    api_key_file: Option<KeyFile>,
    pub(crate) url: Destination,
    pub(crate) node: String,
    pub(crate) batch_size: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_interval: Duration,
    pub(crate) max_retries: u32,
    pub(crate) retry_delay: Duration,
    pub(crate) http_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_keepalive_connections: usize,
    pub(crate) overflow_threshold_percent: u8,
    pub(crate) clean_mode: bool,
    pub(crate) exclude_endpoints: Vec<String>,
    pub(crate) buffer_size: usize,
    pub(crate) buffer_bytes: usize,
    pub(crate) use_ip_as_consumer: bool,
    pub(crate) ip_anonymize: bool,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) consumer_order: Vec<Source>,
    /// In lower case.
    pub(crate) consumer_headers: Vec<String>,
    pub(crate) consumer_query: Vec<String>,
    /// In lower case.
    pub(crate) context_headers: Vec<String>,
    pub(crate) ca_file: Option<PathBuf>,
    proxy: Proxy,
    env_proxies: EnvProxies,
    /// As given: hosts, domains, networks between commas.
    pub(crate) no_proxy: String,
    pub(crate) spool_dir: Option<PathBuf>,
    pub(crate) spool_bytes: u64,
    pub(crate) spool_max_age: Duration,
    pub(crate) compression: Compression,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) log: Level,
    pub(crate) binding: Option<String>,
    /// The variables of OpenSSL that name roots, read with the rest of the environment.
    pub(crate) ssl_cert_file: Option<PathBuf>,
    pub(crate) ssl_cert_dir: Option<PathBuf>,
    /// What was wrong in the environment, and with which key's variable.
    warnings: Vec<(String, Option<&'static str>)>,
}

impl Default for Config {
    /// The defaults alone, as in an empty environment. `node` is the host's name.
    fn default() -> Self {
        let texts = |items: &[&str]| items.iter().map(ToString::to_string).collect();
        Self {
            enabled: true,
            service_name: None,
            api_key: None,
            api_key_file: None,
            // It does parse: a test compares every default with the table.
            url: Destination::parse("http://localhost:8000").unwrap_or(Destination::Stderr),
            node: values::host_name(),
            batch_size: 500,
            batch_bytes: 900_000,
            batch_interval: Duration::from_secs(60),
            max_retries: 3,
            retry_delay: Duration::from_secs(1),
            http_timeout: Duration::from_secs(30),
            max_connections: 10,
            max_keepalive_connections: 5,
            overflow_threshold_percent: 90,
            clean_mode: true,
            exclude_endpoints: Vec::new(),
            buffer_size: 25_000,
            buffer_bytes: 16 << 20,
            use_ip_as_consumer: false,
            ip_anonymize: false,
            trusted_proxies: Vec::new(),
            consumer_order: vec![Source::State, Source::Header, Source::Query, Source::Ip],
            consumer_headers: texts(&["x-consumer-id", "x-user-id", "consumer-id", "user-id"]),
            consumer_query: texts(&["consumer_id", "user_id"]),
            context_headers: Vec::new(),
            ca_file: None,
            proxy: Proxy::Environment,
            env_proxies: EnvProxies::default(),
            no_proxy: String::new(),
            spool_dir: None,
            spool_bytes: 256 << 20,
            spool_max_age: Duration::from_secs(7 * 24 * 3600),
            compression: Compression::None,
            shutdown_timeout: Duration::from_secs(5),
            log: Level::Warn,
            binding: None,
            ssl_cert_file: None,
            ssl_cert_dir: None,
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// The defaults, then the environment: `MALTI_*`, the usual proxy variables, `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`. Never fails: what can't be used is a warning ([`Config::startup_warnings`]), and
    /// the default stays.
    pub fn from_env() -> Self {
        Self::from_vars(std::env::vars_os())
    }

    /// As [`Config::from_env`], from these variables instead of the process's own.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        environment::read(&Environment::new(vars))
    }

    /// Changes one setting. On an error nothing has changed. What its variable in the environment says does
    /// not matter any more, however bad it was.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let entry = find(key)?;
        (entry.set)(self, value).map_err(|reason| {
            let show = |text: &str| match entry.secrecy {
                Secrecy::Open => text.to_owned(),
                Secrecy::Userinfo => mask_userinfo(text),
                Secrecy::Whole => MASK.to_owned(),
            };
            ConfigError::InvalidValue {
                key: entry.name,
                value: quoted(&show(value)),
                reason: match entry.secrecy {
                    Secrecy::Userinfo => show(&reason).into(),
                    Secrecy::Open | Secrecy::Whole => reason,
                },
                accepted: entry.accepted,
            }
        })?;
        let no_file_is_read = entry.name == "api_key" && self.api_key.is_some();
        self.warnings.retain(|(_, of)| {
            *of != Some(entry.name) && !(no_file_is_read && *of == Some("api_key_file"))
        });
        Ok(())
    }

    /// A setting's value in the form in which it is documented; empty where it is unset. The API key and
    /// a proxy's password come back as `***`.
    pub fn get(&self, key: &str) -> Result<String, ConfigError> {
        Ok((find(key)?.get)(self))
    }

    /// The first key, in the order of [`Config::keys`], whose effective value differs; `None` where the
    /// two would make the same client. `binding` does not count.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let differs = |key: &&Key| !(key.same)(self, other);
        KEYS.iter().find(differs).map(|key| key.name)
    }

    /// Every setting.
    pub fn keys() -> impl Iterator<Item = &'static Key> {
        KEYS.iter()
    }

    /// Whether records are taken: `enabled`, and somewhere to send them, which for a server needs a key.
    pub fn is_enabled(&self) -> bool {
        self.enabled && (self.is_sink() || self.api_key().is_some())
    }

    /// What a host should be told once when the client starts; nothing where it was switched off.
    pub fn startup_warnings(&self) -> Vec<String> {
        if !self.enabled {
            return Vec::new();
        }
        let mut warnings: Vec<_> = self.environment_faults().map(str::to_owned).collect();
        if !self.is_enabled() {
            warnings.push("api_key is not set: telemetry is disabled".to_owned());
            return warnings;
        }
        if self.service_name.is_none() {
            warnings.push(format!(
                "service_name is not set: records go to {DEFAULT_SERVICE:?}"
            ));
        }
        if self.url.is_plain_http_to_remote() {
            let url = mask_userinfo(&self.url.to_string());
            warnings.push(format!(
                "url {url} is plain http: the API key travels unencrypted"
            ));
        }
        if let Some(Err(fault)) = self.env_proxy() {
            warnings.push(fault.clone());
        }
        warnings
    }

    /// What of the environment could not be used, or looks like a slip, but for what was set since; a part
    /// of [`Config::startup_warnings`].
    pub fn environment_faults(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(|(text, _)| text.as_str())
    }

    /// Where and how records are delivered.
    pub fn transport_settings(&self) -> transport::Settings {
        self.transport(transport::Origin::default())
    }

    /// The service in each record.
    pub fn service_name(&self) -> &str {
        self.service_name.as_deref().unwrap_or(DEFAULT_SERVICE)
    }

    /// The API key: `api_key`, else what `api_key_file` held when it was set.
    pub(crate) fn api_key(&self) -> Option<&Secret> {
        let from_file = || self.api_key_file.as_ref().map(|file| &file.key);
        self.api_key.as_ref().or_else(from_file)
    }

    /// Whether records go to a file or to standard error instead of a server.
    pub(crate) fn is_sink(&self) -> bool {
        !matches!(self.url, Destination::Http(..))
    }

    /// The records of a full batch: `batch_size`, but never more than the buffer holds.
    pub(crate) fn batch_records(&self) -> usize {
        self.batch_size.min(self.buffer_size)
    }

    /// The buffered records from which on sending starts at once; at least one.
    pub(crate) fn overflow_records(&self) -> usize {
        self.overflow_share(self.buffer_size)
    }

    /// The buffered bytes from which on sending starts at once; at least one.
    pub(crate) fn overflow_bytes(&self) -> usize {
        self.overflow_share(self.buffer_bytes)
    }

    fn overflow_share(&self, of: usize) -> usize {
        // In 64 bits, where a hundred times the largest buffer still fits.
        let share = of as u64 * u64::from(self.overflow_threshold_percent) / 100;
        (share as usize).max(1)
    }

    /// Who called, by these settings.
    pub fn rules(&self) -> Rules {
        Rules {
            order: self.consumer_order.clone(),
            headers: self.consumer_headers.clone(),
            query: self.consumer_query.clone(),
            context_headers: self.context_headers.clone(),
            use_ip: self.use_ip_as_consumer,
            anonymize: self.ip_anonymize,
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }

    /// Where and how the transport delivers.
    pub(crate) fn transport(&self, origin: transport::Origin) -> transport::Settings {
        let binding = self
            .binding
            .as_deref()
            .map_or(String::new(), |b| format!(" {b}"));
        transport::Settings {
            destination: self.url.clone(),
            api_key: self
                .api_key()
                .map_or(String::new(), |key| key.expose().to_owned()),
            user_agent: format!("libmalti/{}{binding}", env!("CARGO_PKG_VERSION")),
            http_timeout: self.http_timeout,
            max_keepalive_connections: self.max_keepalive_connections,
            ca_file: self.ca_file.clone(),
            ssl_cert_file: self.ssl_cert_file.clone(),
            ssl_cert_dir: self.ssl_cert_dir.clone(),
            proxy: self.proxy_for_url().map(str::to_owned),
            no_proxy: self.no_proxy.clone(),
            forked: origin.forked,
            known_addresses: origin.addresses(),
            known_roots: origin.roots(),
        }
    }

    /// The durable buffer; `None`: in memory alone.
    pub(crate) fn spool(&self) -> Option<spool::Settings> {
        let key = self.api_key().map_or("", |key| key.expose());
        // Tells files apart, and tells nobody the key.
        let pepper = hmac::Key::new(hmac::HMAC_SHA256, b"libmalti spool");
        let whose = format!("{}\0{}\0{key}", self.url, self.service_name());
        let digest = hmac::sign(&pepper, whose.as_bytes());
        let mut identity = [0; 16];
        identity.copy_from_slice(&digest.as_ref()[..16]);
        Some(spool::Settings {
            dir: self.spool_dir.clone()?,
            bytes: self.spool_bytes,
            max_age: self.spool_max_age,
            identity,
            service: self.service_name().to_owned(),
            node: self.node.clone(),
        })
    }

    /// The proxy for `url`'s scheme, with its credentials; whether its host is excepted from it, by
    /// `no_proxy` or for being this machine, is not looked at here.
    pub(crate) fn proxy_for_url(&self) -> Option<&str> {
        match &self.proxy {
            Proxy::Direct => None,
            Proxy::Url(url) => Some(url.expose()),
            Proxy::Environment => Some(self.env_proxy()?.as_ref().ok()?.expose()),
        }
    }

    /// What the environment says of a proxy, where nothing else does.
    fn env_proxy(&self) -> Option<&EnvProxy> {
        if self.is_sink() || self.proxy != Proxy::Environment {
            return None;
        }
        let https = self.url.to_string().starts_with("https:");
        self.env_proxies.choose(https)
    }
}

/// The entry of a key.
fn find(key: &str) -> Result<&'static Key, ConfigError> {
    keys::find(key).ok_or_else(|| ConfigError::UnknownKey {
        key: quoted(key),
        nearest: keys::nearest(key),
    })
}
