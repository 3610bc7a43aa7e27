//! What must hold of what goes over the connections, and after each turn.

use std::time::Duration;

use websocket_app::Stats;
use websocket_testkit::sim::Tapped;

use super::line::{Line, Said};
use super::{Loop, Scene};
use crate::life::Phase;
use crate::world::port;

/// The time for the closing handshake.
pub(super) const CLOSE: Duration = Duration::from_secs(2);

/// Turns in which something that can be done must have been done.
const FEW_TURNS: u64 = 5;

/// In a network that is prompt, a closing handshake takes no longer.
const PROMPT: Duration = Duration::from_millis(500);

impl Scene {
    /// The client has used one of its streams.
    pub(super) fn tapped(&self, index: usize, what: Tapped<'_>) {
        let now = self.now();
        match what {
            Tapped::Read(bytes) => {
                self.log(|| format!("connection {index}: {} bytes read", bytes.len()));
                self.line(index, |line| line.has_read(bytes));
            }
            Tapped::Dropped => {}
            Tapped::Written(bytes) => {
                self.log(|| format!("connection {index}: {} bytes written", bytes.len()));
                let me = usize::from(self.net.attempts()[index].1.port() - port(0));
                let newest = self.feed(me, |feed| feed.begun);
                let said = self.line(index, |line| {
                    line.owner.get_or_insert((me, newest));
                    line.written(bytes, now)
                });
                for said in said {
                    let wrong = match said {
                        Said::Wrong(what) => Some(what),
                        Said::Message(text) => self.said(index, me, &text),
                        Said::Close(code) => self.said_close(index, me, code),
                    };
                    self.expect(wrong.is_none(), || {
                        format!("{me}, connection {index}: {}", wrong.unwrap_or_default())
                    });
                }
            }
        }
    }

    /// A message of the app is wholly written: once, and what callbacks have sent on the connection that was in use.
    fn said(&self, index: usize, me: usize, text: &str) -> Option<String> {
        let (kind, rest) = text.split_at(1);
        let mut numbers = rest.split('.').map(str::parse);
        let Some(Ok(token)) = numbers.next() else { return Some(format!("writes {text}")) };
        self.log(|| format!("{me}: message {token} is written"));
        let (role, phase) = self.feed(me, |feed| (feed.is_predecessor(index), feed.phase));
        if phase == Phase::Removed {
            return None;
        }
        if role.is_none() {
            return Some(format!("writes message {token}, but is not in use"));
        }
        if kind == "s" {
            let was_promised = self.feed(me, |feed| feed.promised.remove(&token));
            return (!was_promised).then(|| format!("writes message {token} again"));
        }
        let target = numbers.next().and_then(Result::ok);
        let is_new = self.line(index, |line| line.last_direct.replace(token) < Some(token));
        (target != Some(index as u64) || !is_new).then(|| format!("writes message {token} for {target:?}"))
    }

    /// A predecessor is sent a close frame when the overlap is over, or when the app ends.
    fn said_close(&self, index: usize, me: usize, code: Option<u16>) -> Option<String> {
        let close_read = self.line(index, |line| line.close_read);
        self.feed(me, |feed| {
            let closes_at = feed.predecessor.filter(|it| it.line == index)?.closes_at;
            let is_due = closes_at <= self.now() || feed.is_ending || self.over.get();
            match code {
                _ if close_read => None,
                Some(1000) => {
                    self.cover("a predecessor was sent a close frame");
                    feed.owes_close |= !is_due;
                    None
                }
                Some(1001) if feed.has_silence_timeout => None,
                code => Some(format!("a predecessor is closed with {code:?}")),
            }
        })
    }

    /// What must hold after a turn.
    pub(super) fn look_at_all(&self, reactor: &mut Loop) {
        let ids = reactor.apps().ids();
        let mut most = 0;
        let count = self.feeds.borrow().len();
        for me in 0..count {
            let (id, phase) = self.feed(me, |feed| (feed.id, feed.phase));
            let is_there = id.is_some_and(|id| ids.contains(&id));
            let should_be = !matches!(phase, Phase::Over | Phase::Removed);
            self.expect(is_there == should_be, || format!("{me}: there: {is_there}, {phase:?}"));
            let stats =
                id.and_then(|id| reactor.apps().with(id, |app| (app.total_stats(), app.queued_bytes())));
            let Some((stats, queued)) = stats else { continue };
            most += self.feed(me, |feed| match phase {
                Phase::Open => 1 + usize::from(feed.successor.is_some() || feed.predecessor.is_some()),
                Phase::Trying => 1,
                _ => 0,
            });
            self.add_up(me, &stats);
            if phase != Phase::Open {
                continue;
            }
            let (in_use, predecessor, is_ending) =
                self.feed(me, |feed| (feed.in_use, feed.predecessor, feed.is_ending));
            if is_ending {
                continue;
            }
            let too_early = self.feed(me, |feed| feed.owes_close);
            self.expect(!too_early, || {
                format!("{me}: a predecessor is closed before its time, {predecessor:?}")
            });
            let paused = self.feed(me, |feed| feed.paused);
            match in_use {
                Some(index) if paused => self.line(index, |line| line.behind_since = None),
                Some(index) => self.has_heard(me, index),
                None => {}
            }
            if let Some(predecessor) = predecessor {
                self.has_heard(me, predecessor.line);
                self.closes_predecessor(me, predecessor.line, predecessor.closes_at);
            }
            // What a predecessor has not written is not counted here.
            let closes = in_use.is_none_or(|index| self.line(index, |line| line.close_read));
            let is_alone = predecessor.is_none() && queued == 0 && !closes;
            let left = self.feed(me, |feed| feed.unwritten_for_long(is_alone, self.turn.get()));
            self.expect(!left, || {
                format!("{me}: sits on messages of its sender, with {queued} bytes queued")
            });
        }
        let watched = reactor.dispatcher().watched.get();
        self.expect(watched <= most, || format!("{watched} connections instead of {most}"));
    }

