//! What the user holds of the turns.

use std::fmt;
use std::panic::resume_unwind;
use std::rc::Rc;

use websocket_dispatcher::{Next, Ready};

use crate::shared::Shared;

/// Takes the turns of a reactor in the rounds of its loop.
///
/// Dropping it closes the dispatcher's handles and drops the closure. That may be done at any time, in a turn
/// too; run the loop once more afterwards.
pub struct Turns(Rc<Shared>);

impl Turns {
    pub(crate) const fn new(shared: Rc<Shared>) -> Self {
        Self(shared)
    }

    /// Calls `turn` once in each round of the loop in which there is something to do, and honours what it
    /// returns: `turn` is to be `Reactor::turn`. Replaces what was started before.
    pub fn start(&self, turn: impl FnMut(&[Ready]) -> Next + 'static) {
        self.0.start(Box::new(turn));
    }

    /// Resumes the panic that ended the loop, if one did. Call it when the loop has returned: otherwise the
    /// panic is lost when this is dropped. The loop can be run again afterwards.
    ///
    /// # Panics
    /// With the panic of the turn.
    pub fn resume_panic(&self) {
        if let Some(panic) = self.0.take_panic() {
            resume_unwind(panic);
        }
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}
