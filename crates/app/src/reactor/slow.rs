//! Callbacks that hold the loop for too long: a warning in the log, and the user's hook.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::apps::Apps;
use crate::id::AppId;
use crate::meter::LongCallback;

/// The work has ended, if it was measured; it was for this app or, without one, for none.
pub(super) fn end_work(apps: &mut Apps, app: Option<AppId>) {
    if let Some(slow) = apps.end_work(app) {
        report(apps, slow);
    }
}

#[cold]
fn report(apps: &mut Apps, slow: LongCallback) {
    match slow.app {
        Some(app) => {
            log::warn!(target: "websocket::app", "{app}: a callback held the loop for {:?}", slow.took)
        }
        None => {
            log::warn!(target: "websocket::app", "a callback that belongs to no app held the loop for {:?}", slow.took)
        }
    }
    if let Some(hook) = &mut apps.meter.hook {
        if catch_unwind(AssertUnwindSafe(|| hook(slow))).is_err() {
            log::error!(target: "websocket::app", "the hook for slow callbacks panicked");
        }
        apps.env.user_code_ran();
    }
}
