//! What callbacks are told, against what is known.

use std::time::Duration;

use websocket_app::{Context, Error, Fragment, Message, Opcode, Open, Part, State, UpgradeError};
use websocket_testkit::sim::Tapped;

use crate::life::Phase;
use crate::limits::take;
use crate::wire::{Heard, Said};
use crate::world::{Callback, ON_PURPOSE, World};

impl World {
    /// An attempt begins; its number.
    pub fn begin(&self, me: usize) -> u32 {
        self.something_done();
        self.calls(me, Callback::Url);
        let (now, turn) = (self.now(), self.turn.get());
        let (draining, may_stop) = (self.drains_since_before(turn), self.may_stop());
        let connections = self.net.attempts().len();
        let (wrong, begun) = self.life(me, |life| {
            let closed = life
                .closed
                .is_some_and(|asked| asked.directly || self.surely_by_now(asked.turn.max(life.added)));
            let wrong = match life.phase {
                _ if closed => Some("after the user's close"),
                _ if draining => Some("although the reactor stops"),
                Phase::Idle => None,
                Phase::Waiting if life.retry_at.is_some_and(|at| self.is_time(at)) => None,
                Phase::Waiting => Some("at another time than on_close was told"),
                _ => Some("out of turn"),
            };
            let wrong = wrong.map(|wrong| format!("{wrong}: {:?}, {:?}", life.phase, life.retry_at));
            life.begin(now, connections, may_stop);
            (wrong, life.begun)
        });
        self.log(|| format!("{me}: attempt {begun} begins"));
        if let Some(wrong) = wrong {
            self.breach(format!("{me}: an attempt begins {wrong}"));
        }
        if begun > 1 {
            self.cover("retried");
        }
        begun
    }

    /// The attempt of `me` sets out, for the first time or after a refusal.
    pub fn dials(&self, me: usize) {
        let (now, connections) = (self.now(), self.net.attempts().len());
        self.life(me, |life| {
            life.dialled_from = connections;
            life.asked_at = now;
            life.resolves_at = life.answers_after.map(|after| now.saturating_add(after));
        });
    }

    /// A callback of `me`, before anything else about it is looked at.
    pub fn arrive(&self, app: &Context<'_>, me: usize, callback: Callback) {
        self.something_done();
        self.calls(me, callback);
        let (state, turn) = (app.state(), self.turn.get());
        self.log(|| format!("{me}: {} ({state:?})", callback.name()));
        let retry_at = app.retry_at().map(|at| self.time_of(at));
        let is_broken = self.is_broken(me);
        let wrong = self.life(me, |life| {
            if *life.id.get_or_insert(app.id()) != app.id() {
                return Some("another app's context");
            }
            if std::mem::replace(&mut life.owes_reconnect, false) != (callback == Callback::Reconnect) {
                return Some("on_reconnect comes right after on_open of a later connection, and only then");
            }
            let (of_connection, ends) = match callback {
                Callback::Open | Callback::Close | Callback::Timer | Callback::Work => {
                    (false, callback == Callback::Close)
                }
                _ => (true, false),
            };
            let open_or_closing = matches!(state, State::Open | State::Closing);
            match (life.phase, callback) {
                _ if life.removal.is_some_and(|asked| self.surely(asked.max(life.added))) => {
                    Some("after its removal by a sender")
                }
                _ if life.stopped_by.is_some_and(|by| by < turn) => Some("after the reactor was stopped"),
                _ if life.owes_error.is_some() => Some("although on_error is due"),
                _ if life.dropping && !ends => Some("after another connection was asked for"),
                _ if life.paused && callback.begins_event() && state == State::Open && !is_broken => {
                    Some("while reading is paused")
                }
                _ if life.panicked.is_some() && !ends => Some("after a panic"),
                (Phase::Over | Phase::Removed, _) => Some("after the last callback"),
                _ if !ends && !app.is_running() => Some("of an app that is not running"),
                _ if !ends && app.attempts().started != life.begun => Some("with a wrong number of attempts"),
                (Phase::Idle | Phase::Trying | Phase::Open, Callback::Close) if state == State::Closed => {
                    None
                }
                (Phase::Trying, Callback::Open) if state == State::Open => None,
                (Phase::Open, _) if of_connection && life.failure.is_some() => Some("after the failure"),
                (Phase::Open, Callback::Drain) if state == State::Open => None,
                (Phase::Open, _) if of_connection && open_or_closing => None,
                (Phase::Idle | Phase::Trying, Callback::Timer | Callback::Work)
                    if state == State::Connecting =>
                {
                    None
                }
                (Phase::Open, Callback::Timer | Callback::Work) if open_or_closing => None,
                (Phase::Waiting, Callback::Timer | Callback::Work)
                    if state == State::Closed && retry_at == life.retry_at && retry_at.is_some() =>
                {
                    None
                }
                _ => Some("out of turn"),
            }
            .map(|wrong| match wrong {
                "out of turn" if state == State::Connecting => "out of turn, when connecting",
                wrong => wrong,
            })
        });
        if let Some(wrong) = wrong {
            let phase = self.life(me, |life| life.phase);
            self.breach(format!("{me}: {} {wrong}; {phase:?}, {state:?}", callback.name()));
        }
        if matches!(callback, Callback::Timer | Callback::Work | Callback::Drain) {
            self.cover(&format!("{} while {}", callback.name(), self.step(me)));
        }
    }