    /// The numbers of the run are those of all its connections but a successor that is not in use yet.
    fn add_up(&self, me: usize, stats: &Stats) {
        let (successor, counts) = self.feed(me, |feed| (feed.successor, (feed.begun, feed.opened)));
        if successor.is_some() && self.feed(me, |feed| feed.is_ending) {
            // It is dropped now or in the next turn, and counts from then on.
            return;
        }
        let lines = self.lines.borrow();
        let of_me =
            |line: &&Line| line.owner.is_some_and(|(of, attempt)| of == me && Some(attempt) != successor);
        let sum = |of: fn(&Line) -> u64| lines.values().filter(of_me).map(of).sum::<u64>();
        let expected = [
            sum(|line| u64::from(line.delivered)),
            sum(|line| line.bytes_read),
            sum(|line| line.bytes_written),
        ];
        let told = [stats.received.messages, stats.received.wire_bytes, stats.sent.wire_bytes];
        let is_cut = self.feed(me, |feed| feed.is_cut) && told[1] <= expected[1];
        let told = if is_cut { [told[0], expected[1], told[2]] } else { told };
        let attempts = (stats.attempts.started, stats.attempts.opened);
        self.expect(told == expected && attempts == counts, || {
            format!("{me}: counts {told:?} instead of {expected:?}, {attempts:?} instead of {counts:?}")
        });
    }

    /// What has arrived on this connection is read and delivered.
    fn has_heard(&self, me: usize, index: usize) {
        let turn = self.turn.get();
        let wrong = self.line(index, |line| {
            let unread = line.peer.as_ref().map_or(0, |peer| peer.client_end().unread);
            let is_behind = line.delivered < line.read || (self.sharp && unread > 0 && !line.close_read);
            if !is_behind || line.delivered_at_last_look != (line.delivered, line.bytes_read) {
                line.behind_since = None;
            }
            line.delivered_at_last_look = (line.delivered, line.bytes_read);
            let since = is_behind.then(|| *line.behind_since.get_or_insert(turn));
            let is_late = since.is_some_and(|since| turn > since + FEW_TURNS);
            is_late
                .then(|| format!("{} of {} delivered, {unread} bytes are unread", line.delivered, line.read))
        });
        self.expect(wrong.is_none(), || format!("{me}, connection {index}: {}", wrong.unwrap_or_default()));
    }

    /// A predecessor is closed when its time is over, and with an answer where the server gives one.
    fn closes_predecessor(&self, me: usize, index: usize, closes_at: Duration) {
        let now = self.now();
        let wrong = self.line(index, |line| {
            // Where streams are cut, it may be gone before the server sees that.
            if !self.is_prompt || line.has_left || line.is_gone() || line.close_read {
                return None;
            }
            if now > closes_at && line.closed_at.is_none() {
                return Some("was not closed");
            }
            (line.manner.is_polite() && now > closes_at + PROMPT)
                .then_some("has no answer to its close frame")
        });
        self.expect(wrong.is_none(), || {
            format!(
                "{me}: the predecessor, connection {index}, {}, which was due at {closes_at:?}",
                wrong.unwrap_or_default()
            )
        });
        if self.line(index, |line| line.close_read && line.closed_at.is_some()) {
            self.cover("a predecessor closed cleanly");
        }
    }

    /// Nothing runs any more.
    pub(super) fn all_have_ended(&self) {
        for (me, feed) in self.feeds.borrow().iter().enumerate() {
            let right = match feed.phase {
                Phase::Over => feed.ended,
                Phase::Removed => !feed.ended,
                _ => false,
            };
            self.expect(right, || format!("{me}: {:?}, on_end: {}", feed.phase, feed.ended));
        }
    }
}
