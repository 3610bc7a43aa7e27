//! JSON, for people: indented and colored, with every number and string as it came.

use anstyle::{AnsiColor, Style};
use serde::de::IgnoredAny;

use super::text::{paint, sanitized};

const KEY: Style = AnsiColor::Blue.on_default();
const STRING: Style = AnsiColor::Green.on_default();
const OTHER: Style = AnsiColor::Yellow.on_default();

/// Objects and arrays are indented to this depth; what is deeper follows on the same line.
const MAX_DEPTH: usize = 64;

/// Returns an object or array in several lines; `None` for what is not JSON, or is neither.
pub(crate) fn pretty(text: &str, is_colored: bool) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let mut out = String::new();
    let (mut rest, mut depth) = (text, 0_usize);
    while let Some(first) = rest.chars().next() {
        let len = token_len(rest, first);
        let (token, behind) = rest.split_at(len);
        let behind = behind.trim_start();
        let newline = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth.min(MAX_DEPTH)));
        };
        match first {
            '{' | '[' if behind.starts_with(['}', ']']) => out.push(first),
            '{' | '[' => {
                out.push(first);
                depth += 1;
                newline(&mut out, depth);
            }
            '}' | ']' => {
                if !out.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    newline(&mut out, depth);
                }
                out.push(first);
            }
            ',' => {
                out.push(first);
                newline(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                let style = match first {
                    '"' if behind.starts_with(':') => KEY,
                    '"' => STRING,
                    _ => OTHER,
                };
                out += &paint(style, &sanitized(token), is_colored);
            }
        }
        rest = behind;
    }
    Some(out)
}

/// The length of the token that `text`, which is JSON, begins with.
fn token_len(text: &str, first: char) -> usize {
    match first {
        '"' => {
            let mut is_escaped = false;
            let end = text.char_indices().skip(1).find(|(_, char)| {
                let ends = *char == '"' && !is_escaped;
                is_escaped = *char == '\\' && !is_escaped;
                ends
            });
            end.map_or(text.len(), |(at, _)| at + 1)
        }
        '{' | '}' | '[' | ']' | ',' | ':' => 1,
        _ => text.find(|char: char| ",:]} \t\r\n".contains(char)).unwrap_or(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_nothing_in_it_changes() {
        let text = r#" {"a":1.10,"b":[ ],"c":[{"\"":12345678901234567890123},"x,\\"],"a":null} "#;
        let expected = r#"{
  "a": 1.10,
  "b": [],
  "c": [
    {
      "\"": 12345678901234567890123
    },
    "x,\\"
  ],
  "a": null
}"#;
        assert_eq!(pretty(text, false).unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_or_array_stays_as_it_is() {
        for text in ["", "7", "\"text\"", "{\"a\":}", "[1] 2", "{", "plain"] {
            assert_eq!(pretty(text, false), None, "{text}");
        }
    }

    #[test]
    fn strings_cannot_control_the_terminal() {
        let shown = pretty("[\"a\u{9b}1m\"]", true).unwrap();
        assert!(!shown.contains('\u{9b}') && shown.contains("\\u{9b}"), "{shown:?}");
    }
}
