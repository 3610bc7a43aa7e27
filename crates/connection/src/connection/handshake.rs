//! The opening handshake of a connection, and another one on the same stream after a refusal.

use super::{Connection, Received};
use crate::upgrade::Upgrade;
use crate::{Env, Error, Event, Input, Request, RequestError, State, Tx, deflate};

impl Connection {
    /// Whether the stream of a request that was refused can carry another one (RFC 9112 section 9.3). That is so after a response in
    /// HTTP/1.1, without `Connection: close` and without a faulty header, to a request that was wholly written, if the body has a length or
    /// chunks, came to its end within `max_error_body` bytes, and nothing came behind it.
    pub fn can_ask_again(&self) -> bool {
        self.tx.state() == State::Closed && self.upgrade.is_some()
    }

    /// Sends another request on the stream of one that was refused, where [`can_ask_again`](Self::can_ask_again): the opening handshake
    /// begins again. Bytes on the stream are counted on, and the source of mask keys stays.
    ///
    /// # Errors
    /// A request that cannot be sent; nothing has changed.
    pub fn ask_again(&mut self, request: &Request, env: &mut Env) -> Result<(), RequestError> {
        let (upgrade, bytes) = Upgrade::start(request, &self.config, env)?;
        let before = std::mem::replace(&mut self.tx, Tx::new(bytes, &self.config));
        self.tx.written = before.written;
        self.tx.pings.received = before.pings.received;
        self.tx.counters = before.counters;
        self.tx.mask_key = before.mask_key;
        self.upgrade = Some(Box::new(upgrade));
        self.error = None;
        Ok(())
    }

    /// Connecting -> Open, or -> Closed.
    pub(super) fn receive_response(
        &mut self,
        input: &mut Input<'_>,
        env: &mut Env,
    ) -> Result<Option<Received>, Error> {
        let Some(upgrade) = &mut self.upgrade else { return Ok(None) };
        match upgrade.receive(input.rest(), &self.config, env.now) {
            Ok((used, response)) => {
                input.skip(used);
                Ok(response.map(|response| {
                    self.upgrade = None;
                    deflate::start(&response, &self.config, &mut self.rx.inbound, &mut self.tx.outbound);
                    self.tx.lifecycle.open();
                    self.tx.pings.start(&self.config, env.now);
                    Received::Event(Event::Open(response))
                }))
            }
            Err(error) => {
                // The server would take the rest of this request for the start of the next.
                let is_written = self.tx.queued_bytes() == 0;
                let kept = self.upgrade.take_if(|upgrade| is_written && upgrade.keeps_stream());
                let error = Error::from(error);
                let outcome = self.finish(Some(error.clone()), env);
                self.upgrade = kept;
                outcome?;
                Err(error)
            }
        }
    }
}
