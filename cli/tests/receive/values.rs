//! The fields of a record: what passes, what is converted, what is kept.

use serde_json::{Value, json};

use crate::client::{Receiver, batch, errors, good, raw, record};

#[test]
fn missing_fields() {
    let receiver = Receiver::start();
    for name in [
        "service",
        "method",
        "endpoint",
        "status",
        "response_time",
        "consumer",
    ] {
        let mut bad = record(json!({}));
        bad.as_object_mut().unwrap().remove(name);
        receiver
            .ingest(batch(&[record(json!({})), bad.clone()]))
            .is(
                422,
                &json!({ "detail": [{
                "type": "missing",
                "loc": ["body", "requests", 1, name],
                "msg": "Field required",
                "input": bad,
            }] }),
            );
    }
    // All or nothing: the good record before it did not stay.
    assert_eq!(receiver.records().len(), 0);
}

#[test]
fn null_or_missing_where_that_is_allowed() {
    let receiver = Receiver::start();
    let nulls = json!({ "node": null, "context": null, "created_at": null });
    assert_eq!(receiver.ingest(batch(&[record(nulls)])).status, 200);
    assert_eq!(receiver.ingest(good()).status, 200);
    for kept in receiver.records() {
        assert_eq!(
            (&kept["node"], &kept["context"]),
            (&Value::Null, &Value::Null)
        );
        let time = |name: &str| {
            kept[name]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
        };
        let lag = time("received_at").duration_since(time("created_at"));
        assert!((0..60).contains(&lag.as_secs()), "{kept}");
    }
}

#[test]
fn wrong_types() {
    let receiver = Receiver::start();
    let at = |name: &str| json!(["body", "requests", 0, name]);
    for (name, value, kind) in [
        ("consumer", "1", "string_type"),
        ("consumer", "null", "string_type"),
        ("endpoint", "[]", "string_type"),
        ("node", "5", "string_type"),
        ("context", "{}", "string_type"),
        ("status", "null", "int_type"),
        ("status", "[]", "int_type"),
        ("status", "\"abc\"", "int_parsing"),
        ("status", "\"1__0\"", "int_parsing"),
        ("status", "\"200.\"", "int_parsing"),
        ("status", "\"\"", "int_parsing"),
        ("response_time", "1.5", "int_from_float"),
        ("response_time", "1e30", "int_parsing_size"),
        ("created_at", "\"yesterday\"", "datetime_from_date_parsing"),
        (
            "created_at",
            "\"2024-02-30T00:00:00Z\"",
            "datetime_from_date_parsing",
        ),
        ("created_at", "\"0000-01-01T00:00:00Z\"", "datetime_parsing"),
        ("created_at", "1e20", "datetime_parsing"),
        ("created_at", "true", "datetime_type"),
    ] {
        let expected = vec![(kind.to_owned(), at(name))];
        assert_eq!(
            errors(&receiver, raw(name, value)),
            expected,
            "{name}: {value}"
        );
    }
}

#[test]
fn all_errors_are_reported_with_their_places() {
    let receiver = Receiver::start();
    let body = batch(&[record(json!({ "status": "x", "node": 1 })), json!(7)]);
    let expected = [
        ("int_parsing", json!(["body", "requests", 0, "status"])),
        ("string_type", json!(["body", "requests", 0, "node"])),
        ("model_attributes_type", json!(["body", "requests", 1])),
    ];
    assert_eq!(
        errors(&receiver, body),
        expected.map(|(kind, loc)| (kind.to_owned(), loc))
    );
}

#[test]
fn values_that_are_converted() {
    let receiver = Receiver::start();
    let cases = [
        ("\"200\"", 200),
        ("\" 200 \"", 200),
        ("\"2_00.00\"", 200),
        ("\"-5\"", -5),
        ("\"+5\"", 5),
        ("1.0", 1),
        ("1e3", 1000),
        ("true", 1),
        ("false", 0),
        ("-0", 0),
    ];
    for (value, _) in cases {
        assert_eq!(receiver.ingest(raw("status", value)).status, 200, "{value}");
    }
    let kept: Vec<_> = receiver
        .records()
        .iter()
        .map(|r| r["status"].as_i64().unwrap())
        .collect();
    assert_eq!(kept, cases.map(|(_, stored)| stored));
}

