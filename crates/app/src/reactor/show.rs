//! Showing what passes over a connection: in the log, and to the user's tap.

use crate::id::AppId;
use crate::live::Trace;
use crate::plan::Plan;

/// Shows what has passed over a connection that is traced.
pub(super) fn show(plan: &Plan, trace: &mut Trace, id: AppId) {
    for event in trace.take() {
        log::trace!(target: "websocket::wire", "{id} {event}");
        if let Some(tap) = &plan.options.connect.tap {
            (tap.0)(id, &event);
        }
    }
}
