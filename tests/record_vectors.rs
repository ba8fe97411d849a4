//! `tests/vectors/record.json`: what a host passes, and the record that must leave.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use malti::record::{FIELD_MAX, PACKED_MAX, RESPONSE_TIME_MAX_MS, RawRecord, packed};
use malti::wire::{Body, Framing, Writer};
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

/// The record that leaves for these arguments, or the name of the status that says why none does.
fn record(input: &Input) -> Result<Value, String> {
    let [method, endpoint, consumer, context] = [
        &input.method,
        &input.endpoint,
        &input.consumer,
        &input.context,
    ]
    .map(|text| {
        let mut bytes = text.bytes();
        bytes.truncate(FIELD_MAX);
        bytes
    });
    let raw = RawRecord {
        method: &method,
        endpoint: &endpoint,
        status: input.status.try_into().unwrap(),
        response_time_ms: (input.response_time_us.value() / 1_000)
            .try_into()
            .unwrap_or(u32::MAX)
            .min(RESPONSE_TIME_MAX_MS),
        consumer: &consumer,
        context: &context,
        created_at_us: input.created_at_unix_us.value().try_into().unwrap(),
    };
    let mut bytes = vec![0; PACKED_MAX];
    raw.pack(&mut bytes);
    bytes.truncate(raw.packed_len());

    let mut writer = Writer::new("test-service", "node-1");
    let mut body = Body::new(Framing::Envelope);
    for record in packed(&bytes) {
        assert!(body.push(&mut writer, &record, usize::MAX));
    }
    let mut sent: Value = serde_json::from_slice(body.bytes()).unwrap();
    assert_eq!(sent["requests"].as_array().unwrap().len(), 1);
    Ok(sent["requests"][0].take())
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

#[test]
fn every_case_gives_its_record() {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/record.json")).unwrap();
    assert!(
        vectors.cases.len() >= 40,
        "only {} cases",
        vectors.cases.len()
    );

    for case in &vectors.cases {
        let name = &case.name;
        match (&case.expect, &case.expect_status) {
            (Some(fields), None) => {
                let Ok(Value::Object(mut sent)) = record(&case.input) else {
                    panic!("{name}: not sent")
                };
                assert_eq!(sent.remove("service").unwrap(), "test-service", "{name}");
                assert_eq!(sent.remove("node").unwrap(), "node-1", "{name}");
                if !fields.contains_key("created_at") {
                    sent.remove("created_at").unwrap();
                }
                assert_eq!(sent, expected(fields), "{name}");
            }
            // The client refuses or ignores these before anything is packed.
            (None, Some(status)) => assert!(
                ["INVALID_ARGUMENT", "IGNORED"].contains(&status.as_str()),
                "{name}"
            ),
            _ => panic!("{name}: needs one of expect, expect_status"),
        }
    }
}
