//! Several challenges, one after the other.

use std::cell::RefCell;
use std::rc::Rc;

use http::header::AUTHORIZATION;
use websocket_testkit::sim::SimPeer;

use super::redirects::{attempt, continued, first, response};
use super::steps::{PROXY, Wait};
use super::*;
use crate::challenge::{Challenge, MAX_ROUNDS};

const HTTP: Wait = Wait::ForHttpTunnel;
const WHO: &str = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Toy\r\n";
const EMPTY: &str = "Content-Length: 0\r\n\r\n";

/// What each challenge has said about itself: its round, and whether its connection is kept.
type Asked = Rc<RefCell<Vec<(u32, bool)>>>;

/// A function that answers each challenge with its number.
fn authorize() -> (Functions, Asked) {
    let asked = Asked::default();
    let notes = asked.clone();
    let authorize = move |challenge: &Challenge<'_>| {
        notes.borrow_mut().push((challenge.round, challenge.keeps_connection));
        Ok(Some(format!("Toy {}", notes.borrow().len())))
    };
    (Functions { authorize: Some(Box::new(authorize)), ..Functions::default() }, asked)
}

/// A dial that has just begun, through a proxy that does this with each request, which comes with its number.
fn dial(functions: Functions, mut answer: impl FnMut(&SimPeer, u32) + 'static) -> Rig {
    let mut rig = Rig::new(BY_NAME, &HTTP.options()).with_name(&[1]).with_functions(functions);
    let mut requests = 0;
    rig.net.serve_arrivals(PROXY, move |peer| {
        if !peer.read_available().is_empty() {
            requests += 1;
            answer(peer, requests);
        }
    });
    waiting(rig.begin());
    rig
}

fn write(peer: &SimPeer, parts: &[&str]) {
    peer.write(parts.concat().as_bytes());
}

#[test]
fn b164_a_server_that_keeps_asking_gets_five_answers() {
    let (functions, asked) = authorize();
    let (mut rig, mut attempt) = first(BY_ADDRESS, functions);
    let who = response("401 Who\r\nWWW-Authenticate: Toy");
    for round in 1..=MAX_ROUNDS {
        let continued = attempt.refused(&who, true, &mut rig.plan).unwrap();
        let Some(Continued::SameConnection(next)) = continued else { panic!("round {round}") };
        assert_eq!(next.request.headers[AUTHORIZATION], format!("Toy {round}"));
        attempt = next;
    }
    assert!(attempt.refused(&who, true, &mut rig.plan).unwrap().is_none());
    assert_eq!(*asked.borrow(), [1, 2, 3, 4, 5].map(|round| (round, true)));
    rig.assert_leaves_nothing();
}

#[test]
fn b164_an_answer_that_comes_to_a_closed_connection_is_sent_on_another() {
    let (functions, asked) = authorize();
    let (mut rig, attempt) = first(BY_ADDRESS, functions);
    let who = response("401 Who");
    let kept = attempt.refused(&who, true, &mut rig.plan).unwrap();
    let Some(Continued::SameConnection(attempt)) = kept else { panic!("it is kept") };
    assert!(attempt.reuses_connection);
    let (attempt, _) = continued(attempt.unanswered(&mut rig.plan));
    assert!(!attempt.reuses_connection);
    assert_eq!(attempt.request.headers[AUTHORIZATION], "Toy 1");
    assert_eq!(*asked.borrow(), [(1, true)]);
    drop(attempt);
    rig.assert_leaves_nothing();
}

#[test]
fn b164_the_rounds_begin_again_after_a_redirect() {
    let (functions, asked) = authorize();
    let (mut rig, first) = first(BY_ADDRESS, functions);
    let who = response("401 Who\r\nWWW-Authenticate: Toy");
    let (second, _) = continued(first.refused(&who, false, &mut rig.plan));
    let (third, _) =
        continued(second.refused(&response("302 Found\r\nLocation: /new"), false, &mut rig.plan));
    let (fourth, _) = continued(third.refused(&who, false, &mut rig.plan));
    let progress = rig.continue_with(fourth, None);
    drop(attempt(&mut rig, progress));
    assert_eq!(*asked.borrow(), [(1, false), (1, false)]);
    rig.assert_leaves_nothing();
}

#[test]
fn b164_a_proxy_that_keeps_asking_gets_five_answers() {
    for (end, streams) in [(EMPTY, 1), ("\r\n", 6)] {
        let (functions, asked) = authorize();
        let mut rig = dial(functions, move |peer, _| write(peer, &[WHO, end]));
        let Error::Proxy(error) = failure(rig.run_until(SECOND)) else { panic!("{end:?}") };
        assert!(error.to_string().contains("it refused the credentials (407)"), "{error}");
        assert_eq!(*asked.borrow(), [1, 2, 3, 4, 5].map(|round| (round, streams == 1)));
        assert_eq!(rig.net.attempts().len(), streams);
        rig.assert_leaves_nothing();
    }
}