    pub fn opened(&self, app: &Context<'_>, me: usize, open: &Open<'_>) {
        let now = self.now();
        let wires = self.wires.borrow();
        let wrong = self.life(me, |life| {
            life.phase = Phase::Open;
            life.opened += 1;
            life.opened_at = Some(now);
            life.messaged_at = now;
            life.owes_reconnect = life.opened > 1;
            let upgraded = life.wire.and_then(|index| wires.get(&index)).is_some_and(|wire| wire.upgraded);
            let (started, opened) = (open.attempts.started, open.attempts.opened);
            let right = upgraded
                && open.response.status.as_u16() == 101
                && open.attempts == app.attempts()
                && (started, opened) == (life.begun, life.opened)
                && open.attempts.is_reconnect() == life.owes_reconnect
                && !self.is_late(life.began_at + life.settings.attempt);
            (!right)
                .then(|| format!("{:?}, upgraded: {upgraded}, begun at {:?}", open.attempts, life.began_at))
        });
        if let Some(wrong) = wrong {
            self.breach(format!("{me}: opened: {wrong}"));
        }
        self.cover(if open.attempts.is_reconnect() { "opened again" } else { "opened" });
    }

    /// The first callback that is due for what has been read.
    fn next_heard(&self, me: usize, told: &Heard) {
        let due = self.life(me, |life| life.heard.pop_front());
        self.expect(due.as_ref() == Some(told), || format!("{me}: told {told:?} instead of {due:?}"));
    }

    pub fn data(&self, me: usize, payload: &[u8], opcode: Opcode, part: Part) {
        let right = self.life(me, |life| match life.heard.front() {
            Some(Heard::Message(kind, whole)) => {
                part == Part::Whole && Opcode::from(*kind) == opcode && whole == payload
            }
            Some(Heard::Fragment { kind, payload: heard, first, last }) => {
                let is_so = part == Part::Fragment { first: *first, last: *last };
                is_so && Opcode::from(*kind) == opcode && heard == payload
            }
            _ => false,
        });
        self.expect(right, || format!("{me}: on_data with {} bytes, {opcode:?}, {part:?}", payload.len()));
    }

