//! The programs: an app with a slow callback, alone, beside another app, and in a host's loop.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use websocket_app::dispatcher::Wait as _;
use websocket_app::{Context, Outcome, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_testkit::server::EchoServer;

use super::Result;
use super::feed::{FeedServer, Pace};
use super::figure::{Figure, seconds};
use super::watch::{Watch, work};

/// How long the programs run that are not ended by another thread.
const RUN: Duration = Duration::from_secs(8);
/// What `stop_within` is given.
const WITHIN: Duration = Duration::from_secs(1);

/// What another thread asks for.
#[derive(Clone, Copy)]
pub(crate) enum Ending {
    Close,
    Stop,
    StopWithin,
}

/// How fast the server sends, and how slow the callback is.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) pace: Pace,
    /// How long `on_message` takes.
    pub(crate) callback: Duration,
    /// How long after `on_open` another thread ends the program.
    pub(crate) after: Duration,
}

/// What is right for each figure of a program.
pub(crate) struct Right {
    pub(crate) frame: &'static str,
    pub(crate) end: &'static str,
    pub(crate) timer: &'static str,
}

/// One app with a slow callback in `run_forever`, until another thread ends it.
pub(crate) fn alone(load: Load, ending: Ending, right: &Right) -> Result<Vec<Figure>> {
    let server = FeedServer::start(load.pace)?;
    let watch = Watch::new(load.after);
    let (opened, open) = mpsc::channel();
    let timed = watch.clone();
    let mut app = slow_app(server.url(), load.callback, &watch, move |app| {
        timed.start_timer(app);
        let _asked = opened.send(());
    });
    let asking = ask(app.sender(), open, load.after, ending)?;
    let outcome = app.run_forever(&RunOptions::new())?;
    let ended = Instant::now();
    watch.stop_timer();
    // An app that has never opened keeps the other thread waiting for as long as it lives.
    drop(app);
    let asked = asked(asking)?;
    let frame = server.close_frame().map(|frame| frame.saturating_duration_since(asked));
    let end = match watch.limit_hit() {
        true => seconds(None),
        false => format!("{}, {}", seconds(Some(ended - asked)), brief(&outcome)),
    };
    Ok(vec![
        Figure::time("close frame at the server", frame, right.frame),
        Figure::new("run_forever returns", end, right.end),
        timer(&watch, right)?,
    ])
}

/// App A with a slow callback and app B, which echoes one message at a time, on one reactor.
pub(crate) fn beside(load: Load, ending: Option<Ending>, right: &Right) -> Result<Vec<Figure>> {
    let (server, echo) = (FeedServer::start(load.pace)?, EchoServer::start()?);
    let watch = Watch::new(RUN);
    let (opened, open) = mpsc::channel();
    let mut a = slow_app(server.url(), load.callback, &watch, move |_| {
        let _asked = opened.send(());
    });
    let asking = ending.map(|ending| ask(a.sender(), open, load.after, ending)).transpose()?;
    let mut reactor = Reactor::new()?;
    a.run_on(&mut reactor, &RunOptions::new())?;
    let trips = Rc::new(RefCell::new(Trips::default()));
    echoing_app(echo.url(), &trips, &watch).run_on(&mut reactor, &RunOptions::new())?;

    let Some(asking) = asking else {
        let begun = Instant::now();
        reactor.run_until(|_| begun.elapsed() >= RUN)?;
        watch.stop_timer();
        let trips = trips.borrow();
        return Ok(vec![
            Figure::new("B's longest round trip", trips.longest(begun), right.end),
            timer(&watch, right)?,
        ]);
    };
    reactor.run()?;
    let ended = Instant::now();
    watch.stop_timer();
    drop(reactor);
    let asked = asked(asking)?;
    Ok(vec![Figure::time("run returns", within(&watch, ended - asked), right.end), timer(&watch, right)?])
}

