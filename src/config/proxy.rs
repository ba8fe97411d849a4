//! Which proxy a request takes.
//!
//! `ureq` could read the environment itself, but it takes a variable for any scheme, and takes
//! `HTTP_PROXY` also where a CGI server made it from a request's `Proxy:` header. So the choice is
//! made here, once.

use std::fmt;

use ureq::ProxyProtocol;

use super::secret::mask_userinfo;
use super::variables::Environment;

/// The address of an HTTP proxy, perhaps with a user and a password. Printing it masks the password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ProxyUrl(String);

impl ProxyUrl {
    /// Reads `[http[s]://][user:password@]host[:port]`; without a scheme it is `http`.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let proxy = ureq::Proxy::new(text).map_err(|_| "not a proxy's URL")?;
        if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
            return Err("not an http or https proxy");
        }
        if proxy.host().is_empty() {
            return Err("the host is missing");
        }
        Ok(Self(if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        }))
    }

    /// The whole URL.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_userinfo(&self.0))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the key `proxy` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    /// Nothing: the environment's variables decide.
    Environment,
    /// No proxy, whatever the environment says.
    Direct,
    /// This one.
    Url(ProxyUrl),
}

/// A proxy that a variable of the environment names, or why it can't be used.
pub(super) type EnvProxy = Result<ProxyUrl, String>;

/// The proxy variables, read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvProxies {
    https: Option<EnvProxy>,
    http: Option<EnvProxy>,
    all: Option<EnvProxy>,
}

impl EnvProxies {
    pub(super) fn read(environment: &Environment) -> Self {
        // A CGI server passes a request's `Proxy:` header on as HTTP_PROXY. Where names have no case
        // the lower-case variable is the same one.
        let cgi = environment.get("REQUEST_METHOD").is_some();
        let http: &[&'static str] = match cgi {
            false => &["http_proxy", "HTTP_PROXY"],
            true if cfg!(windows) => &[],
            true => &["http_proxy"],
        };
        Self {
            https: first(environment, &["https_proxy", "HTTPS_PROXY"]),
            http: first(environment, http),
            all: first(environment, &["all_proxy", "ALL_PROXY"]),
        }
    }

    /// The proxy for a URL of this scheme.
    pub(super) fn choose(&self, https: bool) -> Option<&EnvProxy> {
        let own = if https { &self.https } else { &self.http };
        own.as_ref().or(self.all.as_ref())
    }
}

fn first(environment: &Environment, names: &[&'static str]) -> Option<EnvProxy> {
    let (name, value) = environment.first(names)?;
    let url = match value.to_str() {
        Some(text) => ProxyUrl::parse(text.trim()),
        None => Err("not valid UTF-8"),
    };
    Some(url.map_err(|reason| format!("{name}: {reason}; going without a proxy")))
}
