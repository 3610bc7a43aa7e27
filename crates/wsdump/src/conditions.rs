//! What a run waits for.

use std::str::FromStr;

use regex_lite::Regex;
use serde_json::Value;

use crate::arguments::Arguments;
use crate::exit::Exit;

/// What a message must have at a JSON pointer (RFC 6901).
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Expected {
    pointer: String,
    /// JSON, or else a string.
    value: Value,
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pointer, value) = text.split_once('=').ok_or("must be POINTER=VALUE, such as /id=7")?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err("a JSON pointer begins with a slash, such as /params/0".into());
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Ok(Self { pointer: pointer.to_owned(), value })
    }
}

/// What the messages are counted for and compared with.
#[derive(Debug)]
pub(crate) struct Conditions {
    count: Option<u64>,
    expect: Option<Regex>,
    expect_json: Vec<Expected>,
    seen: u64,
}

impl Conditions {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self {
            count: arguments.count,
            expect: arguments.expect.clone(),
            expect_json: arguments.expect_json.clone(),
            seen: 0,
        }
    }

    /// How many messages have come.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    const fn expects(&self) -> bool {
        self.expect.is_some() || !self.expect_json.is_empty()
    }

    /// A message has come. Returns the end of the run, if it is one.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Option<Exit> {
        self.seen += 1;
        if self.expects() && self.is_met_by(payload) {
            return Some(Exit::Done);
        }
        let is_last = self.count.is_some_and(|count| self.seen >= count);
        is_last.then(|| if self.expects() { self.unmet() } else { Exit::Done })
    }

    fn is_met_by(&self, payload: &[u8]) -> bool {
        let matches =
            self.expect.as_ref().is_none_or(|regex| regex.is_match(&String::from_utf8_lossy(payload)));
        matches
            && (self.expect_json.is_empty() || {
                let value: Value = serde_json::from_slice(payload).unwrap_or_default();
                self.expect_json
                    .iter()
                    .all(|expected| value.pointer(&expected.pointer) == Some(&expected.value))
            })
    }

    /// The run ends by itself, before a message has ended it.
    pub(crate) fn end(&self) -> Exit {
        match self.count {
            _ if self.expects() => self.unmet(),
            Some(count) if self.seen < count => {
                Exit::Closed(format!("the connection has ended after {} of {count} messages", self.seen))
            }
            _ => Exit::Done,
        }
    }

    fn unmet(&self) -> Exit {
        Exit::Unmet(format!("none of {} messages was the expected one", self.seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(count: Option<u64>, expect: Option<&str>, json: &[&str]) -> Conditions {
        Conditions {
            count,
            expect: expect.map(|regex| Regex::new(regex).unwrap()),
            expect_json: json.iter().map(|text| text.parse().unwrap()).collect(),
            seen: 0,
        }
    }

    #[test]
    fn all_of_what_is_expected_must_be_in_one_message() {
        let mut both = conditions(Some(3), Some("^\\{"), &["/id=7", "/ok=true", "/name=a"]);
        assert_eq!(both.message(br#"{"id":7,"ok":true}"#), None);
        assert_eq!(both.message(br#"{"id":7,"ok":true,"name":"a"}"#), Some(Exit::Done));
        assert!(matches!(both.message(b"no JSON"), Some(Exit::Unmet(_))));
    }

    #[test]
    fn a_run_that_ends_early_says_what_was_missing() {
        assert_eq!(conditions(None, None, &[]).end(), Exit::Done);
        assert!(matches!(conditions(Some(1), None, &[]).end(), Exit::Closed(_)));
        assert!(matches!(conditions(Some(1), Some("x"), &[]).end(), Exit::Unmet(_)));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        assert!("id=7".parse::<Expected>().is_err());
        assert!("/id".parse::<Expected>().is_err());
        assert_eq!("=7".parse::<Expected>().unwrap().value, 7);
    }
}
