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

/// Warnings of these variables beside a key and a service, whose absence would be one of its own.
fn warnings(vars: &[(&str, &str)]) -> Vec<String> {
    let both = [("MALTI_API_KEY", "k3y"), ("MALTI_SERVICE_NAME", "shop")];
    from(&[&both, vars].concat()).startup_warnings()
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
        &[("1", "1"), ("100", "100")],
        &["0", "101", "90%"],
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
                "proxy" => format!("{:?}", value.replace("hunter2", MASK)),
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
fn code_wins_over_environment_wins_over_default() {
    let mut config = from(&[
        ("MALTI_BATCH_SIZE", "7"),
        ("MALTI_LOG", "INFO"),
        ("BATCH_SIZE", "9"),
    ]);
    assert_eq!(
        (config.batch_size, config.log, config.max_retries),
        (7, Level::Info, 3)
    );
    config.set("batch_size", "8").unwrap();
    assert_eq!((config.batch_size, config.log), (8, Level::Info));
}

#[test]
fn every_key_is_read_from_the_environment() {
    for (key, accepted, _) in CASES {
        let (value, shown) = accepted[0];
        let config = from(&[(&format!("MALTI_{}", key.to_uppercase()), value)]);
        assert_eq!(config.get(key).unwrap(), shown, "{key}");
    }
}

#[test]
fn a_bad_variable_is_a_warning_and_the_default_stays() {
    for (name, value, warning) in [
        (
            "MALTI_BATCH_SIZE",
            "many",
            "MALTI_BATCH_SIZE: invalid value \"many\": not a plain whole number; accepted: a whole number from 1 to 10000; using the default 500",
        ),
        (
            "MALTI_TRUSTED_PROXIES",
            "lan",
            "MALTI_TRUSTED_PROXIES: invalid value \"lan\": \"lan\" is neither an address nor a network; accepted: addresses and networks between commas, such as 10.0.0.0/8; ignored",
        ),
        (
            "MALTI_BATH_SIZE",
            "1",
            "MALTI_BATH_SIZE is not a setting: did you mean MALTI_BATCH_SIZE?",
        ),
        (
            "MALTI_URI",
            "x",
            "MALTI_URI is not a setting: did you mean MALTI_URL?",
        ),
    ] {
        assert_eq!(warnings(&[(name, value)]), [warning]);
        assert_eq!(from(&[(name, value)]).difference(&from(&[])), None);
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = [
        "MALTI_LIBRARY",
        "MALTI_PYTHON_CALL",
        "MALTI_PREBUILT_LIB",
        "MALTI_",
        "MALTI_BENCH_ROUNDS",
        "MALTIBATH_SIZE",
    ];
    assert_eq!(warnings(&others.map(|name| (name, "x"))), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_a_warning() {
    use std::os::unix::ffi::OsStringExt;
    let bad = || OsString::from_vec(vec![b'a', 0xff]);
    let vars = [
        "MALTI_API_KEY",
        "MALTI_NODE",
        "no_proxy",
        "http_proxy",
        "UNRELATED",
    ]
    .map(|name| (name.into(), bad()));
    let mut config = Config::from_vars(vars.into_iter().chain([(bad(), bad())]));
    config.set("api_key", "k3y").unwrap();
    config.set("service_name", "shop").unwrap();
    assert_eq!(
        config.startup_warnings(),
        [
            "no_proxy: not valid UTF-8; ignored",
            "MALTI_API_KEY: not valid UTF-8; ignored",
            "MALTI_NODE: not valid UTF-8; ignored",
            "http_proxy: not valid UTF-8; going without a proxy",
        ]
    );
}

#[test]
fn secrets_are_nowhere_to_be_seen() {
    let file = key_file(b"hunter2-file\n");
    let path = file.path().to_str().unwrap();
    let config = from(&[
        ("MALTI_API_KEY", "hunter2-key"),
        ("MALTI_API_KEY_FILE", path),
        ("MALTI_API_KYE", "hunter2-slip"),
        ("MALTI_PROXY", "http://ann:hunter2-proxy@proxy:3128"),
        ("https_proxy", "http://ann:hunter2-env@proxy:3128"),
        ("all_proxy", "socks5://ann:hunter2-socks@proxy:3128"),
    ]);
    let broken = from(&[
        ("MALTI_API_KEY", "hunter2 with blanks"),
        (
            "MALTI_API_KEY_FILE",
            key_file(b"hunter2 with blanks").path().to_str().unwrap(),
        ),
        ("MALTI_PROXY", "socks5://ann:hunter2-proxy@proxy:3128"),
        ("http_proxy", "socks5://ann:hunter2-proxy@proxy:3128"),
        ("MALTI_URL", "ftp://ann:hunter2-url@host"),
        ("MALTI_BINDING", "x/1"),
    ]);
    for mut config in [config, broken] {
        let mut seen = vec![format!("{config:?} {config:#?}")];
        seen.extend(Config::keys().map(|key| config.get(key.name).unwrap()));
        seen.extend(config.startup_warnings());
        for key in ["api_key", "proxy", "url"] {
            let error = config.set(key, "bad value://ann:hunter2@host").unwrap_err();
            seen.push(format!("{error} {error:?}"));
        }
        for text in seen {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
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
fn the_proxy_is_chosen_by_the_scheme() {
    const HTTP: (&str, &str) = ("MALTI_URL", "http://malti.example");
    const HTTPS: (&str, &str) = ("MALTI_URL", "https://malti.example");
    for (vars, proxy) in [
        (
            &[
                HTTP,
                ("http_proxy", "http://p:1"),
                ("https_proxy", "http://p:2"),
            ][..],
            Some("http://p:1"),
        ),
        (
            &[
                HTTPS,
                ("http_proxy", "http://p:1"),
                ("https_proxy", "http://p:2"),
            ],
            Some("http://p:2"),
        ),
        (&[HTTPS, ("http_proxy", "http://p:1")], None),
        (&[HTTP, ("https_proxy", "http://p:1")], None),
        (
            &[HTTPS, ("HTTPS_PROXY", "p:1"), ("ALL_PROXY", "p:2")],
            Some("http://p:1"),
        ),
        (
            &[HTTPS, ("HTTPS_PROXY", "p:1"), ("https_proxy", "p:2")],
            Some("http://p:2"),
        ),
        (
            &[HTTPS, ("https_proxy", ""), ("all_proxy", "p:2")],
            Some("http://p:2"),
        ),
        (&[HTTP, ("ALL_PROXY", "p:1")], Some("http://p:1")),
        (&[HTTP, ("HTTP_PROXY", "p:1")], Some("http://p:1")),
        // What a CGI server makes of a request's `Proxy:` header.
        (
            &[HTTP, ("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")],
            None,
        ),
        (
            &[
                HTTP,
                ("HTTP_PROXY", "p:1"),
                ("all_proxy", "p:2"),
                ("REQUEST_METHOD", "GET"),
            ],
            Some("http://p:2"),
        ),
        (
            &[HTTPS, ("HTTPS_PROXY", "p:1"), ("REQUEST_METHOD", "GET")],
            Some("http://p:1"),
        ),
        // The key wins, also to go without.
        (
            &[HTTP, ("http_proxy", "p:1"), ("MALTI_PROXY", "u:pw@p:3")],
            Some("http://u:pw@p:3"),
        ),
        (&[HTTP, ("http_proxy", "p:1"), ("MALTI_PROXY", "")], None),
        (
            &[HTTP, ("http_proxy", "p:1"), ("MALTI_PROXY", "none")],
            None,
        ),
        (
            &[HTTP, ("http_proxy", "socks5://p:1"), ("all_proxy", "p:2")],
            None,
        ),
        (&[("MALTI_URL", "stderr:"), ("all_proxy", "p:1")], None),
    ] {
        assert_eq!(from(vars).proxy_for_url(), proxy, "{vars:?}");
    }
}

#[cfg(not(windows))]
#[test]
fn the_lower_case_variable_stays_usable_under_cgi() {
    let config = from(&[
        ("http_proxy", "p:1"),
        ("HTTP_PROXY", "p:2"),
        ("REQUEST_METHOD", "GET"),
    ]);
    assert_eq!(config.proxy_for_url(), Some("http://p:1"));
}

#[test]
fn the_scheme_of_a_later_url_counts() {
    let mut config = from(&[("https_proxy", "p:1")]);
    assert_eq!(config.proxy_for_url(), None);
    config.set("url", "https://malti.example").unwrap();
    assert_eq!(config.proxy_for_url(), Some("http://p:1"));
}

#[test]
fn no_proxy_is_taken_from_its_variables_unless_the_key_is_set() {
    let no_proxy = |vars: &[_]| from(vars).no_proxy;
    assert_eq!(no_proxy(&[("NO_PROXY", "a"), ("no_proxy", "b")]), "b");
    assert_eq!(no_proxy(&[("NO_PROXY", "a")]), "a");
    assert_eq!(no_proxy(&[("NO_PROXY", "a"), ("MALTI_NO_PROXY", "")]), "");
}

#[test]
fn an_unusable_proxy_is_a_warning_only_where_it_would_be_used() {
    let socks = ("http_proxy", "socks5://p:1");
    assert_eq!(
        warnings(&[socks]),
        ["http_proxy: not an http or https proxy; going without a proxy"]
    );
    assert_eq!(
        warnings(&[socks, ("MALTI_URL", "https://malti.example")]),
        [""; 0]
    );
    assert_eq!(warnings(&[socks, ("MALTI_PROXY", "none")]), [""; 0]);
}

#[test]
fn startup_warnings_say_what_is_missing() {
    let missing_key = "api_key is not set: telemetry is disabled";
    assert_eq!(from(&[]).startup_warnings(), [missing_key]);
    assert_eq!(
        with(&[("api_key", "k")]).startup_warnings(),
        ["service_name is not set: records go to \"default-service\""]
    );
    assert_eq!(
        with(&[("api_key", "k"), ("service_name", "default-service")]).startup_warnings(),
        [""; 0]
    );
    assert_eq!(
        with(&[("url", "stderr:"), ("service_name", "shop")]).startup_warnings(),
        [""; 0]
    );
    assert_eq!(
        warnings(&[("MALTI_URL", "http://malti.example")]),
        ["url http://malti.example is plain http: the API key travels unencrypted"]
    );
    assert_eq!(warnings(&[("MALTI_URL", "https://malti.example")]), [""; 0]);
    assert_eq!(
        from(&[("MALTI_ENABLED", "no"), ("MALTI_BATCH_SIZE", "x")]).startup_warnings(),
        [""; 0]
    );
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

#[test]
fn endpoints_are_excluded_exactly_or_by_their_start() {
    let config = with(&[("exclude_endpoints", "/health*,/metrics")]);
    for (endpoint, excluded) in [
        ("/health", true),
        ("/healthz/live", true),
        ("/metrics", true),
        ("/metrics/x", false),
        ("/", false),
        ("", false),
    ] {
        assert_eq!(config.excludes(endpoint.as_bytes()), excluded, "{endpoint}");
    }
    assert!(with(&[("exclude_endpoints", "*")]).excludes(b"anything"));
    assert!(!from(&[]).excludes(b"/"));
}

#[test]
fn certificate_variables_are_read() {
    let config = from(&[("SSL_CERT_FILE", "/certs/a.pem"), ("SSL_CERT_DIR", "")]);
    assert_eq!(config.ssl_cert_file, Some(PathBuf::from("/certs/a.pem")));
    assert_eq!(config.ssl_cert_dir, None);
}
