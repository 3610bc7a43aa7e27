//! One app on its reactor: where its attempt stands.

use std::net::SocketAddr;
use std::time::Instant;

use websocket_connection::{Close, CloseCode, SendError, State};

use super::context::{Connected, Identity};
use super::rare::Rare;
use super::stage::{Companion, OpenDetails, Stage};
use super::timers::AppTimers;
use super::{Apps, CallbackResult, Context, Handler};
use crate::attempts::{Attempts, Streak};
use crate::dial::Attempt;
use crate::error::Error;
use crate::failed_addresses::FailedAddresses;
use crate::id::AppId;
use crate::live::Written;
use crate::outcome::Outcome;
use crate::phases::CompactPhases;
use crate::plan::Plan;
use crate::schedule::Armed;
use crate::send_queue::SendQueue;
use crate::surroundings::Surroundings;
use crate::threads::{Mailbox, Outbox, SenderState};

/// One app. In the order of the fields: what every visit looks at comes first, here and in [`Control`], for with thousands of apps each line of
/// memory that a message touches is waited for.
#[repr(C)]
pub(crate) struct App {
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) stage: Stage,
    pub(crate) plan: Box<Plan>,
    /// What a live connection that is not open yet was dialled for: it may have to be dialled again.
    pub(crate) attempt: Option<Box<Attempt>>,
    pub(crate) control: Control,
    /// The failure that has been reported and will end, or has ended, the attempt.
    pub(crate) failure: Option<Box<Outcome>>,
    /// How the last attempt ended, from then on until the next one begins or it is not needed.
    pub(crate) outcome: Option<Box<Outcome>>,
}

/// What callbacks may change while their connection is borrowed.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Control {
    /// The user has asked for the end of this run.
    pub(crate) close_requested: bool,
    /// The socket took no more, or a message was refused, since the output was last empty.
    pub(crate) blocked: bool,
    /// The output has grown since it was last written.
    pub(crate) dirty: bool,
    pub(crate) delivery: Delivery,
    /// The handler wants `on_batch_end`.
    pub(crate) wants_batch_end: bool,
    /// Messages were delivered since its last `on_batch_end`.
    pub(crate) in_batch: bool,
    /// The next message was offered as a batch, and the handler has left it.
    pub(crate) was_left: bool,
    /// `on_error` or `on_close` is running: a panic in it is not reported to a callback.
    pub(crate) in_last_callback: bool,
    /// The run is over.
    pub(crate) ended: bool,
    /// A data message was delivered since the reactor last looked.
    pub(crate) has_heard: bool,
    /// A callback wants a successor to be made.
    pub(crate) wants_successor: bool,
    /// The state that was logged last.
    logged: LoggedState,
    /// Made when the first sender is.
    pub(crate) outbox: Option<Box<Outbox>>,
    /// Where there are two connections.
    pub(crate) companion: Option<Box<Companion>>,
    /// What most apps never have.
    pub(crate) rare: Rare,
    /// The app's earliest entry in the schedule.
    pub(crate) armed: Option<Armed>,
    pub(crate) timers: AppTimers,
    /// Present where lost connections are made again.
    pub(crate) streak: Option<Box<Streak>>,
    pub(crate) on_open: Option<Box<OpenDetails>>,
    pub(crate) attempts: Attempts,
    /// Of the last attempt.
    pub(crate) phases: CompactPhases,
}

/// What is called for data that is received.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Delivery {
    /// `on_message` and `on_cont_message`.
    #[default]
    Messages,
    /// `on_data` before them.
    Data,
    /// Nothing: the program has closed the app and wants no more.
    Nothing,
}

impl Control {
    /// The output is to be written: when the visit to the app ends, or else when the turn does.
    #[inline]
    pub(crate) fn mark_dirty(&mut self, apps: &mut Apps, id: AppId) {
        if !self.dirty {
            self.dirty = true;
            apps.dirty.push(id);
        }
    }

    /// Whether there is nothing that a visit has to do besides serving the stream: nothing that senders or a second connection want, and no callback
    /// has asked for an end or a change.
    #[inline]
    pub(crate) fn is_ordinary(&self) -> bool {
        !(self.close_requested | self.blocked | self.ended)
            && self.delivery == Delivery::Messages
            && self.companion.is_none()
            && self.outbox.as_ref().is_none_or(|outbox| outbox.is_idle())
            && !self.rare.is_to_be_dropped()
    }

    /// Counts an attempt that begins. Returns the addresses that it should try last.
    pub(crate) fn begin_attempt(&mut self) -> FailedAddresses {
        self.attempts.started = self.attempts.started.saturating_add(1);
        self.phases = CompactPhases::default();
        (self.has_heard, self.in_batch) = (false, false);
        self.rare.begin_attempt();
        let Some(streak) = &mut self.streak else { return FailedAddresses::default() };
        streak.retry_at = None;
        streak.failed_addresses.clone()
    }

