//! The server's side of the upgrade; the request target tells which part it then plays.

use std::io::{self, ErrorKind, Read, Write};

use tungstenite::handshake::derive_accept_key;
use websocket_bench::contract::{Records, Takeover};

use crate::Progress;

const MAX_REQUEST: usize = 16 * 1024;

/// What the server does once a connection is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// Sends `messages` texts of `payload` bytes, then a close frame.
    Feed { payload: usize, messages: u64, records: Records },
    /// Sends `messages` compressed texts of `payload` bytes, then a close frame, or else reads on.
    Compressed { payload: usize, messages: u64, takeover: Takeover, closes: bool },
    /// Reads what comes, and says when all has: first of `warm_up`, then of `messages`. They are compressed where there is a `takeover`.
    Sink { warm_up: u64, messages: u64, takeover: Option<Takeover> },
    /// Sends back what comes; on an idle connection, and on one that is only opened, nothing does.
    #[default]
    Echo,
}

impl Part {
    /// The extension that it takes.
    fn extension(self) -> Option<&'static str> {
        match self {
            Self::Compressed { takeover, .. } => Some(takeover.extension()),
            Self::Sink { takeover, .. } => takeover.map(Takeover::extension),
            Self::Feed { .. } | Self::Echo => None,
        }
    }
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
    let target = request.lines().next().and_then(|line| line.split(' ').nth(1)).ok_or("no request line")?;
    let header = |wanted: &str| {
        let mut headers = request.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim()))
    };
    let key = header("Sec-WebSocket-Key").ok_or("no Sec-WebSocket-Key")?;
    let part = part(target)?;
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    );
    if let Some(extension) = part.extension() {
        // Smaller windows would cost less: everybody is to have the same.
        let offered = header("Sec-WebSocket-Extensions").unwrap_or_default();
        if !offered.starts_with(extension) || offered.contains("server_max_window_bits") {
            return Err(format!("'{offered}' is offered, and '{extension}' expected"));
        }
        response += &format!("Sec-WebSocket-Extensions: {extension}\r\n");
    }
    Ok((part, response + "\r\n"))
}

fn part(target: &str) -> Result<Part, String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let number = |wanted| number(path, query, wanted);
    let payload = || Ok::<_, String>(number("payload")? as usize);
    let takeover = || value(query, "takeover").and_then(Takeover::by_name).unwrap_or_default();
    match path {
        "/receive" => Ok(Part::Feed {
            payload: payload()?,
            messages: number("messages")?,
            records: value(query, "records").and_then(Records::by_name).unwrap_or_default(),
        }),
        "/receive-deflate" => Ok(Part::Compressed {
            payload: payload()?,
            messages: number("messages")?,
            takeover: takeover(),
            closes: true,
        }),
        "/idle-deflate" => {
            Ok(Part::Compressed { payload: payload()?, messages: 1, takeover: takeover(), closes: false })
        }
        "/send" | "/send-deflate" => Ok(Part::Sink {
            warm_up: number("warm-up")?,
            messages: number("messages")?,
            takeover: (path == "/send-deflate").then(takeover),
        }),
        "/echo" | "/connect" | "/idle" => Ok(Part::Echo),
        _ => Err(format!(
            "no '{path}' here; known are: /receive, /send, /echo, /connect, /idle, /receive-deflate, /send-deflate, /idle-deflate"
        )),
    }
}

fn number(path: &str, query: &str, wanted: &str) -> Result<u64, String> {
    value(query, wanted)
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| format!("{path} needs the number '{wanted}'"))
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
        let sink = |takeover| Ok(Part::Sink { warm_up: 2, messages: 7, takeover });
        assert_eq!(part("/send?warm-up=2&messages=7"), sink(None));
        assert_eq!(part("/send-deflate?warm-up=2&messages=7&takeover=no"), sink(Some(Takeover::No)));
        assert!(part("/other").unwrap_err().starts_with("no '/other' here; known are: /receive, /send, "));
    }

    #[test]
    fn compression_is_what_both_sides_agree_on() {
        let request = |offer: &str| {
            let target = "/idle-deflate?payload=300&takeover=no";
            answer(&format!(
                "GET {target} HTTP/1.1\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"
            ))
        };
        let extension = Takeover::No.extension();
        let (part, response) = request(&format!("{extension}; client_max_window_bits")).unwrap();
        assert_eq!(
            part,
            Part::Compressed { payload: 300, messages: 1, takeover: Takeover::No, closes: false }
        );
        assert!(response.ends_with(&format!("\r\nSec-WebSocket-Extensions: {extension}\r\n\r\n")));
        request("permessage-deflate").unwrap_err();
        request(&format!("{extension}; server_max_window_bits=12")).unwrap_err();
    }

    #[test]
    fn the_accept_key_is_that_of_rfc_6455_1_3() {
        let request = "GET /echo HTTP/1.1\r\nsec-websocket-key:  dGhlIHNhbXBsZSBub25jZQ== \r\n\r\n";
        let (_, response) = answer(request).unwrap();
        assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(answer("GET /echo HTTP/1.1\r\n\r\n").unwrap_err(), "no Sec-WebSocket-Key");
    }
}