/// Runs a dial whose proxy refuses the first request with these bytes and then does `after`, and grants the second.
#[track_caller]
fn granted(refusal: &'static str, after: fn(&SimPeer)) -> (Asked, Duration, usize) {
    let (functions, asked) = authorize();
    let mut rig = dial(functions, move |peer, number| match number {
        1 => {
            write(peer, &[WHO, refusal]);
            after(peer);
        }
        _ => write(peer, &["HTTP/1.1 200 OK\r\n\r\n"]),
    });
    let arrived = arrival(rig.run_until(10 * SECOND));
    assert_eq!(arrived.already_read, Some(0), "{refusal:?}");
    let took = (rig.net.elapsed(), rig.net.attempts().len());
    rig.net().unwatch(arrived.wire);
    rig.assert_leaves_nothing();
    (asked, took.0, took.1)
}

#[test]
fn b164_a_stream_is_kept_after_a_body_that_was_read_to_its_end() {
    for refusal in [
        "Content-Length: 5\r\n\r\nlogin",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nlogin\r\n0\r\n\r\n",
        "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (asked, elapsed, streams) = granted(refusal, |_| ());
        assert_eq!(
            (&*asked.borrow(), elapsed, streams),
            (&vec![(1, true)], Duration::ZERO, 1),
            "{refusal:?}"
        );
    }
}

#[test]
fn b164_a_stream_is_not_kept_after_any_other() {
    for (what, refusal) in [
        ("a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("no end", "\r\nlogin"),
        ("bytes behind", "Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ("a long body", "Content-Length: 100000\r\n\r\nlogin"),
        ("broken chunks", "Transfer-Encoding: chunked\r\n\r\nlogin"),
        ("a close", "Proxy-Connection: close\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let (asked, elapsed, streams) = granted(refusal, |_| ());
        assert_eq!((&*asked.borrow(), elapsed, streams), (&vec![(1, false)], Duration::ZERO, 2), "{what}");
    }
}

#[test]
fn b164_a_body_that_is_cut_or_held_back_costs_the_stream_and_half_a_second_at_most() {
    let cut = "Content-Length: 5\r\n\r\nlog";
    for (after, waited) in [
        (SimPeer::close as fn(&SimPeer), Duration::ZERO),
        (SimPeer::reset, Duration::ZERO),
        (|_| (), SECOND / 2),
    ] {
        let (functions, asked) = authorize();
        let mut rig = dial(functions, move |peer, number| match number {
            1 => {
                write(peer, &[WHO, cut]);
                after(peer);
            }
            _ => write(peer, &["HTTP/1.1 200 OK\r\n\r\n"]),
        });
        match rig.run_until(10 * SECOND) {
            Progress::Arrived(arrived) => {
                assert_eq!((&*asked.borrow(), rig.net.attempts().len()), (&vec![(1, false)], 2));
                rig.net().unwatch(arrived.wire);
            }
            // What was broken while it was read is not a refusal.
            Progress::Failed(Error::ProxyStream { .. }) => assert_eq!(asked.borrow().len(), 0),
            _ => panic!("it neither arrives nor fails"),
        }
        assert_eq!(rig.net.elapsed(), waited);
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b164_without_a_function_no_body_is_waited_for() {
    let mut rig = dial(Functions::default(), |peer, _| write(peer, &[WHO, "Content-Length: 5\r\n\r\n"]));
    let Error::Proxy(error) = failure(rig.run_until(SECOND)) else { panic!("it is the proxy's") };
    assert!(error.to_string().contains("it wants credentials (407)"), "{error}");
    assert_eq!(rig.net.elapsed(), Duration::ZERO);
    rig.assert_leaves_nothing();
}

#[test]
fn b164_an_answer_that_comes_to_a_closed_stream_is_sent_to_the_proxy_on_another() {
    for end in [SimPeer::close as fn(&SimPeer), SimPeer::reset] {
        let (functions, asked) = authorize();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let hears = heard.clone();
        let mut rig = Rig::new(BY_NAME, &HTTP.options()).with_name(&[1]).with_functions(functions);
        rig.net.serve_arrivals(PROXY, move |peer| {
            let request = String::from_utf8(peer.read_available()).unwrap();
            if request.is_empty() {
                return;
            }
            hears.borrow_mut().push(request.contains("Proxy-Authorization: Toy 1\r\n"));
            match hears.borrow().len() {
                1 => write(peer, &[WHO, EMPTY]),
                2 => end(peer),
                _ => write(peer, &["HTTP/1.1 200 OK\r\n\r\n"]),
            }
        });
        waiting(rig.begin());
        let arrived = arrival(rig.run_until(SECOND));
        assert_eq!(*heard.borrow(), [false, true, true]);
        assert_eq!((&*asked.borrow(), rig.net.attempts().len()), (&vec![(1, true)], 2));
        rig.net().unwatch(arrived.wire);
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b164_all_rounds_on_a_stream_share_the_time_for_the_proxy() {
    let (functions, asked) = authorize();
    let mut rig = Rig::new(BY_NAME, &HTTP.options().proxy_timeout(5 * SECOND)).with_name(&[1]);
    rig = rig.with_functions(functions);
    rig.net.serve_arrivals(PROXY, move |peer| {
        if peer.read_available().is_empty() {
            return;
        }
        let peer = peer.clone();
        peer.net().clone().after(2 * SECOND, move |_| write(&peer, &[WHO, EMPTY]));
    });
    waiting(rig.begin());
    let error = failure(rig.run_until(HOUR));
    assert!(matches!(error, Error::Timeout(Timeout::Proxy)), "{error:?}");
    assert_eq!((rig.net.elapsed(), asked.borrow().len()), (5 * SECOND, 2));
    rig.assert_leaves_nothing();
}
