//! The part of a dial that resolves names.

use std::io;
use std::net::SocketAddr;

use super::Dial;
use super::gate::{Admission, Place, Server};
use super::net::Net;
use super::progress::Progress;
use super::step::{Question, Resolving, Step, WaitingToAsk};
use crate::error::Error;
use crate::id::QueryId;
use crate::phases::Phase;
use crate::plan::Plan;
use crate::schedule::later;

impl Dial {
    /// The turn to resolve a name has come.
    pub(crate) fn may_ask(&mut self, place: Place<String>, plan: &Plan, net: &mut Net<'_>) -> Progress {
        match std::mem::replace(&mut self.step, Step::Deciding) {
            Step::WaitingToAsk(waiting) => {
                self.attempt.postpone(net.now().saturating_duration_since(waiting.since));
                self.resolve(waiting.question, place, plan, net)
            }
            step => {
                self.step = step;
                Progress::Waiting
            }
        }
    }

    /// The resolver has answered; an answer to an earlier question is ignored.
    pub(crate) fn resolved(
        &mut self,
        answered: QueryId,
        addresses: io::Result<Vec<SocketAddr>>,
        plan: &mut Plan,
        net: &mut Net<'_>,
    ) -> Progress {
        let resolving = match std::mem::replace(&mut self.step, Step::Deciding) {
            Step::Resolving(resolving) if resolving.query == answered => resolving,
            step => {
                self.step = step;
                return Progress::Waiting;
            }
        };
        let Resolving { question, .. } = *resolving;
        self.attempt.timer.end(Phase::Resolve, net.now());
        let addresses = addresses.map(|addresses| self.attempt.failed_addresses.sort(addresses));
        let source = match addresses {
            Ok(addresses) if question.for_proxy => {
                if let Some(via) = &mut self.attempt.via {
                    match via.proxy.pick_address(&addresses) {
                        Ok(address) => via.destination = address.into(),
                        Err(error) => return Progress::Failed(Error::Proxy(error)),
                    }
                }
                return self.next_hop(plan, net);
            }
            Ok(addresses) => match addresses.first() {
                // A proxy's address is not limited: the attempt already has its place, for the name that the
                // proxy is asked for.
                Some(_) if self.attempt.via.is_some() => return self.connect(addresses, plan, net),
                Some(first) => {
                    let server = Server::at(*first);
                    return self.enter(server, Some(addresses), plan, net);
                }
                None => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
            },
            Err(source) => source,
        };
        Progress::Failed(Error::Resolve { host: question.host(), source })
    }

    /// Whether it waits for the resolver's answer.
    pub(crate) const fn is_resolving(&self) -> bool {
        matches!(self.step, Step::Resolving(_))
    }

    /// Resolves a name when its turn has come.
    pub(super) fn ask(&mut self, question: Question, plan: &Plan, net: &mut Net<'_>) -> Progress {
        match net.links.names.enter(question.host(), net.app) {
            Admission::Granted(place) => self.resolve(question, place, plan, net),
            Admission::Waiting(ticket) => {
                let waiting = WaitingToAsk { _ticket: ticket, since: net.now(), question };
                self.step = Step::WaitingToAsk(Box::new(waiting));
                Progress::Waiting
            }
        }
    }

    fn resolve(
        &mut self,
        question: Question,
        place: Place<String>,
        plan: &Plan,
        net: &mut Net<'_>,
    ) -> Progress {
        let now = net.now();
        self.attempt.timer.begin(now);
        let deadline = later(now, plan.options.connect.resolve_timeout);
        let (query, asker) = net.resolve(&question.host(), question.destination.port);
        self.step =
            Step::Resolving(Box::new(Resolving { _place: place, query, _asker: asker, question, deadline }));
        Progress::Waiting
    }
}
