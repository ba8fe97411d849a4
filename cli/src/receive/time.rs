//! `created_at`: what the server takes for a time and which instant it makes of it.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::ser::{Error as _, Serialize, Serializer};
use speedate::{
    Date, DateTime, DateTimeConfig, MicrosecondsPrecisionOverflowBehavior, ParseError, Time,
    TimeConfig, TimestampUnit,
};
use strum::EnumMessage;

/// Why a value is no time, in the validator's words.
pub struct Error {
    pub kind: &'static str,
    pub lead: &'static str,
    pub text: String,
}

/// Digits below a microsecond are cut; numbers are seconds since 1970, or
/// milliseconds where they are too large for that.
const CONFIG: DateTimeConfig = DateTimeConfig {
    timestamp_unit: TimestampUnit::Infer,
    time_config: TimeConfig {
        microseconds_precision_overflow_behavior: MicrosecondsPrecisionOverflowBehavior::Truncate,
        unix_timestamp_offset: Some(0),
    },
};

const MIDNIGHT: Time = Time {
    hour: 0,
    minute: 0,
    second: 0,
    microsecond: 0,
    tz_offset: None,
};

/// ISO 8601 date and time or date alone, or a number.
pub fn parse(text: &str) -> Result<DateTime, Error> {
    let parsed = DateTime::parse_str_with_config(text, &CONFIG)
        .or_else(|_| {
            Date::parse_str(text).map(|date| DateTime {
                date,
                time: MIDNIGHT,
            })
        })
        .map_err(|e| Error {
            kind: "datetime_from_date_parsing",
            lead: "Input should be a valid datetime or date",
            text: words(&e),
        })?;
    with_year(parsed)
}

pub fn from_integer(number: i64) -> Result<DateTime, Error> {
    DateTime::from_timestamp_with_config(number, 0, &CONFIG)
        .map_err(|e| error(words(&e)))
        .and_then(with_year)
}

pub fn from_float(number: f64) -> Result<DateTime, Error> {
    DateTime::from_float_with_config(number, &CONFIG)
        .map_err(|e| error(words(&e)))
        .and_then(with_year)
}

fn with_year(time: DateTime) -> Result<DateTime, Error> {
    if time.date.year == 0 {
        Err(error("year 0 is out of range".into()))
    } else {
        Ok(time)
    }
}

fn error(text: String) -> Error {
    Error {
        kind: "datetime_parsing",
        lead: "Input should be a valid datetime",
        text,
    }
}

fn words(error: &ParseError) -> String {
    error.get_documentation().unwrap_or_default().to_owned()
}

/// A moment, in microseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(i64);

impl Moment {
    pub fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

/// RFC 3339 in UTC, always with six digits so that texts sort like times.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (second, micro) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let config = DateTimeConfig {
            timestamp_unit: TimestampUnit::Second,
            ..CONFIG
        };
        let time = DateTime::from_timestamp_with_config(second, 0, &config)
            .map_err(|e| S::Error::custom(words(&e)))?;
        let DateTime { date, time } = time;
        serializer.collect_str(&format_args!(
            "{date}T{:02}:{:02}:{:02}.{micro:06}Z",
            time.hour, time.minute, time.second
        ))
    }
}

/// The moment; without a zone the time is local. There is none in the year 1, where the database
/// driver fails, nor where the zone moves it out of the years 1 to 9999.
pub fn moment(time: &DateTime) -> Option<Moment> {
    if time.date.year <= 1 {
        return None;
    }
    let offset = match time.time.tz_offset {
        Some(seconds) => i64::from(seconds),
        None => local_offset(time)?,
    };
    let seconds = time.timestamp() - offset;
    (-62_135_596_800..=253_402_300_799)
        .contains(&seconds)
        .then(|| Moment(seconds * 1_000_000 + i64::from(time.time.microsecond)))
}

/// Seconds that this machine's clock was ahead of UTC at a time on its own clock.
fn local_offset(time: &DateTime) -> Option<i64> {
    let civil = civil::DateTime::new(
        i16::try_from(time.date.year).ok()?,
        i8::try_from(time.date.month).ok()?,
        i8::try_from(time.date.day).ok()?,
        i8::try_from(time.time.hour).ok()?,
        i8::try_from(time.time.minute).ok()?,
        i8::try_from(time.time.second).ok()?,
        0,
    );
    let zoned = TimeZone::system().to_zoned(civil.ok()?).ok()?;
    Some(i64::from(zoned.offset().seconds()))
}
