//! `created_at`: what the server takes for a time and which instant it makes of it.

use jiff::{Timestamp, civil, tz::Offset, tz::TimeZone};
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

/// The instant; without a zone the time is local. There is none in the year 1,
/// where the database driver fails, and in the last day of 9999.
pub fn instant(time: &DateTime) -> Option<Timestamp> {
    if time.date.year <= 1 {
        return None;
    }
    let date = civil::Date::new(
        i16::try_from(time.date.year).ok()?,
        i8::try_from(time.date.month).ok()?,
        i8::try_from(time.date.day).ok()?,
    );
    let clock = civil::Time::new(
        i8::try_from(time.time.hour).ok()?,
        i8::try_from(time.time.minute).ok()?,
        i8::try_from(time.time.second).ok()?,
        i32::try_from(time.time.microsecond).ok()? * 1000,
    );
    let civil = civil::DateTime::from_parts(date.ok()?, clock.ok()?);
    match time.time.tz_offset {
        Some(seconds) => Offset::from_seconds(seconds).ok()?.to_timestamp(civil).ok(),
        None => Some(TimeZone::system().to_timestamp(civil).ok()?),
    }
}
