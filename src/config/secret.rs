//! Text that must not be seen in a log, an error or a debug print.

use std::fmt;

/// What stands for a secret wherever one would be shown.
pub(super) const MASK: &str = "***";

/// The API key. Printing it, also for debugging, shows `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key itself, for the request's header and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// `text` with the password of a URL in it masked: `http://user:***@host`.
///
/// Without a colon the whole user part goes, for it may be a token. What is no proper URL is masked
/// up to its last `@`: too much is better than too little.
pub(super) fn mask_userinfo(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    let Some((userinfo, host)) = rest.rsplit_once('@') else {
        return text.to_owned();
    };
    match userinfo.split_once(':') {
        Some((user, _)) => format!("{scheme}{user}:{MASK}@{host}"),
        None => format!("{scheme}{MASK}@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn the_password_of_a_url_is_masked() {
        for (text, masked) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://ann:pw@proxy:3128", "http://ann:***@proxy:3128"),
            ("http://ann:p@ss/w:rd@proxy", "http://ann:***@proxy"),
            ("ann:pw@proxy:3128", "ann:***@proxy:3128"),
            ("https://token@proxy/", "https://***@proxy/"),
            ("", ""),
        ] {
            assert_eq!(mask_userinfo(text), masked);
        }
    }
}
