//! Many apps in a network where everything goes wrong that can: bytes come in pieces and late, readiness is vague, servers vanish, and the
//! apps themselves send, close, remove and add each other at random. What must hold does; a seed that breaks it can be run again.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{
    AppId, CallbackResult, Closed, Context, Error, Handler, Message, Open, Reactor, RunOptions, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet, Trigger};
use websocket_tests::{Counting, Log, SERVER, URL, World};

const SECOND: Duration = Duration::from_secs(1);

/// An echo server that goes through the closing handshake.
fn serve_echo(net: &SimNet) {
    net.serve_arrivals(SERVER, |peer| {
        peer.accept_upgrade();
        while let Some(frame) = peer.read_frame() {
            let opcode = if frame.opcode == frame::PING { frame::PONG } else { frame.opcode };
            if opcode != frame::PONG || frame.opcode == frame::PING {
                peer.write(&frame::encode(frame.fin, 0, opcode, &frame.payload));
            }
            if opcode == frame::CLOSE {
                peer.shutdown();
            }
        }
    });
}

/// What the apps of a calm or rough world were told.
fn conversations(net: SimNet) -> Vec<Vec<String>> {
    const SIZES: [usize; 8] = [0, 1, 125, 126, 1000, 4096, 7, 10_000];
    let mut world = World::on(net);
    serve_echo(&world.net);
    let logs: Vec<_> = (0..5).map(|_| Log::new()).collect();
    for log in &logs {
        let (messages, mut next) = (log.clone(), 0);
        let app = log.app(URL).on_pong(|_, _, _| {}).on_drain(|_| {}).on_message(move |app, message| {
            messages.message(message);
            // From the loop, from a timer and from a sender in turn.
            let size = SIZES[next % SIZES.len()];
            next += 1;
            match next {
                1..30 if next % 3 == 0 => {
                    app.set_timeout(SECOND / 3, move |app| app.send_bytes(vec![0; size]));
                }
                1..30 if next % 3 == 1 => app.sender().send_bytes(vec![0; size])?,
                1..30 => app.send_bytes(vec![0; size])?,
                _ => app.close(),
            }
            Ok::<_, websocket_app::BoxError>(())
        });
        let open = log.clone();
        let app = app.on_open(move |app, _| {
            open.push("open");
            app.send_text("start")
        });
        let options = RunOptions::new().ping_interval(20 * SECOND).ping_timeout(15 * SECOND);
        app.run_on(&mut world.reactor, &options.upgrade_timeout(60 * SECOND)).unwrap();
    }
    world.reactor.run().unwrap();
    logs.into_iter().map(|log| log.lines()).collect()
}

#[test]
fn rough_weather_changes_nothing_but_the_time() {
    let calm = conversations(SimNet::new(0));
    assert_eq!(calm[0].len(), 32);
    assert_eq!(calm[0].last().unwrap(), "close 1000, by client, clean");
    for trigger in [Trigger::Edge, Trigger::Level] {
        for seed in 0..25 {
            let rough = SimNet::new(seed).with_trigger(trigger).with_faults(Faults::rough());
            assert_eq!(conversations(rough), calm, "seed {seed}, {trigger:?}");
        }
    }
}

/// Numbers that the seed decides.
#[derive(Clone)]
struct Dice(Rc<Cell<u64>>);

