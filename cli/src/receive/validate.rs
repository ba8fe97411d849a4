//! The schema of a batch, with the errors that the server's validator gives.
//!
//! A good batch takes the typed path of serde_json. Only what that refuses is
//! parsed again into a tree, where each field is judged by the server's rules:
//! they convert some values (`"200"`, `200.0` and `true` are numbers to it) and
//! report every fault at once with its place.

use jiter::{JsonErrorType, JsonValue};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};
use speedate::DateTime;

use super::time;

/// One record as it was sent. Unknown fields are ignored.
#[derive(Deserialize)]
pub struct Incoming {
    pub service: String,
    pub method: String,
    pub endpoint: String,
    /// Any integer passes the schema; the ranges are the database's.
    pub status: i64,
    pub response_time: i64,
    pub consumer: String,
    pub node: Option<String>,
    pub context: Option<String>,
    #[serde(default, deserialize_with = "created_at")]
    pub created_at: Option<DateTime>,
}

fn created_at<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(text) => time::parse(&text)
            .map(Some)
            .map_err(|e| de::Error::custom(e.text)),
        None => Ok(None),
    }
}

/// A body that is JSON.
pub enum Parsed {
    Batch(Vec<Incoming>),
    /// The list of errors, to be answered with 422.
    Invalid(Value),
    /// Something the server cannot even write into an error message.
    Unprintable,
}

/// A body that is not; the server says so before it looks at the key.
pub enum Malformed {
    /// Not text or nested too deeply: 400.
    Unreadable,
    /// The list of errors, to be answered with 422.
    Syntax(Value),
}

/// Reads the body of an ingest request. `is_json` is what its Content-Type says.
pub fn parse(body: &[u8], is_json: bool) -> Result<Parsed, Malformed> {
    #[derive(Deserialize)]
    struct Batch {
        requests: Vec<Incoming>,
    }
    if body.is_empty() {
        let errors = json!([error(
            &json!(["body"]),
            "missing",
            "Field required",
            Value::Null
        )]);
        return Ok(Parsed::Invalid(errors));
    }
    if !is_json {
        return Ok(match str::from_utf8(body) {
            Ok(text) => Parsed::Invalid(json!([not_an_object(&json!(["body"]), text.into())])),
            Err(_) => Parsed::Unprintable,
        });
    }
    if let Ok(batch) = serde_json::from_slice::<Batch>(body) {
        return Ok(Parsed::Batch(batch.requests));
    }
    if str::from_utf8(body).is_err() {
        return Err(Malformed::Unreadable);
    }
    match JsonValue::parse(body, true) {
        Ok(tree) => Ok(Validator::default().batch(&tree)),
        Err(e) => match e.error_type {
            JsonErrorType::RecursionLimitExceeded => Err(Malformed::Unreadable),
            // Half a surrogate pair is valid JSON, and the server fails on it
            // wherever it has to write it.
            JsonErrorType::LoneLeadingSurrogateInHexEscape
            | JsonErrorType::UnexpectedEndOfHexEscape
            // An integer beyond 64 bits: no column holds it.
            | JsonErrorType::NumberOutOfRange => Ok(Parsed::Unprintable),
            kind => {
                let mut error =
                    error(&json!(["body", e.index]), "json_invalid", "JSON decode error", json!({}));
                error["ctx"] = json!({ "error": kind.to_string() });
                Err(Malformed::Syntax(json!([error])))
            }
        },
    }
}

fn error(loc: &Value, kind: &str, message: &str, input: Value) -> Value {
    json!({ "type": kind, "loc": loc, "msg": message, "input": input })
}

fn not_an_object(loc: &Value, input: Value) -> Value {
    let message = "Input should be a valid dictionary or object to extract fields from";
    error(loc, "model_attributes_type", message, input)
}

/// Why a field's value was refused.
struct Refusal {
    kind: &'static str,
    message: String,
    context: Option<String>,
}

