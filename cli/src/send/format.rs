//! Which format a line is in.

use super::caddy;
use super::entry::Entry;
use super::log_format::LogFormat;
use super::ndjson;

/// The format of all lines; [`Format::Auto`] becomes another one with the first that is understood.
#[derive(Clone)]
pub enum Format {
    Auto,
    Ndjson,
    Caddy,
    Log(LogFormat),
}

impl Format {
    /// # Errors
    /// It is no format's name and has no variable in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "ndjson" => Self::Ndjson,
            "caddy" => Self::Caddy,
            "common" => Self::Log(LogFormat::common()),
            "combined" => Self::Log(LogFormat::combined()),
            own if own.contains('$') => Self::Log(LogFormat::parse(own)?),
            _ => {
                return Err(format!(
                    "{text:?} is not auto, ndjson, common, combined, caddy or a line of $variables"
                ));
            }
        })
    }

    /// What the line says, which is not empty.
    ///
    /// # Errors
    /// Why it is not understood.
    pub fn entry<'a>(&mut self, line: &'a [u8]) -> Result<Entry<'a>, String> {
        match self {
            Self::Auto => {
                let mut format = Self::of(line);
                let entry = format.entry(line)?;
                *self = format;
                Ok(entry)
            }
            Self::Ndjson => ndjson::entry(line),
            Self::Caddy => caddy::entry(line),
            Self::Log(format) => format.entry(line),
        }
    }

    /// What a line looks like; never [`Format::Auto`].
    fn of(line: &[u8]) -> Self {
        if !line.starts_with(b"{") {
            let combined = LogFormat::combined();
            return Self::Log(match combined.entry(line) {
                Ok(_) => combined,
                Err(_) => LogFormat::common(),
            });
        }
        match serde_json::from_slice::<serde_json::Value>(line) {
            Ok(object) if object["request"].is_object() => Self::Caddy,
            _ => Self::Ndjson,
        }
    }
}
