//! One app on its reactor: where its attempt stands.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use websocket_connection::{Connection, State};
use websocket_dispatcher::{Interest, Io, Key};
use websocket_link::proxy::Handshake;
#[cfg(feature = "tls")]
use websocket_link::tls::TlsInfo;
use websocket_link::{Asker, Eyeballs};

use super::attempt::Attempt;
use super::schedule::{AppTimers, Armed};
use super::secure::Secure;
use super::{AppId, Apps};
use crate::address::Target;
use crate::attempts::Row;
use crate::context::{Live, write_all};
use crate::outbox::Outbox;
use crate::plan::Plan;
use crate::{Attempts, CallbackResult, Context, CookieJar, Error, Handler, Outcome};

/// One app.
pub(crate) struct App {
    pub(super) handler: Box<dyn Handler>,
    pub(super) control: Control,
    pub(super) stage: Stage,
    pub(super) plan: Box<Plan>,
    /// Somebody waits for the outcome.
    pub(super) keep_outcome: bool,
    /// The failure that has been reported and will end, or has ended, the attempt.
    pub(super) failure: Option<Box<Error>>,
    /// How the last attempt ended, from then on until the next one begins or nobody needs it.
    pub(super) outcome: Option<Box<Outcome>>,
}

/// What callbacks may change while their connection is borrowed.
#[derive(Default)]
pub(crate) struct Control {
    /// Made when the first sender is.
    pub(crate) outbox: Option<Box<Outbox>>,
    pub(crate) limit: usize,
    pub(crate) timers: AppTimers,
    /// The user wants this run to end.
    pub(crate) close_requested: bool,
    /// The socket took no more, or a message was refused, since the output was last empty.
    pub(crate) blocked: bool,
    /// The output has grown since it was last written.
    pub(super) dirty: bool,
    /// `on_error` or `on_close` is running: nobody is told of a panic in it.
    pub(super) unheard: bool,
    /// The run is over.
    pub(crate) ended: bool,
    pub(crate) attempts: Attempts,
    /// Where lost connections are made again.
    pub(crate) row: Option<Box<Row>>,
    pub(super) on_open: Option<Box<OnOpen>>,
    /// The state that was logged last.
    noted: Noted,
    /// The app's earliest entry in the schedule.
    pub(super) armed: Option<Armed>,
}

impl Control {
    /// The output is to be written at the end of the turn.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, apps: &mut Apps, id: AppId) {
        if !self.dirty {
            self.dirty = true;
            apps.dirty.push(id);
        }
    }

    /// Logs a change of the connection's state.
    pub(super) fn note(&mut self, id: AppId, state: State) {
        let before = std::mem::replace(&mut self.noted.0, state);
        if before != state {
            log::debug!(target: "websocket::life_cycle", "{id}: {before:?} -> {state:?}");
        }
    }

    /// `len` bytes of the output were written.
    #[inline]
    pub(crate) fn wrote(&mut self, len: usize) {
        if let Some(outbox) = &mut self.outbox {
            outbox.wrote(len);
        }
    }
}

/// What is of use when the connection opens, and not after.
#[derive(Default)]
pub(super) struct OnOpen {
    /// The jar for the cookies of the response, and where they come from.
    pub(super) cookies: Option<(CookieJar, Target)>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsInfo>,
}

/// A state; closed to begin with.
struct Noted(State);

impl Default for Noted {
    fn default() -> Self {
        Self(State::Closed)
    }
}

/// How far the attempt has come.
pub(super) enum Stage {
    /// Added, and the next turn begins; or between two of the steps below.
    New,
    /// The host's name is being resolved.
    Resolving(Box<Resolving>),
    /// Streams are connecting.
    Connecting(Box<Connecting>),
    /// A proxy is asked for a tunnel.
    Tunnelling(Box<Tunnelling>),
    /// There is a stream with a connection on it.
    Live(Box<LiveStage>),
    /// The attempt is over; where [`Row::retry_at`] is set, another follows.
    Over,
}

impl Stage {
    /// The connection as callbacks see it.
    fn live(&mut self) -> Option<Live<'_>> {
        match self {
            Self::Live(live) => {
                let io = live.secure.is_none().then_some(&mut live.io);
                Some(Live { tx: live.connection.tx(), io })
            }
            _ => None,
        }
    }
}

pub(super) struct Resolving {
    pub(super) query: u64,
    pub(super) _asker: Asker,
    pub(super) name: String,
    /// The address is for the proxy, which cannot carry a name.
    pub(super) for_proxy: bool,
    pub(super) deadline: Instant,
    pub(super) attempt: Box<Attempt>,
}

/// A stream that is connecting.
pub(super) struct Racer {
    pub(super) key: Key,
    pub(super) io: Io,
    pub(super) interest: Interest,
    pub(super) address: Option<SocketAddr>,
}

pub(super) struct Connecting {
    pub(super) race: Eyeballs<Racer>,
    /// The last attempt that failed.
    pub(super) failure: Option<(Option<SocketAddr>, io::Error)>,
    pub(super) deadline: Instant,
    pub(super) attempt: Box<Attempt>,
}

/// A stream on which a proxy is asked for a tunnel.
pub(super) struct Tunnelling {
    pub(super) key: Key,
    pub(super) io: Io,
    pub(super) interest: Interest,
    pub(super) handshake: Handshake,
    pub(super) deadline: Instant,
    pub(super) attempt: Box<Attempt>,
}

