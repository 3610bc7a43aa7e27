//! What `on_close` tells, against what is known: the end of an attempt, and whether another follows.

use std::time::Duration;

use websocket_app::{Closed, Context, Error, Side, State, Timeout, Unsent, UpgradeError, Verdict};

use crate::life::{Life, Phase, Promise};
use crate::settings::{Classify, Ending};
use crate::wire::Wire;
use crate::world::World;

impl World {
    /// `on_close`
    pub fn closed(&self, app: &Context<'_>, me: usize, closed: &Closed<'_>) {
        let (step, now) = (self.step(me), self.now());
        self.log(|| {
            let Closed { code, by, clean, error, unsent, retry_in, .. } = closed;
            let unsent = unsent.len();
            format!("{me}: closed {code:?}, {by:?}, clean: {clean}, {error:?}, {unsent} unsent, retry in {retry_in:?}")
        });
        let wires = self.wires.borrow();
        let wire_index = self.life(me, |life| life.wire);
        let wrong = self.life(me, |life| {
            let wire = life.wire.and_then(|index| wires.get(&index));
            let mut wrong = Vec::new();
            wrong.extend(self.told_the_truth(life, wire, closed));
            wrong.extend(self.unsent(life, closed));
            wrong.extend(self.retry(life, app, closed));
            let forgotten =
                life.timers.iter().any(|timer| timer.epoch == life.closes && self.is_late(timer.due));
            if forgotten {
                wrong.push("a timer was forgotten".to_owned());
            }
            if life.end_by().is_some_and(|by| self.is_late(by)) {
                wrong.push(format!("the close should have ended at {:?}", life.end_by()));
            }
            if app.state() != State::Closed || app.is_running() != closed.retry_in.is_some() {
                wrong.push(format!("{:?}, running: {}", app.state(), app.is_running()));
            }
            life.closes += 1;
            life.timers.clear();
            life.heard.clear();
            if std::mem::take(&mut life.dropping) {
                // What its senders have asked for next comes in the next turn.
                let turn = self.turn.get();
                let asked = life.works.iter_mut().chain(life.closed.as_mut());
                asked.for_each(|asked| asked.turn = asked.turn.max(turn));
                life.removal = life.removal.map(|asked| asked.max(turn));
            }
            life.paused = false;
            life.wire = None;
            life.retry_at = closed.retry_in.map(|delay| now + delay);
            life.phase = if closed.retry_in.is_some() { Phase::Waiting } else { Phase::Over };
            wrong
        });
        for wrong in wrong {
            self.breach(format!("{me}: on_close while {step}: {wrong}"));
        }
        let how = match (closed.error, closed.clean, closed.by) {
            (Some(_), ..) => "lost",
            (None, true, Some(Side::Server)) => "cleanly by the server",
            (None, true, _) => "cleanly by the client",
            (None, false, _) => "without an answer",
        };
        self.cover(&format!("ended {how} while {step}"));
        let conversations = self.conversations.borrow();
        let began = wire_index.and_then(|index| conversations.get(&index)).is_some_and(|it| it.began);
        if began && closed.by == Some(Side::Client) && closed.clean {
            self.cover("closes crossed");
        }
    }

    fn told_the_truth(&self, life: &Life, wire: Option<&Wire>, closed: &Closed<'_>) -> Option<String> {
        let panicked = life.panicked.is_some();
        let error = closed.error.map(|error| format!("{error:?}"));
        let in_on_error = life.panicked == Some(true);
        if error != life.failure && !(in_on_error && life.failure.is_none() && error.is_some()) {
            return Some(format!("{error:?}, but on_error was told {:?}", life.failure));
        }
        let frame = wire.and_then(|wire| wire.close_read.clone());
        // What comes behind a breach of the protocol is not looked at.
        let stopping = life.stopped_by.is_some() || self.may_stop();
        // Nor is what was read and has waited for its turn when the app had no more time.
        let is_stuck = matches!(closed.error, Some(Error::Timeout(Timeout::Write)));
        let cut_short = life.dropping
            || life.was_paused
            || (self.pace.may_pause() && (stopping || life.closed.is_some() || is_stuck));
        if !life.broken_protocol && !panicked && !cut_short {
            let told = closed.code.map(u16::from);
            if frame.clone().unwrap_or_default() != (told, closed.reason.to_owned()) {
                return Some(format!(
                    "told {told:?} {:?}, but the server's close frame is {frame:?}",
                    closed.reason
                ));
            }
            if !life.heard.is_empty() {
                return Some(format!("{} messages were read and not delivered", life.heard.len()));
            }
        }
        let written = wire.is_some_and(|wire| wire.close_written.is_some());
        let clean = frame.is_some() && written && error.is_none();
        if closed.clean != clean && (closed.clean || !(stopping || cut_short)) {
            return Some(format!("clean: {}, {frame:?}, {error:?}", closed.clean));
        }
        let wanted = life.closed.is_some() || stopping;
        match closed.by {
            Some(Side::Server) if frame.is_none() => Some("by the server, without its frame".to_owned()),
            Some(Side::Client) if !wanted => Some("by the client, who did not".to_owned()),
            Some(_) if error.is_some() => Some("by a side, but lost".to_owned()),
            None if error.is_none() && !wanted => Some("neither closed nor lost".to_owned()),
            _ => None,
        }
    }

