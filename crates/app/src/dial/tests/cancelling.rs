//! A dial that is hung up, and input that comes too late.

use std::cell::RefCell;
use std::rc::Rc;

use websocket_link::{Answer, Query, Resolver};

use super::super::gate::Gate;
use super::steps::{PROXY, Wait};
use super::*;

/// A resolver that keeps the questions.
#[derive(Clone, Default)]
struct Questions(Rc<RefCell<Vec<Answer>>>);

impl Resolver for Questions {
    fn resolve(&mut self, _: Query, answer: Answer) {
        self.0.borrow_mut().push(answer);
    }
}

const RESOLVING: [Wait; 3] = [Wait::ForName, Wait::ForProxyName, Wait::ForNameBehindProxy];

#[test]
fn hanging_up_in_any_step_leaves_nothing_behind() {
    for &wait in Wait::ALL {
        let mut rig = wait.rig(&wait.options());
        rig.assert_leaves_nothing();
    }
}

#[test]
fn hanging_up_on_a_proxy_ends_the_stream() {
    for wait in [Wait::ForHttpTunnel, Wait::ForSocksTunnel] {
        let ended = Rc::new(RefCell::new(None));
        let seen = ended.clone();
        let mut rig = wait.rig_with(&wait.options(), |rig| {
            rig.net.serve_arrivals(PROXY, move |peer| *seen.borrow_mut() = peer.ended());
        });
        assert_eq!(*ended.borrow(), None);
        rig.assert_leaves_nothing();
        rig.net.advance(Duration::ZERO);
        assert!(ended.borrow().is_some(), "{wait:?}");
    }
}

#[test]
fn the_answer_is_wanted_until_the_dial_is_hung_up_or_out_of_time() {
    for wait in RESOLVING {
        for times_out in [false, true] {
            let questions = Questions::default();
            let mut rig = wait.rig_with(&wait.options(), |rig| {
                rig.links.resolver = Box::new(questions.clone());
            });
            let answer = questions.0.borrow_mut().pop().unwrap();
            assert!(answer.is_wanted(), "{wait:?}");
            if times_out {
                drop(failure(rig.run_until(HOUR)));
            }
            rig.assert_leaves_nothing();
            assert!(!answer.is_wanted(), "{wait:?}");
        }
    }
}

#[test]
fn the_answer_to_an_earlier_question_is_ignored() {
    let questions = Questions::default();
    let mut rig = Wait::ForName.rig_with(&Wait::ForName.options(), |rig| {
        rig.links.resolver = Box::new(questions.clone());
    });
    rig.hang_up();
    waiting(rig.begin());
    let [first, second] = questions.0.take().try_into().unwrap();
    first.send(Ok(vec![address(1)]));
    waiting(rig.run_until(SECOND));
    assert_eq!(rig.net.attempts(), []);
    second.send(Ok(vec![address(2)]));
    waiting(rig.run_until(2 * SECOND));
    assert_eq!(rig.net.attempts(), [(SECOND, address(2))]);
    rig.assert_leaves_nothing();
}

#[test]
fn a_place_that_comes_too_late_is_given_back() {
    let (names, connections) = (Gate::for_names(), Gate::for_connections());
    for &wait in Wait::ALL {
        let mut rig = wait.rig(&wait.options());
        let streams = rig.dispatcher.registrations();
        if wait != Wait::ToAsk {
            let Admission::Granted(place) = names.enter(NAME.to_owned(), APP) else {
                panic!("there is room")
            };
            waiting(rig.feed(|dial, plan, net| dial.may_ask(place, plan, net)));
        }
        let in_line = wait.is_in_line() && wait != Wait::ToAsk;
        if !in_line && wait != Wait::ForServerAndToRace {
            let server = Server::At(address(1));
            let Admission::Granted(place) = connections.enter(server, APP) else { panic!("there is room") };
            waiting(rig.feed(|dial, plan, net| dial.may_connect(place, plan, net)));
        }
        waiting(rig.feed(|dial, plan, net| dial.ready(Key::new(1000, 1000), plan, net)));
        assert!(names.is_unused() && connections.is_unused(), "{wait:?}");
        assert_eq!(rig.dispatcher.registrations(), streams, "{wait:?}");
        assert_eq!(rig.due().is_none(), wait.is_in_line(), "{wait:?}: it waits where it waited before");
        rig.assert_leaves_nothing();
    }
}

#[test]
fn those_who_wait_behind_it_are_called_when_it_leaves() {
    for wait in [
        Wait::ForServer,
        Wait::ForOwnStream,
        Wait::ForHttpTunnel,
        Wait::ForNameBehindProxy,
        #[cfg(unix)]
        Wait::ForBacklog,
    ] {
        let mut rig = wait.rig(&wait.options());
        rig.links.connections.set_max_total(1);
        let ticket = rig.queue_for(Server::At(address(100)));
        assert!(!rig.links.connections.can_call(), "{wait:?}");
        rig.hang_up();
        waiting(rig.turn(&[]).0);
        assert_eq!(rig.called, [OTHER_APP], "{wait:?}");
        drop(ticket);
        rig.assert_leaves_nothing();
    }
    // The same for one that was in line itself.
    for wait in [Wait::ToConnect, Wait::ToConnectByName] {
        let mut rig = wait.rig(&wait.options());
        let ticket = rig.queue_for(Server::At(address(1)));
        rig.hang_up();
        assert!(!rig.links.connections.can_call(), "{wait:?}");
        rig.give_places_back();
        waiting(rig.turn(&[]).0);
        assert_eq!(rig.called, [OTHER_APP], "{wait:?}");
        drop(ticket);
        rig.assert_leaves_nothing();
    }
}
