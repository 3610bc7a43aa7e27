//! Bytes of the server that come before anything watches for them.

use std::io::{Read, Write};

use websocket_dispatcher::{Interest, Stream};
use websocket_link::{Connector, SocketOptions};

use super::steps::{PROXY, Wait};
use super::*;

/// Everything that has come so far: what the arrival says is in the buffer, then what the stream still holds.
fn received(rig: &mut Rig, arrival: &mut Arrival) -> Vec<u8> {
    let mut bytes = rig.buffer[..arrival.already_read.unwrap_or(0)].to_vec();
    let mut rest = [0; 64];
    while let Ok(len) = arrival.wire.io.read(&mut rest) {
        bytes.extend_from_slice(&rest[..len]);
    }
    bytes
}

#[test]
fn b178_what_comes_with_the_last_answer_of_a_proxy_is_at_the_front_of_the_buffer() {
    let granted = b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n";
    let socks_granted = b"\x05\0\0\x01\0\0\0\0\0\0";
    for (wait, greeting, granted) in
        [(Wait::ForHttpTunnel, &b""[..], &granted[..]), (Wait::ForSocksTunnel, b"\x05\0", socks_granted)]
    {
        for early in [&b""[..], b"HTTP/1.1 101 Switching"] {
            let answer = [granted, early].concat();
            for cut in 0..answer.len() {
                let mut rig = Rig::new(BY_NAME, &wait.options());
                let (first, last) = (answer[..cut].to_vec(), answer[cut..].to_vec());
                let mut requests = 0;
                rig.net.serve_arrivals(PROXY, move |peer| {
                    requests += u32::from(!peer.read_available().is_empty());
                    if requests == 1 && !greeting.is_empty() {
                        return peer.write(greeting);
                    }
                    if requests == 1 + u32::from(!greeting.is_empty()) {
                        requests = 100;
                        peer.write(&first);
                        let (peer, last) = (peer.clone(), last.clone());
                        peer.net().clone().after(SECOND, move |_| peer.write(&last));
                    }
                });
                // What an earlier app has left there.
                rig.buffer.fill(b'#');
                let mut arrived = arrival(rig.begin_and_run_until(SECOND));
                let in_buffer = cut.checked_sub(granted.len()).unwrap_or(early.len());
                assert_eq!(arrived.already_read, Some(in_buffer), "{wait:?}, cut at {cut}");
                rig.net.advance(SECOND);
                assert_eq!(received(&mut rig, &mut arrived), early, "{wait:?}, cut at {cut}");
                rig.net().unwatch(arrived.wire);
                rig.assert_leaves_nothing();
            }
        }
    }
}

/// A stream that is connected once its peer has said hello in one byte.
struct Greeted {
    inner: Io,
    is_greeted: bool,
}

impl Stream for Greeted {
    fn connected(&mut self) -> io::Result<bool> {
        if !self.is_greeted && self.inner.connected()? {
            match self.inner.read(&mut [0]) {
                Ok(len) => self.is_greeted = len == 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.is_greeted)
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.inner)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.inner)
    }
}

impl Read for Greeted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl Write for Greeted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct Greeting(SimNet);

impl Connector for Greeting {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        let inner = self.0.connect(address, options)?;
        Ok(Io::custom(Greeted { inner, is_greeted: false }))
    }
}

#[test]
fn a_stream_that_was_watched_for_reading_while_it_connected_is_to_be_read_at_once() {
    let mut rig = Rig::new(BY_ADDRESS, &options(None));
    rig.links.connector = Box::new(Greeting(rig.net.clone()));
    let listener = rig.net.listen(address(1));
    waiting(rig.begin_and_run_until(SECOND));
    let peer = listener.accept().unwrap();
    rig.net.at(2 * SECOND, move |_| peer.write(b"!early"));
    let mut arrived = arrival(rig.run_until(HOUR));
    assert_eq!((rig.net.elapsed(), arrived.already_read), (2 * SECOND, Some(0)));
    assert_eq!(arrived.wire.interest, Interest::Read);
    // That is why: the loop says nothing more about these bytes.
    let mut ready = Vec::new();
    rig.dispatcher.wait(Some(rig.net.now() + HOUR), &mut ready).unwrap();
    assert_eq!(ready, []);
    assert_eq!(received(&mut rig, &mut arrived), b"early");
    rig.net().unwatch(arrived.wire);
    rig.assert_leaves_nothing();
}

#[test]
fn a_stream_that_was_watched_for_writing_is_read_when_the_loop_says_so() {
    for wait in [Wait::ForServer, Wait::ForOwnStream] {
        let mut rig = wait.rig_with(&wait.options(), |rig| {
            drop(rig.net.listen(address(1)));
            rig.net.delay(address(1), SECOND);
        });
        let arrived = arrival(rig.run_until(SECOND));
        assert_eq!(arrived.already_read, None, "{wait:?}");
        assert!(arrived.wire.interest.is_write(), "{wait:?}: it is watched for something else next");
        rig.net().unwatch(arrived.wire);
        rig.assert_leaves_nothing();
    }
}