impl Refusal {
    fn new(kind: &'static str, message: &str) -> Self {
        Self {
            kind,
            message: message.to_owned(),
            context: None,
        }
    }
}

type Read<T> = fn(&JsonValue<'_>) -> Result<T, Refusal>;

#[derive(Default)]
struct Validator {
    errors: Vec<Value>,
    unprintable: bool,
}

impl Validator {
    fn batch(mut self, tree: &JsonValue<'_>) -> Parsed {
        let records = self.requests(tree);
        if self.unprintable {
            Parsed::Unprintable
        } else if self.errors.is_empty() {
            Parsed::Batch(records)
        } else {
            Parsed::Invalid(self.errors.into())
        }
    }

    /// All good records; the batch counts only if there were no errors.
    fn requests(&mut self, tree: &JsonValue<'_>) -> Vec<Incoming> {
        let JsonValue::Object(body) = tree else {
            let input = self.echo(tree);
            self.errors.push(not_an_object(&json!(["body"]), input));
            return Vec::new();
        };
        let loc = json!(["body", "requests"]);
        match last(body, "requests") {
            Some(JsonValue::Array(list)) => list
                .iter()
                .enumerate()
                .filter_map(|(at, item)| self.record(at, item))
                .collect(),
            Some(other) => {
                let input = self.echo(other);
                self.errors.push(error(
                    &loc,
                    "list_type",
                    "Input should be a valid list",
                    input,
                ));
                Vec::new()
            }
            None => {
                let input = self.echo(tree);
                self.errors
                    .push(error(&loc, "missing", "Field required", input));
                Vec::new()
            }
        }
    }

    fn record(&mut self, at: usize, item: &JsonValue<'_>) -> Option<Incoming> {
        let JsonValue::Object(_) = item else {
            let input = self.echo(item);
            self.errors
                .push(not_an_object(&json!(["body", "requests", at]), input));
            return None;
        };
        // Each field is read, and its error noted, before the first `?`.
        let service = self.required(at, item, "service", text);
        let method = self.required(at, item, "method", text);
        let endpoint = self.required(at, item, "endpoint", text);
        let status = self.required(at, item, "status", integer);
        let response_time = self.required(at, item, "response_time", integer);
        let consumer = self.required(at, item, "consumer", text);
        let node = self.optional(at, item, "node", text);
        let context = self.optional(at, item, "context", text);
        let created_at = self.optional(at, item, "created_at", date_time);
        Some(Incoming {
            service: service?,
            method: method?,
            endpoint: endpoint?,
            status: status?,
            response_time: response_time?,
            consumer: consumer?,
            node,
            context,
            created_at,
        })
    }

    fn required<T>(
        &mut self,
        at: usize,
        item: &JsonValue<'_>,
        name: &str,
        read: Read<T>,
    ) -> Option<T> {
        match field(item, name) {
            Some(value) => self.read(at, name, value, read),
            None => {
                let input = self.echo(item);
                let loc = json!(["body", "requests", at, name]);
                self.errors
                    .push(error(&loc, "missing", "Field required", input));
                None
            }
        }
    }

    fn optional<T>(
        &mut self,
        at: usize,
        item: &JsonValue<'_>,
        name: &str,
        read: Read<T>,
    ) -> Option<T> {
        match field(item, name)? {
            JsonValue::Null => None,
            value => self.read(at, name, value, read),
        }
    }

    fn read<T>(
        &mut self,
        at: usize,
        name: &str,
        value: &JsonValue<'_>,
        read: Read<T>,
    ) -> Option<T> {
        match read(value) {
            Ok(value) => Some(value),
            Err(refusal) => {
                let loc = json!(["body", "requests", at, name]);
                let mut error = error(&loc, refusal.kind, &refusal.message, self.echo(value));
                if let Some(context) = refusal.context {
                    error["ctx"] = json!({ "error": context });
                }
                self.errors.push(error);
                None
            }
        }
    }

    /// The value as an error message repeats it. NaN and infinity have no form
    /// in JSON, and the server fails on them here.
    fn echo(&mut self, value: &JsonValue<'_>) -> Value {
        match value {
            JsonValue::Null => Value::Null,
            JsonValue::Bool(value) => (*value).into(),
            JsonValue::Int(value) => (*value).into(),
            JsonValue::Float(value) => {
                self.unprintable |= !value.is_finite();
                (*value).into()
            }
            JsonValue::Str(value) => (&**value).into(),
            JsonValue::Array(list) => list.iter().map(|value| self.echo(value)).collect(),
            JsonValue::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (name.to_string(), self.echo(value)))
                    .collect(),
            ),
        }
    }
}

