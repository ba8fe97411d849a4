//! Which route a path belongs to: by a list, or by a guess.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;

use malti::route::{Dialect, normalize};

use super::entry::{Entry, local};

/// Of a line that is quoted.
const QUOTED: usize = 80;

/// Route patterns as a tree of segments. A name goes before a name with a parameter in it, that before a
/// parameter, a parameter before the rest.
#[derive(Default)]
pub struct Routes {
    root: Node,
}

#[derive(Default)]
struct Node {
    named: HashMap<String, Node>,
    /// What stands before and after a parameter in the same segment.
    mixed: Vec<(String, String, Node)>,
    parameter: Option<Box<Node>>,
    /// The routes that end here, and their methods; none: all.
    ends: Vec<(Option<String>, String)>,
    /// Those that take all that follows.
    rests: Vec<(Option<String>, String)>,
}

impl Routes {
    /// # Errors
    /// The file can't be read, has no route in it, or something that is none.
    pub fn read(path: &Path) -> io::Result<Self> {
        let about = |what: &str| io::Error::other(format!("{}{what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| about(&format!(": {error}")))?;
        let text = text.trim_start_matches('\u{feff}');
        let listed = match text.trim_start().starts_with('{') {
            true => described(text),
            false => lines(text),
        };
        let listed = listed.map_err(|fault| about(&fault))?;
        if listed.is_empty() {
            return Err(about(": no route in it"));
        }
        let mut routes = Self::default();
        for (method, pattern) in listed {
            routes.add(method, normalize(Dialect::Plain, &colons(&pattern)));
        }
        Ok(routes)
    }

    fn add(&mut self, method: Option<String>, pattern: String) {
        let mut node = &mut self.root;
        let segments: Vec<_> = pattern.split('/').skip(1).collect();
        let last = segments.len().saturating_sub(1);
        for (index, segment) in segments.iter().enumerate() {
            let parameter = *segment == "*" || (segment.starts_with('{') && segment.ends_with('}'));
            let rest = parameter && (segment.contains('*') || *segment == "{path}");
            if index == last && rest {
                node.rests.push((method, pattern));
                return;
            }
            node = if parameter {
                node.parameter.get_or_insert_default()
            } else if let Some((before, after)) = around(segment) {
                node.mixed(before, after)
            } else {
                node.named.entry((*segment).to_owned()).or_default()
            };
        }
        node.ends.push((method, pattern));
    }

    /// Puts the route in the place of the path. Given back where it is a guess.
    pub fn name(&self, entry: &mut Entry<'_>, guesses: bool) -> Option<String> {
        if entry.is_route {
            return None;
        }
        let segments: Vec<_> = entry.path.split('/').skip(1).collect();
        if let Some(pattern) = find(&self.root, &segments, &entry.method) {
            entry.path = pattern.to_owned().into();
            return None;
        }
        let guess = guess(&entry.path).filter(|_| guesses)?;
        entry.path = guess.clone().into();
        Some(guess)
    }
}

impl Node {
    fn mixed(&mut self, before: &str, after: &str) -> &mut Self {
        let same = |(one, other, _): &(String, String, Self)| (&**one, &**other) == (before, after);
        let at = self.mixed.iter().position(same).unwrap_or_else(|| {
            let new = (before.to_owned(), after.to_owned(), Self::default());
            self.mixed.push(new);
            self.mixed.len() - 1
        });
        &mut self.mixed[at].2
    }
}

/// What stands around the parameters in `report-{id}.csv`.
fn around(segment: &str) -> Option<(&str, &str)> {
    let (before, _) = segment.split_once('{')?;
    let (_, after) = segment.rsplit_once('}')?;
    Some((before, after))
}

type Listed = Vec<(Option<String>, String)>;

/// One route a line.
///
/// # Errors
/// `:LINE: …` of the first line that is none.
fn lines(text: &str) -> Result<Listed, String> {
    let mut routes = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (method, pattern) = match line.split_once(char::is_whitespace) {
            Some((method, pattern)) => (Some(method), pattern.trim_start()),
            None => (None, line),
        };
        if !is_pattern(pattern) || !method.is_none_or(is_method) {
            let number = index + 1;
            let quoted: String = line.chars().take(QUOTED).collect();
            return Err(format!(
                ":{number}: {quoted:?} is no route; a line is /users/{{id}} or GET /users/{{id}}, and an OpenAPI description must be JSON"
            ));
        }
        routes.push((method.map(str::to_ascii_uppercase), pattern.to_owned()));
    }
    Ok(routes)
}

fn is_method(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic();
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c == '-')
}

fn is_pattern(text: &str) -> bool {
    let count = |bracket| text.matches(bracket).count();
    text.starts_with('/')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && count('{') == count('}')
        // A key of YAML's.
        && !text.ends_with(':')
}

