//! A server that sends texts, and answers a close frame as soon as it has read it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use websocket_testkit::frame::{self, Decoder};
use websocket_testkit::server::ScriptedServer;

/// Payload bytes of each text.
const TEXT: usize = 32;
/// Texts that are written at a time when the server writes as fast as it can.
const CHUNK: usize = 512;

/// How fast a server sends.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// One text in each interval of this length.
    Every(Duration),
    /// As fast as the client takes them, at most this many.
    Flood(usize),
}

/// The server, for one client.
pub(crate) struct FeedServer {
    server: ScriptedServer,
    closes: Receiver<Instant>,
}

impl FeedServer {
    pub(crate) fn start(pace: Pace) -> io::Result<Self> {
        let (closed, closes) = mpsc::channel();
        let server = ScriptedServer::start(move |mut peer| {
            peer.accept_upgrade();
            // A client that is gone ends the feed, however it went.
            let _gone = serve(peer.stream(), pace, &closed);
        })?;
        Ok(Self { server, closes })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// When the client's close frame came, if it did. Waits for the end of the connection.
    pub(crate) fn close_frame(self) -> Option<Instant> {
        self.server.join();
        self.closes.try_iter().next()
    }
}

fn serve(stream: &TcpStream, pace: Pace, closed: &mpsc::Sender<Instant>) -> io::Result<()> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    let output = Output { stream, is_over: Mutex::new(false) };
    thread::scope(|scope| {
        let feed = scope.spawn(|| output.feed(pace));
        let mut input = Decoder::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = (&mut &*stream).read(&mut buffer) {
            input.feed(&buffer[..read]);
            while let Some(frame) = input.next_frame() {
                if frame.opcode == frame::CLOSE {
                    let _last = closed.send(Instant::now());
                    let _gone = output.close();
                }
            }
        }
        // A write that waits for the client ends with this.
        let _gone = stream.shutdown(Shutdown::Both);
        let _gone = output.close();
        feed.join().unwrap_or(Ok(()))
    })
}

/// The sending side, which two threads share.
struct Output<'a> {
    stream: &'a TcpStream,
    /// The close frame has been sent, or there is no client.
    is_over: Mutex<bool>,
}

impl Output<'_> {
    /// Sends texts until all are sent or the output is over.
    fn feed(&self, pace: Pace) -> io::Result<()> {
        let text = frame::text(&"x".repeat(TEXT));
        match pace {
            Pace::Every(interval) => {
                let begun = Instant::now();
                for number in 1.. {
                    let due = begun + interval * number;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    if !self.write(&text)? {
                        break;
                    }
                }
            }
            Pace::Flood(texts) => {
                let chunk = text.repeat(CHUNK);
                let mut left = texts;
                while left > 0 {
                    let now = left.min(CHUNK);
                    if !self.write(&chunk[..now * text.len()])? {
                        break;
                    }
                    left -= now;
                }
            }
        }
        Ok(())
    }

    /// Writes whole frames, or returns `false` when the output is over.
    fn write(&self, frames: &[u8]) -> io::Result<bool> {
        let is_over = self.lock();
        if *is_over {
            return Ok(false);
        }
        (&mut &*self.stream).write_all(frames)?;
        Ok(true)
    }

    /// Sends a close frame and nothing after it.
    fn close(&self) -> io::Result<()> {
        let mut is_over = self.lock();
        if std::mem::replace(&mut *is_over, true) {
            return Ok(());
        }
        (&mut &*self.stream).write_all(&frame::close(1000, ""))
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
