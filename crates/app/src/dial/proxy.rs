//! What follows the answer of a proxy: a tunnel, another request, or the end of the dial.

use std::mem;

use websocket_dispatcher::Key;

use super::Dial;
use super::net::Net;
use super::progress::{Arrival, Progress};
use super::step::Step;
use crate::error::Error;
use crate::phases::Phase;
use crate::plan::Plan;

impl Dial {
    /// The stream to the proxy is ready.
    pub(super) fn tunnelling(&mut self, key: Key, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let Step::Tunnelling(tunnel) = &mut self.step else { return Progress::Waiting };
        let rest = match tunnel.ready(key, net) {
            Ok(None) => return Progress::Waiting,
            Ok(Some(rest)) => rest,
            Err(failure) => return self.no_tunnel(failure, plan, net),
        };
        let Step::Tunnelling(tunnel) = mem::replace(&mut self.step, Step::Deciding) else {
            return Progress::Waiting;
        };
        let len = rest.len();
        net.buffer.copy_within(rest, 0);
        self.attempt.timer.end(Phase::Proxy, net.now());
        self.attempt.tunnelled();
        Progress::Arrived(Arrival { wire: tunnel.wire, already_read: Some(len) })
    }

    /// The proxy gives no tunnel. It is asked again where the user has an answer to its challenge.
    pub(super) fn no_tunnel(&mut self, failure: Error, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let Step::Tunnelling(tunnel) = &mut self.step else { return Progress::Failed(failure) };
        let same_stream = tunnel.can_ask_again();
        let outcome = match tunnel.is_unanswered(&failure) {
            true => Ok(()),
            false => self.attempt.answer_proxy(failure, same_stream, plan),
        };
        if outcome.is_ok() {
            self.attempt.timer.end(Phase::Proxy, net.now());
        }
        if let (true, Ok(()), Some(via)) = (same_stream, &outcome, &self.attempt.via) {
            return match tunnel.ask_again(via, plan) {
                Ok(()) => {
                    let key = tunnel.wire.key;
                    self.tunnelling(key, plan, net)
                }
                Err(error) => Progress::Failed(error),
            };
        }
        if let Step::Tunnelling(tunnel) = mem::replace(&mut self.step, Step::Deciding) {
            net.unwatch(tunnel.wire);
        }
        match outcome {
            Ok(()) => {
                self.attempt.connected_to = None;
                self.next_hop(plan, net)
            }
            Err(failure) => Progress::Failed(failure),
        }
    }
}
