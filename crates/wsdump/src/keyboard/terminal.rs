//! The terminal as it was found.

#[cfg(unix)]
mod unix {
    use std::io::{self, Write as _};
    use std::sync::OnceLock;

    use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

    static FOUND: OnceLock<Option<Found>> = OnceLock::new();

    /// Any thread may restore it. `Termios` itself has a cell, and is not shared.
    struct Found(std::sync::Mutex<Termios>);

    /// Remembers how the terminal is set.
    pub(crate) fn save() {
        FOUND.get_or_init(|| tcgetattr(io::stdin()).ok().map(|found| Found(found.into())));
    }

    /// Sets the terminal as it was, below what was printed, without the line that was being typed.
    pub(crate) fn restore() {
        let Some(Found(found)) = FOUND.get().and_then(Option::as_ref) else { return };
        let found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // It may be gone.
        let _gone = tcsetattr(io::stdin(), SetArg::TCSANOW, &found);
        let mut out = io::stdout().lock();
        let _gone = out.write_all(b"\r\x1b[J").and_then(|()| out.flush());
    }
}

#[cfg(unix)]
pub(super) use unix::{restore, save};

/// The console of Windows is set anew by the shell.
#[cfg(not(unix))]
pub(super) fn save() {}

#[cfg(not(unix))]
pub(super) fn restore() {}