    /// Notes what the attempt is connected to, where another one may follow.
    pub(crate) fn set_on_trial(&mut self, address: Option<SocketAddr>) {
        if let Some(streak) = &mut self.streak {
            streak.on_trial = address;
        }
    }

    /// Whether senders have asked for something that is not done yet.
    pub(crate) fn has_orders(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.has_orders())
    }

    /// Whether the last connection has ended and another attempt follows.
    pub(crate) fn waits_to_reconnect(&self) -> bool {
        !self.ended && !self.close_requested && self.retry_at().is_some()
    }

    /// When the next attempt begins, while the app waits for it.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.streak.as_ref()?.retry_at
    }

    /// Logs a change of the connection's state.
    pub(crate) fn log_state(&mut self, id: AppId, state: State) {
        let before = std::mem::replace(&mut self.logged.0, state);
        if before != state {
            log::debug!(target: "websocket::life_cycle", "{id}: {before:?} -> {state:?}");
        }
    }

    /// Notes what was written; `true` when nothing is left.
    ///
    /// # Errors
    /// Why the stream takes no more.
    #[inline]
    pub(crate) fn wrote(&mut self, written: Written, env: &mut Surroundings) -> std::io::Result<bool> {
        if let Some(outbox) = &mut self.outbox {
            outbox.wrote(written.bytes, env);
        }
        self.blocked |= matches!(written.emptied, Ok(false)) && !self.is_swapped();
        written.emptied
    }
}

/// A state; closed to begin with.
struct LoggedState(State);

impl Default for LoggedState {
    fn default() -> Self {
        Self(State::Closed)
    }
}

impl Stage {
    /// The connection as callbacks see it.
    pub(crate) fn connected(&mut self) -> Option<Connected<'_>> {
        match self {
            Self::Live(live) => {
                let (tx, io, writes_at_once) = live.sending_half();
                Some(Connected { tx, io, writes_at_once })
            }
            _ => None,
        }
    }
}

impl App {
    pub(crate) fn new(
        handler: Box<dyn Handler>,
        plan: Box<Plan>,
        mut outbox: Option<Box<Outbox>>,
    ) -> Box<Self> {
        let streak = plan.options.connect.reconnect.is_some().then(Box::default);
        let queue = SendQueue::new(&plan.options.connect.feed.send_limits, plan.config().max_queued_bytes);
        if queue.is_some() && outbox.is_none() {
            outbox = Some(Outbox::new(Mailbox::new()));
        }
        if let Some(outbox) = &mut outbox {
            outbox.set_send_queue(queue);
        }
        let control = Control { outbox, streak, ..Control::default() };
        Box::new(Self {
            handler,
            control,
            stage: Stage::Over,
            attempt: None,
            plan,
            failure: None,
            outcome: None,
        })
    }

    /// What the next run needs again.
    pub(crate) fn into_parts(self) -> (Box<dyn Handler>, Box<Plan>, Option<Box<Outbox>>, Attempts) {
        let Control { outbox, attempts, .. } = self.control;
        (self.handler, self.plan, outbox.map(|outbox| outbox.emptied()), attempts)
    }

    /// Whether the last attempt has had its `on_close`.
    pub(crate) fn attempt_is_over(&self) -> bool {
        matches!(self.stage, Stage::Over) && (self.control.ended || self.control.retry_at().is_some())
    }

    /// Whether the first attempt has yet to begin.
    pub(crate) fn is_new(&self) -> bool {
        matches!(self.stage, Stage::Over) && !self.attempt_is_over()
    }

