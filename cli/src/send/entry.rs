//! One request as some log has it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use malti::consumer::{Request, Rules};

/// What is not known is empty.
#[derive(Clone, Debug, Default)]
pub struct Entry<'a> {
    pub method: Cow<'a, str>,
    /// Without the query string.
    pub path: Cow<'a, str>,
    /// The path is a route's pattern already.
    pub is_route: bool,
    pub query: Cow<'a, str>,
    pub status: u16,
    pub response_time: Duration,
    /// When the response ended; none: now.
    pub created_at: Option<SystemTime>,
    /// What the log itself says of the caller.
    pub consumer: Option<Cow<'a, str>>,
    pub context: Option<Cow<'a, str>>,
    /// As [`Request::headers`].
    pub headers: Vec<u8>,
    pub peer: Cow<'a, str>,
    pub service: Option<Cow<'a, str>>,
    pub node: Option<Cow<'a, str>>,
}

/// Without the scheme and the host, which stand before it in the absolute form.
pub fn local(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => target,
    }
}

impl<'a> Entry<'a> {
    /// Splits what stands between method and version in a request line.
    pub fn set_target(&mut self, target: &str) {
        let local = local(target);
        let (path, query) = local.split_once('?').unwrap_or((local, ""));
        self.path = path.to_owned().into();
        self.query = query.to_owned().into();
    }

    pub fn add_header(&mut self, name: &str, value: &str) {
        for part in [name, value] {
            self.headers.extend(part.bytes().filter(|byte| *byte != 0));
            self.headers.push(0);
        }
    }

    /// Finds the caller by the library's rules: the log's own word stands for the application's.
    pub fn with_consumer(mut self, rules: &Rules) -> Self {
        let request = Request {
            state: self.consumer.as_deref().map(str::as_bytes),
            headers: &self.headers,
            query: self.query.as_bytes(),
            peer: self.peer.as_bytes(),
        };
        let consumer = rules.consumer(&request).into_owned();
        if self.context.is_none() {
            self.context = rules
                .context(&self.headers)
                .map(|text| text.into_owned().into());
        }
        self.consumer = Some(consumer.into());
        self
    }
}
