//! One app that is renewed, and what its user does.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{
    AppId, Apps, CallbackResult, Closed, Context, Error, Handler, Message, Open, Outcome, RunOptions, Sender,
    Unsent, WebSocketApp,
};
use websocket_tests::SERVER;

use super::{Loop, Scene};
use crate::life::Phase;
use crate::world::port;

/// A connection that was replaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Predecessor {
    pub(super) line: usize,
    /// When it is to be closed.
    pub(super) closes_at: Duration,
}

pub(super) struct Feed {
    pub(super) id: Option<AppId>,
    sender: Option<Sender>,
    /// What the user may still do.
    actions: u32,
    pub(super) phase: Phase,
    pub(super) begun: u32,
    pub(super) opened: u32,
    pub(super) overlap: Duration,
    pub(super) renews_by_itself: bool,
    pub(super) has_silence_timeout: bool,
    /// The connection in use.
    pub(super) in_use: Option<usize>,
    /// The attempt that makes a successor.
    pub(super) successor: Option<u32>,
    pub(super) predecessor: Option<Predecessor>,
    /// A successor was asked for and has not begun.
    pub(super) wanted: bool,
    pub(super) paused: bool,
    /// Something may have been read that was not looked at: reading was paused, or a connection was dropped in the middle of it.
    pub(super) is_cut: bool,
    /// The connection in use is to end: the user has asked for that, or a callback has panicked.
    pub(super) is_ending: bool,
    pub(super) ended: bool,
    /// A predecessor was closed early, as is right when the app's connection ends.
    pub(super) owes_close: bool,
    /// Timers end with the connection that they were set on.
    pub(super) epoch: u64,
    /// What senders have accepted and is not written.
    pub(super) promised: BTreeSet<u64>,
    /// The turn since which these could have been written.
    unwritten_since: Option<u64>,
}

impl Feed {
    /// Whether the connection is the predecessor (`true`) or the one in use; `None` if it is neither.
    pub(super) fn is_predecessor(&self, index: usize) -> Option<bool> {
        if self.in_use == Some(index) {
            return Some(false);
        }
        self.predecessor.filter(|it| it.line == index).map(|_| true)
    }

    /// Whether messages of senders wait although nothing is before them and nothing is in their way.
    pub(super) fn unwritten_for_long(&mut self, has_room: bool, turn: u64) -> bool {
        if self.promised.is_empty() || !has_room {
            self.unwritten_since = None;
            return false;
        }
        turn > *self.unwritten_since.get_or_insert(turn) + 5
    }

    /// The user closes the app, or the test does.
    pub(super) const fn ends(&mut self) {
        self.actions = 0;
        self.is_ended();
    }

    /// Something ends the connection in use.
    pub(super) const fn is_ended(&mut self) {
        (self.is_ending, self.is_cut) = (true, true);
    }

    pub(super) fn is_removed(&mut self) {
        self.phase = Phase::Removed;
        self.hangs_up();
    }

    pub(super) fn hangs_up(&mut self) {
        (self.in_use, self.successor, self.predecessor, self.wanted) = (None, None, None, false);
        (self.paused, self.is_ending, self.owes_close) = (false, false, false);
        self.unwritten_since = None;
        self.epoch += 1;
    }
}

/// Adds the app of number `me`.
pub(super) fn add(scene: &Rc<Scene>, apps: &mut Apps, me: usize) {
    let dice = &scene.dice;
    let renew_every = dice.pick(&[None, None, Some(1000), Some(4000)]).map(Duration::from_millis);
    let overlap = Duration::from_millis(dice.pick(&[0, 100, 1000, 8000]));
    let silence = dice.pick(&[None, None, None, Some(2500)]).map(Duration::from_millis);
    let mut options = RunOptions::new()
        .upgrade_timeout(Duration::from_millis(1500))
        .close_timeout(super::checks::CLOSE)
        .reconnect(Duration::from_millis(300))
        .renew_overlap(overlap)
        .unsent(Unsent::Keep);
    if let Some(every) = renew_every {
        options = options.renew_every(every);
    }
    if let Some(silence) = silence {
        options = options.silence_timeout(silence);
    }
    let url = {
        let scene = scene.clone();
        move || {
            let attempt = scene.begins(me);
            format!("ws://{}:{}/{me}/{attempt}", SERVER.ip(), port(me))
        }
    };
    let mut app =
        WebSocketApp::with_handler("ws://192.0.2.1/", User { scene: scene.clone(), me }).url_with(url);
    let sender = app.sender();
    scene.feeds.borrow_mut().push(Feed {
        id: None,
        sender: Some(sender),
        actions: 10 + dice.below(60) as u32,
        phase: Phase::Idle,
        begun: 0,
        opened: 0,
        overlap,
        renews_by_itself: renew_every.is_some(),
        has_silence_timeout: silence.is_some(),
        in_use: None,
        successor: None,
        predecessor: None,
        wanted: false,
        paused: false,
        is_cut: false,
        is_ending: false,
        ended: false,
        owes_close: false,
        epoch: 0,
        promised: BTreeSet::new(),
        unwritten_since: None,
    });
    let id = apps.add(app, &options).expect("an app that can be run");
    scene.feed(me, |feed| feed.id = Some(id));
    for _ in 0..dice.below(12) {
        let weak = Rc::downgrade(scene);
        let at = Duration::from_millis(dice.below(20_000) as u64);
        scene.net.after(at, move |_| {
            if let Some(scene) = weak.upgrade().filter(|scene| !scene.over.get()) {
                act_from_afar(&scene, me);
            }
        });
    }
}

