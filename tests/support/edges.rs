//! A loop that runs futures, made of one that a thread waits on.

use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

use websocket_app::dispatcher::{Dispatcher, PollWait, Ready, Wait};

use crate::forward_to;

/// A dispatcher that a thread waits on as one of a loop that runs futures, for a test that polls again and again. It reports each edge once.
#[derive(Debug)]
pub struct Edges<D>(pub D);

impl<D: Dispatcher> Dispatcher for Edges<D> {
    forward_to!(0);
}

impl<D: Wait> PollWait for Edges<D> {
    fn poll_wait(
        &mut self,
        _: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        let (known, now) = (ready.len(), self.now());
        self.0.wait(Some(now), ready)?;
        if ready.len() > known || deadline.is_some_and(|deadline| deadline <= now) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}
