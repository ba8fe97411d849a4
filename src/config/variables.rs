//! The process's environment variables.

use std::ffi::{OsStr, OsString};

pub(super) const PREFIX: &str = "MALTI_";

/// Environment variables as they were at one moment.
pub(super) struct Environment(Vec<(String, OsString)>);

impl Environment {
    pub(super) fn new(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // A name that is not UTF-8 is none of ours.
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(vars.into_iter().filter_map(named).collect())
    }

    pub(super) fn get(&self, wanted: &str) -> Option<&OsStr> {
        let found = self.0.iter().find(|(name, _)| match cfg!(windows) {
            true => name.eq_ignore_ascii_case(wanted),
            false => name == wanted,
        });
        found.map(|(_, value)| value.as_os_str())
    }

    /// The first of these variables that is set; an empty one counts as unset, as it does for curl.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<(&'static str, &OsStr)> {
        names.iter().find_map(|name| {
            let value = self.get(name)?;
            (!value.is_empty()).then_some((*name, value))
        })
    }

    /// The variables whose names start with `MALTI_`, as keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|(name, _)| {
            let (prefix, key) = name.split_at_checked(PREFIX.len())?;
            let ours = match cfg!(windows) {
                true => prefix.eq_ignore_ascii_case(PREFIX),
                false => prefix == PREFIX,
            };
            ours.then(|| key.to_ascii_lowercase())
        })
    }
}
