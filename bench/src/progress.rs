//! What is going on, on standard error: one line that changes, or one line each where that is no terminal.

use std::io::{IsTerminal, Write, stderr};

/// What one part of a benchmark is at.
#[derive(Debug)]
pub struct Progress {
    prefix: String,
    terminal: bool,
}

impl Progress {
    /// The prefix begins each line.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), terminal: stderr().is_terminal() }
    }

    /// Tells who is at which stage.
    pub fn show(&mut self, client: &str, stage: &str) {
        match self.terminal {
            true => eprint!("\r\x1b[K{}: {stage}, {client}", self.prefix),
            false => eprintln!("{}: {stage}, {client}", self.prefix),
        }
        let _ignored = stderr().flush();
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
