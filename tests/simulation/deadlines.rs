//! Deadlines: none passes early, none because of what the reactor itself did, and none is missed.

use std::time::Duration;

use websocket_app::Timeout;
use websocket_testkit::sim::{ClientEnd, Faults};

use crate::life::{Life, Phase};
use crate::wire::{Heard, Wire};
use crate::world::{World, port};

impl World {
    /// What may go wrong from now on, or later.
    pub fn note_faults(&self, faults: &Faults) {
        // A stream that would block although it need not hides what has arrived.
        let (read, write) = self.sharp.get();
        let is_wide = faults.would_block == 0 && faults.send_buffer >= 64 << 10;
        self.sharp.set((read && faults.would_block == 0, write && is_wide));
    }

    /// Why this timeout may not end the attempt of `me`, which is at `step`.
    pub fn is_wrong(
        &self,
        me: usize,
        life: &Life,
        wire: Option<&Wire>,
        step: &str,
        timeout: Timeout,
    ) -> Option<String> {
        let (now, settings) = (self.now(), &life.settings);
        let (is_read, _) = self.sharp.get();
        let end = life.wire.and_then(|index| self.client_end(index));
        // What has arrived does not say that the server reads.
        let overlooks = is_read && timeout != Timeout::Write && end.is_some_and(|end| end.unread > 0);
        let trying = life.phase == Phase::Trying;
        let (is_so, not_before) = match timeout {
            Timeout::Attempt => {
                (trying && self.is_time(life.began_at + settings.attempt), life.began_at + settings.attempt)
            }
            Timeout::Resolve => {
                let due = life.asked_at + settings.resolve;
                (trying && life.resolves_at.is_some() && self.is_time(due), due)
            }
            Timeout::Connect => {
                (trying && wire.is_none(), life.asked_at.max(life.began_at) + settings.connect)
            }
            Timeout::Upgrade => {
                let since = wire.map_or(life.began_at, |wire| wire.last_written);
                (trying, since + settings.upgrade)
            }
            Timeout::Pong => {
                let since = wire.and_then(Wire::silent_since);
                let timeout = settings.ping.and_then(|(_, timeout)| timeout);
                match timeout.zip(since) {
                    Some((timeout, since)) => (step == "open" && !life.paused, since + timeout),
                    None => (false, now),
                }
            }
            Timeout::Silence => {
                let is_heard = |heard: &Heard| matches!(heard, Heard::Message(..) | Heard::Fragment { .. });
                let is_silent = !life.paused && !life.heard.iter().any(is_heard);
                let since = life.messaged_at.max(life.resumed_at);
                match settings.silence {
                    Some(timeout) => (step == "open" && is_silent, since + timeout),
                    None => (false, now),
                }
            }
            Timeout::Write => {
                let has_room = is_read && end.is_some_and(|end| end.room > 0);
                let since = wire.map(|wire| wire.last_written);
                (step == "open" && !has_room, since.unwrap_or_default() + settings.write)
            }
            Timeout::Close => {
                let asked = life.closed.is_some() || self.may_stop();
                (life.phase == Phase::Open && asked, self.close_ends_at(life, wire))
            }
            _ => (false, now),
        };
        if !is_so || now < not_before {
            return Some(format!("not before {not_before:?}"));
        }
        if overlooks {
            return Some(format!("although the stream holds more: {end:?}"));
        }
        self.overlooked(me, life, timeout)
    }

    /// The earliest that the timeout of a close may end the connection.
    fn close_ends_at(&self, life: &Life, wire: Option<&Wire>) -> Duration {
        let closing = &life.closing;
        if closing.is_hazy {
            return Duration::ZERO;
        }
        let asked = closing.not_before.unwrap_or_default();
        let (_, is_written) = self.sharp.get();
        match (closing.only_timeout(), wire.and_then(|wire| wire.closed_at)) {
            // From when the frame was written.
            (Some(timeout), Some(at)) if is_written => asked.max(at + timeout),
            (Some(_), None) if is_written => Duration::MAX,
            _ => asked,
        }
    }

