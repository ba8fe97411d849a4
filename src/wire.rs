//! Packed records → JSON.

use crate::record::{CREATED_AT_MAX_US, RawRecord};
use crate::text::{Field, clean, is_plain};

/// Writes the records of one service and node as JSON objects.
///
/// The bytes are those that `serde_json` would write for the same fields in the same order.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Everything up to the method: `{"service":"…","node":"…","method":"`.
    head: Vec<u8>,
}

impl Writer {
    /// A writer whose records carry `service` and `node`, cleaned like every other text.
    pub fn new(service: &str, node: &str) -> Self {
        let mut head = Vec::new();
        head.extend_from_slice(br#"{"service":""#);
        push_text(&mut head, Field::Label, service.as_bytes());
        head.extend_from_slice(br#"","node":""#);
        push_text(&mut head, Field::Label, node.as_bytes());
        head.extend_from_slice(br#"","method":""#);
        Writer { head }
    }

    /// Appends `record` to `out` as one JSON object; an empty context is left out.
    pub fn record(&self, out: &mut Vec<u8>, record: &RawRecord<'_>) {
        out.extend_from_slice(&self.head);
        push_text(out, Field::Method, record.method);
        out.extend_from_slice(br#"","endpoint":""#);
        push_text(out, Field::Endpoint, record.endpoint);
        out.extend_from_slice(br#"","status":"#);
        push_number(out, u32::from(record.status));
        out.extend_from_slice(br#","response_time":"#);
        push_number(out, record.response_time_ms);
        out.extend_from_slice(br#","consumer":""#);
        push_text(out, Field::Consumer, record.consumer);
        if !record.context.is_empty() {
            push_context(out, record.context);
        }
        out.extend_from_slice(br#"","created_at":""#);
        out.extend_from_slice(&timestamp(record.created_at_us));
        out.extend_from_slice(br#""}"#);
    }
}

/// `2026-01-02T03:04:05.000006+00:00`; a time outside 1970–9999 becomes the nearest that is inside.
#[inline]
fn timestamp(unix_us: i64) -> [u8; 32] {
    let us = unix_us.clamp(0, CREATED_AT_MAX_US).unsigned_abs();
    let (seconds, us) = (us / 1_000_000, (us % 1_000_000) as u32);
    let (days, second) = ((seconds / 86_400) as u32, (seconds % 86_400) as u32);
    let (year, month, day) = civil(days);

    let mut text = *b"0000-00-00T00:00:00.000000+00:00";
    let fields = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, second / 3_600),
        (14, second / 60 % 60),
        (17, second % 60),
        (20, us / 10_000),
        (22, us / 100 % 100),
        (24, us % 100),
    ];
    for (at, number) in fields {
        text[at] += (number / 10) as u8;
        text[at + 1] += (number % 10) as u8;
    }
    text
}

/// Year, month and day of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`: years begin in March, so
/// that the leap day is their last, and 400 of them always have 146,097 days.
#[inline]
fn civil(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u32::from(month <= 2), month, day)
}

#[inline]
fn push_number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends the cleaned text as the inside of a JSON string.
#[inline]
fn push_text(out: &mut Vec<u8>, field: Field, raw: &[u8]) {
    if is_plain(field, raw) {
        out.extend_from_slice(raw);
    } else {
        push_escaped(out, &clean(field, raw));
    }
}

#[cold]
fn push_context(out: &mut Vec<u8>, raw: &[u8]) {
    let context = clean(Field::Context, raw);
    if !context.is_empty() {
        out.extend_from_slice(br#"","context":""#);
        push_escaped(out, &context);
    }
}

/// Cleaned text has no control characters: only two characters are left to escape.
#[cold]
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut from = 0;
    for (at, _) in text.match_indices(['"', '\\']) {
        out.extend_from_slice(&text.as_bytes()[from..at]);
        out.push(b'\\');
        from = at;
    }
    out.extend_from_slice(&text.as_bytes()[from..]);
}

/// How records stand behind one another in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `{"requests":[…,…]}`: what the server takes.
    Envelope,
    /// One object a line, each ended by LF.
    Lines,
}

impl Framing {
    fn opening(self) -> &'static [u8] {
        match self {
            Framing::Envelope => br#"{"requests":["#,
            Framing::Lines => b"",
        }
    }

    fn closing(self) -> &'static [u8] {
        match self {
            Framing::Envelope => b"]}",
            Framing::Lines => b"",
        }
    }
}

/// The body of one request, built record by record and whole at any moment. Its memory serves the next one too.
#[derive(Debug)]
pub struct Body {
    framing: Framing,
    bytes: Vec<u8>,
    records: usize,
}

impl Body {
    /// A body without records: `{"requests":[]}`, or no line.
    pub fn new(framing: Framing) -> Self {
        let mut body = Body {
            framing,
            bytes: Vec::new(),
            records: 0,
        };
        body.clear();
        body
    }

    /// Appends `record`, unless that makes the body longer than `max` bytes; returns whether it is in.
    ///
    /// The first record is always taken: a limit smaller than one record must not hold it back for ever.
    pub fn push(&mut self, writer: &Writer, record: &RawRecord<'_>, max: usize) -> bool {
        let end = self.bytes.len() - self.framing.closing().len();
        self.bytes.truncate(end);
        if self.framing == Framing::Envelope && self.records > 0 {
            self.bytes.push(b',');
        }
        writer.record(&mut self.bytes, record);
        if self.framing == Framing::Lines {
            self.bytes.push(b'\n');
        }
        let fits = self.records == 0 || self.bytes.len() + self.framing.closing().len() <= max;
        if fits {
            self.records += 1;
        } else {
            self.bytes.truncate(end);
        }
        self.bytes.extend_from_slice(self.framing.closing());
        fits
    }

    /// The whole body.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many records it holds.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Back to a body without records; the memory is kept.
    pub fn clear(&mut self) {
        self.records = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(self.framing.opening());
        self.bytes.extend_from_slice(self.framing.closing());
    }
}