    /// Whether the user's close ends the attempt here and now, since there is no server to shake hands with.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.control.close_requested
            && !matches!(&self.stage, Stage::Live(live) if live.connection.state() != State::Connecting)
    }

    /// By when the attempt that is under way must open; `None` once it has.
    pub(crate) fn opens_by(&self) -> Option<Instant> {
        self.attempt.as_ref().map(|attempt| attempt.deadline)
    }

    /// When this app must be looked at next, unless something happens before.
    #[inline]
    pub(crate) fn due(&self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Dialling(dial) => dial.due(),
            Stage::Live(live) => live.due(self.opens_by()),
            Stage::Over => self.control.retry_at(),
        };
        match (self.sends_at(), &self.control.companion) {
            (None, None) => own,
            (sends_at, companion) => {
                let companion = companion.as_ref().and_then(|companion| companion.due());
                [own, sends_at, companion].into_iter().flatten().min()
            }
        }
    }

    /// Ends a run whose last attempt is over.
    pub(crate) fn give_up(&mut self, id: AppId) {
        if !self.control.ended {
            log::debug!(target: "websocket::life_cycle", "{id}: no other attempt is wanted");
        }
        self.control.ended = true;
        if let Some(streak) = &mut self.control.streak {
            streak.retry_at = None;
        }
    }

    /// Sends a close frame if the connection is open and its socket takes it at once.
    pub(crate) fn say_goodbye(&mut self, code: CloseCode, apps: &mut Apps) {
        if let Stage::Live(live) = &mut self.stage
            && live.connection.tx().close(&Close::from(code), apps.env.current()).is_ok()
        {
            let written = live.write_all(apps.env.current(), &mut apps.scratch);
            // It is a courtesy: the stream is dropped next, whatever becomes of it.
            let _courtesy = self.control.wrote(written, &mut apps.env);
        }
    }

    /// Encodes what may be sent by now and the messages of senders, until the output is full.
    pub(crate) fn send_backlog(&mut self, id: AppId, apps: &mut Apps) {
        if let (control, Stage::Live(live)) = (&mut self.control, &mut self.stage)
            && let Some(outbox) = control.outbox.as_mut().filter(|outbox| outbox.has_backlog())
        {
            let (tx, io, writes_at_once) = live.sending_half();
            let before = outbox.end(tx);
            let is_blocked = control.blocked && tx.queued_bytes() > 0;
            let io = (writes_at_once && !is_blocked).then_some(io);
            let encoded = outbox.encode(tx, io, &mut apps.env);
            let is_full = matches!(encoded, Err(SendError::QueueFull { .. }));
            control.blocked |= is_full || outbox.waiting_bytes() > 0;
            if outbox.end(tx) > before {
                control.mark_dirty(apps, id);
            }
        }
    }

    /// Publishes the connection's state to the app's senders, and its numbers if they have asked for them.
    pub(crate) fn publish(&mut self, env: &mut Surroundings) {
        if self.control.outbox.as_ref().is_some_and(|outbox| outbox.mailbox().wants_stats()) {
            self.publish_stats(env);
        }
        let Some(outbox) = &self.control.outbox else { return };
        let (state, output) = match &self.stage {
            Stage::Live(live) => {
                (live.connection.state().into(), live.connection.queued_bytes() + outbox.waiting_bytes())
            }
            Stage::Over if self.control.waits_to_reconnect() => (SenderState::Waiting, 0),
            Stage::Over if self.attempt_is_over() => (SenderState::Closed, 0),
            _ => (SenderState::Connecting, 0),
        };
        outbox.mailbox().publish(state, output);
    }

    /// The handler, and the context to call it with.
    pub(crate) fn split<'a>(
        &'a mut self,
        id: AppId,
        apps: &'a mut Apps,
    ) -> (&'a mut dyn Handler, Context<'a>) {
        let (identity, connected) = (Identity { id, plan: &self.plan }, self.stage.connected());
        let control = &mut self.control;
        (&mut *self.handler, Context { apps, identity, control, connected, failure: None, handler: None })
    }

    /// The context for code that is not the handler's: it can reach the handler.
    pub(crate) fn lend<'a>(&'a mut self, id: AppId, apps: &'a mut Apps) -> Context<'a> {
        let (handler, context) = self.split(id, apps);
        Context { handler: Some(handler), ..context }
    }

    /// Calls the handler unless the app was removed; an error that it returns goes to its `on_error`.
    pub(crate) fn call(
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
        context.apps.env.user_code_ran();
        check(handler, &mut context, result);
    }
}

/// Passes the error of code that the handler was lent to, to its `on_error`.
pub(crate) fn check_lent(context: &mut Context<'_>, result: CallbackResult) {
    if let Some(handler) = context.handler.take() {
        check(handler, context, result);
    }
}

/// Passes the error of a callback to `on_error`.
#[inline]
pub(crate) fn check(handler: &mut dyn Handler, context: &mut Context<'_>, result: CallbackResult) {
    if let Err(error) = result {
        call_on_error(handler, context, &Error::Callback(error));
    }
}

#[cold]
pub(super) fn call_on_error(handler: &mut dyn Handler, context: &mut Context<'_>, error: &Error) {
    // The error of a callback that wants another connection is reported all the same.
    if context.apps.is_removed(context.identity.id) {
        return;
    }
    context.control.in_last_callback = true;
    if let Err(error) = handler.on_error(context, error) {
        log::error!(target: "websocket::app", "{}: on_error itself returned an error: {error}", context.identity);
    }
    context.control.in_last_callback = false;
    context.apps.env.user_code_ran();
}
