//! Keys and their values.

mod environment;

use std::collections::HashSet;
use std::io::Write;

use super::*;

fn from(vars: &[(&str, &str)]) -> Config {
    Config::from_vars(vars.iter().map(|(name, value)| (name.into(), value.into())))
}

fn with(settings: &[(&str, &str)]) -> Config {
    let mut config = from(&[]);
    for (key, value) in settings {
        config.set(key, value).unwrap();
    }
    config
}

fn key_file(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

/// For every key: values that it takes and what they are shown as, and values that it refuses.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);
const CASES: &[Case] = &[
    (
        "enabled",
        &[("OFF", "false"), (" 1 ", "true"), ("No", "false")],
        &["", "2", "enabled"],
    ),
    (
        "service_name",
        &[(" shop ", "shop"), ("", "default-service")],
        &["a\r\nb", "a\0b"],
    ),
    (
        "api_key",
        &[(" k3y\n", "***"), ("", "")],
        &["a b", "k3y\r\nX-Evil: 1", "schlüssel"],
    ),
    (
        "api_key_file",
        &[("", "")],
        &["/nowhere/at/all", "a\0b", "/"],
    ),
    (
        "url",
        &[
            ("https://malti.example/base/", "https://malti.example/base"),
            ("file:/tmp/r.ndjson", "file:/tmp/r.ndjson"),
            ("stderr:", "stderr:"),
        ],
        &["", "localhost:8000", "ftp://example"],
    ),
    ("node", &[("n1", "n1")], &["a\nb"]),
    (
        "batch_size",
        &[("1", "1"), (" 10000 ", "10000"), ("007", "7")],
        &[
            "",
            "0",
            "10001",
            "-1",
            "+5",
            "1_000",
            "5.0",
            "99999999999999999999",
        ],
    ),
    (
        "batch_bytes",
        &[("16384", "16384"), ("100000000", "100000000")],
        &["16383", "100000001"],
    ),
    (
        "batch_interval",
        &[
            ("0.01", "0.01"),
            ("2.50", "2.5"),
            ("86400", "86400"),
            (".5", "0.5"),
        ],
        &[
            "", ".", "0", "0.009", "86400.1", "-1", "nan", "inf", "1e3", "60s", "1,5",
        ],
    ),
    ("max_retries", &[("0", "0"), ("1000", "1000")], &["1001"]),
    (
        "retry_delay",
        &[("0", "0"), ("0.1", "0.1")],
        &["-0", "86401"],
    ),
    ("http_timeout", &[("0.25", "0.25")], &["0"]),
    (
        "max_connections",
        &[("1", "1"), ("100", "100")],
        &["0", "101"],
    ),
    ("max_keepalive_connections", &[("0", "0")], &["101"]),
    (
        "overflow_threshold_percent",
        &[("1", "1"), ("100", "100"), ("85.0", "85"), (" 7.9", "7")],
        &["0", "0.9", "101", "90%", "90.x", ".5", "9.0.0"],
    ),
    (
        "clean_mode",
        &[("off", "false"), ("YES", "true")],
        &["maybe"],
    ),
    (
        "exclude_endpoints",
        &[
            ("/health*, /metrics ,,/health*", "/health*,/metrics"),
            ("", ""),
        ],
        &["/a*/b", "/a\tb"],
    ),
    (
        "buffer_size",
        &[("1", "1"), ("100000000", "100000000")],
        &["0", "100000001"],
    ),
    (
        "buffer_bytes",
        &[("65536", "65536"), ("2147483647", "2147483647")],
        &["65535", "2147483648", "16 MiB"],
    ),
    ("use_ip_as_consumer", &[("on", "true")], &["ip"]),
    ("ip_anonymize", &[("on", "true")], &["1.0"]),
    (
        "trusted_proxies",
        &[
            (
                "10.1.2.3/8, ::1,192.0.2.1",
                "10.0.0.0/8,::1/128,192.0.2.1/32",
            ),
            ("", ""),
        ],
        &["10.0.0.0/33", "proxy", "10.0.0"],
    ),
    (
        "consumer_order",
        &[("query, state", "query,state"), ("", "")],
        &["state,cookie"],
    ),
    (
        "consumer_headers",
        &[("X-User, x-user,X-Team", "x-user,x-team"), ("", "")],
        &["x user", "x:y", "é"],
    ),
    (
        "consumer_query",
        &[("uid, user id", "uid,user id"), ("", "")],
        &["a\nb"],
    ),
    (
        "context_headers",
        &[("X-Request-ID,traceparent", "x-request-id,traceparent")],
        &["a,b\r\nc"],
    ),
    (
        "ca_file",
        &[("/etc/ca.pem", "/etc/ca.pem"), ("", "")],
        &["a\0b"],
    ),
    (
        "proxy",
        &[
            ("proxy:3128", "http://proxy:3128"),
            ("https://ann:pw@proxy", "https://ann:***@proxy"),
            ("None", "none"),
            ("", "none"),
        ],
        &[
            "socks5://proxy:1080",
            "http://",
            "http://:80",
            "http://[::1",
            "user@",
            "*",
            "/path",
            "http://ann:hunter2@",
            "a b",
            "http://pro\r\nxy",
        ],
    ),
    (
        "no_proxy",
        &[
            (" .internal,10.0.0.0/8 ", ".internal,10.0.0.0/8"),
            ("*", "*"),
            ("", ""),
        ],
        &["a\nb"],
    ),
    (
        "spool_dir",
        &[("/var/spool/malti", "/var/spool/malti"), ("", "")],
        &["spool", "/a\0b"],
    ),
    (
        "spool_bytes",
        &[("1048576", "1048576")],
        &["1048575", "64 MiB"],
    ),
    ("spool_max_age", &[("60", "60")], &["0", "31536001"]),
    (
        "compression",
        &[("GZIP", "gzip"), ("none", "none")],
        &["", "br"],
    ),
    ("shutdown_timeout", &[("0", "0"), ("2", "2")], &["forever"]),
    (
        "log",
        &[("Debug", "debug"), ("off", "off")],
        &["", "verbose", "3"],
    ),
    (
        "binding",
        &[("libmalti-python/0.1.0", "libmalti-python/0.1.0"), ("", "")],
        &["python", "a/b c", "/1", "a/", "a/1\r\nX: y"],
    ),
];

#[test]
fn every_key_has_cases() {
    let documented: Vec<_> = Config::keys().map(|key| key.name).collect();
    let tested: Vec<_> = CASES.iter().map(|(key, ..)| *key).collect();
    assert_eq!(documented, tested);
    assert_eq!(
        documented.iter().collect::<HashSet<_>>().len(),
        documented.len()
    );
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = from(&[]);
    for key in Config::keys().filter(|key| key.name != "node") {
        assert_eq!(config.get(key.name).unwrap(), key.default, "{}", key.name);
    }
    assert_eq!(config.get("node").unwrap(), values::host_name());
    assert_eq!(config.difference(&Config::default()), None);
}

#[test]
fn accepted_values_are_shown_in_one_form_and_read_back() {
    for (key, accepted, _) in CASES {
        for (value, shown) in *accepted {
            let config = with(&[(key, value)]);
            assert_eq!(config.get(key).unwrap(), *shown, "{key}={value:?}");
            let again = with(&[(key, shown)]);
            assert_eq!(again.get(key).unwrap(), *shown, "{key}={shown:?}");
            if !shown.contains(MASK) {
                assert_eq!(again.difference(&config), None, "{key}={value:?}");
            }
        }
    }
}

#[test]
fn a_refused_value_names_key_value_and_what_is_accepted() {
    for (key, _, refused) in CASES {
        for value in *refused {
            let mut config = from(&[]);
            let error = config
                .set(key, value)
                .expect_err(&format!("{key}={value:?}"));
            let accepted = Config::keys()
                .find(|entry| entry.name == *key)
                .unwrap()
                .accepted;
            let quoted = match *key {
                "api_key" => "\"***\"".to_owned(),
                "proxy" => format!("{:?}", mask_userinfo(value)),
                _ => format!("{value:?}"),
            };
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{key}: invalid value {quoted}: ")),
                "{text}"
            );
            assert!(text.ends_with(&format!("; accepted: {accepted}")), "{text}");
            assert!(!text.chars().any(char::is_control), "{text}");
            assert_eq!(config.difference(&from(&[])), None, "{key} has changed");
        }
    }
}

