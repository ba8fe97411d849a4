//! The table of settings: one entry is all that a setting needs to be set, shown, compared, read from
//! the environment and documented.

use super::proxy::Proxy;
use super::secret::{MASK, mask_userinfo};
use super::values::*;
use super::{Compression, Config, DEFAULT_SERVICE};
use crate::transport::Destination;

/// A setting.
pub struct Key {
    /// Its name. The environment variable is `MALTI_` and this in upper case.
    pub name: &'static str,
    /// Its default, as [`Config::get`] shows it; empty where it is unset.
    pub default: &'static str,
    /// The values that it takes.
    pub accepted: &'static str,
    /// What it does.
    pub meaning: &'static str,
    pub(super) secrecy: Secrecy,
    pub(super) set: fn(&mut Config, &str) -> Parsed<()>,
    pub(super) get: fn(&Config) -> String,
    pub(super) same: fn(&Config, &Config) -> bool,
}

/// What of a value may not be seen in an error.
#[derive(Clone, Copy)]
pub(super) enum Secrecy {
    Open,
    /// The user and password of a URL.
    Userinfo,
    Whole,
}

/// A setting that is one field of [`Config`] with the same name.
macro_rules! key {
    ($name:ident, $default:expr, $accepted:expr, $meaning:literal, $parse:expr, $show:expr) => {
        Key {
            name: stringify!($name),
            default: $default,
            accepted: $accepted,
            meaning: $meaning,
            secrecy: Secrecy::Open,
            set: |config, text| {
                config.$name = $parse(text)?;
                Ok(())
            },
            get: |config| $show(&config.$name),
            same: |one, other| one.$name == other.$name,
        }
    };
}

macro_rules! boolean {
    ($name:ident, $default:literal, $meaning:literal) => {
        key!(
            $name,
            $default,
            "true/false, 1/0, yes/no, on/off",
            $meaning,
            boolean,
            bool::to_string
        )
    };
}

macro_rules! integer {
    ($name:ident, $default:literal, $min:literal..=$max:literal, $meaning:literal) => {
        key!(
            $name,
            concat!($default),
            concat!("a whole number from ", $min, " to ", $max),
            $meaning,
            |text| integer(text, $min..=$max),
            ToString::to_string
        )
    };
}

macro_rules! seconds {
    ($name:ident, $default:literal, $min:literal..=$max:literal, $meaning:literal) => {
        key!(
            $name,
            concat!($default),
            concat!("seconds from ", $min, " to ", $max, ", fractions allowed"),
            $meaning,
            |text| seconds(text, f64::from($min)..=f64::from($max)),
            show_seconds
        )
    };
}

macro_rules! list {
    ($name:ident, $default:literal, $accepted:literal, $meaning:literal, $parse:expr) => {
        key!(
            $name,
            $default,
            $accepted,
            $meaning,
            |text| list(text, $parse),
            |items: &Vec<_>| { show_list(items) }
        )
    };
}

