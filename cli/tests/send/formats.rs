//! How lines are written.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::client::Receiver;
use crate::harness::{command, only, run, send};

const FIELDS: &[&str] = &[
    "method",
    "endpoint",
    "status",
    "response_time",
    "consumer",
    "created_at",
];

/// One line in some format gives one record, whether the format is named or found out.
fn same(format: &str, found_out: bool, line: &str, expected: Value) {
    let formats: &[&str] = if found_out {
        &["auto", format]
    } else {
        &[format]
    };
    for format in formats {
        let receiver = Receiver::start();
        let sent = send(&receiver, &["--format", format], &format!("\n{line}\r\n\n"));
        sent.went_well(&[("lines", 1), ("sent", 1), ("not_understood", 0)]);
        assert_eq!(
            Value::from(only(&receiver, FIELDS)),
            expected,
            "{format}: {line}"
        );
    }
}

#[test]
fn ndjson() {
    same(
        "ndjson",
        true,
        r#"{"method":"post","endpoint":"/a/{b}","status":201,"response_time":12.9,"consumer":"me","created_at":"2026-01-02T03:04:05.678901+01:00","more":1}"#,
        json!([
            "POST",
            "/a/{b}",
            201,
            12,
            "me",
            "2026-01-02T02:04:05.678901Z"
        ]),
    );
}

