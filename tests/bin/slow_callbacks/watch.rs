//! What every program watches: its time limit, and how late a timer comes.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::Context;

/// How long a program may take to do what it was asked for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// The interval of the timer.
const TICK: Duration = Duration::from_millis(10);
/// Below this a callback uses the processor, since the system cannot sleep for so short a time.
const SLEEPS: Duration = Duration::from_millis(1);

/// The limit and the timer of one program.
pub(crate) struct Watch {
    deadline: Instant,
    limit_hit: Cell<bool>,
    /// The last tick, while the timer runs.
    ticked: Cell<Option<Instant>>,
    /// `None` before the timer has started.
    late: Cell<Option<Duration>>,
}

impl Watch {
    /// A watch whose limit begins after `delay`.
    pub(crate) fn new(delay: Duration) -> Rc<Self> {
        Rc::new(Self {
            deadline: Instant::now() + delay + LIMIT,
            limit_hit: Cell::new(false),
            ticked: Cell::new(None),
            late: Cell::new(None),
        })
    }

    /// Removes the app once the limit has passed. Called in callbacks, since nothing else ends a turn that
    /// takes too long.
    pub(crate) fn enforce(&self, app: &mut Context<'_>) {
        if Instant::now() > self.deadline {
            self.limit_hit.set(true);
            app.remove();
        }
    }

    /// Whether the limit has ended the program.
    pub(crate) fn limit_hit(&self) -> bool {
        self.limit_hit.get()
    }

    /// Starts the app's timer.
    pub(crate) fn start_timer(self: &Rc<Self>, app: &mut Context<'_>) {
        self.ticked.set(Some(Instant::now()));
        self.late.set(Some(Duration::ZERO));
        let watch = self.clone();
        app.set_interval(TICK, move |_| watch.tick());
    }

    /// The timer has ended; how late it would have come counts too.
    pub(crate) fn stop_timer(&self) {
        self.tick();
        self.ticked.set(None);
    }

    /// How late the timer has come at most; `None` if it has never started.
    pub(crate) fn late(&self) -> Option<Duration> {
        self.late.get()
    }

    fn tick(&self) {
        let now = Instant::now();
        // Once it has stopped it stays so.
        let Some(last) = self.ticked.get() else { return };
        self.ticked.set(Some(now));
        let late = now.saturating_duration_since(last + TICK);
        self.late.set(self.late.get().max(Some(late)));
    }
}

/// What a slow callback does.
pub(crate) fn work(time: Duration) {
    if time >= SLEEPS {
        return thread::sleep(time);
    }
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}
