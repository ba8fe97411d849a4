//! Which route a path belongs to, which service and node a record.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{Receiver, SERVICE};
use crate::harness::{command, run, send};

fn paths(paths: &[&str]) -> String {
    let line = |path: &&str| {
        format!("10.0.0.1 - - [10/Oct/2025:13:55:36 +0000] \"{path} HTTP/1.1\" 200 1\n")
    };
    paths.iter().map(line).collect()
}

fn all(receiver: &Receiver, field: &str) -> BTreeSet<String> {
    let text = |record: &Value| record[field].as_str().unwrap().to_owned();
    receiver.records().iter().map(text).collect()
}

#[test]
fn routes_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("routes");
    std::fs::write(
        &list,
        "\u{feff}# all of them\r\n/users/{id}\r\nGET /users/:id/orders\n\n  /files/*\n/r/{id}.csv",
    )
    .unwrap();
    let input = paths(&[
        "GET /users/ann",
        "GET /users/7/orders",
        "POST /users/7/orders",
        "GET /files/a/b",
        "GET /r/7.csv",
        "GET /n/12",
    ]);
    let receiver = Receiver::start();
    let sent = send(&receiver, &["--routes", list.to_str().unwrap()], &input);
    sent.went_well(&[("sent", 6), ("guessed", 2)]);
    let expected = [
        "/users/{id}",
        "/users/{id}/orders",
        "/files/*",
        "/r/{id}.csv",
        "/n/{id}",
    ]
    .map(str::to_owned);
    assert_eq!(all(&receiver, "endpoint"), BTreeSet::from(expected));
    assert!(
        sent.errors
            .contains("is guessed, such as /users/{id}/orders"),
        "{}",
        sent.errors
    );

    let receiver = Receiver::start();
    let sent = send(
        &receiver,
        &["--no-guess", "--routes", list.to_str().unwrap()],
        &input,
    );
    sent.went_well(&[("guessed", 0)]);
    assert!(all(&receiver, "endpoint").contains("/n/12"));
}

#[test]
fn routes_of_an_openapi_description() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("openapi.json");
    std::fs::write(
        &list,
        "\u{feff}\n".to_owned()
            + r#"{"openapi":"3.1.0","servers":[{"url":"https://pets.example/api/"},{"url":"/"}],
                "paths":{"/pets/{name}":{},"/pets/all":{},"x-other":{}}}"#,
    )
    .unwrap();
    let receiver = Receiver::start();
    let input = paths(&["GET /pets/rex", "GET /pets/all", "GET /api/pets/ann"]);
    send(&receiver, &["--routes", list.to_str().unwrap()], &input).went_well(&[("guessed", 0)]);
    assert_eq!(
        all(&receiver, "endpoint"),
        BTreeSet::from(["/pets/{name}", "/pets/all", "/api/pets/{name}"].map(str::to_owned))
    );
}

#[test]
fn a_file_without_routes() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start();
    for (text, fault) in [("# none\n", "no route"), ("{}", "paths")] {
        let list = dir.path().join("routes");
        std::fs::write(&list, text).unwrap();
        let sent = send(&receiver, &["--routes", list.to_str().unwrap()], "");
        assert_eq!(sent.code, 1);
        assert!(sent.errors.contains(fault), "{text}: {}", sent.errors);
    }
    assert_eq!(send(&receiver, &["--routes", "/no/such"], "").code, 1);
}

/// What is no route is not passed over in silence, with the names of the routes that it meant.
#[test]
fn lines_that_are_no_routes() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("routes");
    let receiver = Receiver::start();
    for (text, number, line) in [
        (
            "openapi: 3.1.0\npaths:\n  /pets/{id}:\n",
            1,
            "openapi: 3.1.0",
        ),
        ("/pets\n\n  /pets/{id}:\n    get: {}\n", 3, "/pets/{id}:"),
        ("- /pets\n", 1, "- /pets"),
        ("# pets\r\npets/{id}\r\n", 2, "pets/{id}"),
        ("GET /pets # all of them\n", 1, "GET /pets # all of them"),
        ("/pets/{id\n", 1, "/pets/{id"),
        ("^/pets/$\n", 1, "^/pets/$"),
        (
            "https://pets.example/pets\n",
            1,
            "https://pets.example/pets",
        ),
        ("[\"/pets\"]\n", 1, "[\\\"/pets\\\"]"),
    ] {
        std::fs::write(&list, text).unwrap();
        let sent = send(&receiver, &["--routes", list.to_str().unwrap()], "");
        assert_eq!(sent.code, 1, "{text}");
        let place = format!("routes:{number}: \"{line}\" is no route; a line is /users/{{id}}");
        assert!(sent.errors.contains(&place), "{place}: {}", sent.errors);
    }
    std::fs::write(&list, r#"{"paths": {"pets": {}}}"#).unwrap();
    let sent = send(&receiver, &["--routes", list.to_str().unwrap()], "");
    let errors = sent.errors;
    assert!(
        errors.contains("\"pets\" among its \"paths\" is no route"),
        "{errors}"
    );
}

#[test]
fn services_and_nodes_of_records() {
    let record = |service: &str, node: &str| {
        format!(
            "{{\"service\":\"{service}\",\"node\":\"{node}\",\"method\":\"GET\",\"endpoint\":\"/\",\"status\":200}}\n"
        )
    };
    let input = record("a", "n1") + &record("a", "n2") + &record("b", "n1");
    let any = Receiver::with(&[]);
    let sent = run(
        command(&any)
            .env_remove("MALTI_SERVICE_NAME")
            .env("MALTI_RETRY_DELAY", "soon"),
        &input,
    );
    sent.went_well(&[("sent", 3)]);
    // Each has a client, and all have the same settings.
    assert_eq!(
        sent.errors.matches("MALTI_RETRY_DELAY").count(),
        1,
        "{}",
        sent.errors
    );
    assert_eq!(
        all(&any, "service"),
        BTreeSet::from(["a", "b"].map(str::to_owned))
    );
    assert_eq!(
        all(&any, "node"),
        BTreeSet::from(["n1", "n2"].map(str::to_owned))
    );

    // Who names a service means it.
    let receiver = Receiver::start();
    send(&receiver, &[], &input).went_well(&[("sent", 3)]);
    assert_eq!(
        all(&receiver, "service"),
        BTreeSet::from([SERVICE.to_owned()])
    );
}
