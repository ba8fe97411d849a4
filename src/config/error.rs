//! Why a setting was not taken.

use std::borrow::Cow;
use std::fmt;

/// The characters of a refused text that an error quotes.
const QUOTED: usize = 100;

/// Why a setting was not taken. Its text names the key, the value and what is accepted; of a secret it
/// shows `***`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// There is no such key.
    UnknownKey {
        /// The key as given, cut.
        key: String,
        /// The key whose name is most like it.
        nearest: &'static str,
    },
    /// The key takes no such value.
    InvalidValue {
        /// The key.
        key: &'static str,
        /// The value as given, cut; secrets masked.
        value: String,
        /// What is wrong with it.
        reason: Cow<'static, str>,
        /// What the key takes.
        accepted: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key, nearest } => {
                write!(f, "unknown key {key:?}: did you mean {nearest:?}?")
            }
            Self::InvalidValue {
                key,
                value,
                reason,
                accepted,
            } => write!(
                f,
                "{key}: invalid value {value:?}: {reason}; accepted: {accepted}"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

/// `text`, cut so that a line that quotes it stays readable.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
