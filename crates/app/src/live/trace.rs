//! A record of what passes over one connection, for the log and for the user's tap. Only connections that are traced have one.

use websocket_connection::Side;

use crate::wire_event::{WireEvent, shown_lines};

/// Bytes of a message's payload that are shown.
const SHOWN: usize = 32;

/// The longest payload of a control frame (RFC 6455 section 5.5), which is shown whole.
const MAX_CONTROL: usize = 125;

/// The longest header of a frame (RFC 6455 section 5.2).
const MAX_HEADER: usize = 14;

/// A head that is longer is shown as far as this; what follows it is not shown.
const MAX_HEAD: usize = 64 << 10;

/// What has passed over a connection and is not shown yet.
pub(crate) struct Trace {
    client: Reader,
    server: Reader,
    /// Bytes of the output that were recorded and not written yet.
    pub(super) recorded: usize,
    events: Vec<WireEvent>,
}

impl Trace {
    pub(crate) const fn new() -> Self {
        Self {
            client: Reader::new(Side::Client),
            server: Reader::new(Side::Server),
            recorded: 0,
            events: Vec::new(),
        }
    }

    /// Another request follows on the same stream.
    pub(super) fn restart(&mut self) {
        self.client = Reader::new(Side::Client);
        self.server = Reader::new(Side::Server);
        self.recorded = 0;
    }

    /// Records bytes of the server.
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.server.read(bytes, &mut self.events);
    }

    /// Records what is new in the `output` of the client.
    pub(super) fn sent(&mut self, output: &[u8]) {
        self.client.read(&output[self.recorded.min(output.len())..], &mut self.events);
    }

    /// Takes what is to be shown.
    pub(crate) fn take(&mut self) -> Vec<WireEvent> {
        std::mem::take(&mut self.events)
    }
}

/// One direction: from bytes to events.
struct Reader {
    by: Side,
    stage: Reading,
    /// What belongs together and has not come whole.
    held: Vec<u8>,
}

enum Reading {
    Head,
    /// A header of a frame, and as much of its payload as is shown.
    Frame,
    /// The rest of a payload.
    Payload(u64),
    /// What is not WebSocket.
    Nothing,
}

impl Reader {
    const fn new(by: Side) -> Self {
        Self { by, stage: Reading::Head, held: Vec::new() }
    }

    fn read(&mut self, mut bytes: &[u8], events: &mut Vec<WireEvent>) {
        while !bytes.is_empty() {
            match &mut self.stage {
                Reading::Nothing => return,
                Reading::Payload(left) => {
                    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= skipped as u64;
                    bytes = &bytes[skipped..];
                    if *left == 0 {
                        self.stage = Reading::Frame;
                    }
                }
                Reading::Head => {
                    // Byte by byte: it is short, and comes once.
                    self.held.push(bytes[0]);
                    bytes = &bytes[1..];
                    let is_whole = self.held.ends_with(b"\n\r\n") || self.held.ends_with(b"\n\n");
                    if is_whole || self.held.len() > MAX_HEAD {
                        self.head(is_whole, events);
                    }
                }
                Reading::Frame => {
                    let wanted = (MAX_HEADER + MAX_CONTROL).saturating_sub(self.held.len()).min(bytes.len());
                    let before = self.held.len();
                    self.held.extend_from_slice(&bytes[..wanted]);
                    match self.frame(events) {
                        Some(used) => bytes = &bytes[used - before..],
                        None => return,
                    }
                }
            }
        }
    }

    fn head(&mut self, is_whole: bool, events: &mut Vec<WireEvent>) {
        let lines = shown_lines(&self.held);
        self.held.clear();
        let status = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        self.stage = match self.by {
            _ if !is_whole => Reading::Nothing,
            Side::Client => Reading::Frame,
            Side::Server if status == "101" => Reading::Frame,
            Side::Server if status.starts_with('1') => Reading::Head,
            Side::Server => Reading::Nothing,
        };
        events.push(WireEvent::Head { by: self.by, lines });
    }

    /// Shows the frame in `held` if enough of it is there, and returns how many bytes of it that took.
    fn frame(&mut self, events: &mut Vec<WireEvent>) -> Option<usize> {
        let (&first, &second) = (self.held.first()?, self.held.get(1)?);
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = second & 0x80 != 0;
        let header = 2 + extended + if masked { 4 } else { 0 };
        let len = match self.held.get(2..2 + extended)? {
            [] => u64::from(second & 0x7f),
            bytes => bytes.iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
        };
        let is_control = first & 0x08 != 0;
        let most = if is_control { MAX_CONTROL } else { SHOWN };
        let shown = usize::try_from(len).unwrap_or(usize::MAX).min(most);
        let mut start = self.held.get(header..header + shown)?.to_vec();
        if masked {
            let key = &self.held[header - 4..header];
            start.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        self.held.clear();
        self.stage = match len - shown as u64 {
            0 => Reading::Frame,
            left => Reading::Payload(left),
        };
        let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 0x0f);
        events.push(WireEvent::Frame { by: self.by, fin, rsv, opcode, len, start });
        Some(header + shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(by: Side, bytes: &[u8], cut: usize) -> Vec<String> {
        let (mut reader, mut events) = (Reader::new(by), Vec::new());
        bytes.chunks(cut).for_each(|bytes| reader.read(bytes, &mut events));
        events.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn heads_and_frames_are_found_wherever_the_bytes_are_cut() {
        let mut bytes =
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n".to_vec();
        bytes.extend_from_slice(b"\x81\x05hello\x89\x00\x42\x7e\x01\x00");
        bytes.extend_from_slice(&[b'x'; 256]);
        bytes.extend_from_slice(b"\xc2\xfe\x00\x01\x01\x02\x03\x04\x60");
        bytes.extend_from_slice(&[0x83, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        bytes.extend_from_slice(&vec![b'y'; 65536]);
        bytes.extend_from_slice(b"\x8a\x01!\x89\x7d");
        bytes.extend_from_slice(&[b'z'; 125]);
        let x = format!("< binary (2) fin=0 rsv=4 256 bytes: \"{}\"..", "x".repeat(32));
        let z = format!("< ping (9) fin=1 rsv=0 125 bytes: \"{}\"", "z".repeat(125));
        let y = format!("< unknown (3) fin=1 rsv=0 65536 bytes: \"{}\"..", "y".repeat(32));
        let expected = [
            "< HTTP/1.1 103 Early Hints",
            "< HTTP/1.1 101 Yes\n< Upgrade: websocket",
            "< text (1) fin=1 rsv=0 5 bytes: \"hello\"",
            "< ping (9) fin=1 rsv=0 0 bytes",
            &x,
            "< binary (2) fin=1 rsv=4 1 bytes: \"a\"",
            &y,
            "< pong (10) fin=1 rsv=0 1 bytes: \"!\"",
            &z,
        ];
        for cut in [1, 2, 3, 7, 13, 64, 1000, bytes.len()] {
            assert_eq!(read(Side::Server, &bytes, cut), expected, "{cut}");
        }
    }

    #[test]
    fn what_is_not_a_websocket_is_shown_by_its_head_only_and_no_length_is_too_much() {
        assert_eq!(read(Side::Server, b"HTTP/1.1 404 No\n\n\x81\x01x", 5), ["< HTTP/1.1 404 No"]);
        assert_eq!(read(Side::Server, &[b'a'; 2 * MAX_HEAD], 1000).len(), 1);
        let huge =
            [b"GET / HTTP/1.1\r\n\r\n\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff".as_slice(), &[b'z'; 99]]
                .concat();
        assert_eq!(read(Side::Client, &huge, 10).len(), 2);
    }
}
