//! What dialling needs of a reactor: its dispatcher, keys, resolver, connector, time and buffer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use websocket_dispatcher::{Clock, Dispatcher, Interest, Io};
use websocket_link::{Answer, Asker, Connector, Query, Resolver};

use super::gate::{Gate, Server};
use crate::id::{AppId, QueryId};
use crate::live::{Wire, kernel_time};
use crate::options::ConnectOptions;
use crate::panics::contain_panic;
use crate::watched::{KeyOwner, Watched};

/// Takes a resolver's answer back to the loop, from any thread.
pub(crate) type Reply = dyn Fn(AppId, QueryId, io::Result<Vec<SocketAddr>>) + Send + Sync;

/// What a reactor dials with, for as long as it lives.
pub(crate) struct Links {
    pub(crate) resolver: Box<dyn Resolver>,
    pub(crate) connector: Box<dyn Connector>,
    /// Connections in the making.
    pub(crate) connections: Gate<Server>,
    /// Names that are being resolved.
    pub(crate) names: Gate<String>,
    pub(crate) watched: Watched,
    pub(crate) reply: Arc<Reply>,
    queries: u64,
}

impl Links {
    pub(crate) fn new(resolver: Box<dyn Resolver>, connector: Box<dyn Connector>, reply: Arc<Reply>) -> Self {
        Self {
            resolver,
            connector,
            connections: Gate::for_connections(),
            names: Gate::for_names(),
            watched: Watched::default(),
            reply,
            queries: 0,
        }
    }
}

/// What one app's dialling needs of its reactor.
pub(crate) struct Net<'a> {
    pub(crate) app: AppId,
    pub(crate) dispatcher: &'a mut dyn Dispatcher,
    pub(crate) links: &'a mut Links,
    pub(crate) clock: &'a Clock,
    /// To read into.
    pub(crate) buffer: &'a mut [u8],
}

impl Net<'_> {
    /// The time as it is: the user's functions run between the steps of a dial, and connecting takes time, too.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Asks for the addresses of a name. The answer is not wanted once the [`Asker`] is dropped.
    pub(super) fn resolve(&mut self, host: &str, port: u16) -> (QueryId, Asker) {
        self.links.queries += 1;
        let query = QueryId(self.links.queries);
        let (app, reply) = (self.app, self.links.reply.clone());
        let (answer, asker) = Answer::with_asker(move |addresses| reply(app, query, addresses));
        self.links.resolver.resolve(Query::new(host, port), answer);
        (query, asker)
    }

    /// Watches a stream that is connecting.
    pub(super) fn watch(&mut self, mut io: Io, options: &ConnectOptions) -> io::Result<Wire> {
        kernel_time::prepare(&options.feed, &mut io);
        let key = self.links.watched.insert(KeyOwner::App(self.app));
        // A custom one may be connected, or may have to hear something first: it is asked at the first event.
        let interest = if io.is_socket() { Interest::Write } else { Interest::ReadWrite };
        match self.dispatcher.register(key, &mut io, interest) {
            Ok(()) => Ok(Wire { key, io, interest }),
            Err(error) => {
                self.links.watched.remove(key);
                Err(error)
            }
        }
    }

    /// Gives a stream back to the dispatcher, which drops it: a custom one may panic then, and only its key
    /// must not be lost.
    pub(crate) fn unwatch(&mut self, wire: Wire) {
        self.links.watched.remove(wire.key);
        contain_panic(self.app, || self.dispatcher.deregister(wire.key, wire.io));
    }
}
