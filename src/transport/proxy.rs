//! Which proxy, if any, stands between us and the server.

use std::net::IpAddr;

use ipnet::IpNet;
use ureq::{Proxy, ProxyProtocol};

use super::destination::BaseUrl;

/// The proxy for `url`, or none where it is reached directly: loopback, a match in `no_proxy`.
/// Messages never quote the value, which may hold a password.
pub(super) fn choose(proxy: &str, no_proxy: &str, url: &BaseUrl) -> Result<Option<Proxy>, String> {
    if proxy.is_empty() || url.is_loopback() || bypasses(no_proxy, url.host(), url.port()) {
        return Ok(None);
    }
    let proxy = Proxy::new(proxy)
        .map_err(|_| "proxy: not a proxy; accepted is http://[user:password@]host[:port]")?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(Some(proxy)),
        _ => Err("proxy: SOCKS is not supported; accepted are http:// and https:// proxies".into()),
    }
}

/// Whether a list in the form of `NO_PROXY` names this host: entries between commas or blanks, each
/// `*`, a name with all that is below it (`example.com`, `.example.com`, `*.example.com`), an address
/// or a network (`10.0.0.0/8`), all but the last with an optional `:port`.
fn bypasses(list: &str, host: &str, port: u16) -> bool {
    list.split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty())
        .any(|entry| matches(entry, host, port))
}

fn matches(entry: &str, host: &str, port: u16) -> bool {
    let ip = host.parse::<IpAddr>().ok();
    if let Ok(net) = entry.parse::<IpNet>() {
        return ip.is_some_and(|ip| net.contains(&ip));
    }
    let (name, wanted) = split_port(entry);
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if name == "*" {
        return true;
    }
    match (name.parse::<IpAddr>(), ip) {
        (Ok(wanted), Some(ip)) => wanted == ip,
        (Err(_), None) => is_within(host, name),
        _ => false,
    }
}

/// `host:8080` and `[::1]:8080`, but not the bare `::1`.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[') {
        let (ip, after) = rest.split_once(']').unwrap_or((rest, ""));
        return (
            ip,
            after.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// `host` is `domain` or below it. `host` is in lower case.
fn is_within(host: &str, domain: &str) -> bool {
    let domain = domain
        .trim_start_matches("*.")
        .trim_start_matches('.')
        .to_ascii_lowercase();
    match host.strip_suffix(domain.as_str()) {
        Some(before) => !domain.is_empty() && (before.is_empty() || before.ends_with('.')),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Destination;
    use super::*;

    fn url(text: &str) -> BaseUrl {
        match Destination::parse(text) {
            Ok(Destination::Http(url)) => url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_proxy_lists() {
        for (list, target, direct) in [
            ("", "http://a.example", false),
            ("*", "http://a.example", true),
            ("a.example", "http://a.example", true),
            ("A.Example", "http://a.example", true),
            ("example", "http://a.example", true),
            (".example", "http://a.example", true),
            ("*.example", "http://a.example", true),
            (".a.example", "http://a.example", true),
            ("xample", "http://a.example", false),
            ("b.example, ,a.example", "http://a.example", true),
            ("b.example a.example", "http://a.example", true),
            ("b.a.example", "http://a.example", false),
            ("a.example:8000", "http://a.example:8000", true),
            ("a.example:8000", "http://a.example", false),
            ("a.example:443", "https://a.example", true),
            ("*:443", "https://a.example", true),
            ("*:443", "http://a.example", false),
            (".", "http://a.example", false),
            ("a.example:port", "http://a.example", false),
            ("10.0.0.0/8", "http://10.1.2.3", true),
            ("10.0.0.0/8", "http://11.1.2.3", false),
            ("10.0.0.0/8", "http://a.example", false),
            ("10.1.2.3", "http://10.1.2.3", true),
            ("10.1.2.3:80", "http://10.1.2.3", true),
            ("10.1.2.3:81", "http://10.1.2.3", false),
            ("2.3", "http://10.1.2.3", false),
            ("fd00::/8", "http://[fd12::1]", true),
            ("fd12::1", "http://[fd12::1]", true),
            ("[fd12::1]:80", "http://[fd12::1]", true),
            ("[fd12::1]:81", "http://[fd12::1]", false),
            ("FD12:0::1", "http://[fd12::1]", true),
        ] {
            let chosen = choose("http://proxy.example:3128", list, &url(target)).unwrap();
            assert_eq!(chosen.is_none(), direct, "{list:?} {target}");
        }
    }

    #[test]
    fn loopback_is_always_direct() {
        for target in [
            "http://localhost:1",
            "http://127.0.0.9",
            "https://[::1]",
            "http://x.localhost",
        ] {
            assert!(
                choose("http://proxy.example", "", &url(target))
                    .unwrap()
                    .is_none(),
                "{target}"
            );
        }
    }

    #[test]
    fn unusable_proxies_are_refused_without_quoting_them() {
        for proxy in [
            "socks5://u:secret@p:1080",
            "http://u:secret@",
            "foo://u:secret@p",
            "http://secret p",
        ] {
            let error = choose(proxy, "", &url("http://a.example")).unwrap_err();
            assert!(
                error.starts_with("proxy: ") && !error.contains("secret"),
                "{error}"
            );
        }
        assert!(choose("", "", &url("http://a.example")).unwrap().is_none());
        assert!(
            choose("p.example:3128", "", &url("http://a.example"))
                .unwrap()
                .is_some()
        );
    }
}
