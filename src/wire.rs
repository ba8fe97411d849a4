//! Packed records → JSON.

use crate::consumer::ANONYMOUS;
use crate::record::{CREATED_AT_MAX_US, RawRecord, put};
use crate::text::{Field, clean, is_plain};

/// Room for the fields of a record that is written the quick way, and for what stands between them.
const TEXT_MAX: usize = 256;
const AROUND: usize = 128;

/// Writes the records of one service and node as JSON objects.
///
/// The bytes are those that `serde_json` would write for the same fields in the same order.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Where a record is put together: first, always the same, what stands before the method,
    /// `{"service":"…","node":"…","method":"`, and then room.
    line: Box<[u8]>,
    head: usize,
    tail: Tail,
}

impl Writer {
    /// A writer whose records carry `service` and `node`, cleaned like every other text.
    pub fn new(service: &str, node: &str) -> Self {
        let mut line = Vec::new();
        line.extend_from_slice(br#"{"service":""#);
        push_text(&mut line, Field::Label, service.as_bytes());
        line.extend_from_slice(br#"","node":""#);
        push_text(&mut line, Field::Label, node.as_bytes());
        line.extend_from_slice(br#"","method":""#);
        let head = line.len();
        line.resize(head + TEXT_MAX + AROUND, 0);
        Writer {
            line: line.into_boxed_slice(),
            head,
            tail: Tail::new(),
        }
    }

    /// Appends `record` to `out` as one JSON object; an empty context is left out.
    pub fn record(&mut self, out: &mut Vec<u8>, record: &RawRecord<'_>) {
        // What cleaning makes of it, sooner: many hosts name nobody.
        let consumer = match record.consumer {
            b"" => ANONYMOUS.as_bytes(),
            named => named,
        };
        let record = &RawRecord {
            consumer,
            ..*record
        };
        if record.method.len() + record.endpoint.len() + consumer.len() <= TEXT_MAX
            && record.context.is_empty()
            && is_plain(Field::Method, record.method)
            && is_plain(Field::Endpoint, record.endpoint)
            && is_plain(Field::Consumer, consumer)
        {
            out.extend_from_slice(self.plain(record));
        } else {
            self.push(out, record);
        }
    }

    /// A short record whose text is written as it is: put together in one place, then copied once.
    #[inline]
    fn plain(&mut self, record: &RawRecord<'_>) -> &[u8] {
        let rest = &mut self.line[self.head..];
        let room = rest.len();
        let rest = put(rest, record.method);
        let rest = put_all(rest, br#"","endpoint":""#);
        let rest = put(rest, record.endpoint);
        let rest = put_all(rest, br#"","status":"#);
        let rest = put(rest, itoa::Buffer::new().format(record.status).as_bytes());
        let rest = put_all(rest, br#","response_time":"#);
        let rest = put(
            rest,
            itoa::Buffer::new()
                .format(record.response_time_ms)
                .as_bytes(),
        );
        let rest = put_all(rest, br#","consumer":""#);
        let rest = put(rest, record.consumer);
        let rest = put_all(rest, self.tail.at(record.created_at_us));
        let end = self.head + (room - rest.len());
        &self.line[..end]
    }

    /// Any record.
    #[cold]
    fn push(&mut self, out: &mut Vec<u8>, record: &RawRecord<'_>) {
        out.extend_from_slice(&self.line[..self.head]);
        push_text(out, Field::Method, record.method);
        out.extend_from_slice(br#"","endpoint":""#);
        push_text(out, Field::Endpoint, record.endpoint);
        out.extend_from_slice(br#"","status":"#);
        out.extend_from_slice(itoa::Buffer::new().format(record.status).as_bytes());
        out.extend_from_slice(br#","response_time":"#);
        out.extend_from_slice(
            itoa::Buffer::new()
                .format(record.response_time_ms)
                .as_bytes(),
        );
        out.extend_from_slice(br#","consumer":""#);
        push_text(out, Field::Consumer, record.consumer);
        let context = clean(Field::Context, record.context);
        if !context.is_empty() {
            out.extend_from_slice(br#"","context":""#);
            push_escaped(out, &context);
        }
        out.extend_from_slice(self.tail.at(record.created_at_us));
    }
}

/// Writes `text` to the start of `out` and returns what is left of it.
#[inline(always)]
fn put_all<'o, const N: usize>(out: &'o mut [u8], text: &[u8; N]) -> &'o mut [u8] {
    let (to, rest) = out.split_at_mut(N);
    to.copy_from_slice(text);
    rest
}

/// The end of a record, from behind the consumer: `","created_at":"2026-01-02T03:04:05.000006+00:00"}`.
///
/// Records come in the order of time, many to a second, and some to a tick of the clock: what is the same is kept.
#[derive(Clone, Debug)]
struct Tail {
    text: [u8; Self::LENGTH],
    us: u64,
    second: u64,
}

impl Tail {
    const LENGTH: usize = 50;
    /// Where the time stands in the text.
    const TIME: usize = br#"","created_at":""#.len();

    fn new() -> Self {
        Tail {
            text: *br#"","created_at":"1970-01-01T00:00:00.000000+00:00"}"#,
            us: 0,
            second: 0,
        }
    }

    /// The end of a record of that time; one outside 1970–9999 becomes the nearest that is inside.
    #[inline]
    fn at(&mut self, unix_us: i64) -> &[u8; Self::LENGTH] {
        let us = unix_us.clamp(0, CREATED_AT_MAX_US).unsigned_abs();
        if us != self.us {
            self.set(us);
        }
        &self.text
    }

    fn set(&mut self, us: u64) {
        self.us = us;
        let (second, us) = (us / 1_000_000, (us % 1_000_000) as u32);
        if second != self.second {
            self.set_second(second);
        }
        self.pair(20, us / 10_000);
        self.pair(22, us / 100);
        self.pair(24, us);
    }

    fn set_second(&mut self, unix: u64) {
        self.second = unix;
        let (days, second) = ((unix / 86_400) as u32, (unix % 86_400) as u32);
        let (year, month, day) = civil(days);
        self.pair(0, year / 100);
        self.pair(2, year);
        self.pair(5, month);
        self.pair(8, day);
        self.pair(11, second / 3_600);
        self.pair(14, second / 60 % 60);
        self.pair(17, second % 60);
    }

    /// The last two digits of a number at `at` bytes into the time.
    #[inline]
    fn pair(&mut self, at: usize, number: u32) {
        let number = (number % 100) as u8;
        self.text[Self::TIME + at] = b'0' + number / 10;
        self.text[Self::TIME + at + 1] = b'0' + number % 10;
    }
}

/// Year, month and day of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`: years begin in March, so
/// that the leap day is their last, and 400 of them always have 146,097 days.
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

/// Appends the cleaned text as the inside of a JSON string.
fn push_text(out: &mut Vec<u8>, field: Field, raw: &[u8]) {
    if is_plain(field, raw) {
        out.extend_from_slice(raw);
    } else {
        push_escaped(out, &clean(field, raw));
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
    pub fn push(&mut self, writer: &mut Writer, record: &RawRecord<'_>, max: usize) -> bool {
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

    /// Gives memory back that is beyond `kept` bytes; what the body held is gone.
    pub(crate) fn trim(&mut self, kept: usize) {
        if self.bytes.capacity() > kept {
            self.bytes = Vec::new();
            self.clear();
        }
    }

    /// Back to a body without records; the memory is kept.
    pub fn clear(&mut self) {
        self.records = 0;
        self.bytes.clear();
        self.bytes.extend_from_slice(self.framing.opening());
        self.bytes.extend_from_slice(self.framing.closing());
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Object<'a> {
        service: &'a str,
        node: &'a str,
        method: &'a str,
        endpoint: &'a str,
        status: u16,
        response_time: u32,
        consumer: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        context: &'a str,
        created_at: &'a str,
    }

    const RECORD: RawRecord<'_> = RawRecord {
        method: b"GET",
        endpoint: b"/users/{id}",
        status: 200,
        response_time_ms: 12,
        consumer: b"alice",
        context: b"",
        created_at_us: 1_767_323_045_000_006,
    };

    fn written(record: &RawRecord<'_>) -> String {
        let mut out = Vec::new();
        Writer::new("shop", "web-1").record(&mut out, record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record() {
        assert_eq!(
            written(&RECORD),
            r#"{"service":"shop","node":"web-1","method":"GET","endpoint":"/users/{id}","status":200,"response_time":12,"consumer":"alice","created_at":"2026-01-02T03:04:05.000006+00:00"}"#
        );
    }

    /// What any bytes become is what `serde_json` writes for the cleaned text.
    #[test]
    fn the_bytes_are_those_of_serde_json() {
        const PIECES: [&[u8]; 12] = [
            b"\"",
            b"\\",
            b"<",
            b"\0",
            b"\n",
            b"\x7f",
            b"\xff",
            b"=",
            b" ",
            b"abc",
            "é".as_bytes(),
            "😀".as_bytes(),
        ];
        let mut rng = fastrand::Rng::with_seed(5);
        let mut text = || -> Vec<u8> {
            (0..rng.usize(..60))
                .flat_map(|_| PIECES[rng.usize(..PIECES.len())])
                .copied()
                .collect()
        };
        for round in 0..3_000_u32 {
            let [service, method, endpoint, consumer, context] = std::array::from_fn(|_| text());
            let service = String::from_utf8_lossy(&service);
            let record = RawRecord {
                method: &method,
                endpoint: &endpoint,
                status: 100 + (round % 900) as u16,
                response_time_ms: u32::MAX >> (round % 32),
                consumer: &consumer,
                context: &context,
                ..RECORD
            };
            let object = Object {
                service: &clean(Field::Label, service.as_bytes()),
                node: &clean(Field::Label, service.as_bytes()),
                method: &clean(Field::Method, &method),
                endpoint: &clean(Field::Endpoint, &endpoint),
                status: record.status,
                response_time: record.response_time_ms,
                consumer: &clean(Field::Consumer, &consumer),
                context: &clean(Field::Context, &context),
                created_at: "2026-01-02T03:04:05.000006+00:00",
            };
            let mut out = Vec::new();
            Writer::new(&service, &service).record(&mut out, &record);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                serde_json::to_string(&object).unwrap(),
                "round {round}"
            );
        }
    }

    /// The longest text that is written the quick way, and what is just too long for it.
    #[test]
    fn long_records_and_large_numbers_are_the_same_the_quick_way() {
        let text = [b'A'; TEXT_MAX + 1];
        for (length, number) in (TEXT_MAX - 60..=TEXT_MAX + 1).zip((0..=u32::MAX).step_by(1 << 26))
        {
            for consumer in 0..20 {
                let record = RawRecord {
                    method: &text[..3],
                    endpoint: &text[..length - consumer - 3],
                    consumer: &text[..consumer],
                    status: (number >> 17) as u16,
                    response_time_ms: number >> (number % 32),
                    ..RECORD
                };
                let mut slow = Vec::new();
                Writer::new("shop", "web-1").push(&mut slow, &record);
                assert_eq!(written(&record).as_bytes(), slow);
            }
        }
    }

    /// Counts the days by the rule of the calendar and compares.
    #[test]
    fn every_day_until_9999() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..=(CREATED_AT_MAX_US / 86_400_000_000) as u32 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (10_000, 1, 1));
    }

    #[test]
    fn one_writer_takes_times_in_any_order() {
        let mut writer = Writer::new("shop", "web-1");
        for (us, text) in [
            (0, "1970-01-01T00:00:00.000000+00:00"),
            (999_999, "1970-01-01T00:00:00.999999+00:00"),
            (1_000_000, "1970-01-01T00:00:01.000000+00:00"),
            (951_868_799_123_456, "2000-02-29T23:59:59.123456+00:00"),
            (86_399_000_001, "1970-01-01T23:59:59.000001+00:00"),
            (CREATED_AT_MAX_US, "9999-12-31T23:59:59.999999+00:00"),
            (i64::MAX, "9999-12-31T23:59:59.999999+00:00"),
            (-1, "1970-01-01T00:00:00.000000+00:00"),
        ] {
            let mut out = Vec::new();
            writer.record(
                &mut out,
                &RawRecord {
                    created_at_us: us,
                    ..RECORD
                },
            );
            let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(object["created_at"], text);
        }
    }

    #[test]
    fn a_body_is_whole_after_each_record_and_never_longer_than_its_limit() {
        let one = written(&RECORD);
        for (framing, empty, two) in [
            (
                Framing::Envelope,
                r#"{"requests":[]}"#,
                format!(r#"{{"requests":[{one},{one}]}}"#),
            ),
            (Framing::Lines, "", format!("{one}\n{one}\n")),
        ] {
            let mut writer = Writer::new("shop", "web-1");
            let mut body = Body::new(framing);
            assert_eq!(body.bytes(), empty.as_bytes());
            for _ in 0..2 {
                assert!(body.push(&mut writer, &RECORD, two.len()));
                assert!(body.push(&mut writer, &RECORD, two.len()));
                assert!(!body.push(&mut writer, &RECORD, two.len()));
                assert_eq!(String::from_utf8_lossy(body.bytes()), two);
                assert_eq!(body.records(), 2);
                body.clear();
                assert_eq!((body.bytes(), body.records()), (empty.as_bytes(), 0));
            }
            assert!(body.push(&mut writer, &RECORD, two.len() - 1));
            assert!(!body.push(&mut writer, &RECORD, two.len() - 1));
            assert_eq!(body.records(), 1);
        }
    }

    #[test]
    fn a_record_longer_than_the_limit_travels_alone() {
        let mut writer = Writer::new("shop", "web-1");
        let mut body = Body::new(Framing::Envelope);
        assert!(body.push(&mut writer, &RECORD, 1));
        assert!(!body.push(&mut writer, &RECORD, 1));
        assert_eq!(body.records(), 1);
    }
}