fn field<'a, 'j>(item: &'a JsonValue<'j>, name: &str) -> Option<&'a JsonValue<'j>> {
    match item {
        JsonValue::Object(fields) => last(fields, name),
        _ => None,
    }
}

/// Of equal names the last counts.
fn last<'a, 'j>(
    fields: &'a [(std::borrow::Cow<'j, str>, JsonValue<'j>)],
    name: &str,
) -> Option<&'a JsonValue<'j>> {
    fields
        .iter()
        .rev()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

fn text(value: &JsonValue<'_>) -> Result<String, Refusal> {
    match value {
        JsonValue::Str(text) => Ok(text.to_string()),
        _ => Err(Refusal::new(
            "string_type",
            "Input should be a valid string",
        )),
    }
}

fn integer(value: &JsonValue<'_>) -> Result<i64, Refusal> {
    match value {
        JsonValue::Int(number) => Ok(*number),
        JsonValue::Bool(value) => Ok((*value).into()),
        JsonValue::Float(number) if !number.is_finite() => Err(Refusal::new(
            "finite_number",
            "Input should be a finite number",
        )),
        JsonValue::Float(number) if number.fract() != 0.0 => Err(Refusal::new(
            "int_from_float",
            "Input should be a valid integer, got a number with a fractional part",
        )),
        // 2⁶³, exact as a float: from here on the cast below would saturate.
        JsonValue::Float(number) if number.abs() >= 9_223_372_036_854_775_808.0 => {
            Err(Refusal::new(
                "int_parsing_size",
                "Unable to parse input string as an integer, exceeded maximum size",
            ))
        }
        JsonValue::Float(number) => Ok(*number as i64),
        JsonValue::Str(text) => integer_in_text(text).ok_or_else(|| {
            let message = "Input should be a valid integer, unable to parse string as an integer";
            Refusal::new("int_parsing", message)
        }),
        _ => Err(Refusal::new("int_type", "Input should be a valid integer")),
    }
}

/// Python's notion of an integer in a text: blanks around it, a sign, single
/// underscores between digits; and, the validator's own, a fraction of zeros.
/// One too large for 64 bits becomes the nearest that fits, which is as far out
/// of every column's range.
fn integer_in_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let whole = match digits.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => digits,
    };
    whole
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()))
        .then(|| {
            let value = whole
                .bytes()
                .filter(u8::is_ascii_digit)
                .fold(0_i64, |value, digit| {
                    value
                        .saturating_mul(10)
                        .saturating_add((digit - b'0').into())
                });
            if negative { -value } else { value }
        })
}

fn date_time(value: &JsonValue<'_>) -> Result<DateTime, Refusal> {
    let parsed = match value {
        JsonValue::Str(text) => time::parse(text),
        JsonValue::Int(number) => time::from_integer(*number),
        JsonValue::Float(number) if number.is_nan() => {
            return Err(Refusal::new("datetime_parsing", "NaN values not permitted"));
        }
        JsonValue::Float(number) => time::from_float(*number),
        _ => {
            return Err(Refusal::new(
                "datetime_type",
                "Input should be a valid datetime",
            ));
        }
    };
    parsed.map_err(|e| Refusal {
        kind: e.kind,
        message: format!("{}, {}", e.lead, e.text),
        context: Some(e.text),
    })
}