/// One app with a slow callback on the loop of a host that has other tasks: how long one turn of the reactor
/// keeps it from them.
pub(crate) fn hosted(load: Load, ending: Option<Ending>, right: &Right) -> Result<Vec<Figure>> {
    let server = FeedServer::start(load.pace)?;
    let watch = Watch::new(RUN);
    let (opened, open) = mpsc::channel();
    let timed = watch.clone();
    let mut app = slow_app(server.url(), load.callback, &watch, move |app| {
        timed.start_timer(app);
        let _asked = opened.send(());
    });
    let asking = ending.map(|ending| ask(app.sender(), open, load.after, ending)).transpose()?;
    let mut reactor = Reactor::new()?;
    app.run_on(&mut reactor, &RunOptions::new())?;
    let (begun, mut longest) = (Instant::now(), Duration::ZERO);
    let mut next = reactor.turn(&[]);
    let mut ready = Vec::new();
    while !reactor.apps().is_empty() && (asking.is_some() || begun.elapsed() < RUN) {
        let due = if next.again { Some(Instant::now()) } else { next.deadline };
        reactor.dispatcher().wait(due, &mut ready)?;
        let turn = Instant::now();
        next = reactor.turn(&ready);
        longest = longest.max(turn.elapsed());
        ready.clear();
    }
    let ended = Instant::now();
    watch.stop_timer();
    drop(reactor);
    let Some(asking) = asking else {
        return Ok(vec![
            Figure::time("longest turn", within(&watch, longest), right.end),
            timer(&watch, right)?,
        ]);
    };
    let asked = asked(asking)?;
    Ok(vec![
        Figure::time("the app has ended", within(&watch, ended - asked), right.end),
        timer(&watch, right)?,
    ])
}

/// An app whose `on_message` takes `callback`.
fn slow_app(
    url: String,
    callback: Duration,
    watch: &Rc<Watch>,
    mut opened: impl FnMut(&mut Context<'_>) + 'static,
) -> WebSocketApp {
    let (working, ended) = (watch.clone(), watch.clone());
    WebSocketApp::new(url)
        .on_open(move |app, _| opened(app))
        .on_message(move |app, _| {
            work(callback);
            working.enforce(app);
        })
        .on_close(move |_, _| ended.stop_timer())
}

/// An app that sends a message when the one before is back.
fn echoing_app(url: String, trips: &Rc<RefCell<Trips>>, watch: &Rc<Watch>) -> WebSocketApp {
    let (trips, began, timed) = (trips.clone(), trips.clone(), watch.clone());
    WebSocketApp::new(url)
        .on_open(move |app, _| {
            timed.start_timer(app);
            began.borrow_mut().sent = Some(Instant::now());
            app.send_text("tick")
        })
        .on_message(move |app, _| {
            trips.borrow_mut().returned();
            app.send_text("tick")
        })
}

/// Round trips, each with the time of its end.
#[derive(Default)]
struct Trips {
    /// When the message was sent that is under way.
    sent: Option<Instant>,
    all: Vec<(Instant, Duration)>,
}

impl Trips {
    fn returned(&mut self) {
        let now = Instant::now();
        let sent = self.sent.replace(now);
        self.all.extend(sent.map(|sent| (now, now - sent)));
    }

    /// The longest of those that ended in the first half of the run, and after it. The one that is under way
    /// counts as if it ended now.
    fn longest(&self, begun: Instant) -> String {
        let under_way = self.sent.map(|sent| (Instant::now(), sent.elapsed()));
        let half = begun + RUN / 2;
        let longest = |second: bool| {
            let trips = self.all.iter().copied().chain(under_way);
            trips.filter(|(end, _)| (*end >= half) == second).map(|(_, time)| time).max().unwrap_or_default()
        };
        let [first, second] = [false, true].map(|second| seconds(Some(longest(second))));
        format!("{first}, in the second half {second}")
    }
}

/// Starts a thread that ends the program `after` this long from `on_open`. It returns when it did so, or
/// `None` if the app has never opened.
fn ask(
    sender: Sender,
    open: Receiver<()>,
    after: Duration,
    ending: Ending,
) -> io::Result<JoinHandle<Option<Instant>>> {
    thread::Builder::new().name("other".into()).spawn(move || {
        open.recv().ok()?;
        thread::sleep(after);
        let asked = Instant::now();
        match ending {
            Ending::Close => sender.close(),
            Ending::Stop => sender.stop(),
            Ending::StopWithin => sender.stop_within(WITHIN),
        }
        Some(asked)
    })
}

fn asked(asking: JoinHandle<Option<Instant>>) -> Result<Instant> {
    let asked = asking.join().map_err(|_| "the other thread panicked")?;
    Ok(asked.ok_or("the app has never opened")?)
}

/// The time, unless the limit has ended the program.
fn within(watch: &Watch, time: Duration) -> Option<Duration> {
    (!watch.limit_hit()).then_some(time)
}

fn timer(watch: &Watch, right: &Right) -> Result<Figure> {
    let late = watch.late().ok_or("the app has never opened")?;
    Ok(Figure::time("a timer of 10 ms, late by", Some(late), right.timer))
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Clean { .. } => "closed".to_owned(),
        Outcome::Lost(error) => format!("lost: {error:?}"),
        Outcome::Stopped => "stopped".to_owned(),
        other => format!("{other:?}"),
    }
}
