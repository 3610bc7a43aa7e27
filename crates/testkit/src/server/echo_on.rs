//! An echo server on any stream, in blocking calls.

use std::io::{self, Read, Write};

use crate::frame::{self, Decoder};
use crate::handshake::{Request, response};

/// Opens the connection that a client asks for on `stream`, and sends back what it gets until the client
/// closes: an echo server behind TLS, on a unix socket, on a pipe.
///
/// # Errors
/// When the stream breaks, or ends before the client has closed.
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

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

    #[test]
    fn it_echoes_answers_pings_and_closes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = thread::spawn(move || echo_on(listener.accept().unwrap().0));
        client.write_all(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").unwrap();
        for (sent, mask) in [(&b"a"[..], [1, 2, 3, 4]), (b"", [5, 6, 7, 8])] {
            client.write_all(&frame::masked(0x81, mask, sent)).unwrap();
        }
        client.write_all(&frame::masked(0x89, [9; 4], b"ping")).unwrap();
        client.write_all(&frame::masked(0x88, [0; 4], &1000_u16.to_be_bytes())).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let frames =
            [frame::text("a"), frame::text(""), frame::pong(b"ping"), frame::close(1000, "")].concat();
        assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(&frames), "{answer:?}");
        server.join().unwrap().unwrap();
    }

    #[test]
    fn a_client_that_goes_away_is_an_error() {
        let gone = echo_on(io::Cursor::new(Vec::new())).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::UnexpectedEof);
    }
}
