//! Closures as a [`Handler`].

use std::time::Duration;

use websocket_connection::{Fragment, Message, Opcode, Part};

use crate::apps::{Batch, CallbackResult, Context, Handler, Open};
use crate::error::Error;
use crate::outcome::{Closed, Outcome};

type Closure<T> = Option<Box<T>>;

/// The closures of a `WebSocketApp`.
#[derive(Default)]
#[allow(clippy::type_complexity, reason = "each type says how its closure is called, once")]
pub(crate) struct Callbacks {
    pub(crate) open: Closure<dyn FnMut(&mut Context<'_>, &Open<'_>) -> CallbackResult>,
    pub(crate) message: Closure<dyn FnMut(&mut Context<'_>, Message<'_>) -> CallbackResult>,
    pub(crate) data: Closure<dyn FnMut(&mut Context<'_>, &[u8], Opcode, Part) -> CallbackResult>,
    pub(crate) cont_message: Closure<dyn FnMut(&mut Context<'_>, Fragment<'_>) -> CallbackResult>,
    pub(crate) ping: Closure<dyn FnMut(&mut Context<'_>, &[u8]) -> CallbackResult>,
    pub(crate) pong: Closure<dyn FnMut(&mut Context<'_>, &[u8], Option<Duration>) -> CallbackResult>,
    pub(crate) drain: Closure<dyn FnMut(&mut Context<'_>) -> CallbackResult>,
    pub(crate) error: Closure<dyn FnMut(&mut Context<'_>, &Error) -> CallbackResult>,
    pub(crate) close: Closure<dyn FnMut(&mut Context<'_>, &Closed<'_>) -> CallbackResult>,
    /// Closures that few apps have: many apps wait idly, and each closure here takes 16 bytes.
    rare: Option<Box<RareCallbacks>>,
}

/// The closures that few apps have.
#[derive(Default)]
#[allow(clippy::type_complexity, reason = "each type says how its closure is called, once")]
pub(crate) struct RareCallbacks {
    pub(crate) reconnect: Closure<dyn FnMut(&mut Context<'_>, &Open<'_>) -> CallbackResult>,
    pub(crate) batch_end: Closure<dyn FnMut(&mut Context<'_>) -> CallbackResult>,
    pub(crate) end: Closure<dyn FnMut(&mut Context<'_>, &Outcome) -> CallbackResult>,
}

impl Callbacks {
    /// The closures that few apps have, to add one.
    pub(crate) fn rare(&mut self) -> &mut RareCallbacks {
        self.rare.get_or_insert_default()
    }
}

impl Handler for Callbacks {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.open.as_mut().map_or(Ok(()), |call| call(app, open))
    }

    fn on_reconnect(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.rare.as_mut().and_then(|rare| rare.reconnect.as_mut()).map_or(Ok(()), |call| call(app, open))
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        self.message.as_mut().map_or(Ok(()), |call| call(app, message))
    }

    fn on_messages(&mut self, batch: &mut Batch<'_, '_>) -> CallbackResult {
        let Some(call) = &mut self.message else {
            while batch.next().is_some() {}
            return Ok(());
        };
        while let Some((app, message)) = batch.next() {
            call(app, message)?;
        }
        Ok(())
    }

    fn on_data(
        &mut self,
        app: &mut Context<'_>,
        payload: &[u8],
        opcode: Opcode,
        part: Part,
    ) -> CallbackResult {
        self.data.as_mut().map_or(Ok(()), |call| call(app, payload, opcode, part))
    }

    fn wants_data(&self) -> bool {
        self.data.is_some()
    }

    fn on_cont_message(&mut self, app: &mut Context<'_>, fragment: Fragment<'_>) -> CallbackResult {
        self.cont_message.as_mut().map_or(Ok(()), |call| call(app, fragment))
    }

    fn wants_fragments(&self) -> bool {
        self.cont_message.is_some()
    }

    fn on_batch_end(&mut self, app: &mut Context<'_>) -> CallbackResult {
        self.rare.as_mut().and_then(|rare| rare.batch_end.as_mut()).map_or(Ok(()), |call| call(app))
    }

    fn wants_batch_end(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.batch_end.is_some())
    }

    fn on_ping(&mut self, app: &mut Context<'_>, payload: &[u8]) -> CallbackResult {
        self.ping.as_mut().map_or(Ok(()), |call| call(app, payload))
    }

    fn on_pong(&mut self, app: &mut Context<'_>, payload: &[u8], rtt: Option<Duration>) -> CallbackResult {
        self.pong.as_mut().map_or(Ok(()), |call| call(app, payload, rtt))
    }

    fn on_drain(&mut self, app: &mut Context<'_>) -> CallbackResult {
        self.drain.as_mut().map_or(Ok(()), |call| call(app))
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        match &mut self.error {
            Some(call) => call(app, error),
            None => {
                log::warn!(target: "websocket::app", "{}: {error}", app.identity);
                Ok(())
            }
        }
    }

    fn on_close(&mut self, app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        self.close.as_mut().map_or(Ok(()), |call| call(app, closed))
    }

    fn on_end(&mut self, app: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        self.rare.as_mut().and_then(|rare| rare.end.as_mut()).map_or(Ok(()), |call| call(app, outcome))
    }

    fn wants_end(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.end.is_some())
    }
}
