//! Showing what passes over a connection: in the log, and to the user's tap.

use crate::id::AppId;
use crate::live::Trace;
use crate::plan::Plan;
use crate::surroundings::Surroundings;

/// Shows what has passed over a connection, if it is traced.
#[inline]
pub(super) fn show(plan: &Plan, trace: Option<&mut Trace>, id: AppId, env: &mut Surroundings) {
    if let Some(trace) = trace {
        show_all(plan, trace, id, env);
    }
}

fn show_all(plan: &Plan, trace: &mut Trace, id: AppId, env: &mut Surroundings) {
    for event in trace.take() {
        log::trace!(target: "websocket::wire", "{id} {event}");
        if let Some(tap) = &plan.options.connect.tap {
            (tap.0)(id, &event);
        }
    }
    env.user_code_ran();
}
