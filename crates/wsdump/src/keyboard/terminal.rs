//! The terminal as it was found.

#[cfg(unix)]
mod unix {
    use std::io::{self, Write as _};
    use std::sync::OnceLock;

    use nix::sys::signal::{Signal, raise};
    use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

    static FOUND: OnceLock<Option<Found>> = OnceLock::new();

    /// Any thread may restore it. `Termios` itself has a cell, and is not shared.
    struct Found(std::sync::Mutex<Termios>);

    /// Remembers how the terminal is set.
    pub(crate) fn save() {
        FOUND.get_or_init(|| tcgetattr(io::stdin()).ok().map(|found| Found(found.into())));
    }

    /// Has the editor return: it takes SIGINT for Ctrl-C. Returns whether it can be told.
    pub(crate) fn wake() -> bool {
        raise(Signal::SIGINT).is_ok()
    }

    /// Removes the line that was being typed, which the cursor is behind.
    pub(crate) fn remove_line() {
        let mut out = io::stdout().lock();
        // The terminal may be gone.
        let _gone = out.write_all(b"\x1b[A\r\x1b[J").and_then(|()| out.flush());
    }

    /// Sets the terminal as it was.
    pub(crate) fn restore() {
        let Some(Found(found)) = FOUND.get().and_then(Option::as_ref) else { return };
        let found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // It may be gone.
        let _gone = tcsetattr(io::stdin(), SetArg::TCSANOW, &found);
    }
}

#[cfg(unix)]
pub(super) use unix::{remove_line, restore, save, wake};

/// The console of Windows is set anew by the shell.
#[cfg(not(unix))]
pub(super) fn save() {}

#[cfg(not(unix))]
pub(super) fn wake() -> bool {
    false
}

#[cfg(not(unix))]
pub(super) fn remove_line() {}

#[cfg(not(unix))]
pub(super) fn restore() {}
