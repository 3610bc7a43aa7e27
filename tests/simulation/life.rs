//! What is known of one app: what it was promised, and what it may be told next.

use std::collections::VecDeque;
use std::time::Duration;

use websocket_app::{AppId, Sender, TimerId, Verdict};

use crate::pace::Visits;
use crate::settings::{Ending, Settings};
use crate::wire::Heard;
use crate::world::World;

/// Where the app is, in the words of the life cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Added; no attempt has begun.
    Idle,
    /// From the beginning of an attempt to `on_open`.
    Trying,
    /// From `on_open` to `on_close`.
    Open,
    /// The attempt is over, and another follows.
    Waiting,
    Over,
    Removed,
}

/// Something that a sender asked for, which is done when the loop comes to it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The turn in which it was asked for.
    pub turn: u64,
    /// When that was.
    pub at: Duration,
    /// In a callback, so that it holds at once.
    pub directly: bool,
}

/// A message that was accepted.
#[derive(Debug)]
pub struct Promise {
    pub payload: Vec<u8>,
    pub turn: u64,
    /// An earlier connection was lost before it was written.
    pub kept: bool,
}

pub struct Timer {
    pub token: u64,
    pub id: Option<TimerId>,
    pub due: Duration,
    /// The turn in which it was set.
    pub set: u64,
    /// The turn at whose end it was first due and had not fired.
    pub left_in: Option<u64>,
    /// It is one of this many attempts, and ends with it.
    pub epoch: u32,
}

/// What ends a connection whose close was asked for.
#[derive(Clone, Copy, Default)]
pub struct Closing {
    /// How often that was.
    asked: u32,
    /// The end does not come before.
    pub not_before: Option<Duration>,
    /// The timeout of the last of them.
    last: Duration,
    /// A close may have been asked for before the connection was.
    pub is_hazy: bool,
    /// The timeout of the first close, if that is known.
    pub timeout: Option<Duration>,
    /// When the close frame was written, or the stream was seen to take no more, at the latest.
    pub left: Option<Duration>,
}

impl Closing {
    /// The timeout of the only close.
    pub fn only_timeout(&self) -> Option<Duration> {
        (self.asked == 1).then_some(self.last)
    }
}

pub struct Life {
    pub id: Option<AppId>,
    pub settings: Settings,
    pub sender: Option<Sender>,
    pub added: u64,
    /// The user makes its streams, and no name is resolved.
    pub own_stream: bool,
    pub phase: Phase,
    pub begun: u32,
    pub opened: u32,
    pub closes: u32,
    /// The user's own actions that are left.
    pub actions: u32,

    /// What each event takes, if that is always the same.
    pub steady: Option<Duration>,
    pub visits: Visits,
    /// The turn in which it was last told of an event.
    pub delivered_in: u64,
    /// The turn at whose end it was first late.
    pub overdue_in: Option<u64>,

    // The attempt.
    pub began_at: Duration,
    /// Connections before this one are not of this attempt, or were given up.
    pub dialled_from: usize,
    /// When the name service was asked, and what it takes.
    pub asked_at: Duration,
    pub answers_after: Option<Duration>,
    /// When the name service answers; `None` for an attempt that asks nothing.
    pub resolves_at: Option<Duration>,
    pub opened_at: Option<Duration>,
    /// When the connection was first seen to close.
    pub closing_since: Option<Duration>,
    /// What ends the connection once a close was asked for.
    pub closing: Closing,
    /// The failure that `on_error` was told.
    pub failure: Option<String>,
    pub broken_protocol: bool,
    /// The user has asked for another connection, and this one is to be dropped.
    pub dropping: bool,
    /// Reading is paused, unless the connection closes.
    pub paused: bool,
    /// It has been, of this connection.
    pub was_paused: bool,
    /// When it was last resumed.
    pub resumed_at: Duration,
    /// In which turn that was. The next one queues the read, at the latest.
    pub resumed_in: u64,
    /// When the last message was delivered, or the connection opened.
    pub messaged_at: Duration,
    pub wire: Option<usize>,
    pub heard: VecDeque<Heard>,
    /// The number of the last message that was delivered.
    pub last_heard: u32,
    /// What was sent in callbacks and is not wholly written, in its order.
    pub direct: VecDeque<Vec<u8>>,
    /// The first half of a message that is sent in two fragments.
    pub fragment: Option<Vec<u8>>,
    pub owes_drain: bool,
    /// The turn after which first all was written, although `on_drain` was due or messages waited for room.
    pub stuck_since: Option<u64>,
    /// Since when bytes have been waiting to be written.
    pub queued_since: Option<Duration>,
    /// When bytes were last seen to wait, which pings may have been behind.
    pub queued_at: Duration,