#[test]
fn common_and_combined() {
    let common =
        r#"10.1.2.3 - ann [10/Oct/2025:13:55:36 -0700] "GET /a%20b?consumer_id=q HTTP/1.1" 200 -"#;
    let expected = json!([
        "GET",
        "/a%20b",
        200,
        0,
        "ann",
        "2025-10-10T20:55:36.000000Z"
    ]);
    same("common", true, common, expected.clone());
    let combined = format!(r#"{common} "http://x/\"quoted\"" "curl/8 \"x\"""#);
    same("combined", true, &combined, expected);
    let identified =
        r#"host.example id Ann Lee [10/Oct/2025:13:55:36 +0000] "GET /p HTTP/1.1" 200 5"#;
    same(
        "common",
        true,
        identified,
        json!([
            "GET",
            "/p",
            200,
            0,
            "Ann Lee",
            "2025-10-10T13:55:36.000000Z"
        ]),
    );
    let nobody =
        r#"::1 - - [10/Oct/2025:13:55:36 +0000] "GET http://host/p?consumer_id=q HTTP/1.0" 304 0"#;
    same(
        "common",
        true,
        nobody,
        json!(["GET", "/p", 304, 0, "q", "2025-10-10T13:55:36.000000Z"]),
    );
}

#[test]
fn caddy() {
    same(
        "caddy",
        true,
        r#"{"level":"info","ts":1760104536.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.1","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/p?q=1","headers":{"X-Consumer-Id":["me"],"Accept":["*/*"]}},"bytes_read":0,"user_id":"","duration":0.0129,"size":10900,"status":200,"resp_headers":{}}"#,
        json!(["GET", "/p", 200, 12, "me", "2025-10-10T13:55:36.250000Z"]),
    );
}

/// Caddy writes where the rest of its log goes, and of requests that ended before an answer.
#[test]
fn lines_of_another_kind_come_first() {
    let receiver = Receiver::start();
    let request = |status: u16| {
        format!(
            r#"{{"ts":1760104536.25,"request":{{"method":"GET","uri":"/p"}},"duration":0.01,"status":{status}}}"#
        )
    };
    let input = [
        "2026/01/02 03:04:05 INFO using config".to_owned(),
        r#"{"level":"info","ts":1760104530.1,"msg":"serving initial configuration"}"#.to_owned(),
        request(0),
        request(200),
        request(201),
    ]
    .join("\n");
    let sent = send(&receiver, &[], &input);
    sent.went_well(&[
        ("lines", 5),
        ("sent", 2),
        ("not_understood", 3),
        ("invalid", 0),
    ]);
}

#[test]
fn formats_of_ones_own() {
    same(
        r#"$host|$request_method|$request_uri|$status|${request_time}s|$http_x_user_id|$time_iso8601"#,
        false,
        "example.org|DELETE|/a/b?c|204|0.099s|bob|2025-10-10T13:55:36+00:00",
        json!([
            "DELETE",
            "/a/b",
            204,
            99,
            "bob",
            "2025-10-10T13:55:36.000000Z"
        ]),
    );
    same(
        r#"[$msec] $status $request_time_us "$request""#,
        false,
        r#"[1760104536.250] 200 12900 "GET /caf\xc3\xa9 HTTP/2.0""#,
        json!([
            "GET",
            "/café",
            200,
            12,
            "anonymous",
            "2025-10-10T13:55:36.250000Z"
        ]),
    );
    let receiver = Receiver::start();
    for (format, text) in [
        ("nginx", "is not auto, ndjson"),
        ("$request", "no $status"),
        ("$status $uri", "neither $request"),
        ("$status$request", "nothing between"),
    ] {
        let sent = send(&receiver, &["--format", format], "");
        assert_eq!(sent.code, 2);
        assert!(sent.errors.contains(text), "{format}: {}", sent.errors);
    }
}

#[test]
fn an_address_is_a_consumer_where_the_settings_say_so() {
    let receiver = Receiver::start();
    let line = r#"192.0.2.7 - - [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 1"#;
    send(
        &receiver,
        &["--use-ip-as-consumer=yes", "--ip-anonymize=1"],
        line,
    )
    .went_well(&[("sent", 1)]);
    assert_eq!(only(&receiver, &["consumer"]), ["192.0.2.xxx"]);
}

#[test]
fn lines_that_are_not_understood() {
    let receiver = Receiver::start();
    let good = r#"10.0.0.1 - - [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 1"#;
    let bad = [
        r#"10.0.0.1 - - [10/Oct/2025:13:55:36 +0000] "\x16\x03\x01" 400 1"#,
        r#"10.0.0.1 - - [not a time] "GET / HTTP/1.1" 200 1"#,
        "garbage",
    ];
    let input = format!("{good}\n{}\n{good}", bad.join("\n"));
    let sent = send(&receiver, &["--format=common"], &input);
    sent.went_well(&[("lines", 5), ("sent", 2), ("not_understood", 3)]);
    assert!(sent.errors.contains("such as line 2:"), "{}", sent.errors);

    let sent = send(&receiver, &["--format=common"], "nothing\nof it");
    assert_eq!(
        (sent.code, sent.report["not_understood"].as_u64()),
        (1, Some(2))
    );
    assert!(sent.errors.contains("(--format says"), "{}", sent.errors);
}

#[test]
fn one_record_by_arguments() {
    let receiver = Receiver::start();
    let arguments = "--method GET --endpoint /a/{b} --status 503 --response-time 1.5 --consumer me --context why";
    let arguments: Vec<_> = arguments.split(' ').collect();
    send(&receiver, &arguments, "").went_well(&[("sent", 1)]);
    let fields = [
        "method",
        "endpoint",
        "status",
        "response_time",
        "consumer",
        "context",
    ];
    assert_eq!(
        Value::from(only(&receiver, &fields)),
        json!(["GET", "/a/{b}", 503, 1, "me", "why"])
    );
    assert_eq!(send(&receiver, &["--method", "GET"], "").code, 2);
    let sent = send(
        &receiver,
        &["--method", "GET", "--endpoint=/", "--status=99"],
        "",
    );
    assert_eq!((sent.code, sent.report["invalid"].as_u64()), (1, Some(1)));
}

#[test]
fn a_variable_that_is_overridden_is_not_judged() {
    let receiver = Receiver::start();
    let url = format!("--url=http://{}", receiver.address);
    let one = ["--method=GET", "--endpoint=/", "--status=200"];
    let mut command = command(&receiver);
    command.args([&url, "--max-connections=2"]).args(one);
    let bad = [("MALTI_URL", "no URL"), ("MALTI_MAX_CONNECTIONS", "many")];
    let sent = run(command.envs(bad).env("MALTI_BUFFER_BYTES", "much"), "");
    sent.went_well(&[("sent", 1)]);
    // What is said holds.
    let warning = "MALTI_BUFFER_BYTES: invalid value \"much\"";
    assert_eq!(sent.errors.lines().count(), 1, "{}", sent.errors);
    assert!(
        sent.errors.contains(warning) && sent.errors.ends_with("using the default 16777216\n"),
        "{}",
        sent.errors
    );
}

#[test]
fn without_a_key() {
    let receiver = Receiver::start();
    let sent = run(command(&receiver).env_remove("MALTI_API_KEY"), "");
    assert_eq!(sent.code, 1);
    assert!(
        sent.errors.contains("api_key is not set"),
        "{}",
        sent.errors
    );
}

/// What a log is that was rotated: compressed, perhaps in several parts.
#[test]
fn gzip() {
    let receiver = Receiver::start();
    let line = "{\"method\":\"GET\",\"endpoint\":\"/\",\"status\":200}\n".repeat(1000);
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let mut part = GzEncoder::new(&mut bytes, Compression::fast());
        part.write_all(line.as_bytes()).unwrap();
        part.finish().unwrap();
    }
    let cut = bytes[..bytes.len() - 9].to_vec();
    run(&mut command(&receiver), bytes).went_well(&[("sent", 2000)]);

    let sent = run(&mut command(&receiver), cut);
    let stopped = sent.report["stopped"].as_str().unwrap();
    assert!(
        stopped.starts_with("the input was not read to its end: -: "),
        "{stopped}"
    );
    assert_eq!((sent.code, &sent.report["undelivered"]), (1, &json!(0)));
}

#[test]
fn odd_input() {
    let receiver = Receiver::start();
    let good = "{\"method\":\"GET\",\"endpoint\":\"/\",\"status\":200}";
    // Byte order marks; no end of the last line; a line that is larger than any.
    for input in [
        format!("\u{feff}{good}\r\n\r\n\u{feff}{good}"),
        format!("{good}\n{}\n{good}\n", "x".repeat(9 << 20)),
    ] {
        run(&mut command(&receiver), input).went_well(&[("sent", 2)]);
    }
    let noise = (0..1_u32 << 20).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1]);
    let sent = run(&mut command(&receiver), noise.collect::<Vec<_>>());
    assert_eq!(sent.code, 1);
    assert_eq!(sent.report["lines"], sent.report["not_understood"]);
    assert!(!sent.errors.contains(|c: char| c.is_control() && c != '\n'));

    let folder = tempfile::tempdir().unwrap();
    let sent = run(command(&receiver).arg(folder.path()), "");
    assert_eq!(sent.code, 1);
    assert!(
        sent.errors.contains(folder.path().to_str().unwrap()),
        "{}",
        sent.errors
    );
}
