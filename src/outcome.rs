//! What an answer, or its absence, means for the batch. Pure.

use std::time::Duration;

use serde::Deserialize;

use crate::transport::{Answer, Failure, FailureKind};

/// What to do with a batch after one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Delivered.
    Sent,
    /// A fault that may pass: try again.
    Retry(Fault),
    /// Only a change of settings mends it: key, service, address, proxy.
    Misconfigured(String),
    /// The body is larger than something on the way accepts.
    TooLarge,
    /// The server refuses the batch for what is in it; it may say which records.
    Refused { named: Vec<usize>, why: String },
    /// Shutdown ended the request.
    Aborted,
}

/// A fault that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) why: String,
    pub(crate) retry_after: Option<Duration>,
    /// 500 itself, which a poisonous record can cause too.
    pub(crate) is_500: bool,
    /// Nobody listens there: at shutdown there is nothing to wait for.
    pub(crate) refused: bool,
}

/// Judges one attempt.
pub(crate) fn judge(attempt: Result<Answer, Failure>) -> Outcome {
    match attempt {
        Err(Failure {
            kind: FailureKind::Aborted,
            ..
        }) => Outcome::Aborted,
        Err(Failure {
            kind: FailureKind::Proxy,
            text,
            ..
        }) => Outcome::Misconfigured(text),
        Err(Failure { kind, text, .. }) => Outcome::Retry(Fault {
            why: text,
            retry_after: None,
            is_500: false,
            refused: kind == FailureKind::Refused,
        }),
        Ok(answer) => judge_answer(&answer),
    }
}

fn judge_answer(answer: &Answer) -> Outcome {
    match answer.status {
        200..=299 => Outcome::Sent,
        408 | 425 | 429 | 500..=599 => Outcome::Retry(Fault {
            why: said(answer),
            retry_after: answer.retry_after,
            is_500: answer.status == 500,
            refused: false,
        }),
        413 => Outcome::TooLarge,
        400 | 422 => Outcome::Refused {
            named: named(&answer.body),
            why: said(answer),
        },
        _ => Outcome::Misconfigured(said(answer)),
    }
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    detail: serde_json::Value,
}

/// The status and what the server says of it, on one line.
fn said(answer: &Answer) -> String {
    const MOST: usize = 200;
    let detail = match serde_json::from_slice::<Detail>(&answer.body).map(|d| d.detail) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Array(items)) => items
            .first()
            .and_then(|i| i.get("msg"))
            .and_then(|m| m.as_str())
            .unwrap_or_default()
            .to_owned(),
        _ => String::from_utf8_lossy(&answer.body).trim().to_owned(),
    };
    let detail: String = detail
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST)
        .collect();
    let sep = if detail.is_empty() { "" } else { ": " };
    format!("HTTP {}{sep}{detail}", answer.status)
}

/// The records that a 422 names: `detail[].loc = ["body", "requests", index, …]`.
fn named(body: &[u8]) -> Vec<usize> {
    let Ok(Detail {
        detail: serde_json::Value::Array(items),
    }) = serde_json::from_slice(body)
    else {
        return Vec::new();
    };
    let mut named: Vec<usize> = items
        .iter()
        .filter_map(|item| {
            let loc = item.get("loc")?;
            (loc.get(1)?.as_str()? == "requests").then_some(())?;
            usize::try_from(loc.get(2)?.as_u64()?).ok()
        })
        .collect();
    named.sort_unstable();
    named.dedup();
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Outcome {
        judge(Ok(Answer {
            status,
            body: body.into(),
            ..Answer::default()
        }))
    }

    #[test]
    fn each_status_has_its_row() {
        for status in [200, 201, 204, 299] {
            assert_eq!(answer(status, ""), Outcome::Sent);
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            let Outcome::Retry(fault) = answer(status, "") else {
                panic!("{status}")
            };
            assert_eq!((fault.is_500, fault.refused), (status == 500, false));
        }
        for status in [
            100, 301, 302, 307, 401, 402, 403, 404, 405, 407, 409, 418, 451,
        ] {
            assert!(
                matches!(answer(status, ""), Outcome::Misconfigured(_)),
                "{status}"
            );
        }
        assert_eq!(answer(413, ""), Outcome::TooLarge);
        for status in [400, 422] {
            assert!(
                matches!(answer(status, ""), Outcome::Refused { .. }),
                "{status}"
            );
        }
    }

    #[test]
    fn an_answer_may_be_anything() {
        const WORDS: &[&str] = &[
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\"detail\":",
            "\"loc\":",
            "\"body\"",
            "\"requests\"",
            "\"msg\":",
            "0",
            "7",
            "-1",
            "1e99",
            "18446744073709551616",
            "null",
            "true",
            "\"a\"",
            "é",
            "\\ud800",
            " ",
            "\n",
        ];
        bolero::check!(name = "answer")
            .with_iterations(20_000)
            .for_each(|input: &[u8]| {
                let words: String = input
                    .iter()
                    .map(|byte| WORDS[usize::from(*byte) % WORDS.len()])
                    .collect();
                for body in [input, words.as_bytes()] {
                    for status in [200, 400, 401, 413, 422, 429, 500] {
                        let outcome = judge(Ok(Answer {
                            status,
                            body: body.to_vec(),
                            ..Answer::default()
                        }));
                        let (Outcome::Refused { why, .. }
                        | Outcome::Misconfigured(why)
                        | Outcome::Retry(Fault { why, .. })) = outcome
                        else {
                            continue;
                        };
                        assert!(why.chars().count() < 250 && !why.contains(char::is_control));
                    }
                }
            });
    }

    #[test]
    fn a_422_names_records_once_and_in_order() {
        let body = r#"{"detail":[{"loc":["body","requests",7,"status"],"msg":"Field required"},
            {"loc":["body","requests",2,"status"]},{"loc":["body","requests",7,"consumer"]},
            {"loc":["body","other",1]},{"loc":["body","requests",-1]},{"loc":[]},{"loc":"x"},3]}"#;
        let Outcome::Refused { named, why } = answer(422, body) else {
            panic!()
        };
        assert_eq!(named, [2, 7]);
        assert_eq!(why, "HTTP 422: Field required");
    }

    #[test]
    fn an_answer_that_is_no_json_is_quoted_in_part_on_one_line() {
        let Outcome::Misconfigured(why) = answer(403, &format!("<html>\r\n{}", "x".repeat(5000)))
        else {
            panic!()
        };
        assert!(
            why.starts_with("HTTP 403: <html>  x") && why.len() < 250,
            "{why}"
        );
        let Outcome::Misconfigured(why) = answer(401, r#"{"detail":"Invalid API key"}"#) else {
            panic!()
        };
        assert_eq!(why, "HTTP 401: Invalid API key");
    }

    #[test]
    fn failures_without_an_answer_are_tried_again_but_for_the_proxys() {
        let failure = |kind| {
            judge(Err(Failure {
                kind,
                sent: false,
                text: "why".into(),
            }))
        };
        for kind in [
            FailureKind::Dns,
            FailureKind::Connect,
            FailureKind::Tls,
            FailureKind::Timeout,
            FailureKind::Io,
        ] {
            assert!(
                matches!(failure(kind), Outcome::Retry(Fault { refused: false, .. })),
                "{kind:?}"
            );
        }
        assert!(matches!(
            failure(FailureKind::Refused),
            Outcome::Retry(Fault { refused: true, .. })
        ));
        assert_eq!(
            failure(FailureKind::Proxy),
            Outcome::Misconfigured("why".into())
        );
        assert_eq!(failure(FailureKind::Aborted), Outcome::Aborted);
    }
}
