//! Panics of the user's code, where they must not go further.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::id::AppId;

/// Does what may panic where a panic can only be logged: after another one, or while something of the user's is dropped.
pub(crate) fn contain_panic(id: AppId, step: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(step)).is_err() {
        log::error!(target: "websocket::app", "{id}: the user's code panicked where no callback can be told");
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}
