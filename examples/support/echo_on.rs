//! A WebSocket server on any stream, in blocking calls: for the examples about streams that are no plain TCP.

use std::io::{self, Read, Write};

use websocket_testkit::frame::{self, Decoder};
use websocket_testkit::handshake::{Request, response};

/// Opens the connection that a client asks for on `stream`, and sends back what it gets, until the client closes or goes away.
///
/// # Errors
/// When the stream breaks.
pub fn echo_on(mut stream: impl Read + Write) -> io::Result<()> {
    let mut head = Vec::new();
    let request = loop {
        match Request::parse(&head) {
            Some(request) => break request,
            None => head.extend(some(&mut stream)?),
        }
    };
    stream.write_all(&response(&request, &[]))?;
    let mut frames = Decoder::new();
    frames.feed(&head[request.bytes.len()..]);
    loop {
        while let Some(frame) = frames.next_frame() {
            let opcode = if frame.opcode == frame::PING { frame::PONG } else { frame.opcode };
            stream.write_all(&frame::encode(frame.fin, 0, opcode, &frame.payload))?;
            stream.flush()?;
            if frame.opcode == frame::CLOSE {
                return Ok(());
            }
        }
        frames.feed(&some(&mut stream)?);
    }
}

/// What comes next, at least a byte.
fn some(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    match stream.read(&mut bytes)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => {
            bytes.truncate(len);
            Ok(bytes)
        }
    }
}
