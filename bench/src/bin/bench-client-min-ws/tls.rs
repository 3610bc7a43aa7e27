//! `receive-tls` and `idle-tls` on the floor: rustls' unbuffered interface decrypts in the one buffer, and frames are parsed there.

use std::hint::black_box;
use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;

use mio::{Events, Poll, Token};
use websocket_bench::contract::{Report, Task};
use websocket_bench::frame::{CLOSE, Header, TEXT};
use websocket_bench::measure::{Tally, measure_idle};
use websocket_bench::tls::client_config;
use websocket_bench::{CHUNK, Result};

use crate::socket::wait;
use crate::text::validate;
use crate::tls_session::{Session, pump, watch};

pub(crate) fn receive(task: &Task) -> Result<Report> {
    let mut tally = Tally::new(task)?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    let mut buffer = vec![0; CHUNK];
    let mut frames = Frames::default();
    let mut on_text = |text: &str| {
        tally.count(black_box(text).len());
    };
    let mut session = Session::open(task, &client_config(task)?, &mut buffer)?;
    let mut flow = frames.take(&std::mem::take(&mut session.early), &mut on_text)?;
    let mut stream = watch(session.stream, &poll, Token(0))?;
    while flow.is_continue() {
        match stream.read(&mut buffer[session.filled..]) {
            Ok(0) => return Err("the server ended without a close frame".into()),
            Ok(more) => session.filled += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait(&mut poll, &mut events, None)?;
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let decrypt = &mut |plaintext: &[u8]| {
            flow = frames.take(plaintext, &mut on_text)?;
            Ok(())
        };
        pump(&mut session.tls, &mut buffer, &mut session.filled, decrypt, &mut |_| Ok(()))?;
    }
    tally.into_report()
}

pub(crate) fn idle(task: &Task) -> Result<Report> {
    let poll = Poll::new()?;
    let config = client_config(task)?;
    let mut buffer = vec![0; CHUNK];
    measure_idle(task, || {
        let session = Session::open(task, &config, &mut buffer)?;
        Ok((watch(session.stream, &poll, Token(0))?, session.tls))
    })
}

/// Frames in pieces of plaintext.
#[derive(Default)]
struct Frames {
    /// A frame that the last piece has cut.
    cut: Vec<u8>,
}

impl Frames {
    /// Hands every text to `on_text`; breaks at the close frame.
    fn take(&mut self, mut plaintext: &[u8], on_text: &mut impl FnMut(&str)) -> Result<ControlFlow<()>> {
        while !self.cut.is_empty() && !plaintext.is_empty() {
            // Byte by byte until the header tells how much is missing: a cut is rare.
            let missing = Header::read(&self.cut).map_or(1, |header| header.end - self.cut.len());
            let (more, rest) = plaintext.split_at(missing.min(plaintext.len()));
            self.cut.extend_from_slice(more);
            plaintext = rest;
            let whole = Header::read(&self.cut).filter(|header| header.end == self.cut.len());
            if let Some(header) = whole {
                if frame(header, &self.cut, on_text)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                self.cut.clear();
            }
        }
        while let Some(header) = Header::read(plaintext).filter(|header| header.end <= plaintext.len()) {
            if frame(header, plaintext, on_text)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            plaintext = &plaintext[header.end..];
        }
        self.cut.extend_from_slice(plaintext);
        Ok(ControlFlow::Continue(()))
    }
}

#[inline]
fn frame(header: Header, bytes: &[u8], on_text: &mut impl FnMut(&str)) -> Result<ControlFlow<()>> {
    match header.first {
        TEXT => on_text(validate(&bytes[header.start..header.end])?),
        CLOSE => return Ok(ControlFlow::Break(())),
        first => return Err(format!("no place for a frame that begins with {first:#x}").into()),
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use websocket_bench::frame::unmasked;

    #[test]
    fn frames_are_found_wherever_the_plaintext_is_cut() {
        let long = "x".repeat(300);
        let input =
            [unmasked(TEXT, b"one"), unmasked(TEXT, long.as_bytes()), unmasked(CLOSE, &[3, 232])].concat();
        for cut in 0..=input.len() {
            let (mut frames, mut texts) = (Frames::default(), Vec::new());
            let mut on_text = |text: &str| texts.push(text.to_owned());
            let first = frames.take(&input[..cut], &mut on_text).unwrap();
            assert_eq!(first.is_break(), cut == input.len());
            if first.is_continue() {
                assert!(frames.take(&input[cut..], &mut on_text).unwrap().is_break());
            }
            assert_eq!(texts, ["one", &long]);
        }
    }
}
