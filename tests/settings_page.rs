//! The table of settings in docs/configuration.md says what the code does: each key with its default, what it takes and
//! what it means, and a mark at each default that differs from the documented one of malti-telemetry.

use std::fmt::Write;

use malti::Config;
use malti::config::Key;

const PAGE: &str = include_str!("../docs/configuration.md");
/// Marks in the order of their notes.
const MARKS: [&str; 4] = ["¹", "²", "³", "⁴"];

/// The defaults that the README of malti-telemetry 1.0.4 documents, or, where it says nothing, the README
/// of that project. `consumer_query`: the latter names two parameters, but 1.0.4 reads none.
const DOCUMENTED: &[(&str, &str)] = &[
    ("service_name", "unknown-service"),
    ("url", "http://localhost:8000"),
    ("node", "unknown-node"),
    ("batch_size", "500"),
    ("batch_interval", "60.0"),
    ("max_retries", "3"),
    ("retry_delay", "1.0"),
    ("http_timeout", "30.0"),
    ("max_connections", "10"),
    ("max_keepalive_connections", "5"),
    ("overflow_threshold_percent", "90.0"),
    ("clean_mode", "true"),
    ("use_ip_as_consumer", "false"),
    ("ip_anonymize", "false"),
    ("consumer_order", "header,query,state,ip"),
    (
        "consumer_headers",
        "x-consumer-id,x-user-id,consumer-id,user-id",
    ),
    ("consumer_query", ""),
];

/// The rows of the table, without its head.
fn rows() -> Vec<&'static str> {
    PAGE.lines()
        .filter(|line| line.starts_with("| `MALTI_"))
        .collect()
}

fn mark(row: &str) -> Option<&'static str> {
    MARKS.into_iter().find(|mark| row.contains(mark))
}

/// The row that a key should have, without a mark.
fn expected(key: &Key) -> String {
    let default = match key.default {
        "" => "unset".to_owned(),
        value => format!("`{value}`"),
    };
    format!(
        "| `MALTI_{}` | {default} | {} | {} |",
        key.name.to_uppercase(),
        key.accepted.replace('|', "\\|"),
        key.meaning.replace('|', "\\|"),
    )
}

#[test]
fn each_key_has_its_row_and_each_row_its_key() {
    let unmarked = |row: &&str| match mark(row) {
        Some(mark) => row.replace(&format!(" {mark}"), ""),
        None => (*row).to_owned(),
    };
    let there: Vec<String> = rows().iter().map(unmarked).collect();
    let wanted: Vec<String> = Config::keys().map(expected).collect();
    let mut faults = String::new();
    for row in wanted.iter().filter(|row| !there.contains(row)) {
        writeln!(faults, "lacks   {row}").unwrap();
    }
    for row in there.iter().filter(|row| !wanted.contains(row)) {
        writeln!(faults, "has     {row}").unwrap();
    }
    assert!(faults.is_empty(), "docs/configuration.md\n{faults}");
    assert_eq!(
        there, wanted,
        "docs/configuration.md: in another order than the code"
    );
}

#[test]
fn each_default_that_differs_is_marked_and_has_its_note() {
    let same = |one: &str, other: &str| match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    };
    let mut marks = Vec::new();
    for row in rows() {
        let key = row.split('`').nth(1).unwrap_or_default();
        let key = key.trim_start_matches("MALTI_").to_lowercase();
        let key = Config::keys().find(|k| k.name == key).expect("a key");
        let documented = DOCUMENTED.iter().find(|(name, _)| *name == key.name);
        let differs = documented.is_some_and(|(_, theirs)| !same(theirs, key.default));
        assert_eq!(mark(row).is_some(), differs, "{row}");
        marks.extend(mark(row));
    }
    assert_eq!(marks, MARKS, "each once, and in order");
    for mark in MARKS {
        let notes = PAGE.lines().filter(|line| line.starts_with(mark)).count();
        assert_eq!(notes, 1, "notes that begin with {mark}");
    }
}

#[test]
fn every_documented_default_is_of_a_key() {
    for (name, _) in DOCUMENTED {
        assert!(Config::keys().any(|key| key.name == *name), "{name}");
    }
}
