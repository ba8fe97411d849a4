//! Whatever comes in, nothing panics, and what has to hold of the result holds. Each target runs its committed corpus
//! and a fixed number of random inputs; `BOLERO_RANDOM_ITERATIONS` makes it more, and `cargo bolero` takes the same
//! targets to libFuzzer or AFL where a nightly compiler is at hand.

#![allow(clippy::unwrap_used)]

use std::ffi::OsString;

use bolero::check;
use malti::Config;
use malti::consumer::{Request, Rules, Source};
use malti::record::{CREATED_AT_MAX_US, FIELD_MAX, RESPONSE_TIME_MAX_MS, RawRecord};
use malti::route::{Dialect, normalize};
use malti::wire::{Body, Framing, Writer};

const ITERATIONS: usize = 20_000;
const LENGTH_MAX: usize = 1_000;

/// Makes something of random bytes that gets further than they would: one word for each.
fn spell(input: &[u8], words: &[&str]) -> String {
    let word = |byte: &u8| words[usize::from(*byte) % words.len()];
    input.iter().map(word).collect()
}

#[test]
fn configuration() {
    const WORDS: &[&str] = &[
        "0",
        "1",
        "9",
        ".",
        "-",
        "e",
        "inf",
        "true",
        "off",
        "http",
        "s",
        ":",
        "//",
        "/",
        "@",
        "[",
        "]",
        "%",
        "é",
        "\0",
        "\n",
        " ",
        ",",
        "*",
        "?",
        "#",
        "a",
        "file:",
        "stderr:",
        "::1",
        "127.0.0.1",
        "99999999999999999999",
        "state",
        "header",
        "gzip",
        "\u{202e}",
    ];
    let keys: Vec<&str> = Config::keys().map(|key| key.name).collect();
    check!()
        .with_iterations(ITERATIONS)
        .with_max_len(LENGTH_MAX)
        .for_each(|input: &[u8]| {
            let Some((first, rest)) = input.split_first() else {
                return;
            };
            let key = keys[usize::from(*first) % keys.len()];
            // Files are read by what they are named after: not those of this machine.
            if key.ends_with("_file") {
                return;
            }
            let text = spell(rest, WORDS);
            let mut config = Config::default();
            let before = config.get(key).unwrap();
            match config.set(key, &text) {
                // What it shows can be set again, and then shows the same.
                Ok(()) if !matches!(key, "api_key" | "proxy" | "url") => {
                    let shown = config.get(key).unwrap();
                    let mut again = Config::default();
                    again.set(key, &shown).unwrap();
                    assert_eq!(again.get(key).unwrap(), shown, "{key}: {text:?}");
                }
                Ok(()) => {}
                Err(error) => {
                    assert!(error.to_string().contains(key), "{error}");
                    assert_eq!(config.get(key).unwrap(), before, "{key}: {text:?}");
                }
            }
            let name = OsString::from(format!("MALTI_{}", key.to_uppercase()));
            let config = Config::from_vars([(name, OsString::from(&text))]);
            let _ = config.startup_warnings();
        });
}