/// Does something, or nothing; the result of the callback.
fn act(scene: &Rc<Scene>, app: &mut Context<'_>, me: usize) -> CallbackResult {
    if scene.feed(me, |feed| feed.actions == 0) || scene.dice.one_in(2) {
        return Ok(());
    }
    if scene.dice.one_in(400) {
        scene.feed(me, Feed::ends);
        scene.panic();
    }
    action(scene, app, me);
    if scene.dice.one_in(40) { Err("on purpose".into()) } else { Ok(()) }
}

fn action(scene: &Rc<Scene>, app: &mut Context<'_>, me: usize) {
    scene.feed(me, |feed| feed.actions = feed.actions.saturating_sub(1));
    let is_open = app.is_open();
    match scene.dice.below(60) {
        0 => {
            scene.log(|| format!("{me}: closes"));
            scene.feed(me, Feed::ends);
            app.close();
        }
        1 => {
            scene.log(|| format!("{me}: removes itself"));
            scene.feed(me, Feed::is_removed);
            app.remove();
        }
        2 | 3 => {
            scene.log(|| format!("{me}: asks for another connection"));
            if is_open {
                scene.feed(me, Feed::is_ended);
            }
            app.reconnect("on purpose");
        }
        4..7 => {
            scene.log(|| format!("{me}: pauses"));
            app.pause_reading();
            // It resumes as a timer of the reactor, which outlives the handover.
            scene.feed(me, |feed| {
                feed.paused |= is_open && feed.phase == Phase::Open;
                feed.is_cut |= feed.paused;
            });
            let (weak, id, after) = (Rc::downgrade(scene), app.id(), scene.pause());
            app.apps().set_timeout(after, move |apps| {
                let Some(scene) = weak.upgrade() else { return };
                scene.log(|| format!("{me}: resumes"));
                scene.feed(me, |feed| feed.paused = false);
                apps.with(id, |app| app.resume_reading());
            });
            scene.cover("paused");
        }
        7..17 => {
            scene.log(|| format!("{me}: renews"));
            scene.feed(me, |feed| feed.wanted |= is_open);
            app.renew();
        }
        17..20 => {
            scene.log(|| format!("{me}: ends the overlap"));
            let now = scene.now();
            scene.feed(me, |feed| {
                feed.predecessor.iter_mut().for_each(|it| it.closes_at = it.closes_at.min(now));
            });
            app.end_overlap();
        }
        20..24 => {
            let (weak, epoch) = (Rc::downgrade(scene), scene.feed(me, |feed| feed.epoch));
            app.set_timeout(scene.pause(), move |app| {
                let Some(scene) = weak.upgrade() else { return Ok(()) };
                let now = scene.feed(me, |feed| feed.epoch);
                scene.expect(now == epoch, || format!("{me}: a timer of connection {epoch} on {now}"));
                act(&scene, app, me)
            });
        }
        24..36 => send_from_afar(scene, me),
        _ => {
            let (token, target) = (scene.token(), scene.feed(me, |feed| feed.in_use));
            let filler = "x".repeat(scene.dice.pick(&[0, 5, 2000]));
            scene.log(|| format!("{me}: sends message {token}"));
            let sent = app.send_text(format!("d{token}.{}.{filler}", target.unwrap_or_default()));
            scene.expect(sent.is_ok() == is_open, || format!("{me}: {sent:?} when {:?}", app.state()));
        }
    }
}

/// What the owner of the reactor does.
pub(super) fn act_between_turns(scene: &Rc<Scene>, reactor: &mut Loop) {
    let me = scene.dice.below(scene.feeds.borrow().len());
    if let Some(id) = scene.feed(me, |feed| feed.id) {
        reactor.apps().with(id, |app| action(scene, app, me));
    }
}

/// What another thread does.
fn act_from_afar(scene: &Rc<Scene>, me: usize) {
    let Some(sender) = scene.feed(me, |feed| feed.sender.clone()) else { return };
    match scene.dice.below(10) {
        0..4 => {
            scene.feed(me, |feed| feed.wanted = true);
            sender.renew();
        }
        4 => {
            if scene.feed(me, |feed| feed.phase == Phase::Open) {
                scene.feed(me, Feed::is_ended);
            }
            sender.reconnect("from afar");
        }
        _ => send_from_afar(scene, me),
    }
}

fn send_from_afar(scene: &Rc<Scene>, me: usize) {
    let Some(sender) = scene.feed(me, |feed| feed.sender.clone()) else { return };
    let token = scene.token();
    let filler = "x".repeat(scene.dice.pick(&[0, 5, 2000]));
    if sender.send_text(format!("s{token}.{filler}")).is_ok() {
        scene.log(|| format!("{me}: a sender sends message {token}"));
        scene.feed(me, |feed| feed.promised.insert(token));
    }
}

struct User {
    scene: Rc<Scene>,
    me: usize,
}

impl User {
    fn act(&self, app: &mut Context<'_>) -> CallbackResult {
        act(&self.scene, app, self.me)
    }
}

impl Handler for User {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.scene.opened(self.me, open);
        self.act(app)
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        self.scene.delivered(app, self.me, message.as_text().unwrap_or_default());
        self.act(app)
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.scene.failed(app, self.me, error);
        Ok(())
    }

    fn on_close(&mut self, app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        self.scene.closed(app, self.me, closed);
        Ok(())
    }

    fn on_end(&mut self, _: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        self.scene.run_ended(self.me, outcome);
        Ok(())
    }
}