    pub fn message(&self, me: usize, message: Message<'_>) {
        let payload = message.as_bytes().to_vec();
        let digits = payload.iter().skip(1).map_while(|byte| char::from(*byte).to_digit(10));
        let number = digits.fold(0, |number, digit| number * 10 + digit);
        let singly = self.life(me, |life| life.settings.fragments);
        self.life(me, |life| life.messaged_at = self.now());
        let last = self.life(me, |life| std::mem::replace(&mut life.last_heard, number));
        // Fragments that are delivered singly are not counted.
        let right = payload.first() == Some(&b'm') && (number == last + 1 || (singly && number > last));
        self.expect(right, || format!("{me}: message {number} after {last}"));
        self.next_heard(me, &Heard::Message(message.kind(), payload));
        self.cover("heard: messages");
    }

    pub fn fragment(&self, me: usize, fragment: Fragment<'_>) {
        let Fragment { kind, payload, first, last, .. } = fragment;
        self.life(me, |life| life.messaged_at = self.now());
        self.next_heard(me, &Heard::Fragment { kind, payload: payload.to_vec(), first, last });
        self.cover("heard: fragments");
    }

    pub fn ping(&self, me: usize, payload: &[u8]) {
        self.next_heard(me, &Heard::Ping(payload.to_vec()));
        self.cover("heard: pings");
    }

    pub fn pong(&self, me: usize, payload: &[u8], rtt: Option<Duration>) {
        self.next_heard(me, &Heard::Pong(payload.to_vec()));
        self.cover("heard: pongs");
        let Some(rtt) = rtt else { return };
        let wires = self.wires.borrow();
        let wire = self.life(me, |life| life.wire.and_then(|index| wires.get(&index)));
        let right = wire.is_some_and(|wire| wire.has_pinged(payload, self.now().checked_sub(rtt)));
        self.expect(right, || format!("{me}: no ping was written {rtt:?} ago"));
        self.cover("heard: round-trip times");
    }

    /// `on_error`
    pub fn failed(&self, app: &Context<'_>, me: usize, error: &Error) {
        self.something_done();
        self.calls(me, Callback::Error);
        self.log(|| format!("{me}: on_error ({:?}): {error:?}", app.state()));
        let step = self.step(me);
        let (now, owed) = (self.now(), self.life(me, |life| life.owes_error.take()));
        let running = app.is_running();
        let wrong = self.life(me, |life| match error {
            _ if life.is_gone() => Some("after the last callback"),
            _ if !running => Some("of an app that is not running"),
            Error::Callback(error) => {
                (owed.as_ref() != Some(&error.to_string())).then_some("of another callback's error")
            }
            _ if owed.is_some() => Some("in place of a callback's error"),
            Error::CallbackPanicked(text) => {
                let right = text == ON_PURPOSE && life.panicked == Some(false);
                life.failure.get_or_insert_with(|| format!("{error:?}"));
                (!right).then_some("of a panic that nobody has asked for")
            }
            _ if life.panicked.is_some() => Some("after a panic"),
            _ if life.failure.is_some() => Some("for a second time"),
            _ if !matches!(life.phase, Phase::Trying | Phase::Open) => Some("out of turn"),
            _ => {
                life.failure = Some(format!("{error:?}"));
                life.broken_protocol = matches!(error, Error::Protocol(_));
                None
            }
        });
        if let Some(wrong) = wrong {
            self.breach(format!("{me}: on_error {wrong}, {error:?} while {step}"));
        }
        if !matches!(error, Error::Callback(_) | Error::CallbackPanicked(_)) {
            let wrong = self.implausible(me, step, now, error);
            self.expect(wrong.is_none(), || {
                format!("{me}: not so: {error:?} while {step}: {}", wrong.unwrap_or_default())
            });
            self.cover(&format!("failed while {step}: {}", kind(error)));
        }
    }

