//! Rust source as tokens: enough of its lexical structure to find paths and items in it.

/// The tokens of `source`: names, `::`, and single characters. Comments are left out; a string, a character and a
/// lifetime are one token each, which begins with its quote.
pub(crate) fn tokens(source: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (is_token, length) = next(first, rest);
        if is_token {
            tokens.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    tokens
}

/// Whether `rest` begins with a token, and how many bytes to take of it.
fn next(first: char, rest: &str) -> (bool, usize) {
    if first.is_whitespace() {
        return (false, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (false, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (false, block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (true, length);
    }
    if first == '\'' {
        return (true, quote(rest));
    }
    if is_name(first) {
        return (true, rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()));
    }
    (true, if rest.starts_with("::") { 2 } else { first.len_utf8() })
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if here.starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of the string that `rest` begins with, prefix included.
fn string(rest: &str) -> Option<usize> {
    let prefixes = ["br", "cr", "r", "b", "c", ""];
    let prefix = prefixes.into_iter().find(|prefix| {
        let behind = rest.strip_prefix(prefix).unwrap_or_default();
        let hashes = if prefix.ends_with('r') { behind.trim_start_matches('#') } else { behind };
        hashes.starts_with('"')
    })?;
    let behind = &rest[prefix.len()..];
    let open = behind.find('"')?;
    if prefix.ends_with('r') {
        let end = format!("\"{}", &behind[..open]);
        let close = behind[open + 1..].find(&end)?;
        return Some(prefix.len() + open + 1 + close + end.len());
    }
    Some(prefix.len() + open + 1 + escaped(&behind[open + 1..], '"'))
}

/// The length of a character or a lifetime.
fn quote(rest: &str) -> usize {
    let mut letters = rest[1..].chars();
    match (letters.next(), letters.next()) {
        (Some('\\'), _) => 1 + escaped(&rest[1..], '\''),
        (Some(letter), Some('\'')) => 2 + letter.len_utf8(),
        _ => 1 + rest[1..].find(|letter| !is_name(letter)).unwrap_or(rest.len() - 1),
    }
}

/// How many bytes there are up to `end`, `end` included; a backslash hides what follows it.
fn escaped(text: &str, end: char) -> usize {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == end {
            return at + letter.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_paths_and_punctuation() {
        assert_eq!(
            tokens("use crate::a_b::{C, d1};"),
            ["use", "crate", "::", "a_b", "::", "{", "C", ",", "d1", "}", ";"]
        );
        assert_eq!(tokens("Driver<'_>"), ["Driver", "<", "'_", ">"]);
    }

    #[test]
    fn comments_are_left_out() {
        assert_eq!(tokens("a // crate::b \"\n/// crate::c\nd /* e /* f */ g */ h /*"), ["a", "d", "h"]);
    }

    #[test]
    fn strings_and_characters_are_one_token_each() {
        assert_eq!(tokens(r#"f("crate::a \" // b", x)"#), ["f", "(", r#""crate::a \" // b""#, ",", "x", ")"]);
        assert_eq!(tokens(r###"r#"a "b" c"# br"\" d"###), [r###"r#"a "b" c"#"###, r#"br"\""#, "d"]);
        assert_eq!(
            tokens(r"'a' '\'' '\u{41}' 'é' 'static b'x'"),
            ["'a'", r"'\''", r"'\u{41}'", "'é'", "'static", "b", "'x'"]
        );
        assert_eq!(tokens("'\"' + \"'\""), ["'\"'", "+", "\"'\""]);
    }
}
