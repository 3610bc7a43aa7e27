//! What the apps are told, against what is known.

use websocket_app::{Closed, Context, Error, Open, Outcome, State};

use super::Scene;
use super::feed::{Feed, Predecessor};
use crate::life::Phase;

impl Scene {
    /// An attempt begins; its number.
    pub(super) fn begins(&self, me: usize) -> u32 {
        let (wrong, attempt) = self.feed(me, |feed| {
            feed.begun += 1;
            let wrong = match feed.phase {
                Phase::Idle | Phase::Waiting => {
                    feed.phase = Phase::Trying;
                    None
                }
                Phase::Open if !feed.wanted && !feed.renews_by_itself => Some("that was not asked for"),
                Phase::Open if feed.successor.is_some() => Some("beside another"),
                Phase::Open => {
                    (feed.successor, feed.wanted) = (Some(feed.begun), false);
                    // It begins only when the connection in use is the only one.
                    feed.predecessor = None;
                    None
                }
                _ => Some("out of turn"),
            };
            (wrong, feed.begun)
        });
        self.log(|| format!("{me}: attempt {attempt} begins"));
        self.expect(wrong.is_none(), || format!("{me}: an attempt {}", wrong.unwrap_or_default()));
        attempt
    }

    /// `on_open`
    pub(super) fn opened(&self, me: usize, open: &Open<'_>) {
        let now = self.now();
        let attempt = open.attempts.started;
        self.log(|| format!("{me}: attempt {attempt} is open, successor: {}", open.is_successor));
        let owner = Some((me, attempt));
        let line = self.lines.borrow().iter().find(|(_, line)| line.owner == owner).map(|(index, _)| *index);
        let upgraded = line.is_some_and(|index| self.line(index, |line| line.upgraded));
        let wrong = self.feed(me, |feed| {
            feed.opened += 1;
            let is_expected = if open.is_successor {
                feed.phase == Phase::Open && feed.successor == Some(attempt) && feed.predecessor.is_none()
            } else {
                feed.phase == Phase::Trying && feed.in_use.is_none()
            };
            let old = std::mem::replace(&mut feed.in_use, line);
            let closes_at = now.saturating_add(feed.overlap);
            feed.predecessor = old.map(|line| Predecessor { line, closes_at });
            (feed.phase, feed.successor, feed.paused) = (Phase::Open, None, false);
            feed.epoch += u64::from(open.is_successor);
            let counts = (open.attempts.started, open.attempts.opened) == (feed.begun, feed.opened);
            (!upgraded || !is_expected || !counts).then(|| format!("{:?}, {line:?}", open.attempts))
        });
        self.expect(wrong.is_none(), || format!("{me}: opened: {}", wrong.unwrap_or_default()));
        self.cover(if open.is_successor { "a successor took over" } else { "opened" });
    }

    /// `on_close`: what senders were promised and is not written comes back, once.
    pub(super) fn closed(&self, app: &Context<'_>, me: usize, closed: &Closed<'_>) {
        self.log(|| format!("{me}: closed, retry in {:?}, {:?}", closed.retry_in, closed.error));
        let mut unsent: Vec<_> =
            closed.unsent.iter().map(|it| token(it.as_text().unwrap_or_default())).collect();
        unsent.sort_unstable();
        let (beside, wrong) = self.feed(me, |feed| {
            let beside = (feed.successor.is_some(), feed.predecessor.is_some());
            let is_due = matches!(feed.phase, Phase::Idle | Phase::Trying | Phase::Open);
            let is_kept = unsent.iter().eq(&feed.promised);
            let wrong = (!is_due || !is_kept || app.state() != State::Closed)
                .then(|| format!("{:?}, {unsent:?} instead of {:?}", feed.phase, feed.promised));
            feed.phase = if closed.retry_in.is_some() { Phase::Waiting } else { Phase::Over };
            if closed.retry_in.is_none() {
                feed.promised.clear();
            }
            feed.hangs_up();
            (beside, wrong)
        });
        self.expect(wrong.is_none(), || format!("{me}: on_close: {}", wrong.unwrap_or_default()));
        match beside {
            (true, _) => self.cover("closed beside a successor"),
            (_, true) => self.cover("closed beside a predecessor"),
            _ => {}
        }
    }

    /// A message comes to the app: the next one of its connection, which is in use or was replaced.
    pub(super) fn delivered(&self, app: &Context<'_>, me: usize, text: &str) {
        let mut numbers = text.split('.').map(str::parse);
        let (Some(Ok(index)), Some(Ok(number))) = (numbers.next(), numbers.next()) else {
            return self.expect(false, || format!("{me}: message {text}"));
        };
        let is_next = self.line(index, |line| {
            line.delivered += 1;
            line.delivered as usize == number && line.delivered <= line.read
        });
        self.expect(is_next, || format!("{me}: message {number} of connection {index} out of order"));
        let (role, paused) = self.feed(me, |feed| (feed.is_predecessor(index), feed.paused));
        let told = app.is_from_predecessor();
        self.expect(role == Some(told), || {
            format!("{me}: message {number} of connection {index}, {role:?}, from the predecessor: {told}")
        });
        let may_come = told || !paused || !app.is_open() || self.line(index, |line| line.is_gone());
        self.expect(may_come, || format!("{me}: message {number} while reading is paused"));
        self.cover(if told { "heard from a predecessor" } else { "heard" });
    }

    /// `on_error`
    pub(super) fn failed(&self, app: &Context<'_>, me: usize, error: &Error) {
        self.log(|| format!("{me}: on_error: {error:?}"));
        match error {
            Error::Callback(_) => {}
            Error::Successor(inner) => {
                let right = self.feed(me, |feed| {
                    let was_there = feed.successor.take().is_some();
                    was_there && feed.phase == Phase::Open && feed.in_use.is_some()
                });
                let is_nested = matches!(**inner, Error::Successor(_) | Error::ReconnectRequested(_));
                self.expect(right && !is_nested && app.is_running(), || format!("{me}: {error:?}"));
                self.cover("a successor failed");
            }
            _ => self.feed(me, Feed::is_ended),
        }
    }

    /// `on_end`
    pub(super) fn run_ended(&self, me: usize, outcome: &Outcome) {
        self.log(|| format!("{me}: on_end: {outcome:?}"));
        let right = self.feed(me, |feed| {
            let is_first = !std::mem::replace(&mut feed.ended, true);
            let is_due = matches!(feed.phase, Phase::Over | Phase::Waiting);
            feed.phase = Phase::Over;
            feed.promised.clear();
            is_first && is_due
        });
        self.expect(right, || format!("{me}: on_end out of turn"));
    }
}

/// The number of a message that a sender has sent.
fn token(text: &str) -> u64 {
    text.trim_start_matches('s').split('.').next().and_then(|token| token.parse().ok()).unwrap_or_default()
}