    /// Whether another attempt follows, as the policy demands.
    fn retry(&self, life: &mut Life, app: &Context<'_>, closed: &Closed<'_>) -> Option<String> {
        let turn = self.turn.get();
        // The classifier may have taken its time.
        let now = life.classified_at.take().unwrap_or_else(|| self.now());
        let told = closed.retry_in;
        if app.retry_at() != told.map(|delay| app.now() + delay) {
            return Some(format!("retry in {told:?}, but at {:?}", app.retry_at()));
        }
        let unwanted = life.is_surely_closed(self)
            || life.panicked.is_some()
            || self.drains_since_before(turn)
            || life.phase == Phase::Idle;
        let maybe_unwanted =
            unwanted || life.closed.is_some() || life.stopped_by.is_some() || self.may_stop();
        let asked = life.asked.take();
        let Some(policy) = &life.settings.policy else {
            return told.map(|_| "a retry without a policy".to_owned());
        };
        if unwanted {
            return told.map(|_| "a retry that nobody wants".to_owned());
        }
        if maybe_unwanted && told.is_none() {
            return None;
        }
        if life.opened_at.is_some_and(|opened| now - opened >= policy.stable_after) {
            (life.failures, life.failing_since) = (0, None);
        }
        life.failures += 1;
        let since = *life.failing_since.get_or_insert(now);
        if app.attempts().failures != life.failures {
            return Some(format!("{} failures instead of {}", app.attempts().failures, life.failures));
        }
        let verdict = match asked {
            None if policy.classify == Classify::Unset => {
                // What the default says is told by other tests; that it is kept to is not less true here.
                if told.is_none() { Verdict::GiveUp } else { Verdict::Retry }
            }
            None => return Some("the classifier was not asked".to_owned()),
            Some((ending, verdict)) => {
                let fits = match &ending {
                    Ending::Lost(error) => life.failure.as_ref() == Some(error),
                    Ending::Clean { code, reason, by } => {
                        *code == closed.code.map(u16::from)
                            && reason == closed.reason
                            && Some(*by) == closed.by
                            && closed.error.is_none()
                    }
                    Ending::Other => false,
                };
                if !fits {
                    return Some(format!("the classifier was told {ending:?}"));
                }
                verdict
            }
        };
        let least = match verdict {
            Verdict::RetryAfter(least) => least,
            Verdict::Retry => Duration::ZERO,
            _ => {
                self.cover("given up by the verdict");
                return told.map(|_| "a retry against the verdict".to_owned());
            }
        };
        if policy.classify == Classify::Default && asked_wait(closed.error).is_some_and(|wait| wait != least)
        {
            return Some(format!("{verdict:?} after {:?}", closed.error));
        }
        if least > Duration::ZERO {
            self.cover("Retry-After kept");
        }
        let (low, high) = policy.bounds(life.failures, least);
        let high = if policy.classify == Classify::Unset { high + Duration::from_secs(3600) } else { high };
        let exhausted = policy.max_retries.is_some_and(|most| life.failures > most);
        let left = policy.max_elapsed.map(|most| most.saturating_sub(now - since));
        match told {
            Some(_) if exhausted => Some(format!("retry number {}", life.failures)),
            Some(delay) if delay < low || delay > high => {
                Some(format!("retry in {delay:?}: {low:?}..{high:?}"))
            }
            Some(delay) if left.is_some_and(|left| delay > left) => {
                Some(format!("retry in {delay:?}: {left:?}"))
            }
            None if !exhausted && left.is_none_or(|left| high <= left) => Some("no retry".to_owned()),
            None => {
                self.cover("given up by a limit");
                None
            }
            Some(_) => None,
        }
    }

    /// What was promised and not wholly written comes back, in its order, and nothing else does.
    fn unsent(&self, life: &mut Life, closed: &Closed<'_>) -> Option<String> {
        let mut told: Vec<&[u8]> = closed.unsent.iter().map(|message| message.as_bytes()).collect();
        if !life.settings.limits.is_empty() {
            // Callbacks get back what had to wait. Pings do not wait, so they may be told before what was sent before them.
            let waiting: Vec<_> = told.extract_if(.., |payload| payload.first() == Some(&b'c')).collect();
            let mut sent = life.direct.iter();
            if !waiting.iter().all(|payload| sent.any(|it| it == payload)) {
                return Some(format!("{} messages of callbacks unsent", waiting.len()));
            }
            if !waiting.is_empty() {
                self.cover("unsent: what limits held back");
            }
            let place = |promise: &Promise| told.iter().position(|payload| *payload == promise.payload);
            life.promised.make_contiguous().sort_by_key(place);
        }
        let promised: Vec<&[u8]> = life.promised.iter().map(|promise| &promise.payload[..]).collect();
        let policy = life.settings.unsent;
        let right = match policy {
            Unsent::Drop => told.is_empty(),
            Unsent::HandBack | Unsent::Keep => told == promised,
        };
        let wrong = (!right).then(|| format!("{} unsent messages instead of {}", told.len(), promised.len()));
        if !promised.is_empty() {
            self.cover(&format!("unsent messages: {policy:?}"));
        }
        if policy == Unsent::Keep && closed.retry_in.is_some() {
            life.promised.iter_mut().for_each(|promise| promise.kept = true);
        } else {
            life.promised.clear();
        }
        wrong
    }
}

/// The seconds that a busy server asks for, where they are plain.
fn asked_wait(error: Option<&Error>) -> Option<Duration> {
    let Some(Error::Upgrade(UpgradeError::Status { response, .. })) = error else { return None };
    if !matches!(response.status.as_u16(), 429 | 503) {
        return None;
    }
    let seconds = response.headers.get("retry-after")?.to_str().ok()?.parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds))
}