    /// What the reactor has not looked at before it has judged the attempt.
    fn overlooked(&self, me: usize, life: &Life, timeout: Timeout) -> Option<String> {
        let is_mine = |address: std::net::SocketAddr| address.port() == port(me);
        let answered = life.resolves_at.is_some_and(|at| at <= self.now());
        let attempts = self.net.attempts();
        let has_connected = attempts.iter().skip(life.dialled_from).any(|(_, address)| is_mine(*address));
        let is_over = |index: &usize| *index >= life.dialled_from;
        match timeout {
            Timeout::Resolve if answered => Some("although the answer has come".to_owned()),
            Timeout::Attempt if answered && !has_connected => Some("although the answer has come".to_owned()),
            Timeout::Connect => {
                let conversations = self.conversations.borrow();
                let mut made =
                    conversations.iter().filter(|(index, it)| is_over(index) && is_mine(it.peer.address()));
                made.next().map(|(index, _)| format!("although connection {index} was made"))
            }
            _ => None,
        }
    }

    /// What there is at the client's end of this connection.
    pub fn client_end(&self, index: usize) -> Option<ClientEnd> {
        self.conversations.borrow().get(&index).map(|it| it.peer.client_end())
    }

    /// By when `life` must have moved on, whatever happens meanwhile, and whether that is judged without regard to what may still be read.
    pub fn moves_on_by(
        &self,
        life: &mut Life,
        wire: Option<&Wire>,
        queued: usize,
    ) -> Option<(Duration, bool)> {
        let (now, settings) = (self.now(), &life.settings);
        // A loop that is kept from its work does not try.
        let busy_until = self.pace.busy_until();
        match life.phase {
            Phase::Trying => {
                let whole = life.began_at + settings.attempt;
                let is_resolving = wire.is_none() && life.resolves_at.is_some_and(|at| at >= now);
                let step = match wire {
                    Some(wire) => wire.last_written + settings.upgrade,
                    None if is_resolving => life.asked_at + settings.resolve,
                    None => whole,
                };
                // After a refusal it is judged when it has set out again.
                let by = whole.min(step).max(life.asked_at);
                Some((by, life.resolves_at.is_none() || wire.is_some()))
            }
            Phase::Waiting => Some((life.retry_at?, true)),
            Phase::Open if life.closing_since.is_some() => Some((life.end_by()?, true)),
            Phase::Open => {
                let Some(wire) = wire else { return Some((Duration::ZERO, true)) };
                if queued > 0 {
                    let since = *life.queued_since.get_or_insert(now);
                    let may_take = settings.write + settings.limits.longest();
                    return Some((wire.last_written.max(since).max(busy_until) + may_take, false));
                }
                if life.paused {
                    return None;
                }
                let since = life.resumed_at.max(busy_until);
                let pong = settings.ping.and_then(|(interval, timeout)| {
                    Some(wire.last_read.max(life.queued_at).max(since) + interval * 2 + timeout?)
                });
                let silence = settings.silence.map(|timeout| life.messaged_at.max(since) + timeout);
                Some((pong.into_iter().chain(silence).min()?, false))
            }
            _ => None,
        }
    }

    /// Whether `life` should have moved on, at the end of a turn.
    pub fn is_stuck(&self, life: &mut Life, wire: Option<&Wire>, queued: usize) -> Option<String> {
        let Some((by, is_strict)) = self.moves_on_by(life, wire, queued) else {
            life.overdue_in = None;
            return None;
        };
        let is_overdue = is_strict && by < self.pace.turn_began();
        let turn = self.turn.get();
        let since = if is_overdue { *life.overdue_in.get_or_insert(turn) } else { turn };
        if !is_overdue {
            life.overdue_in = None;
        }
        let is_stuck = self.is_late(by) || (is_strict && self.is_overdue(by)) || self.is_over(since);
        is_stuck.then(|| format!("should have moved on at {by:?}, {queued} bytes queued"))
    }

    /// A timer of `life` that should have fired, at the end of a turn.
    pub fn forgotten_timer(&self, life: &mut Life) -> Option<String> {
        let (turn, epoch) = (self.turn.get(), life.closes);
        let left = |due: Duration, set: u64| due <= self.pace.turn_began() && set < turn;
        let timers =
            life.timers.iter_mut().filter(|timer| timer.epoch == epoch && left(timer.due, timer.set));
        for timer in timers {
            let since = *timer.left_in.get_or_insert(turn);
            if self.was_unhurried() || self.is_over(since) {
                return Some(format!("has a timer of {:?}", timer.due));
            }
        }
        None
    }
}
