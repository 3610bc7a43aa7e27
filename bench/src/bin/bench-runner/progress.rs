//! What is going on, on standard error: one line that changes, or one line each where that is no terminal.

use std::io::{IsTerminal, Write, stderr};

use crate::cells::Cell;

pub(crate) struct Progress {
    prefix: String,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new(cell: &Cell) -> Self {
        let prefix = format!("{} {}", cell.workload.name(), cell.name);
        Self { prefix, terminal: stderr().is_terminal() }
    }

    pub(crate) fn show(&mut self, client: &str, stage: &str) {
        match self.terminal {
            true => eprint!("\r\x1b[K{}: {stage}, {client}", self.prefix),
            false => eprintln!("{}: {stage}, {client}", self.prefix),
        }
        let _ignored = stderr().flush();
    }

    pub(crate) fn clear(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
