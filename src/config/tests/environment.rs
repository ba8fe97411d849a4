//! What comes from the environment, and what a host is told of it.

use super::*;

/// Warnings of these variables beside a key and a service, whose absence would be one of its own.
fn warnings(vars: &[(&str, &str)]) -> Vec<String> {
    let both = [("MALTI_API_KEY", "k3y"), ("MALTI_SERVICE_NAME", "shop")];
    from(&[&both, vars].concat()).startup_warnings()
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
            "MALTI_TRUSTED_PROXIES: invalid value \"lan\": \"lan\" is neither an address nor a network; accepted: addresses and networks separated by commas, such as 10.0.0.0/8; ignored",
        ),
        (
            "MALTI_PROXY",
            "socks5://p",
            "MALTI_PROXY: invalid value \"socks5://p\": not an http or https proxy; accepted: [http[s]://][user:password@]host[:port], or none; ignored",
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
fn a_variable_that_is_overridden_is_not_judged() {
    let mut config = from(&[
        ("MALTI_URL", "nonsense"),
        ("MALTI_API_KEY_FILE", "/nowhere/at/all"),
        ("MALTI_BATCH_SIZE", "many"),
        ("MALTI_BATCHSIZE", "7"),
    ]);
    let judged = |config: &Config| {
        let name = |fault: &str| fault.split([':', ' ']).next().unwrap().to_owned();
        config.environment_faults().map(name).collect::<Vec<_>>()
    };
    let all = [
        "MALTI_API_KEY_FILE",
        "MALTI_URL",
        "MALTI_BATCH_SIZE",
        "MALTI_BATCHSIZE",
    ];
    assert_eq!(judged(&config), all);
    config.set("url", "nonsense").unwrap_err();
    // Without a key the file is what counts.
    config.set("api_key", "").unwrap();
    assert_eq!(judged(&config), all);
    config.set("url", "http://localhost").unwrap();
    config.set("api_key", "k3y").unwrap();
    config.set("service_name", "shop").unwrap();
    assert_eq!(judged(&config), all[2..]);
    config.set("batch_size", "8").unwrap();
    assert_eq!(judged(&config), all[3..]);
    assert_eq!(config.startup_warnings().len(), 1);
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
    let vars =
        ["MALTI_NODE", "no_proxy", "http_proxy", "UNRELATED"].map(|name| (name.into(), bad()));
    let mut config = Config::from_vars(vars.into_iter().chain([(bad(), bad())]));
    config.set("api_key", "k3y").unwrap();
    config.set("service_name", "shop").unwrap();
    assert_eq!(
        config.startup_warnings(),
        [
            "no_proxy: not valid UTF-8; ignored",
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

#[test]
fn a_proxy_is_shown_as_none_only_where_that_was_asked_for() {
    let shown = |vars: &[_]| from(vars).get("proxy").unwrap();
    let variable = ("http_proxy", "ann:pw@p:1");
    assert_eq!(shown(&[]), "");
    assert_eq!(shown(&[variable]), "http://ann:***@p:1");
    assert_eq!(shown(&[variable, ("MALTI_PROXY", "none")]), "none");
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
fn certificate_variables_are_read() {
    let config = from(&[("SSL_CERT_FILE", "/certs/a.pem"), ("SSL_CERT_DIR", "")]);
    assert_eq!(config.ssl_cert_file, Some(PathBuf::from("/certs/a.pem")));
    assert_eq!(config.ssl_cert_dir, None);
}

/// Runs itself again in a process of its own, as a test must not change the environment of the others.
#[test]
fn the_environment_of_the_process_is_read() {
    if std::env::var_os("MALTI_TEST_CHILD").is_some() {
        assert_eq!(Config::from_env().batch_size, 7);
        return;
    }
    let itself = "config::tests::environment::the_environment_of_the_process_is_read";
    let run = |batch_size| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", itself]);
        child.envs([("MALTI_TEST_CHILD", "1"), ("MALTI_BATCH_SIZE", batch_size)]);
        let output = child.output().unwrap();
        let ran = String::from_utf8_lossy(&output.stdout).contains("running 1 test");
        ran && output.status.success()
    };
    assert!(run("7"));
    assert!(!run("8"));
}