pub(super) struct LiveStage {
    pub(super) key: Key,
    pub(super) io: Io,
    pub(super) interest: Interest,
    /// Between the stream and the connection, for `wss`.
    pub(super) secure: Option<Box<Secure>>,
    pub(super) connection: Connection,
    /// Until the connection is open.
    pub(super) attempt: Option<Box<Attempt>>,
    /// The end of the stream has been announced, so a short read is not the last.
    pub(super) read_closed: bool,
    /// Writing has failed with this; the connection ends with it once everything that can be read was read.
    pub(super) broken: Option<io::Error>,
    /// Reading stopped early and goes on with its turn among those that did.
    pub(super) queued: bool,
    /// A read was inflated so far that the next ones are to be small.
    pub(super) swells: bool,
}

impl LiveStage {
    /// Writes until nothing is left or the stream takes no more; `true` when nothing is left.
    pub(super) fn write_all(&mut self, control: &mut Control, apps: &mut Apps) -> io::Result<bool> {
        match &mut self.secure {
            None => write_all(control, self.connection.tx(), &mut self.io, &mut apps.env),
            Some(secure) => {
                secure.write_all(control, &mut self.connection, &mut self.io, &mut apps.env, &mut apps.shared)
            }
        }
    }
}

impl App {
    pub(crate) fn new(handler: Box<dyn Handler>, plan: Box<Plan>, outbox: Option<Box<Outbox>>) -> Box<Self> {
        let limit = plan.options.config.max_queued_bytes;
        let row = plan.options.way.reconnect.is_some().then(Box::default);
        let control = Control { limit, outbox, row, ..Control::default() };
        Box::new(Self {
            handler,
            control,
            stage: Stage::New,
            plan,
            keep_outcome: false,
            failure: None,
            outcome: None,
        })
    }

    /// What the next run needs again.
    pub(crate) fn into_parts(self) -> (Box<dyn Handler>, Box<Plan>, Option<Box<Outbox>>, Attempts) {
        let Control { outbox, attempts, .. } = self.control;
        (self.handler, self.plan, outbox.map(|outbox| outbox.emptied()), attempts)
    }

    /// Whether the user's close ends the attempt here and now, since there is nobody to shake hands with.
    pub(super) fn is_unwanted(&self) -> bool {
        self.control.close_requested
            && !matches!(&self.stage, Stage::Live(live) if live.connection.state() != State::Connecting)
    }

    /// When this app must be looked at, whatever happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::New => None,
            Stage::Over => self.control.row.as_ref()?.retry_at,
            Stage::Resolving(resolving) => Some(resolving.deadline.min(resolving.attempt.deadline)),
            Stage::Connecting(connecting) => {
                let last = connecting.deadline.min(connecting.attempt.deadline);
                Some(connecting.race.deadline().map_or(last, |next| next.min(last)))
            }
            Stage::Tunnelling(tunnelling) => Some(tunnelling.deadline.min(tunnelling.attempt.deadline)),
            Stage::Live(live) => {
                let whole = live.attempt.as_ref().map(|attempt| attempt.deadline);
                let step = live.secure.as_ref().and_then(|secure| secure.deadline());
                [step.or_else(|| live.connection.deadline()), whole].into_iter().flatten().min()
            }
        }
    }

    /// Tells the app's senders how far the connection is.
    pub(super) fn publish(&self) {
        let Some(outbox) = &self.control.outbox else { return };
        let (state, output) = match &self.stage {
            Stage::Live(live) => (live.connection.state(), live.connection.queued_bytes()),
            Stage::Over => (State::Closed, 0),
            _ => (State::Connecting, 0),
        };
        outbox.shared().set_state(state);
        outbox.shared().set_output(output);
    }

    /// The handler, and the context to call it with.
    pub(super) fn split<'a>(
        &'a mut self,
        id: AppId,
        apps: &'a mut Apps,
    ) -> (&'a mut dyn Handler, Context<'a>) {
        (&mut *self.handler, Context { apps, id, control: &mut self.control, live: self.stage.live() })
    }

    /// Calls the handler unless the app was removed; an error that it returns goes to its `on_error`.
    pub(super) fn call(
        &mut self,
        id: AppId,
        apps: &mut Apps,
        call: impl FnOnce(&mut dyn Handler, &mut Context<'_>) -> CallbackResult,
    ) {
        if apps.interrupted {
            return;
        }
        let (handler, mut context) = self.split(id, apps);
        let result = call(handler, &mut context);
        check(handler, &mut context, result);
    }

    /// Tells the handler of a failure of the connection. The first one is kept, also if `on_error` panics.
    pub(super) fn report(&mut self, id: AppId, apps: &mut Apps, error: Error) {
        let Self { handler, control, stage, failure, .. } = self;
        let mut context = Context { apps, id, control, live: stage.live() };
        match failure {
            None => tell(&mut **handler, &mut context, failure.insert(Box::new(error))),
            Some(_) => tell(&mut **handler, &mut context, &error),
        }
    }
}

/// Passes the error of a callback to `on_error`.
#[inline]
pub(super) fn check(handler: &mut dyn Handler, context: &mut Context<'_>, result: CallbackResult) {
    if let Err(error) = result {
        tell(handler, context, &Error::Callback(error));
    }
}

#[cold]
fn tell(handler: &mut dyn Handler, context: &mut Context<'_>, error: &Error) {
    if context.apps.interrupted {
        return;
    }
    context.control.unheard = true;
    if let Err(error) = handler.on_error(context, error) {
        log::error!(target: "websocket::app", "{}: on_error itself returned an error: {error}", context.id());
    }
    context.control.unheard = false;
}
