//! Attempts that the server refused: where they continue, and with which place.

use std::cell::Cell;
use std::rc::Rc;

use http::header::AUTHORIZATION;
use websocket_connection::{Connection, Env, Input, Request, Response, SeededEntropy, UpgradeError};
use websocket_link::{Connector as _, SocketOptions};

use super::super::attempt::Continued;
use super::*;
use crate::redirect::RedirectError;

/// The response to an upgrade request that has this head.
pub(super) fn response(head: &str) -> Response {
    let mut env = Env::new(Instant::now(), SeededEntropy::new([0; 32]));
    let mut connection = Connection::new(Arc::default(), &Request::new("/"), &mut env).unwrap();
    let bytes = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
    match connection.receive(&mut Input::new(bytes.as_bytes()), &mut env).map(drop) {
        Err(websocket_connection::Error::Upgrade(UpgradeError::Status { response, .. })) => *response,
        other => panic!("{head}: {other:?}"),
    }
}

/// An attempt whose stream has arrived at the server and was closed.
pub(super) fn attempt(rig: &mut Rig, progress: Progress) -> Box<Attempt> {
    let arrival = match progress {
        Progress::Waiting => arrival(rig.run_until(SECOND)),
        progress => arrival(progress),
    };
    rig.net().unwatch(arrival.wire);
    rig.dial.take().unwrap().into_attempt()
}

/// The first attempt of a rig whose servers all listen. One connection may be in the making for each.
pub(super) fn first(url: &str, functions: Functions) -> (Rig, Box<Attempt>) {
    let mut rig = Rig::new(url, &options(None)).with_name(&[1]).with_functions(functions);
    rig.resolver.name("other.test", &[address(2).ip()]);
    rig.links.connections.set_max_per_server(1);
    for last in 1..4 {
        drop(rig.net.listen(address(last)));
    }
    let progress = rig.begin();
    let attempt = attempt(&mut rig, progress);
    (rig, attempt)
}

fn authorize(answer: &'static str) -> (Functions, Rc<Cell<u32>>) {
    let asked = Rc::new(Cell::new(0));
    let counter = asked.clone();
    let authorize = move |challenge: &crate::challenge::Challenge<'_>| {
        assert_eq!(challenge.proxy, None);
        counter.set(counter.get() + 1);
        Ok(Some(answer.to_owned()))
    };
    (Functions { authorize: Some(Box::new(authorize)), ..Functions::default() }, asked)
}

#[track_caller]
pub(super) fn continued(outcome: Result<Option<Continued>, Error>) -> (Box<Attempt>, Option<Io>) {
    match outcome.unwrap().expect("the attempt continues") {
        Continued::NewConnection(attempt, io) => (attempt, io),
        Continued::SameConnection(_) => panic!("on the same connection"),
    }
}