impl Dice {
    fn below(&self, limit: u64) -> u64 {
        let mut mixed = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(mixed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Connecting,
    Open,
    Ended,
    Removed,
}

/// What all apps of a run know of each other.
#[derive(Clone)]
struct Crowd {
    dice: Dice,
    phases: Rc<RefCell<HashMap<AppId, Phase>>>,
    /// What must not have happened.
    breaches: Rc<RefCell<Vec<String>>>,
}

const MOST_APPS: usize = 150;

impl Crowd {
    fn new(seed: u64) -> Self {
        Self { dice: Dice(Rc::new(Cell::new(seed))), phases: Rc::default(), breaches: Rc::default() }
    }

    fn app(&self) -> (WebSocketApp, RunOptions) {
        let url = match self.dice.below(12) {
            0 => "ws://slow.test/",
            1 => "ws://unknown.test/",
            2 => "ws://192.0.2.66/",
            3 => "ws://192.0.2.77/",
            _ => URL,
        };
        let options =
            RunOptions::new().max_queued_bytes(20_000).ping_interval(5 * SECOND).ping_timeout(3 * SECOND);
        (WebSocketApp::with_handler(url, Member(self.clone())), options)
    }

    fn added(&self, id: AppId) {
        if self.phases.borrow_mut().insert(id, Phase::Connecting).is_some() {
            self.breach(id, "its name was used before");
        }
    }

    fn breach(&self, id: AppId, what: &str) {
        self.breaches.borrow_mut().push(format!("{id}: {what}"));
    }

    /// Moves on to `to`, which must be possible from here.
    fn called(&self, app: &Context<'_>, callback: &str, to: Option<Phase>) {
        let id = app.id();
        let now = self.phases.borrow().get(&id).copied().unwrap_or(Phase::Connecting);
        let allowed = match (now, to) {
            (Phase::Connecting, Some(Phase::Open)) => true,
            (Phase::Connecting | Phase::Open, Some(Phase::Ended)) => true,
            (Phase::Open, None) => true,
            (Phase::Connecting, None) => matches!(callback, "error" | "timer" | "work"),
            _ => false,
        };
        if !allowed {
            self.breach(id, &format!("{callback} when {now:?}"));
        }
        if let Some(to) = to {
            self.phases.borrow_mut().insert(id, to);
        }
    }

    fn someone(&self, app: &mut Context<'_>) -> AppId {
        let ids = app.apps().ids();
        ids[self.dice.below(ids.len() as u64) as usize]
    }

    fn remove(&self, app: &mut Context<'_>, id: AppId) {
        let known = self.phases.borrow().get(&id).copied();
        if app.apps().remove(id) {
            if matches!(known, Some(Phase::Ended | Phase::Removed)) && id != app.id() {
                self.breach(id, "removed after its end");
            }
            if known != Some(Phase::Ended) {
                self.phases.borrow_mut().insert(id, Phase::Removed);
            }
        }
    }

    /// Does something, or nothing.
    fn act(&self, app: &mut Context<'_>) -> CallbackResult {
        let size = self.dice.below(4) as usize * self.dice.below(3000) as usize;
        let payload = vec![b'x'; size];
        match self.dice.below(40) {
            0..10 => app.send_bytes(&payload)?,
            10..14 => app.sender().send_bytes(payload)?,
            14..17 => app.ping(b"")?,
            17 => app.close(),
            18 => app.sender().close(),
            19 => {
                let me = app.id();
                self.remove(app, me);
            }
            20 => {
                let other = self.someone(app);
                self.remove(app, other);
            }
            21 | 22 => {
                let other = self.someone(app);
                let _sent = app.apps().with(other, |other| other.send_bytes(&payload));
            }
            23 => {
                let other = self.someone(app);
                app.apps().with(other, |other| other.close());
            }
            24..27 if self.phases.borrow().len() < MOST_APPS => {
                let (new, options) = self.app();
                let id = app.apps().add(new, &options)?;
                self.added(id);
            }
            27..30 => {
                let crowd = self.clone();
                let after = Duration::from_millis(self.dice.below(3000));
                app.set_timeout(after, move |app| {
                    crowd.called(app, "timer", None);
                    crowd.act(app)
                });
            }
            30 => {
                let sender = app.sender();
                sender.run(|app| app.send_text("from work"));
            }
            31 => app.flush()?,
            32 => return Err("on purpose".into()),
            33 if self.dice.below(4) == 0 => panic!("on purpose"),
            _ => {}
        }
        Ok(())
    }
}

struct Member(Crowd);

impl Handler for Member {
    fn on_open(&mut self, app: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        self.0.called(app, "open", Some(Phase::Open));
        app.send_text("hello")?;
        app.send_text("world")?;
        self.0.act(app)
    }

    fn on_message(&mut self, app: &mut Context<'_>, _: Message<'_>) -> CallbackResult {
        self.0.called(app, "message", None);
        self.0.act(app)?;
        self.0.act(app)
    }

    fn on_ping(&mut self, app: &mut Context<'_>, _: &[u8]) -> CallbackResult {
        self.0.called(app, "ping", None);
        self.0.act(app)
    }

    fn on_pong(&mut self, app: &mut Context<'_>, _: &[u8], _: Option<Duration>) -> CallbackResult {
        self.0.called(app, "pong", None);
        self.0.act(app)
    }

    fn on_drain(&mut self, app: &mut Context<'_>) -> CallbackResult {
        self.0.called(app, "drain", None);
        self.0.act(app)
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.0.called(app, "error", None);
        if matches!(error, Error::Callback(_)) { Ok(()) } else { self.0.act(app) }
    }

    fn on_close(&mut self, app: &mut Context<'_>, _: &Closed<'_>) -> CallbackResult {
        self.0.called(app, "close", Some(Phase::Ended));
        self.0.act(app)
    }
}

/// One run with that seed; how many apps ended in which way.
fn storm(seed: u64, trigger: Trigger) -> (usize, usize) {
    let mut faults = Faults::rough();
    faults.send_buffer = 2000;
    faults.fin = 1;
    faults.reset = 1;
    let net = SimNet::new(seed).with_trigger(trigger).with_faults(faults);
    serve_echo(&net);
    net.black_hole("192.0.2.66:80".parse().unwrap());
    let resolver = net.resolver();
    resolver.name("slow.test", &["192.0.2.77".parse().unwrap(), SERVER.ip()]);
    resolver.delay("slow.test", Some(2 * SECOND));
    let mut reactor = Reactor::with_dispatcher(Counting::new(net.dispatcher())).unwrap();
    reactor = reactor.connector(net.clone()).resolver(resolver);

    let crowd = Crowd::new(seed);
    for _ in 0..20 {
        let (app, options) = crowd.app();
        let id = app.run_on(&mut reactor, &options).unwrap();
        crowd.added(id);
    }
    while net.elapsed() < 60 * SECOND && !reactor.apps().is_empty() {
        reactor.poll(Some(60 * SECOND - net.elapsed())).unwrap();
        assert_eq!(*crowd.breaches.borrow(), [""; 0], "seed {seed}, {trigger:?}");
    }
    // Those that are added while all are stopped are stopped next.
    while !reactor.apps().is_empty() {
        reactor.apps().stop();
        reactor.poll(Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(*crowd.breaches.borrow(), [""; 0], "seed {seed}, {trigger:?}");
    assert_eq!(reactor.dispatcher().watched.get(), 0);
    let phases = crowd.phases.borrow();
    let ended = phases.values().filter(|phase| **phase == Phase::Ended).count();
    let removed = phases.values().filter(|phase| **phase == Phase::Removed).count();
    assert_eq!(ended + removed, phases.len(), "seed {seed}, {trigger:?}");
    drop(phases);

    // Stale deadlines pass, and nothing is left of anybody.
    reactor.poll(Some(100 * SECOND)).unwrap();
    reactor.poll(Some(100 * SECOND)).unwrap();
    assert_eq!(Rc::strong_count(&crowd.phases), 1, "seed {seed}, {trigger:?}");
    (ended, removed)
}

#[test]
fn a_crowd_of_restless_apps_ends_each_of_its_members_once() {
    let (mut ended, mut removed) = (0, 0);
    for seed in 0..40 {
        let trigger = if seed % 2 == 0 { Trigger::Edge } else { Trigger::Level };
        let (more_ended, more_removed) = storm(seed, trigger);
        ended += more_ended;
        removed += more_removed;
    }
    assert!(ended > 1000 && removed > 100, "{ended} ended, {removed} were removed");
}
