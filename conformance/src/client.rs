//! The client under test: callbacks on any of the project's hosts, or a stream.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use futures_lite::future::block_on;
use websocket_app::{Deflate, Message, ReactorThread, RunOptions, WebSocketApp};
use websocket_hosts::Host;

use crate::stream;

/// What the suite asks of a client.
pub(crate) struct Client {
    interface: Interface,
    options: RunOptions,
}

/// What the client is driven by.
pub(crate) enum Interface {
    Callbacks(&'static Host),
    /// Futures on this thread, with the reactor on its own.
    Stream(ReactorThread),
}

/// How a connection went.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) opened: bool,
    pub(crate) first: Option<String>,
    /// Why it never opened, or how it ended.
    pub(crate) end: String,
}

impl Client {
    pub(crate) const fn new(interface: Interface, options: RunOptions) -> Self {
        Self { interface, options }
    }

    /// Connects, and returns the first text message.
    pub(crate) fn fetch(&self, url: &str) -> Result<String, Box<dyn Error>> {
        let seen = self.connect(url, &self.options, false)?;
        seen.first.ok_or_else(|| format!("no message before the end: {}", seen.end).into())
    }

    /// Connects, sends every text and binary message back, and returns once the connection is closed. How it
    /// closed is for the suite to judge: only a connection that never opened is an error. It offers compression if it is to be
    /// `compressed`.
    pub(crate) fn echo(&self, url: &str, compressed: bool) -> Result<(), Box<dyn Error>> {
        let mut options = self.options.clone();
        if compressed {
            // Also the shortest.
            options = options.compression(Deflate::new().threshold(0));
        }
        let seen = self.connect(url, &options, true)?;
        if seen.opened { Ok(()) } else { Err(seen.end.into()) }
    }

    fn connect(&self, url: &str, options: &RunOptions, echo: bool) -> Result<Seen, Box<dyn Error>> {
        let host = match &self.interface {
            Interface::Callbacks(host) => host,
            Interface::Stream(reactor) => {
                return Ok(block_on(stream::converse(url, options, reactor.handle(), echo)));
            }
        };
        let seen = Rc::new(RefCell::new(Seen::default()));
        host.run(|apps| {
            let (open, message, close) = (seen.clone(), seen.clone(), seen.clone());
            let app = WebSocketApp::new(url)
                .on_open(move |_, _| open.borrow_mut().opened = true)
                .on_message(move |app, received| match received {
                    Message::Text(text) if echo => app.send_text(text),
                    Message::Binary(bytes) | Message::UncheckedText(bytes) if echo => app.send_bytes(bytes),
                    other => {
                        let first = &mut message.borrow_mut().first;
                        first.get_or_insert_with(|| String::from_utf8_lossy(other.as_bytes()).into_owned());
                        Ok(())
                    }
                })
                .on_error(|_, _| {})
                .on_close(move |_, closed| {
                    close.borrow_mut().end = match closed.error {
                        Some(error) => error.to_string(),
                        None => format!("closed with {:?}", closed.code),
                    };
                });
            apps.add(app, options)?;
            Ok(())
        })?;
        Ok(seen.take())
    }
}
