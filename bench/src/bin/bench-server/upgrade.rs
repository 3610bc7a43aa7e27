//! The server's side of the upgrade; the request target tells which part it then plays.

use std::io::{self, ErrorKind, Read, Write};
use std::str::FromStr;

use tungstenite::handshake::derive_accept_key;
use websocket_bench::contract::Records;

use crate::Progress;

const MAX_REQUEST: usize = 16 * 1024;

/// What the server does once a connection is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// Sends `messages` texts of `payload` bytes, then a close frame.
    Feed { payload: usize, messages: u64, records: Records },
    /// Sends back what comes; of an idle connection nothing does.
    #[default]
    Echo,
}

#[derive(Default)]
pub(crate) struct Upgrade {
    request: Vec<u8>,
    part: Part,
}

impl Upgrade {
    /// The part that was asked for.
    pub(crate) fn part(&self) -> Part {
        self.part
    }

    pub(crate) fn ready(&mut self, stream: &mut (impl Read + Write)) -> io::Result<Progress> {
        let mut piece = [0; 2048];
        while !self.request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut piece)? {
                0 => return Ok(Progress::Ended),
                _ if self.request.len() > MAX_REQUEST => return Err(ErrorKind::InvalidData.into()),
                more => self.request.extend_from_slice(&piece[..more]),
            }
        }
        match answer(&String::from_utf8_lossy(&self.request)) {
            Ok((part, response)) => {
                self.part = part;
                stream.write_all(response.as_bytes())?;
                Ok(Progress::Done)
            }
            Err(reason) => {
                let length = reason.len();
                write!(stream, "HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n{reason}")?;
                Ok(Progress::Ended)
            }
        }
    }
}

fn answer(request: &str) -> Result<(Part, String), String> {
    let mut lines = request.lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no request line")?;
    let key = lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("Sec-WebSocket-Key").then(|| value.trim()))
        .ok_or("no Sec-WebSocket-Key")?;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    Ok((part(target)?, response))
}

fn part(target: &str) -> Result<Part, String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/receive" => Ok(Part::Feed {
            payload: number(query, "payload")?,
            messages: number(query, "messages")?,
            records: value(query, "records").and_then(Records::by_name).unwrap_or_default(),
        }),
        "/echo" | "/idle" => Ok(Part::Echo),
        _ => Err(format!("no '{path}' here; known are: /receive, /echo, /idle")),
    }
}

fn number<N: FromStr>(query: &str, wanted: &str) -> Result<N, String> {
    value(query, wanted)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| format!("/receive needs the number '{wanted}'"))
}

fn value<'a>(query: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(name, value)| (name == wanted).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_names_the_part() {
        let feed = |records| Ok(Part::Feed { payload: 32, messages: 7, records });
        assert_eq!(part("/receive?payload=32&messages=7"), feed(Records::Packed));
        assert_eq!(part("/receive?payload=32&messages=7&records=frame"), feed(Records::Frame));
        assert_eq!(part("/echo"), Ok(Part::Echo));
        assert_eq!(part("/idle?x=1"), Ok(Part::Echo));
        assert_eq!(part("/receive?payload=32").unwrap_err(), "/receive needs the number 'messages'");
        assert_eq!(part("/send").unwrap_err(), "no '/send' here; known are: /receive, /echo, /idle");
    }

    #[test]
    fn the_accept_key_is_that_of_rfc_6455_1_3() {
        let request = "GET /echo HTTP/1.1\r\nsec-websocket-key:  dGhlIHNhbXBsZSBub25jZQ== \r\n\r\n";
        let (_, response) = answer(request).unwrap();
        assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(answer("GET /echo HTTP/1.1\r\n\r\n").unwrap_err(), "no Sec-WebSocket-Key");
    }
}