    /// Why this cannot have failed.
    fn implausible(&self, me: usize, step: &str, now: Duration, error: &Error) -> Option<String> {
        let wires = self.wires.borrow();
        let lives = self.lives.borrow();
        let life = &lives[me];
        let wire = life.wire.and_then(|index| wires.get(&index));
        let conversations = self.conversations.borrow();
        let garbage = life.wire.and_then(|index| conversations.get(&index)).is_some_and(|it| it.garbage);
        let trying = life.phase == Phase::Trying;
        let is_so = match error {
            Error::Timeout(timeout) => return self.is_wrong(me, life, wire, step, *timeout),
            Error::Url(_) | Error::Upgrade(_) => trying,
            Error::Resolve { .. } => life.resolves_at.is_some(),
            Error::Connect { .. } => trying && wire.is_none() && life.resolves_at.is_none_or(|at| at <= now),
            Error::Protocol(_) => {
                let allowed =
                    garbage || life.settings.max_message < 1000 || wire.is_some_and(|wire| wire.broken);
                life.phase == Phase::Open && allowed
            }
            Error::NoResponse { .. } => trying,
            Error::Io(_) => trying || step == "open",
            Error::EndOfStream => step == "open",
            Error::ReconnectRequested(_) => true,
            _ => false,
        };
        let asked = matches!(error, Error::ReconnectRequested(_));
        (!is_so || asked != life.dropping).then(String::new)
    }

    pub fn timer(&self, me: usize, token: u64) {
        let now = self.now();
        let (timer, epoch) = self.life(me, |life| {
            let index = life.timers.iter().position(|timer| timer.token == token);
            (index.map(|index| life.timers.swap_remove(index)), life.closes)
        });
        let right = timer.as_ref().is_some_and(|timer| self.is_time(timer.due) && timer.epoch == epoch);
        self.expect(right, || {
            let of = timer.map(|timer| (timer.due, timer.epoch));
            format!("{me}: a timer of {of:?} fired at {now:?}, {epoch}")
        });
    }

    /// The client has used one of its streams.
    pub fn tapped(&self, index: usize, what: Tapped<'_>) {
        if what == Tapped::Dropped {
            return self.dropped(index);
        }
        self.something_done();
        let now = self.now();
        let mut wires = self.wires.borrow_mut();
        let wire = wires.entry(index).or_default();
        match what {
            Tapped::Written(bytes) => {
                self.log(|| format!("connection {index}: {} bytes written", bytes.len()));
                for said in wire.written(bytes, now) {
                    let (me, attempt) = (wire.me, wire.attempt);
                    let server_code = wire.close_read.as_ref().map(|(code, _)| *code);
                    self.said(index, me, attempt, said, server_code);
                }
            }
            Tapped::Dropped => {}
            Tapped::Read(bytes) => {
                self.log(|| format!("connection {index}: {} bytes read", bytes.len()));
                let Some(me) = wire.me else { return };
                let attempt = wire.attempt;
                let may_close = self.may_stop() || self.is_broken(me);
                let is_paused = self.life(me, |life| {
                    life.paused && life.closed.is_none() && life.wire == Some(index) && life.begun == attempt
                });
                self.expect(!is_paused || may_close, || format!("{me}: reads although it is paused"));
                self.life(me, |life| {
                    // What is read after the failure is not delivered.
                    if life.failure.is_none() && life.begun == attempt && life.wire == Some(index) {
                        let heard = wire.read(bytes, now, &life.settings);
                        if life.heard.is_empty() {
                            life.delivered_in = self.turn.get();
                        }
                        life.heard.extend(heard);
                    }
                });
            }
        }
    }

    /// The client has dropped a stream. If that is one on which it waited for an answer to its second request, it sends that on another.
    fn dropped(&self, index: usize) {
        let wires = self.wires.borrow();
        let waits = wires.get(&index).filter(|wire| wire.asked_again && !wire.upgraded);
        let Some(me) = waits.and_then(|wire| wire.me) else { return };
        if self.life(me, |life| life.phase == Phase::Trying && life.wire == Some(index)) {
            self.cover("asked on another connection, as the server has closed the first");
            self.life(me, |life| life.wire = None);
            self.dials(me);
        }
    }