#[test]
fn b165_a_redirect_within_the_origin_keeps_the_place() {
    for url in [BY_ADDRESS, BY_NAME] {
        let (mut rig, first) = first(url, Functions::default());
        let ticket = rig.queue_for(Server::At(address(1)));
        let (second, io) =
            continued(first.refused(&response("302 Found\r\nLocation: /new"), false, &mut rig.plan));
        assert!(io.is_none());
        let progress = rig.continue_with(second, None);
        let second = attempt(&mut rig, progress);
        assert_eq!(second.request.path, "/new");
        assert_eq!(rig.net.attempts(), [(Duration::ZERO, address(1)); 2]);
        assert!(rig.called.is_empty());
        drop((second, ticket));
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b165_a_redirect_to_another_origin_gives_its_place_back_and_waits_for_one_there() {
    for (location, last) in [("ws://192.0.2.2/", 2), ("http://other.test/", 2), ("ws://192.0.2.3:80/", 3)] {
        let (mut rig, first) = first(BY_ADDRESS, Functions::default());
        let ticket = rig.queue_for(Server::At(address(1)));
        rig.take_place(Server::At(address(last)));
        let head = format!("307 Away\r\nLocation: {location}");
        let (second, _) = continued(first.refused(&response(&head), false, &mut rig.plan));
        waiting(rig.continue_with(second, None));
        waiting(rig.run_until(HOUR));
        assert_eq!(rig.called, [OTHER_APP], "the place at the first server is free");
        assert_eq!((rig.net.attempts().len(), rig.due()), (1, None), "{location}");
        rig.give_places_back();
        let progress = rig.run_until(HOUR);
        let second = attempt(&mut rig, progress);
        assert!(second.other_host);
        assert_eq!(rig.net.attempts()[1..], [(HOUR, address(last))]);
        drop((second, ticket));
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b165_the_place_is_free_while_the_name_of_another_origin_is_resolved() {
    let (mut rig, first) = first(BY_ADDRESS, Functions::default());
    let ticket = rig.queue_for(Server::At(address(1)));
    rig.resolver.delay("other.test", None);
    let away = response("302 Away\r\nLocation: ws://other.test/");
    let (second, _) = continued(first.refused(&away, false, &mut rig.plan));
    waiting(rig.continue_with(second, None));
    waiting(rig.run_until(SECOND));
    assert_eq!(rig.called, [OTHER_APP]);
    drop(ticket);
    rig.assert_leaves_nothing();
}

#[test]
fn b165_a_name_that_has_moved_needs_a_place_where_it_leads_now() {
    let (mut rig, first) = first(BY_NAME, Functions::default());
    let ticket = rig.queue_for(Server::At(address(1)));
    rig.take_place(Server::At(address(2)));
    rig.resolver.name(NAME, &[address(2).ip()]);
    let (second, _) =
        continued(first.refused(&response("302 Found\r\nLocation: /new"), false, &mut rig.plan));
    waiting(rig.continue_with(second, None));
    waiting(rig.run_until(HOUR));
    assert_eq!((rig.called.len(), rig.net.attempts().len()), (1, 1));
    rig.give_places_back();
    let progress = rig.run_until(HOUR);
    drop(attempt(&mut rig, progress));
    assert_eq!(rig.net.attempts()[1..], [(HOUR, address(2))]);
    drop(ticket);
    rig.assert_leaves_nothing();
}

#[test]
fn b165_b166_b167_a_redirect_that_leads_nowhere_ends_the_attempt() {
    let (mut rig, mut attempt) = first(BY_ADDRESS, Functions::default());
    for _ in 0..3 {
        (attempt, _) =
            continued(attempt.refused(&response("302 Found\r\nLocation: /loop"), false, &mut rig.plan));
    }
    let error = attempt
        .refused(&response("302 Found\r\nLocation: /loop"), false, &mut rig.plan)
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, Error::Redirect(RedirectError::TooMany { limit: 3 })), "{error:?}");
    rig.assert_leaves_nothing();

    for head in ["302 Found", "302 Found\r\nLocation: ftp://192.0.2.1/", "302 Found\r\nLocation: ws://a b/"] {
        let (mut rig, attempt) = first(BY_ADDRESS, Functions::default());
        let error = attempt.refused(&response(head), false, &mut rig.plan).map(drop).unwrap_err();
        assert!(matches!(error, Error::Redirect(_)), "{head}: {error:?}");
        rig.assert_leaves_nothing();
    }
    // The target is a good one, and its name is not.
    let (mut rig, attempt) = first(BY_ADDRESS, Functions::default());
    let to_nowhere = response("302 Found\r\nLocation: ws://nowhere.test/");
    let (attempt, _) = continued(attempt.refused(&to_nowhere, false, &mut rig.plan));
    waiting(rig.continue_with(attempt, None));
    let error = failure(rig.run_until(SECOND));
    assert!(matches!(&error, Error::Resolve { host, .. } if host == "nowhere.test"), "{error:?}");
    rig.assert_leaves_nothing();
}

#[test]
fn b164_an_answer_that_was_refused_is_not_given_again() {
    let (functions, asked) = authorize("Bearer token");
    let (mut rig, attempt) = first(BY_ADDRESS, functions);
    let who = response("401 Who\r\nWWW-Authenticate: Bearer");
    let ticket = rig.queue_for(Server::At(address(1)));
    let (second, io) = continued(attempt.refused(&who, false, &mut rig.plan));
    assert!(io.is_none());
    assert_eq!(second.request.headers[AUTHORIZATION], "Bearer token");
    let progress = rig.continue_with(second, None);
    let second = self::attempt(&mut rig, progress);
    assert!(rig.called.is_empty());
    assert!(second.refused(&who, false, &mut rig.plan).unwrap().is_none());
    assert_eq!(asked.get(), 2);
    drop(ticket);
    rig.assert_leaves_nothing();
}

#[test]
fn b164_refusals_without_an_answer_are_final_and_give_the_place_back() {
    let who = "401 Who\r\nWWW-Authenticate: Bearer";
    // There is no function, or the answer is not one that a header can hold.
    let (mut rig, attempt) = first(BY_ADDRESS, Functions::default());
    assert!(attempt.refused(&response(who), false, &mut rig.plan).unwrap().is_none());
    rig.assert_leaves_nothing();
    let (mut rig, attempt) = first(BY_ADDRESS, authorize("Bearer\r\nX-Injected: 1").0);
    let error = attempt.refused(&response(who), false, &mut rig.plan).map(drop).unwrap_err();
    assert!(matches!(error, Error::Header(_)), "{error:?}");
    rig.assert_leaves_nothing();
    // There is nothing to answer.
    for head in ["403 No", "503 Busy\r\nLocation: /elsewhere", "407 Who\r\nProxy-Authenticate: Bearer"] {
        let (functions, asked) = authorize("Bearer token");
        let (mut rig, attempt) = first(BY_ADDRESS, functions);
        assert!(attempt.refused(&response(head), false, &mut rig.plan).unwrap().is_none(), "{head}");
        assert_eq!(asked.get(), 0, "{head}");
        rig.assert_leaves_nothing();
    }
    // Another origin is told no credential.
    let (functions, asked) = authorize("Bearer token");
    let (mut rig, attempt) = first(BY_ADDRESS, functions);
    let (attempt, _) =
        continued(attempt.refused(&response("302 Away\r\nLocation: ws://192.0.2.2/"), false, &mut rig.plan));
    assert!(attempt.refused(&response(who), false, &mut rig.plan).unwrap().is_none());
    assert_eq!(asked.get(), 0);
    rig.assert_leaves_nothing();
}

/// Streams of the user's, at most so many, and how many were made.
fn streams(net: &SimNet, mut left: u32) -> (Functions, Rc<Cell<u32>>) {
    let made = Rc::new(Cell::new(0));
    let (mut net, counter) = (net.clone(), made.clone());
    let socket = move || {
        left = left.checked_sub(1).ok_or(io::ErrorKind::NotFound)?;
        counter.set(counter.get() + 1);
        net.connect(address(1), &SocketOptions::default())
    };
    let (functions, _) = authorize("Bearer token");
    (Functions { socket: Some(Box::new(socket)), ..functions }, made)
}

#[test]
fn b164_b170_on_the_users_streams_an_attempt_continues_on_the_next_one_and_keeps_its_place() {
    for head in ["302 Found\r\nLocation: /new", "401 Who\r\nWWW-Authenticate: Bearer"] {
        let mut rig = Rig::new(BY_NAME, &options(None));
        let (functions, made) = streams(&rig.net, 2);
        rig = rig.with_functions(functions);
        drop(rig.net.listen(address(1)));
        rig.links.connections.set_max_total(1);
        let progress = rig.begin();
        let first = attempt(&mut rig, progress);
        let ticket = rig.queue_for(Server::At(address(100)));
        let (second, io) = continued(first.refused(&response(head), false, &mut rig.plan));
        assert!(io.is_some());
        let progress = rig.continue_with(second, io);
        let second = attempt(&mut rig, progress);
        assert_eq!((made.get(), rig.called.len()), (2, 0), "{head}");
        // There is no third one.
        let error = second
            .refused(&response("302 Found\r\nLocation: /last"), false, &mut rig.plan)
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, Error::Connect { address: None, .. }), "{error:?}");
        drop(ticket);
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b170_another_origin_is_connected_to_whatever_streams_the_user_has() {
    let mut rig = Rig::new(BY_NAME, &options(None));
    let (functions, made) = streams(&rig.net, 5);
    rig = rig.with_functions(functions);
    drop((rig.net.listen(address(1)), rig.net.listen(address(2))));
    let progress = rig.begin();
    let first = attempt(&mut rig, progress);
    let away = response("302 Away\r\nLocation: ws://192.0.2.2/");
    let (second, io) = continued(first.refused(&away, false, &mut rig.plan));
    assert!(io.is_none());
    let progress = rig.continue_with(second, io);
    drop(attempt(&mut rig, progress));
    assert_eq!(made.get(), 1);
    assert_eq!(rig.net.attempts()[1..], [(Duration::ZERO, address(2))]);
    rig.assert_leaves_nothing();
}

#[test]
fn b164_b170_the_only_stream_serves_one_request() {
    for (head, continues) in
        [("302 Found\r\nLocation: /new", true), ("401 Who\r\nWWW-Authenticate: Bearer", false)]
    {
        let mut rig = Rig::new(BY_ADDRESS, &options(None)).with_functions(authorize("Bearer token").0);
        drop(rig.net.listen(address(1)));
        let stream = rig.net.clone().connect(address(1), &SocketOptions::default()).unwrap();
        rig.plan.extras(|extras| &mut extras.stream, Some(stream));
        let progress = rig.begin();
        let first = attempt(&mut rig, progress);
        let outcome = first.refused(&response(head), false, &mut rig.plan).unwrap();
        assert_eq!(outcome.is_some(), continues, "{head}");
        if let Some(Continued::NewConnection(second, io)) = outcome {
            assert!(io.is_none());
            // From here on it is connected to as any other server is, and counts there.
            rig.links.connections.set_max_per_server(1);
            rig.take_place(Server::At(address(1)));
            waiting(rig.continue_with(second, None));
            waiting(rig.run_until(SECOND));
            rig.give_places_back();
            let progress = rig.run_until(SECOND);
            drop(attempt(&mut rig, progress));
            assert_eq!(rig.net.attempts()[1..], [(SECOND, address(1))]);
        }
        rig.assert_leaves_nothing();
    }
}
