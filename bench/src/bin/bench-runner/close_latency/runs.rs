//! One app that is run again and again, and the thread that closes it.

use std::process;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{Outcome, RunOptions, Sender, WebSocketApp};
use websocket_bench::Result;

/// A run that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs an app and has it closed by another thread.
pub(crate) struct Closer {
    app: WebSocketApp,
    options: RunOptions,
    /// What goes on between here and the other thread.
    begun: SyncSender<usize>,
    closed: Receiver<Instant>,
    ended: SyncSender<()>,
}

impl Closer {
    pub(crate) fn new(url: String, close_timeout: Duration) -> Result<Self> {
        let (opened, open) = mpsc::sync_channel(1);
        let (begun, begin) = mpsc::sync_channel(1);
        let (closing, closed) = mpsc::sync_channel(1);
        let (ended, end) = mpsc::sync_channel(1);
        let mut app = WebSocketApp::new(url).on_open(move |_, _| opened.send(()));
        let other = Other { sender: app.sender(), open, closing, end };
        thread::Builder::new().name("closer".into()).spawn(move || {
            while let Ok(number) = begin.recv() {
                if other.close(number).is_none() {
                    break;
                }
            }
        })?;
        let options = RunOptions::new().close_timeout(close_timeout);
        Ok(Self { app, options, begun, closed, ended })
    }

    /// How a run ended, and how long after the other thread's call of `close()`.
    pub(crate) fn close(&mut self, number: usize) -> Result<(Outcome, Duration)> {
        self.begun.send(number)?;
        let outcome = self.app.run_forever(&self.options)?;
        let ended = Instant::now();
        self.ended.send(())?;
        // A run that has never opened is nobody's to close.
        let closed = self.closed.recv_timeout(PATIENCE).map_err(|_| format!("never opened: {outcome:?}"))?;
        Ok((outcome, ended.saturating_duration_since(closed)))
    }
}

/// The other thread's part.
struct Other {
    sender: Sender,
    open: Receiver<()>,
    closing: SyncSender<Instant>,
    end: Receiver<()>,
}

impl Other {
    /// Closes one run; `None` when the other side is gone.
    fn close(&self, number: usize) -> Option<()> {
        self.open.recv_timeout(PATIENCE).ok()?;
        // The loop has time to fall asleep in most runs, and is met awake in some.
        thread::sleep(Duration::from_micros(number as u64 * 37 % 1000));
        let now = Instant::now();
        self.sender.close();
        self.closing.send(now).ok()?;
        if self.end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("\nerror: run {number} hangs: it goes on {PATIENCE:?} after close()");
            process::exit(1);
        }
        Some(())
    }
}