    fn said(
        &self,
        index: usize,
        me: Option<usize>,
        attempt: u32,
        said: Said,
        server_code: Option<Option<u16>>,
    ) {
        let Some(me) = me.filter(|me| *me < self.lives.borrow().len()) else {
            return self.breach(format!("connection {index} is nobody's"));
        };
        let may_stop = self.may_stop();
        let is_ping = matches!(said, Said::Ping(_));
        let garbage = self.conversations.borrow().get(&index).is_some_and(|it| it.garbage);
        let wrong = self.life(me, |life| {
            if life.begun != attempt || !matches!(life.phase, Phase::Trying | Phase::Open | Phase::Removed) {
                return Some(format!("writes for attempt {attempt} in {:?} of {}", life.phase, life.begun));
            }
            match said {
                Said::Wrong(what) => Some(what),
                Said::Request { .. } => {
                    life.wire = Some(index);
                    let early = life.resolves_at.is_some_and(|at| self.now() < at);
                    (early || life.phase == Phase::Open).then(|| "a request before its time".to_owned())
                }
                Said::Pong => None,
                Said::Message(payload) | Said::Ping(payload) => {
                    let overtakes = is_ping && !life.settings.limits.is_empty();
                    let due = match payload.first() {
                        Some(b's') => {
                            let due = take(&mut life.promised, &payload, |it| &it.payload, overtakes);
                            due.map(|promise| {
                                if promise.kept {
                                    self.cover("sent on a later connection");
                                }
                                promise.payload
                            })
                        }
                        Some(b'c') => take(&mut life.direct, &payload, |it| it, overtakes),
                        _ if payload.len() == 8 && life.settings.ping.is_some() => return None,
                        _ => None,
                    };
                    if !is_ping {
                        let exceeded =
                            life.settings.limits.exceeded(&mut life.written, payload.len(), self.now());
                        if exceeded.is_some() {
                            return exceeded;
                        }
                    }
                    (due.as_ref() != Some(&payload)).then(|| {
                        let text = String::from_utf8_lossy(&payload).chars().take(20).collect::<String>();
                        let due =
                            due.map(|due| String::from_utf8_lossy(&due).chars().take(20).collect::<String>());
                        format!("writes {text} instead of {due:?}")
                    })
                }
                Said::Close(code) => {
                    let now = self.now();
                    life.closing.left.get_or_insert(now);
                    let known = life.codes.contains(&code)
                        || server_code == Some(code)
                        || match code {
                            Some(1001) => {
                                may_stop || life.stopped_by.is_some() || life.settings.silence.is_some()
                            }
                            Some(1011) => life.panicked.is_some(),
                            // It may be written before `on_error` is told why.
                            Some(1002 | 1007 | 1009) => {
                                life.broken_protocol || garbage || life.settings.max_message < 1000
                            }
                            _ => false,
                        };
                    // A close does not wait for what waits.
                    let lost = if life.settings.limits.is_empty() { life.direct.len() } else { 0 };
                    (!known || lost > 0).then(|| format!("closes with {code:?} before {lost} messages"))
                }
            }
        });
        if let Some(wrong) = wrong {
            self.breach(format!("{me}, connection {index}: {wrong}"));
        }
    }
}

/// The name of an error, for the coverage.
fn kind(error: &Error) -> String {
    match error {
        Error::Timeout(timeout) => format!("{timeout:?} timeout"),
        Error::Upgrade(UpgradeError::Status { response, .. }) => {
            format!("status {}", response.status.as_u16())
        }
        Error::Io(error) => format!("{:?}", error.kind()),
        Error::NoResponse { source: Some(source), .. } => format!("NoResponse({:?})", source.kind()),
        Error::NoResponse { source: None, .. } => "NoResponse".to_owned(),
        Error::Connect { source, .. } => format!("Connect({:?})", source.kind()),
        Error::Resolve { .. } => "Resolve".to_owned(),
        Error::Protocol(_) => "Protocol".to_owned(),
        Error::Url(_) => "Url".to_owned(),
        Error::EndOfStream => "EndOfStream".to_owned(),
        Error::ReconnectRequested(_) => "ReconnectRequested".to_owned(),
        Error::Upgrade(error) => format!("Upgrade({error:?})"),
        other => format!("{other:?}"),
    }
}
