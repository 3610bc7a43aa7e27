//! A progress bar on standard error: redrawn on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const WIDTH: usize = 30;
const REDRAW: Duration = Duration::from_millis(100);
const NEW_LINE: Duration = Duration::from_secs(2);

/// Shows how far something has come.
#[derive(Debug)]
pub struct Bar {
    terminal: bool,
    shown: Instant,
    /// The cursor stands behind a bar.
    open: bool,
}

impl Default for Bar {
    fn default() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: Instant::now(), open: false }
    }
}

impl Bar {
    /// Shows that `done` (from 0 to 1) of `what` is done, unless that was shown a moment ago.
    pub fn show(&mut self, what: &str, done: f64, details: impl FnOnce() -> String) {
        let pause = if self.terminal { REDRAW } else { NEW_LINE };
        if done < 1.0 && self.shown.elapsed() >= pause {
            self.draw(what, done, &details());
        }
    }

    /// Shows that all of `what` is done.
    pub fn finish(&mut self, what: &str, details: &str) {
        self.draw(what, 1.0, details);
        self.end();
    }

    fn draw(&mut self, what: &str, done: f64, details: &str) {
        self.shown = Instant::now();
        let done = done.clamp(0.0, 1.0);
        let percent = (done * 100.0) as u32;
        // Progress that cannot be shown is no reason to stop.
        let _ = if self.terminal {
            self.open = true;
            let filled = (done * WIDTH as f64) as usize;
            let (full, empty) = ("#".repeat(filled), ".".repeat(WIDTH - filled));
            write!(io::stderr(), "\r\x1b[K{what:<10} [{full}{empty}] {percent:>3} %  {details}")
        } else {
            writeln!(io::stderr(), "{what} {percent} %: {details}")
        };
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            let _ = writeln!(io::stderr());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}