/// Every setting, in the order in which they are documented.
///
/// Where a range looks arbitrary, its end is far beyond use and well inside what the arithmetic holds on
/// every platform: times end at a day, memory at the 2 GiB that a 32-bit process can address.
pub(super) static KEYS: &[Key] = &[
    boolean!(
        enabled,
        "true",
        "false: nothing is recorded, no thread is started, nothing is logged"
    ),
    Key {
        get: |config| config.service_name().to_owned(),
        same: |one, other| one.service_name() == other.service_name(),
        ..key!(
            service_name,
            DEFAULT_SERVICE,
            "a name of at most 500 characters",
            "the service that the API key belongs to",
            |text| optional(text, name),
            show_optional
        )
    },
    Key {
        secrecy: Secrecy::Whole,
        get: |config| {
            config
                .api_key()
                .map(|_| MASK.to_owned())
                .unwrap_or_default()
        },
        same: |one, other| one.api_key() == other.api_key(),
        ..key!(
            api_key,
            "",
            "visible ASCII characters, at most 4096",
            "the service's key; without one nothing is recorded",
            |text| optional(text, api_key),
            show_optional
        )
    },
    Key {
        get: |config| show_path(config.api_key_file.as_ref().map(|file| &file.path)),
        ..key!(
            api_key_file,
            "",
            "the path of a readable file that holds a key",
            "a file whose only line is the key; read when the settings are made, used where api_key is not set",
            api_key_file,
            |_: &_| String::new()
        )
    },
    Key {
        secrecy: Secrecy::Userinfo,
        get: |config| mask_userinfo(&config.url.to_string()),
        ..key!(
            url,
            "http://localhost:8000",
            "http://host[:port][/prefix], https://host[:port][/prefix], file:/absolute/path, stderr:",
            "where records go: the server's base URL, or one JSON record a line to a file or to standard error",
            |text: &str| Destination::parse(text.trim()),
            ToString::to_string
        )
    },
    key!(
        node,
        "",
        "a name of at most 500 characters",
        "the machine's name in each record; when unset, the host's name",
        |text| optional(text, name).map(|node| node.unwrap_or_else(host_name)),
        String::clone
    ),
    integer!(
        batch_size,
        500,
        1..=10_000,
        "records in one request, at most; as many that wait are sent at once"
    ),
    // The least is what the largest record needs; the most was seen to pass on the server.
    integer!(
        batch_bytes,
        900_000,
        16_384..=100_000_000,
        "bytes in one request, at most; proxies often accept 1 MiB"
    ),
    seconds!(
        batch_interval,
        60,
        0.01..=86_400,
        "longest wait of a record before it is sent; each wait is shortened by up to 10 % at random"
    ),
    integer!(
        max_retries,
        3,
        0..=1_000,
        "retries before a batch goes back into the buffer"
    ),
    seconds!(
        retry_delay,
        1,
        0..=86_400,
        "longest delay before the first retry, doubled with each further one up to 60; the delay is drawn at random below it"
    ),
    seconds!(
        http_timeout,
        30,
        0.01..=86_400,
        "time limit of a whole request"
    ),
    integer!(
        max_connections,
        10,
        1..=100,
        "requests under way at the same time while the buffer is above the overflow threshold; below it one"
    ),
    integer!(
        max_keepalive_connections,
        5,
        0..=100,
        "idle connections kept while sending"
    ),
    key!(
        overflow_threshold_percent,
        "90",
        "a number from 1 to 100; a fraction is dropped",
        "fill of the buffer, in percent, from which on sending starts at once and several requests are under way",
        percent,
        ToString::to_string
    ),
    boolean!(
        clean_mode,
        "true",
        "leave out requests that were answered 401 or 404"
    ),
    list!(
        exclude_endpoints,
        "",
        "endpoints separated by commas, each exact or with a * at its end",
        "endpoints that are left out, such as /health*",
        endpoint_pattern
    ),
    integer!(
        buffer_size,
        25_000,
        1..=100_000_000,
        "records kept in memory, at most"
    ),
    integer!(
        buffer_bytes,
        16_777_216,
        65_536..=2_147_483_647,
        "bytes kept in memory, at most"
    ),
    boolean!(
        use_ip_as_consumer,
        "false",
        "take the caller's address where nothing else names the consumer"
    ),
    boolean!(
        ip_anonymize,
        "false",
        "mask the last part of an address used as consumer"
    ),
    list!(
        trusted_proxies,
        "",
        "addresses and networks separated by commas, such as 10.0.0.0/8",
        "peers whose X-Forwarded-For is believed; when unset, everybody's",
        network
    ),
    list!(
        consumer_order,
        "state,header,query,ip",
        "some of state, header, query, ip separated by commas",
        "where a request's consumer is looked for; the first that names one wins",
        parsed
    ),
    list!(
        consumer_headers,
        "x-consumer-id,x-user-id,consumer-id,user-id",
        "names of headers separated by commas",
        "headers that name the consumer, asked in this order",
        header_name
    ),
    list!(
        consumer_query,
        "consumer_id,user_id",
        "names of query parameters separated by commas",
        "query parameters that name the consumer, asked in this order",
        no_control_characters
    ),
    list!(
        context_headers,
        "",
        "names of headers separated by commas",
        "headers that fill the context where the application sets none; the first that is present counts",
        header_name
    ),
    Key {
        // The variables say the same thing by other means.
        same: |one, other| {
            one.ca_file == other.ca_file
                && one.ssl_cert_file == other.ssl_cert_file
                && one.ssl_cert_dir == other.ssl_cert_dir
        },
        ..key!(
            ca_file,
            "",
            "the path of a PEM file",
            "certificate authorities to trust beside the platform's",
            path,
            |path: &Option<_>| show_path(path.as_ref())
        )
    },
    Key {
        secrecy: Secrecy::Userinfo,
        get: |config| match config.proxy_for_url() {
            Some(url) => mask_userinfo(url),
            None if config.proxy == Proxy::Environment => String::new(),
            None => "none".to_owned(),
        },
        same: |one, other| one.proxy_for_url() == other.proxy_for_url(),
        ..key!(
            proxy,
            "",
            "[http[s]://][user:password@]host[:port], or none",
            "proxy to the server; when unset, https_proxy or http_proxy by the url's scheme, else all_proxy",
            proxy,
            |_: &_| String::new()
        )
    },
    key!(
        no_proxy,
        "",
        "hosts, domains and networks separated by commas, or *",
        "hosts that are reached without the proxy; when unset, the variable no_proxy",
        no_control_characters,
        String::clone
    ),
    key!(
        spool_dir,
        "",
        "the absolute path of a directory; it is made where it is missing",
        "where records wait in files that outlive a killed process (Linux); when unset, they wait in memory alone",
        |text| optional(text, directory),
        |path: &Option<_>| show_path(path.as_ref())
    ),
    integer!(
        spool_bytes,
        268_435_456,
        1_048_576..=1_099_511_627_776,
        "bytes of all files in spool_dir together, at most; each process has one, of about twice buffer_bytes"
    ),
    seconds!(
        spool_max_age,
        604_800,
        1..=31_536_000,
        "age at which records left in spool_dir are given up"
    ),
    key!(
        compression,
        "none",
        "none, gzip",
        "gzip: requests are compressed, for a proxy that inflates them; Malti itself does not",
        parsed::<Compression>,
        ToString::to_string
    ),
    seconds!(
        shutdown_timeout,
        5,
        0..=86_400,
        "time limit of the last delivery, by the exit hooks of the language bindings"
    ),
    key!(
        log,
        "warn",
        "off, error, warn, info, debug",
        "least grave level that is logged",
        parsed,
        ToString::to_string
    ),
    Key {
        // A plugin and its host may come through different bindings and still share the client.
        same: |_, _| true,
        ..key!(
            binding,
            "",
            "name/version, each a token, at most 100 characters",
            "name and version of the language binding, for the User-Agent; the bindings set it",
            |text| optional(text, product),
            show_optional
        )
    },
];

/// The key of this name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key whose name is most like this one.
pub(super) fn nearest(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("malti_").unwrap_or(&name);
    let far = |key: &&Key| distance(name, key.name);
    KEYS.iter().min_by_key(far).map_or("", |key| key.name)
}

/// The key that an unknown name is likely to be a misspelling of.
pub(super) fn likely(name: &str) -> Option<&'static str> {
    if find(name).is_some() {
        return None;
    }
    let meant = nearest(name);
    let slips = if meant.len() > 4 { 2 } else { 1 };
    (distance(name, meant) <= slips).then_some(meant)
}

/// Characters to insert, delete or replace to make one text the other. No key has more than a few dozen characters,
/// so that the rest of a long text is left.
fn distance(one: &str, other: &str) -> usize {
    let one: String = one.chars().take(64).collect();
    strsim::levenshtein(&one, other)
}
