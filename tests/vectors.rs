//! The vectors of `tests/vectors/` that are about the pure rules, run against this crate.

#![allow(clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use malti::consumer::{Request, Rules};
use malti::route::{Dialect, normalize};
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerCase {
    name: String,
    config: BTreeMap<String, String>,
    state: Option<String>,
    headers: Vec<(Bytes, Bytes)>,
    query: String,
    peer: String,
    expect: Option<String>,
    /// Outer `None`: not asked. Inner: no context.
    #[serde(default, deserialize_with = "present")]
    expect_context: Option<Option<String>>,
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Raw { hex: String },
}

impl Bytes {
    fn get(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Raw { hex } => (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
                .collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteCase {
    dialect: String,
    pattern: String,
    expect: String,
    note: Option<String>,
}

fn load<T: serde::de::DeserializeOwned>(json: &str, least: usize) -> Vec<T> {
    let cases: Vec<T> = serde_json::from_str(json).expect("valid vectors");
    assert!(cases.len() >= least, "{} cases", cases.len());
    cases
}

/// The keys of the configuration that the rules come from.
fn rules(config: &BTreeMap<String, String>) -> Rules {
    fn list<T>(value: &str, item: impl Fn(&str) -> T) -> Vec<T> {
        let items = value.split(',').map(str::trim).filter(|s| !s.is_empty());
        items.map(item).collect()
    }
    fn boolean(value: &str) -> bool {
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => panic!("no boolean: {value}"),
        }
    }
    fn network(value: &str) -> IpNet {
        let address = || value.parse::<IpAddr>().map(IpNet::from);
        value
            .parse()
            .or_else(|_| address())
            .expect("a network or an address")
    }
    let mut rules = Rules::default();
    for (key, value) in config {
        match key.as_str() {
            "consumer_order" => rules.order = list(value, |s| s.parse().expect("a source")),
            "consumer_headers" => rules.headers = list(value, str::to_ascii_lowercase),
            "consumer_query" => rules.query = list(value, str::to_owned),
            "context_headers" => rules.context_headers = list(value, str::to_ascii_lowercase),
            "use_ip_as_consumer" => rules.use_ip = boolean(value),
            "ip_anonymize" => rules.anonymize = boolean(value),
            "trusted_proxies" => rules.trusted_proxies = list(value, network),
            _ => panic!("unknown key {key}"),
        }
    }
    rules
}

#[test]
fn consumer() {
    let cases: Vec<ConsumerCase> = load(include_str!("vectors/consumer.json"), 60);
    let mut names = HashSet::new();
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(names.insert(&case.name), "two cases named {:?}", case.name);
        assert!(
            case.expect.is_some() || case.expect_context.is_some(),
            "{}",
            case.name
        );
        let rules = rules(&case.config);
        let mut headers = Vec::new();
        for (name, value) in &case.headers {
            for text in [name, value] {
                headers.extend(text.get());
                headers.push(0);
            }
        }
        let consumer = rules.consumer(&Request {
            state: case.state.as_deref().map(str::as_bytes),
            headers: &headers,
            query: case.query.as_bytes(),
            peer: case.peer.as_bytes(),
        });
        if let Some(expect) = &case.expect
            && consumer != *expect
        {
            wrong.push(format!("{}: {consumer:?}, not {expect:?}", case.name));
        }
        let context = rules.context(&headers);
        if let Some(expect) = &case.expect_context
            && context.as_deref() != expect.as_deref()
        {
            wrong.push(format!(
                "{}: context {context:?}, not {expect:?}",
                case.name
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn route() {
    let cases: Vec<RouteCase> = load(include_str!("vectors/route.json"), 100);
    let mut seen = HashSet::new();
    let mut per_dialect = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(
            seen.insert((&case.dialect, &case.pattern)),
            "twice: {} {}",
            case.dialect,
            case.pattern
        );
        *per_dialect.entry(case.dialect.as_str()).or_insert(0) += 1;
        let dialect: Dialect = case.dialect.parse().expect("a dialect");
        let text = normalize(dialect, &case.pattern);
        if text != case.expect {
            let note = case.note.as_deref().unwrap_or_default();
            wrong.push(format!(
                "{dialect} {}: {text}, not {} ({note})",
                case.pattern, case.expect
            ));
        }
        assert_eq!(
            normalize(Dialect::Plain, &text),
            text,
            "a normal form stays"
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(per_dialect.len(), 21);
    for (dialect, count) in per_dialect {
        assert!(count >= 4, "{dialect} has {count} cases");
    }
}
