//! The scripted server's end of one connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::frame::{self, Decoder, Frame};
use crate::handshake::{self, Request};

/// How long a script waits for its client. A safety net: it turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server's end of one connection, in blocking calls.
///
/// Every method that waits panics when the client does something else than what is waited for, or nothing at
/// all for ten seconds. Dropping the peer closes the socket; bytes from the client that were not read then
/// turn the close into a reset, as TCP does. For an orderly end call [`shutdown`](Self::shutdown), then
/// [`read_to_end`](Self::read_to_end).
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    index: usize,
    received: Decoder,
    request: Option<Request>,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, index: usize) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, index, received: Decoder::new(), request: None })
    }

    /// The number of this connection, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The socket, for what is not offered here.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads the client's request.
    #[track_caller]
    pub fn read_request(&mut self) -> Request {
        loop {
            if let Some(request) = Request::parse(self.received.rest()) {
                self.received.consume(request.bytes.len());
                self.request = Some(request.clone());
                return request;
            }
            self.receive("a request");
        }
    }

    /// Opens the connection with a correct response, after reading the request unless that was done already.
    #[track_caller]
    pub fn accept_upgrade(&mut self) -> Request {
        self.accept_upgrade_with(&[])
    }

    /// [`accept_upgrade`](Self::accept_upgrade) with further header lines (`Name: value`) in the response.
    #[track_caller]
    pub fn accept_upgrade_with(&mut self, extra: &[&str]) -> Request {
        let request = match self.request.take() {
            Some(request) => request,
            None => self.read_request(),
        };
        self.write(&handshake::response(&request, extra));
        request
    }

    /// Writes bytes as they are.
    ///
    /// # Panics
    /// When the client does not take them.
    #[track_caller]
    pub fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.try_write(bytes) {
            panic!("connection {}: writing {} bytes failed: {error}", self.index, bytes.len());
        }
    }

    /// Writes bytes as they are, where the client may have gone already.
    ///
    /// # Errors
    /// What the socket says.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one unmasked frame; `rsv` holds RSV1, RSV2 and RSV3 as the bits 4, 2 and 1.
    #[track_caller]
    pub fn send_frame(&mut self, fin: bool, rsv: u8, opcode: u8, payload: &[u8]) {
        self.write(&frame::encode(fin, rsv, opcode, payload));
    }

    /// Sends a whole text message.
    #[track_caller]
    pub fn send_text(&mut self, text: &str) {
        self.write(&frame::text(text));
    }

    /// Sends a whole binary message.
    #[track_caller]
    pub fn send_binary(&mut self, payload: &[u8]) {
        self.write(&frame::binary(payload));
    }

    /// Sends a ping.
    #[track_caller]
    pub fn send_ping(&mut self, payload: &[u8]) {
        self.write(&frame::ping(payload));
    }

    /// Sends a pong.
    #[track_caller]
    pub fn send_pong(&mut self, payload: &[u8]) {
        self.write(&frame::pong(payload));
    }

    /// Sends a close frame.
    #[track_caller]
    pub fn send_close(&mut self, code: u16, reason: &str) {
        self.write(&frame::close(code, reason));
    }

    /// Reads one frame, which must keep the rules for clients ([`Frame::fault`]).
    ///
    /// # Panics
    /// When it breaks them.
    #[track_caller]
    pub fn read_frame(&mut self) -> Frame {
        let frame = self.read_any_frame();
        if let Some(fault) = frame.fault() {
            panic!("connection {}: {fault}: {frame:?}", self.index);
        }
        frame
    }

    /// Reads one frame, whatever rules it breaks.
    #[track_caller]
    pub fn read_any_frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.received.next_frame() {
                return frame;
            }
            self.receive("a frame");
        }
    }

    /// Reads a frame that must be a close frame: its code and reason, `None` if it carries none.
    ///
    /// # Panics
    /// When another frame comes.
    #[track_caller]
    pub fn read_close(&mut self) -> Option<(u16, String)> {
        let frame = self.read_frame();
        assert_eq!(frame.opcode, frame::CLOSE, "connection {}: no close frame but {frame:?}", self.index);
        frame.close()
    }

    /// Reads `length` bytes as they are.
    #[track_caller]
    pub fn read_exact(&mut self, length: usize) -> Vec<u8> {
        while self.received.rest().len() < length {
            self.receive("bytes");
        }
        self.received.consume(length)
    }

    /// Reads to the end of the stream, which may be a reset, and returns what was left to read.
    ///
    /// # Panics
    /// When the client neither writes nor ends.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.receive_some("the end of the stream").is_ok_and(|received| received > 0) {}
        let left = self.received.rest().len();
        self.received.consume(left)
    }

    /// Waits for the client to end the stream cleanly without another byte.
    ///
    /// # Panics
    /// When bytes or a reset come.
    #[track_caller]
    pub fn expect_eof(&mut self) {
        if self.received.rest().is_empty() {
            match self.receive_some("the end of the stream") {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => panic!("connection {}: no orderly end: {error}", self.index),
            }
        }
        panic!("connection {}: no end of the stream but {:02x?}", self.index, self.received.rest());
    }

    /// Ends the server's side of the stream (FIN). Reading continues.
    pub fn shutdown(&mut self) {
        // It fails only when the client has gone, which the next read tells.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Breaks the connection off (RST).
    ///
    /// # Panics
    /// When the system refuses to.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    /// Waits for bytes.
    #[track_caller]
    fn receive(&mut self, wanted: &str) {
        match self.receive_some(wanted) {
            Ok(0) => {
                panic!("connection {}: the client ended the stream instead of sending {wanted}", self.index)
            }
            Ok(_) => {}
            Err(error) => panic!("connection {}: {error} instead of {wanted}", self.index),
        }
    }

    /// Waits for bytes, the end of the stream (0) or its breach.
    #[track_caller]
    fn receive_some(&mut self, wanted: &str) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let outcome = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(received) => self.received.feed(&buffer[..received]),
            Err(ref error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("connection {}: {wanted} did not come within {PATIENCE:?}", self.index)
            }
            Err(_) => {}
        }
        outcome
    }
}