#[test]
fn texts_that_go_on_the_wire_are_bounded() {
    for (key, longest) in [("service_name", 500), ("node", 500), ("api_key", 4_096)] {
        let mut config = from(&[]);
        config.set(key, &"k".repeat(longest)).unwrap();
        let error = config
            .set(key, &"k".repeat(longest + 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("too long"), "{error}");
        assert!(error.len() < 300, "{error}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest() {
    for (key, nearest) in [
        ("bath_size", "batch_size"),
        ("MALTI_URL", "url"),
        ("serviceName", "service_name"),
        ("batch-interval", "batch_interval"),
        ("", "url"),
    ] {
        let text = from(&[]).set(key, "1").unwrap_err().to_string();
        assert_eq!(
            text,
            format!("unknown key {key:?}: did you mean {nearest:?}?")
        );
        assert_eq!(from(&[]).get(key).unwrap_err().to_string(), text);
    }
    let long = from(&[])
        .get(&"\n".repeat(1_000_000))
        .unwrap_err()
        .to_string();
    assert!(long.len() < 300 && !long.contains('\n'), "{long}");
}

#[test]
fn the_key_itself_wins_over_the_file_in_any_order() {
    let file = key_file(b"from-file\r\n");
    let path = file.path().to_str().unwrap();
    let key = |config: &Config| config.api_key().map(|key| key.expose().to_owned());
    let mut config = with(&[("api_key", "given"), ("api_key_file", path)]);
    assert_eq!(key(&config).as_deref(), Some("given"));
    assert_eq!(
        key(&with(&[("api_key_file", path), ("api_key", "given")])).as_deref(),
        Some("given")
    );
    assert_eq!(config.get("api_key_file").unwrap(), path);
    config.set("api_key", "").unwrap();
    assert_eq!(key(&config).as_deref(), Some("from-file"));
    assert_eq!(config.get("api_key").unwrap(), "***");
    config.set("api_key_file", "").unwrap();
    assert_eq!(key(&config), None);
}

#[test]
fn a_bad_key_file_says_why() {
    let mut config = from(&[]);
    let mut fault = |text: &[u8]| {
        config
            .set("api_key_file", key_file(text).path().to_str().unwrap())
            .unwrap_err()
            .to_string()
    };
    assert!(fault(b" \n").contains("the file is empty"));
    assert!(
        fault(b"two\nlines").contains("the file's text: a character that is not visible ASCII")
    );
    assert!(fault(&[b'k'; 100_000]).contains("the file's text: too long"));
    assert!(fault(&[0xff]).contains("UTF-8"));
    let missing = std::fs::File::open("/nowhere/at/all")
        .unwrap_err()
        .to_string();
    let error = config
        .set("api_key_file", "/nowhere/at/all")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("api_key_file: invalid value \"/nowhere/at/all\": ")
            && error.contains(&missing),
        "{error}"
    );
}

#[test]
fn the_difference_is_the_first_key_of_the_table() {
    let file = key_file(b"file-key");
    for (key, accepted, _) in CASES.iter().filter(|(key, ..)| *key != "binding") {
        let value = match *key {
            "api_key_file" => file.path().to_str().unwrap(),
            "proxy" => "proxy:1",
            _ => accepted[0].0,
        };
        // A key from a file is a difference in the key before it is one in the file.
        let base = if *key == "api_key_file" {
            with(&[("api_key", "k")])
        } else {
            from(&[])
        };
        let mut changed = base.clone();
        changed.set(key, value).unwrap();
        if changed.get(key).unwrap() == base.get(key).unwrap() {
            changed.set(key, accepted[1].0).unwrap();
        }
        assert_eq!(changed.difference(&base), Some(*key));
        assert_eq!(base.difference(&changed), Some(*key));
        assert_eq!(changed.difference(&changed.clone()), None);
        changed.set("enabled", "false").unwrap();
        assert_eq!(changed.difference(&base), Some("enabled"));
    }
}

#[test]
fn what_is_effective_is_compared() {
    let same = |one: &Config, other: &Config| one.difference(other);
    assert_eq!(
        same(&with(&[("api_key", "a")]), &with(&[("api_key", "b")])),
        Some("api_key")
    );
    assert_eq!(
        same(&with(&[("service_name", "default-service")]), &from(&[])),
        None
    );
    assert_eq!(
        same(
            &with(&[("proxy", "http://p:1")]),
            &from(&[("http_proxy", "p:1")])
        ),
        None
    );
    assert_eq!(
        same(&from(&[("SSL_CERT_FILE", "/a")]), &from(&[])),
        Some("ca_file")
    );
    assert_eq!(
        same(&with(&[("binding", "a/1")]), &with(&[("binding", "b/1")])),
        None
    );
    assert_eq!(same(&from(&[("MALTI_LOGS", "x")]), &from(&[])), None);
}

#[test]
fn records_are_taken_with_a_key_or_a_sink() {
    assert!(!from(&[]).is_enabled());
    assert!(with(&[("api_key", "k")]).is_enabled());
    assert!(with(&[("url", "stderr:")]).is_enabled());
    assert!(!with(&[("url", "stderr:"), ("enabled", "false")]).is_enabled());
}

#[test]
fn thresholds_are_shares_of_the_buffer() {
    let config = from(&[]);
    assert_eq!(
        (
            config.overflow_records(),
            config.overflow_bytes(),
            config.batch_records()
        ),
        (22_500, 15_099_494, 500)
    );
    let small = with(&[
        ("buffer_size", "1"),
        ("buffer_bytes", "2147483647"),
        ("overflow_threshold_percent", "100"),
    ]);
    assert_eq!(
        (
            small.overflow_records(),
            small.overflow_bytes(),
            small.batch_records()
        ),
        (1, 2_147_483_647, 1)
    );
    assert_eq!(with(&[("buffer_size", "1")]).overflow_records(), 1);
}