#[test]
fn numbers_out_of_the_columns_range() {
    let receiver = Receiver::start();
    for (name, value, range) in [
        ("status", "32768", "int16"),
        ("status", "-32769", "int16"),
        ("status", "\"123456789012345678901234567890\"", "int16"),
        ("response_time", "2147483648", "int32"),
        ("response_time", "-2147483649", "int32"),
        ("response_time", "9223372036854775807", "int32"),
    ] {
        let answer = receiver.ingest(raw(name, value));
        let text = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 500, "{value}");
        assert!(text.starts_with("Failed to store telemetry: "), "{text}");
        assert!(
            text.contains(&format!("value out of {range} range")),
            "{text}"
        );
    }
    assert_eq!(
        receiver
            .ingest(raw("response_time", "123456789012345678901234567890"))
            .status,
        500
    );
    assert_eq!(receiver.records().len(), 0);
    for (name, value) in [
        ("status", "32767"),
        ("status", "-32768"),
        ("response_time", "2147483647"),
        ("response_time", "-2147483648"),
    ] {
        assert_eq!(receiver.ingest(raw(name, value)).status, 200, "{value}");
    }
}

#[test]
fn forms_of_created_at() {
    let receiver = Receiver::start();
    let cases = [
        ("\"2024-01-02T03:04:05Z\"", "2024-01-02T03:04:05.000000Z"),
        (
            "\"2024-01-02T03:04:05.123456789Z\"",
            "2024-01-02T03:04:05.123456Z",
        ),
        (
            "\"2024-01-02 03:04:05,5+02:00\"",
            "2024-01-02T01:04:05.500000Z",
        ),
        ("\"2024-01-02T03:04+0200\"", "2024-01-02T01:04:00.000000Z"),
        (
            "\"2024-01-02t03:04:05-00:00\"",
            "2024-01-02T03:04:05.000000Z",
        ),
        // Without a zone it is local time; the receiver's is UTC+3.
        ("\"2024-01-02T03:04:05\"", "2024-01-02T00:04:05.000000Z"),
        ("\"2024-01-02\"", "2024-01-01T21:00:00.000000Z"),
        ("1704164645", "2024-01-02T03:04:05.000000Z"),
        ("1704164645123", "2024-01-02T03:04:05.123000Z"),
        ("\"1704164645.25\"", "2024-01-02T03:04:05.250000Z"),
        ("-0.5", "1969-12-31T23:59:59.500000Z"),
    ];
    for (sent, _) in cases {
        assert_eq!(
            receiver.ingest(raw("created_at", sent)).status,
            200,
            "{sent}"
        );
    }
    let kept: Vec<_> = receiver
        .records()
        .iter()
        .map(|r| r["created_at"].clone())
        .collect();
    assert_eq!(kept, cases.map(|(_, stored)| json!(stored)));

    let answer = receiver.ingest(raw("created_at", "\"0001-01-01T00:00:00Z\""));
    assert_eq!(answer.status, 500);
    assert!(
        answer.body.contains("Failed to store telemetry: "),
        "{}",
        answer.body
    );
}

#[test]
fn texts_are_cleaned_before_they_are_kept() {
    let receiver = Receiver::start();
    let names = ["method", "endpoint", "consumer", "node", "context"];
    let mut sent = record(json!({}));
    for name in names {
        sent[name] = format!(" /{name}/<int:id>\0\n& ").into();
    }
    assert_eq!(receiver.ingest(batch(&[sent])).status, 200);
    let kept = &receiver.records()[0];
    for name in names {
        assert_eq!(kept[name], format!("/{name}/ &amp;"));
    }
}
