//! Settings: keys, defaults, environment, validation.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::log::Level;

/// Every setting of a client, validated. Made by [`Config::from_env`], changed by [`Config::set`].
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub(crate) enabled: bool,
    pub(crate) service_name: Option<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) url: Destination,
    pub(crate) node: Option<String>,
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
    pub(crate) consumer_headers: Vec<String>,
    pub(crate) consumer_query: Vec<String>,
    pub(crate) context_headers: Vec<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxy: Option<String>,
    pub(crate) no_proxy: NoProxy,
    pub(crate) compression: Compression,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) log: Level,
    pub(crate) binding: Option<String>,
    /// `SSL_CERT_FILE`, `SSL_CERT_DIR`: read with the rest of the environment, once.
    pub(crate) ssl_cert_file: Option<PathBuf>,
    pub(crate) ssl_cert_dir: Option<PathBuf>,
    /// What was wrong in the environment; logged once at init.
    pub(crate) warnings: Vec<String>,
}