#[test]
fn record_to_json() {
    check!()
        .with_iterations(ITERATIONS)
        .with_max_len(4 * FIELD_MAX)
        .for_each(|input: &[u8]| {
            // Cut into four fields by its first three bytes.
            let mut rest = input;
            let mut field = |at: usize| {
                let length = usize::from(*input.get(at).unwrap_or(&0)) * 8;
                let (field, tail) = rest.split_at(length.min(rest.len()));
                rest = tail;
                &field[..field.len().min(FIELD_MAX)]
            };
            let record = RawRecord {
                method: field(0),
                endpoint: field(1),
                consumer: field(2),
                context: field(3),
                status: 100 + u16::from(*input.first().unwrap_or(&0)),
                response_time_ms: RESPONSE_TIME_MAX_MS,
                created_at_us: CREATED_AT_MAX_US,
            };
            let mut packed = vec![0; record.packed_len()];
            record.pack(&mut packed);
            assert_eq!(RawRecord::unpack(&packed), Some((record, packed.len())));

            let mut body = Body::new(Framing::Envelope);
            assert!(body.push(&mut Writer::new("service", "node"), &record, usize::MAX));
            let json: serde_json::Value = serde_json::from_slice(body.bytes()).unwrap();
            let json = &json["requests"][0];
            for name in ["method", "endpoint", "consumer", "context"] {
                let Some(text) = json[name].as_str() else {
                    assert!(name == "context" && json[name].is_null(), "{json}");
                    continue;
                };
                assert!(text.chars().count() <= 500, "{text:?}");
                assert!(!text.contains(['\0', '\r', '\n', '<', '>']), "{text:?}");
                assert_eq!(text.trim(), text);
            }
            assert!(json["consumer"] != "" && json["endpoint"] != "", "{json}");
        });
}

#[test]
fn packed_bytes_from_elsewhere() {
    check!()
        .with_iterations(ITERATIONS)
        .with_max_len(LENGTH_MAX)
        .for_each(|input: &[u8]| {
            let read: usize = malti::record::packed(input)
                .map(|record| record.method.len())
                .sum();
            assert!(read <= input.len());
        });
}

#[test]
fn route() {
    const WORDS: &[&str] = &[
        "/",
        "//",
        "{",
        "}",
        "{id}",
        "{id:int}",
        "{path:path}",
        ":",
        ":id",
        ":id?",
        "<",
        ">",
        "<int:id>",
        "*",
        "**",
        "(",
        ")",
        "(?P<id>",
        "(?:",
        "\\d+",
        "\\",
        "[^/]+",
        "?",
        "+",
        "|",
        "^",
        "$",
        "a",
        "users",
        "é",
        ".",
        "-",
        "{x*}",
        "\0",
        " ",
    ];
    let dialects = [
        Dialect::Starlette,
        Dialect::Litestar,
        Dialect::Werkzeug,
        Dialect::Django,
        Dialect::Sanic,
        Dialect::Bottle,
        Dialect::Aiohttp,
        Dialect::Express,
        Dialect::Fastify,
        Dialect::Koa,
        Dialect::Hono,
    ];
    check!()
        .with_iterations(ITERATIONS)
        .with_max_len(200)
        .for_each(|input: &[u8]| {
            let pattern = spell(input, WORDS);
            for dialect in dialects {
                let once = normalize(dialect, &pattern);
                assert!(once.starts_with('/'), "{pattern:?}: {once:?}");
            }
        });
}

#[test]
fn consumer() {
    const WORDS: &[&str] = &[
        "x-consumer-id",
        "x-user-id",
        "x-forwarded-for",
        "user_id=",
        "consumer_id=",
        "\0",
        "\0",
        "&",
        "=",
        "%41",
        "%",
        "+",
        "10.0.0.1",
        "::1",
        ",",
        "\"",
        "for=",
        "a",
        "é",
        " ",
        "\n",
        "[",
        "]",
        ":8080",
    ];
    let rules = Rules {
        order: vec![Source::State, Source::Header, Source::Query, Source::Ip],
        headers: vec!["x-consumer-id".into(), "x-user-id".into()],
        query: vec!["consumer_id".into(), "user_id".into()],
        context_headers: vec!["x-request-id".into()],
        use_ip: true,
        anonymize: true,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
    };
    check!()
        .with_iterations(ITERATIONS)
        .with_max_len(LENGTH_MAX)
        .for_each(|input: &[u8]| {
            let text = spell(input, WORDS);
            let (headers, query) = text.split_at(text.floor_char_boundary(text.len() / 2));
            for headers in [headers.as_bytes(), input] {
                let request = Request {
                    state: None,
                    headers,
                    query: query.as_bytes(),
                    peer: query.as_bytes(),
                };
                assert!(!rules.consumer(&request).is_empty());
                let _ = rules.context(headers);
            }
        });
}
