//! A server's words, made fit for an error's text.

/// Most characters of a server's words in an error's text.
const MOST: usize = 100;

/// `bytes` as text in one line, without what cannot be printed: control characters, and marks that turn the direction of writing.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let printed = text.chars().filter_map(|char| match char {
        _ if char.is_whitespace() => Some(' '),
        '"' | '\'' | '\\' => Some(char),
        // Only what cannot be printed is escaped by more than one character.
        _ => (char.escape_debug().len() == 1).then_some(char),
    });
    let printed: String = printed.collect();
    printed.trim().to_owned()
}

/// The start of `text`, as much as an error's text shows.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// The first line of `body` that says something, as far as an error's text may show it.
pub(super) fn first_line(body: &[u8]) -> Option<String> {
    let lines = body.split(|byte| matches!(byte, b'\r' | b'\n'));
    let mut lines = lines.map(|line| {
        let mut line = printable(line);
        // Its last character may have been cut.
        line.truncate(line.trim_end_matches('\u{fffd}').len());
        line
    });
    lines.find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_characters_that_can_be_printed_is_left() {
        assert_eq!(printable(b" a\tb\r\0\x07\x1b[1m\x7f\xc2\x85c "), "a b [1m c");
        assert_eq!(
            printable("\u{202e}\u{200b}\u{feff}é \"x\" 'y' \\z 漢字".as_bytes()),
            "é \"x\" 'y' \\z 漢字"
        );
        assert_eq!(printable(b"caf\xe9"), "caf\u{fffd}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(shortened(&"é".repeat(101)), format!("{}...", "é".repeat(100)));
    }

    #[test]
    fn the_first_line_is_one_that_says_something() {
        assert_eq!(first_line(b"\r\n \t\n\x00\nno such room\r\nmore").as_deref(), Some("no such room"));
        assert_eq!(first_line("caf\u{e9}".as_bytes().split_last().unwrap().1).as_deref(), Some("caf"));
        assert_eq!(first_line(b"\r\n\r\n"), None);
        assert_eq!(first_line(b""), None);
    }
}
