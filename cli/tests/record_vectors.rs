//! `tests/vectors/record.json` through the C ABI to the receiver: every record arrives as it must, and none of them,
//! however hostile, keeps the batch that it travels in from being stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "receive/client.rs"]
#[allow(dead_code)]
mod client;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::ptr::null_mut;

use malti::capi::status::*;
use malti::capi::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(rename = "in")]
    input: Input,
    expect: Option<BTreeMap<String, Expected>>,
    expect_status: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    method: Text,
    #[serde(default)]
    endpoint: Text,
    #[serde(default)]
    consumer: Text,
    #[serde(default)]
    context: Text,
    status: i32,
    response_time_us: Number,
    #[serde(default)]
    created_at_unix_us: Number,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Number(i64),
    Text(Text),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Joined(Vec<Text>),
    Hex { hex: String },
    Repeat { repeat: (String, usize) },
}

impl Default for Text {
    fn default() -> Self {
        Text::Plain(String::new())
    }
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Text::Plain(text) => text.clone().into_bytes(),
            Text::Joined(parts) => parts.iter().flat_map(Text::bytes).collect(),
            Text::Hex { hex } => hex
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect(),
            Text::Repeat {
                repeat: (text, times),
            } => text.repeat(*times).into_bytes(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Small(i64),
    Large(String),
}

impl Default for Number {
    fn default() -> Self {
        Number::Small(0)
    }
}

impl Number {
    fn value(&self) -> i128 {
        match self {
            Number::Small(number) => i128::from(*number),
            Number::Large(digits) => digits.parse().unwrap(),
        }
    }
}

/// Passes the case's arguments to `malti_record_n`.
fn record(input: &Input) -> i32 {
    let [method, endpoint, consumer, context] = [
        &input.method,
        &input.endpoint,
        &input.consumer,
        &input.context,
    ]
    .map(Text::bytes);
    // SAFETY: pointers and lengths are those of live vectors.
    unsafe {
        malti_record_n(
            method.as_ptr().cast(),
            method.len(),
            endpoint.as_ptr().cast(),
            endpoint.len(),
            input.status,
            input.response_time_us.value().try_into().unwrap(),
            consumer.as_ptr().cast(),
            consumer.len(),
            context.as_ptr().cast(),
            context.len(),
            input.created_at_unix_us.value().try_into().unwrap(),
        )
    }
}

fn expected(fields: &BTreeMap<String, Expected>) -> Map<String, Value> {
    fields
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Expected::Number(number) => json!(number),
                Expected::Text(text) => json!(String::from_utf8(text.bytes()).unwrap()),
            };
            (key.clone(), value)
        })
        .collect()
}

/// Starts the process-wide client.
fn init(receiver: &client::Receiver) {
    let config = malti_config_new();
    let url = format!("http://{}", receiver.address);
    let settings = [
        ("url", &*url),
        ("api_key", client::KEY),
        ("service_name", client::SERVICE),
        ("node", "n1"),
    ];
    for (key, value) in settings {
        let [key, value] = [key, value].map(|text| CString::new(text).unwrap());
        // SAFETY: live strings, and a configuration of this thread's own.
        let set = unsafe { malti_config_set(config, key.as_ptr(), value.as_ptr(), null_mut(), 0) };
        assert_eq!(set, MALTI_OK);
    }
    // SAFETY: as above; it is freed once.
    unsafe {
        assert_eq!(malti_init(config, null_mut(), 0), MALTI_OK);
        malti_config_free(config);
    }
}

#[test]
fn every_case_arrives_as_it_must() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../tests/vectors/record.json")).unwrap();
    let cases = vectors.cases;
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let receiver = client::Receiver::start();
    init(&receiver);

    for case in &cases {
        let wanted = match (&case.expect, case.expect_status.as_deref()) {
            (Some(_), None) => MALTI_OK,
            (None, Some("INVALID_ARGUMENT")) => MALTI_ERR_INVALID_ARGUMENT,
            (None, Some("IGNORED")) => MALTI_IGNORED,
            _ => panic!("{}: needs one of expect, expect_status", case.name),
        };
        assert_eq!(record(&case.input), wanted, "{}", case.name);
    }
    assert_eq!(malti_flush(60_000), MALTI_OK);

    let arrived = receiver.records();
    let sent: Vec<_> = cases.iter().filter(|case| case.expect.is_some()).collect();
    assert_eq!(arrived.len(), sent.len());
    for (case, arrived) in sent.into_iter().zip(arrived) {
        let wanted = expected(case.expect.as_ref().unwrap());
        for key in [
            "method",
            "endpoint",
            "status",
            "response_time",
            "consumer",
            "context",
        ] {
            let wanted = match wanted.get(key) {
                // What the server makes of these two.
                Some(Value::String(text)) => {
                    json!(text.trim_start_matches('\u{feff}').replace('&', "&amp;"))
                }
                Some(number) => number.clone(),
                None => Value::Null,
            };
            assert_eq!(arrived[key], wanted, "{}: {key}", case.name);
        }
        if let Some(created_at) = wanted.get("created_at") {
            let wanted = created_at.as_str().unwrap().replace("+00:00", "Z");
            assert_eq!(arrived["created_at"], wanted, "{}", case.name);
        }
        assert_eq!(
            (&arrived["service"], &arrived["node"]),
            (&json!(client::SERVICE), &json!("n1"))
        );
    }
    assert_eq!(malti_shutdown(60_000), MALTI_OK);
}
