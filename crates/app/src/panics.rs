//! Panics in the user's code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use std::fmt::Display;

/// What to do about an app's callback that panics.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a panic either ends here or propagates")]
pub enum PanicPolicy {
    /// The app gets `on_error` with [`Error::CallbackPanicked`](crate::Error::CallbackPanicked) and, unless
    /// it was waiting to connect again, `on_close`. Other apps are not affected.
    #[default]
    Catch,
    /// The same, and then the panic leaves the reactor's `turn`. A host that calls `turn` itself is
    /// [woken](websocket_dispatcher::Dispatcher::waker), so that the next turn comes at once if its loop
    /// continues.
    Propagate,
}

/// Runs a step whose panic can only be logged: after another panic, or while a value of the user's code is
/// dropped.
pub(crate) fn contain_panic(whose: impl Display, step: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(step)).is_err() {
        log::error!(target: "websocket::app", "{whose}: the user's code panicked where no callback can report it");
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}