/// The paths of an OpenAPI description, also behind the prefixes that its `servers` have.
///
/// # Errors
/// `: …`, what is wrong with it.
fn described(text: &str) -> Result<Listed, String> {
    let description: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!(": {error}"))?;
    let paths = description["paths"]
        .as_object()
        .ok_or(": it has no \"paths\"")?;
    let servers = description["servers"].as_array().into_iter().flatten();
    let urls = servers.filter_map(|server| server["url"].as_str());
    let prefixes = urls.map(|url| local(url).trim_end_matches('/'));
    let prefixes: BTreeSet<_> = prefixes.chain([""]).collect();
    let mut routes = Vec::new();
    for path in paths.keys().filter(|path| !path.starts_with("x-")) {
        if !is_pattern(path) {
            return Err(format!(": {path:?} among its \"paths\" is no route"));
        }
        routes.extend(
            prefixes
                .iter()
                .map(|prefix| (None, format!("{prefix}{path}"))),
        );
    }
    Ok(routes)
}

/// `/users/:id` as `/users/{id}`.
fn colons(pattern: &str) -> String {
    let braced = |segment: &str| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    };
    pattern.split('/').map(braced).collect::<Vec<_>>().join("/")
}

fn find<'a>(node: &'a Node, segments: &[&str], method: &str) -> Option<&'a str> {
    let of = |routes: &'a [(Option<String>, String)]| {
        let fits = |route: &&(Option<String>, String)| {
            route
                .0
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        };
        routes
            .iter()
            .find(fits)
            .map(|(_, pattern)| pattern.as_str())
    };
    match segments {
        [] => of(&node.ends),
        [segment, rest @ ..] => node
            .named
            .get(*segment)
            .and_then(|next| find(next, rest, method))
            .or_else(|| {
                node.mixed.iter().find_map(|(before, after, next)| {
                    let inner = segment.strip_prefix(&**before)?.strip_suffix(&**after)?;
                    if inner.is_empty() {
                        return None;
                    }
                    find(next, rest, method)
                })
            })
            .or_else(|| {
                let next = node.parameter.as_deref().filter(|_| !segment.is_empty())?;
                find(next, rest, method)
            }),
    }
    .or_else(|| of(&node.rests))
}

/// The path with each segment that looks like an id as a parameter; none: no segment does.
fn guess(path: &str) -> Option<String> {
    let mut guessed = false;
    let segments = path.split('/').map(|segment| {
        let id = is_id(segment);
        guessed |= id;
        if id { "{id}" } else { segment }
    });
    let pattern = segments.collect::<Vec<_>>().join("/");
    guessed.then_some(pattern)
}

/// A number, a UUID, or hexadecimal and longer than words are; with digits, also a long mixture.
fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let length = segment.len();
    let hex = segment
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let plain = segment
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    digits > 0
        && (digits == length || (hex && length >= 12) || (plain && length >= 20 && digits >= 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses() {
        for (path, pattern) in [
            ("/users/7", Some("/users/{id}")),
            ("/users/7/orders/12", Some("/users/{id}/orders/{id}")),
            ("/f/3f2504e0-4f89-11d3-9a0c-0305e82c3301", Some("/f/{id}")),
            (
                "/c/9fceb02d0ae598e95dc970b74767f19372d61af8",
                Some("/c/{id}"),
            ),
            ("/u/01ARZ3NDEKTSV4RRFFQ69G5FAV", Some("/u/{id}")),
            ("/v1/users", None),
            ("/decade/added/facade", None),
            ("/static/app-2.js", None),
            ("/", None),
        ] {
            assert_eq!(guess(path).as_deref(), pattern, "{path}");
        }
    }

    #[test]
    fn the_nearest_route() {
        let mut routes = Routes::default();
        for (method, pattern) in [
            (None, "/users/{id}"),
            (Some("POST"), "/users/{id}"),
            (None, "/users/me"),
            (None, "/files/{path}"),
            (Some("DELETE"), "/users/{id}/all"),
            (None, "/reports/{year}-{month}.csv"),
            (None, "/reports/all.csv"),
            (None, "/shops/*/stock"),
            (None, "/{tenant}/users"),
        ] {
            routes.add(method.map(str::to_owned), pattern.to_owned());
        }
        let named = |method: &'static str, path: &'static str| {
            let mut entry = Entry {
                method: method.into(),
                path: path.into(),
                ..Entry::default()
            };
            routes.name(&mut entry, false);
            entry.path.into_owned()
        };
        assert_eq!(named("GET", "/users/7"), "/users/{id}");
        assert_eq!(named("GET", "/users/me"), "/users/me");
        assert_eq!(named("GET", "/files/a/b/c"), "/files/{path}");
        assert_eq!(named("DELETE", "/users/7/all"), "/users/{id}/all");
        assert_eq!(named("GET", "/users/7/all"), "/users/7/all");
        assert_eq!(named("GET", "/acme/users"), "/{tenant}/users");
        assert_eq!(named("GET", "/users/"), "/users/");
        let monthly = "/reports/{year}-{month}.csv";
        assert_eq!(named("GET", "/reports/2025-07.csv"), monthly);
        assert_eq!(named("GET", "/reports/all.csv"), "/reports/all.csv");
        assert_eq!(named("GET", "/reports/.csv"), "/reports/.csv");
        assert_eq!(named("GET", "/shops/7/stock"), "/shops/*/stock");
    }
}
