//! Tells on standard error how far the run is.

use std::io::{self, IsTerminal, Write};

use crate::cases::CaseId;

/// Without a terminal, a line comes only so often.
const CASES_A_LINE: usize = 50;

/// One line that is written over on a terminal, occasional lines elsewhere.
pub(crate) struct Progress {
    total: usize,
    on_terminal: bool,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        Self { total, on_terminal: io::stderr().is_terminal() }
    }

    /// The case number `position`, counted from 1, begins.
    pub(crate) fn begin(&self, position: usize, case: &CaseId) {
        let Self { total, on_terminal } = self;
        let mut out = io::stderr().lock();
        // Progress that cannot be written must not end the run.
        let _ = if *on_terminal {
            write!(out, "\r\x1b[Kautobahn: {position}/{total} case {case}").and_then(|()| out.flush())
        } else if position % CASES_A_LINE == 1 {
            writeln!(out, "autobahn: {position}/{total} case {case}")
        } else {
            Ok(())
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
