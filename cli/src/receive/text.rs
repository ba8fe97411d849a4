//! What the server does to each text of a record before it stores it.

/// The most characters the server keeps of a text.
const MAX_CHARS: usize = 500;

/// The only characters that the HTML cleaner touches; a text without them
/// comes out of it as it went in (a test holds this for all of Unicode), and
/// parsing HTML is by far the dearest step.
const HTML: [char; 7] = ['<', '>', '&', '\0', '\r', '\u{a0}', '\u{feff}'];

/// Cleans `text` in the server's order: HTML, NUL, line breaks, length, blanks
/// at the ends.
pub fn clean(text: String) -> String {
    let text = if text.contains(HTML) {
        ammonia::clean(&text)
    } else {
        text
    };
    let text = if text.contains(['\0', '\r', '\n']) {
        text.replace('\0', "").replace(['\r', '\n'], " ")
    } else {
        text
    };
    let end = text
        .char_indices()
        .nth(MAX_CHARS)
        .map_or(text.len(), |(at, _)| at);
    let kept = text[..end].trim_matches(is_blank);
    if kept.len() == text.len() {
        text
    } else {
        kept.to_owned()
    }
}

/// Python's `str.isspace`, which also counts the four separators of ASCII.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> String {
        clean(text.to_owned())
    }

    #[test]
    fn angle_brackets_and_ampersands() {
        for (sent, stored) in [
            ("/users/<int:id>", "/users/"),
            ("/users/<id>", "/users/"),
            ("/users/<path:p>/x", "/users//x"),
            (r"^users/(?P<pk>\d+)/$", r"^users/(?P\d+)/$"),
            ("/a/<b>/c", "/a/<b>/c</b>"),
            ("/a<b", "/a"),
            ("R&D", "R&amp;D"),
        ] {
            assert_eq!(cleaned(sent), stored, "{sent}");
        }
    }

    #[test]
    fn everything_else_is_kept() {
        for text in [
            "/users/{id}",
            "/users/:id",
            "/users/[id]",
            "/files/*path",
            r#"'single' "double" `back`"#,
            r"C:\temp",
            "/a%3Cb%3E",
            "👩‍👩‍👧 naïve",
            "שלום مرحبا",
            "a\tb",
        ] {
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn control_characters_length_and_blanks() {
        for (sent, stored) in [
            ("a\0b", "ab"),
            ("a\nb", "a b"),
            ("a\rb", "a b"),
            // The HTML parser makes one line break of the two.
            ("a\r\nb", "a b"),
            (" \t a \n", "a"),
            ("\x1c\x1fa\u{3000}", "a"),
            ("", ""),
            (" \r\n ", ""),
        ] {
            assert_eq!(cleaned(sent), stored, "{sent:?}");
        }
        assert_eq!(cleaned(&"😀".repeat(501)), "😀".repeat(500));
        // Cut first, stripped then.
        let text = format!("{} {}", "x".repeat(499), "y");
        assert_eq!(cleaned(&text), "x".repeat(499));
        // The entity counts with all its letters.
        assert_eq!(cleaned(&"&".repeat(101)), "&amp;".repeat(100));
    }

    /// Holds `HTML` against the cleaner: each other character of Unicode, at the
    /// start and inside a text, is left alone, and each one listed is not.
    #[test]
    fn texts_without_html_characters_need_no_cleaner() {
        let others: Vec<char> = ('\0'..=char::MAX).filter(|c| !HTML.contains(c)).collect();
        for run in others.chunks(4096) {
            let text: String = run.iter().collect();
            assert_eq!(ammonia::clean(&text), text);
        }
        for &first in others.iter().filter(|c| u32::from(**c) < 0x3000) {
            let text = format!("{first}x");
            assert_eq!(ammonia::clean(&text), text);
        }
        for c in HTML {
            let text = format!("{c}x");
            assert_ne!(ammonia::clean(&text), text, "{c:?} needs no cleaner");
        }
    }
}