    // Told or promised.
    /// What senders were promised and is not wholly written, in its order.
    pub promised: VecDeque<Promise>,
    /// When messages were last written, where limits hold, and how long they are.
    pub written: VecDeque<(Duration, usize)>,
    pub timers: Vec<Timer>,
    /// The error that a callback has returned, and `on_error` is due with.
    pub owes_error: Option<String>,
    pub owes_reconnect: bool,
    /// A callback has panicked; `true` when it was `on_error`.
    pub panicked: Option<bool>,
    pub closed: Option<Asked>,
    pub removal: Option<u64>,
    /// `on_end` has come.
    pub ended: bool,
    /// Closures that wait for the loop.
    pub works: VecDeque<Asked>,
    /// By the end of this turn the reactor has stopped.
    pub stopped_by: Option<u64>,
    /// Codes that the user wanted to close with.
    pub codes: Vec<Option<u16>>,
    pub longest_close: Duration,

    // Reconnecting.
    pub asked: Option<(Ending, Verdict)>,
    /// When the classifier was asked.
    pub classified_at: Option<Duration>,
    pub failures: u32,
    pub failing_since: Option<Duration>,
    pub retry_at: Option<Duration>,
}

impl Life {
    pub fn new(settings: Settings, turn: u64, actions: u32, steady: Option<Duration>) -> Self {
        Self {
            longest_close: settings.close,
            settings,
            added: turn,
            actions,
            steady,
            visits: Visits::default(),
            delivered_in: 0,
            overdue_in: None,
            dialled_from: 0,
            asked_at: Duration::ZERO,
            answers_after: None,
            works: VecDeque::new(),
            classified_at: None,
            id: None,
            own_stream: false,
            sender: None,
            phase: Phase::Idle,
            begun: 0,
            opened: 0,
            closes: 0,
            began_at: Duration::ZERO,
            resolves_at: None,
            opened_at: None,
            closing_since: None,
            closing: Closing::default(),
            failure: None,
            broken_protocol: false,
            dropping: false,
            paused: false,
            was_paused: false,
            resumed_at: Duration::ZERO,
            resumed_in: 0,
            messaged_at: Duration::ZERO,
            ended: false,
            wire: None,
            heard: VecDeque::new(),
            last_heard: 0,
            direct: VecDeque::new(),
            fragment: None,
            owes_drain: false,
            stuck_since: None,
            queued_since: None,
            queued_at: Duration::ZERO,
            promised: VecDeque::new(),
            written: VecDeque::new(),
            timers: Vec::new(),
            owes_error: None,
            owes_reconnect: false,
            panicked: None,
            closed: None,
            removal: None,
            stopped_by: None,
            codes: Vec::new(),
            asked: None,
            failures: 0,
            failing_since: None,
            retry_at: None,
        }
    }

    /// Another attempt begins.
    pub fn begin(&mut self, now: Duration, connections: usize, may_stop: bool) {
        self.phase = Phase::Trying;
        self.begun += 1;
        self.began_at = now;
        self.dialled_from = connections;
        self.answers_after = None;
        self.resolves_at = None;
        self.opened_at = None;
        self.closing_since = None;
        self.closing = Closing { is_hazy: self.closed.is_some() || may_stop, ..Closing::default() };
        self.failure = None;
        self.broken_protocol = false;
        self.dropping = false;
        self.paused = false;
        self.was_paused = false;
        self.wire = None;
        self.heard.clear();
        self.last_heard = 0;
        self.direct.clear();
        self.fragment = None;
        self.owes_drain = false;
        self.stuck_since = None;
        self.queued_since = None;
        self.asked = None;
        self.classified_at = None;
        self.retry_at = None;
    }

    pub fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Over | Phase::Removed)
    }

    /// The user has closed, and the loop has had its turn to do it.
    pub fn is_surely_closed(&self, world: &World) -> bool {
        self.closed.is_some_and(|asked| asked.directly || world.surely(asked.turn.max(self.added)))
    }

    /// A close that may end the connection `timeout` from `now`.
    pub fn closes_within(&mut self, now: Duration, timeout: Duration) {
        let Closing { asked, not_before, last, .. } = &mut self.closing;
        (*asked, *last) = (*asked + 1, timeout);
        *not_before = Some(not_before.map_or(now + timeout, |other| other.min(now + timeout)));
    }

    /// By when a close must have ended the connection.
    pub fn end_by(&self) -> Option<Duration> {
        self.closing.left.map(|left| left + self.closing.timeout.unwrap_or(self.longest_close))
    }
}
