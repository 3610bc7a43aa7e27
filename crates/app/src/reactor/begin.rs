//! The beginning of a connection on a stream that leads to its server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use websocket_connection::{Connection, Env};

use crate::dial::Attempt;
use crate::error::Error;
use crate::live::{Secure, Trace};
use crate::plan::Plan;

/// A connection whose request waits to be written, with TLS below it for `wss`.
type Begun = (Connection, Option<Box<Secure>>);

/// Makes what an attempt needs on its stream. Entropy and sessions may be the user's, and may panic.
pub(super) fn begin(plan: &Plan, attempt: &Attempt, env: &mut Env) -> thread::Result<Result<Begun, Error>> {
    catch_unwind(AssertUnwindSafe(|| {
        let connection = Connection::new(plan.config().clone(), &attempt.request, env)?;
        let secure = Secure::begin(&plan.options.connect, &attempt.target, attempt.other_host, env.now)?;
        Ok((connection, secure))
    }))
}

/// What records the traffic of a connection that is traced. It is asked for once per connection, so one that is not traced costs a look
/// at a pointer for each read and write.
pub(super) fn start_trace(plan: &Plan) -> Option<Trace> {
    let is_logged = log::log_enabled!(target: "websocket::wire", log::Level::Trace);
    (is_logged || plan.options.connect.tap.is_some()).then(Trace::new)
}
