//! Lines of JSON: every frame and event with its times. The guide documents the format.

use std::borrow::Cow;
use std::time::Duration;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{Direction, Frame, Op};

/// A frame as a line of JSON.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Record<'a> {
    /// Seconds since the start.
    #[serde(default)]
    t: f64,
    /// Seconds since 1970.
    #[serde(default)]
    time: f64,
    #[serde(default = "out")]
    pub(crate) dir: Direction,
    pub(crate) op: Op,
    #[serde(default)]
    len: usize,
    #[serde(default)]
    wire: u64,
    #[serde(default = "yes")]
    pub(crate) fin: bool,
    #[serde(default)]
    rsv1: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<Cow<'a, str>>,
}

const fn out() -> Direction {
    Direction::Out
}

const fn yes() -> bool {
    true
}

/// Microseconds are what clocks are good for.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

impl<'a> Record<'a> {
    pub(super) fn of_frame(since: Duration, wall: Duration, frame: Frame<'a>) -> Self {
        let Frame { direction, head, is_text, payload } = frame;
        let mut record = Self {
            t: seconds(since),
            time: seconds(wall),
            dir: direction,
            op: head.op,
            len: payload.len(),
            wire: head.wire,
            fin: head.fin,
            rsv1: head.rsv1,
            code: None,
            reason: None,
            text: None,
            base64: None,
        };
        match (head.op, payload) {
            (Op::Close, []) => {}
            (Op::Close, [high, low, reason @ ..]) => {
                record.code = Some(u16::from_be_bytes([*high, *low]));
                record.reason = Some(String::from_utf8_lossy(reason));
            }
            _ => match str::from_utf8(payload) {
                Ok(text) if is_text => record.text = Some(text.into()),
                // A fragment of a text may end inside a character.
                _ => record.base64 = Some(BASE64.encode(payload).into()),
            },
        }
        record
    }

    /// Reads a line.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| format!("it is not a record: {error}"))
    }

    /// The payload that it has.
    pub(crate) fn payload(&self) -> Result<Cow<'_, [u8]>, String> {
        match (&self.text, &self.base64) {
            (Some(_), Some(_)) => Err("it has both text and base64".into()),
            (Some(text), None) => Ok(text.as_bytes().into()),
            (None, Some(base64)) => {
                let bytes =
                    BASE64.decode(base64.as_bytes()).map_err(|error| format!("its base64: {error}"))?;
                Ok(bytes.into())
            }
            (None, None) => Ok((&[]).into()),
        }
    }

    /// Code and reason of a close.
    pub(crate) fn close(&self) -> (Option<u16>, &str) {
        (self.code, self.reason.as_deref().unwrap_or_default())
    }
}

/// Something else than a frame, as a line of JSON.
#[derive(Serialize, Default, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) t: f64,
    pub(crate) time: f64,
    pub(crate) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lines: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phases: Option<Phases>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clean: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_in: Option<f64>,
}

/// The seconds that the steps of an attempt took.
#[derive(Serialize, Debug)]
pub(crate) struct Phases {
    resolve: Option<f64>,
    connect: Option<f64>,
    proxy: Option<f64>,
    tls: Option<f64>,
    upgrade: Option<f64>,
}

impl From<websocket_app::Phases> for Phases {
    fn from(phases: websocket_app::Phases) -> Self {
        let websocket_app::Phases { resolve, connect, proxy, tls, upgrade, .. } = phases;
        let [resolve, connect, proxy, tls, upgrade] =
            [resolve, connect, proxy, tls, upgrade].map(|phase| phase.map(seconds));
        Self { resolve, connect, proxy, tls, upgrade }
    }
}

impl Event<'_> {
    pub(crate) fn new(event: &'static str) -> Self {
        Self { event, ..Self::default() }
    }

    pub(super) fn at(&mut self, (since, wall): (Duration, Duration)) {
        (self.t, self.time) = (seconds(since), seconds(wall));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Head;
    use super::*;

    fn line(op: Op, is_text: bool, payload: &[u8]) -> String {
        let head = Head { op, fin: true, rsv1: false, wire: 9 };
        let frame = Frame { direction: Direction::In, head, is_text, payload };
        let record = Record::of_frame(Duration::from_micros(1_500_000), Duration::from_secs(7), frame);
        serde_json::to_string(&record).unwrap()
    }

    #[test]
    fn frames_are_lines_with_text_or_base64() {
        assert_eq!(
            line(Op::Text, true, b"hi"),
            r#"{"t":1.5,"time":7.0,"dir":"in","op":"text","len":2,"wire":9,"fin":true,"rsv1":false,"text":"hi"}"#
        );
        assert!(line(Op::Binary, false, b"hi").ends_with(r#","base64":"aGk="}"#));
        assert!(line(Op::Text, true, b"\xc3").ends_with(r#","base64":"ww=="}"#));
        assert!(line(Op::Close, false, b"\x03\xe8bye").ends_with(r#","code":1000,"reason":"bye"}"#));
    }

    #[test]
    fn what_was_printed_is_read_and_a_short_line_will_do() {
        let printed = line(Op::Binary, false, b"\0\xff");
        let record = Record::parse(printed.as_bytes()).unwrap();
        assert_eq!((record.dir, record.op), (Direction::In, Op::Binary));
        assert_eq!(&*record.payload().unwrap(), b"\0\xff");
        let short = Record::parse(br#"{"op":"text","text":"hi"}"#).unwrap();
        assert_eq!((short.dir, short.fin), (Direction::Out, true));
        assert_eq!(&*short.payload().unwrap(), b"hi");
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for line in ["", "{}", "[]", r#"{"op":"shout"}"#, r#"{"op":"text","text":7}"#] {
            assert!(Record::parse(line.as_bytes()).is_err(), "{line}");
        }
        for line in [r#"{"op":"binary","base64":"?"}"#, r#"{"op":"text","text":"a","base64":"YQ=="}"#] {
            assert!(Record::parse(line.as_bytes()).unwrap().payload().is_err(), "{line}");
        }
    }
}
