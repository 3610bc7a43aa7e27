//! Panics of the user's code, where they must not propagate.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::id::AppId;

/// Runs a step whose panic can only be logged: after another panic, or while a value of the user's code is
/// dropped.
pub(crate) fn contain_panic(id: AppId, step: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(step)).is_err() {
        log::error!(target: "websocket::app", "{id}: the user's code panicked where no callback can report it");
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}
