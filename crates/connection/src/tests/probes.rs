//! Probes: a ping now, with its own deadline. In virtual time.

use std::time::Duration;

use super::SECOND;
use crate::fuzzing::harness::{Client, frame};
use crate::{Close, Config, Error, Liveness, Opcode, SendError, State, Timeout};

const MS: Duration = Duration::from_millis(1);

fn client(liveness: Liveness) -> Client {
    let mut config = Config::default();
    config.liveness = liveness;
    Client::open(config)
}

/// Sends a probe, which is not written yet.
fn probe(client: &mut Client, timeout: Duration) -> Result<(), SendError> {
    client.conn.tx().probe(timeout, &mut client.env)
}

/// The payload of the ping that was just sent.
fn pinged(client: &mut Client) -> Vec<u8> {
    let sent = client.sent();
    let [ping] = sent.as_slice() else { panic!("one ping is due: {sent:?}") };
    assert_eq!(ping.opcode, 9);
    ping.payload.clone()
}

#[test]
fn one_without_an_answer_ends_the_connection_when_its_time_is_over() {
    for liveness in [Liveness::AnyData, Liveness::PongOnly] {
        let mut client = client(liveness);
        probe(&mut client, 3 * SECOND).unwrap();
        // The time begins when it is written.
        assert_eq!(client.due_in(), None);
        client.advance(SECOND).unwrap();
        pinged(&mut client);
        assert_eq!(client.due_in(), Some(3 * SECOND));
        client.advance(3 * SECOND - MS).unwrap();
        assert_eq!(client.advance(MS), Err(Error::Timeout(Timeout::Probe)));
        assert_eq!(client.conn.state(), State::Closed);
    }
}

#[test]
fn its_pong_answers_it_and_other_bytes_do_if_any_are_a_sign_of_life() {
    for liveness in [Liveness::AnyData, Liveness::PongOnly] {
        let mut client = client(liveness);
        probe(&mut client, 3 * SECOND).unwrap();
        let payload = pinged(&mut client);
        client.came(&frame(true, Opcode::Pong, &payload)).unwrap();
        assert_eq!(client.due_in(), None);
        client.advance(10 * SECOND).unwrap();

        probe(&mut client, 3 * SECOND).unwrap();
        assert_ne!(pinged(&mut client), payload, "each is told from the others by its pong");
        client.advance(SECOND).unwrap();
        client.came(&frame(true, Opcode::Text, b"x")).unwrap();
        let expected = match liveness {
            Liveness::AnyData => Ok(()),
            Liveness::PongOnly => Err(Error::Timeout(Timeout::Probe)),
        };
        assert_eq!(client.advance(2 * SECOND), expected);
    }
}

#[test]
fn bytes_that_came_before_it_was_written_are_no_answer() {
    let mut client = client(Liveness::AnyData);
    probe(&mut client, 3 * SECOND).unwrap();
    client.came(&frame(true, Opcode::Text, b"x")).unwrap();
    pinged(&mut client);
    assert_eq!(client.advance(3 * SECOND), Err(Error::Timeout(Timeout::Probe)));
}

#[test]
fn of_several_the_earliest_deadline_holds() {
    for (first, second) in [(2, 5), (5, 2)] {
        let mut client = client(Liveness::AnyData);
        probe(&mut client, first * SECOND).unwrap();
        pinged(&mut client);
        probe(&mut client, second * SECOND).unwrap();
        pinged(&mut client);
        client.advance(2 * SECOND - MS).unwrap();
        assert_eq!(client.advance(MS), Err(Error::Timeout(Timeout::Probe)));
    }
}

#[test]
fn it_leaves_keep_alive_as_it_is() {
    let mut config = Config::default();
    config.ping_interval = 10 * SECOND;
    config.ping_timeout = Some(5 * SECOND);
    let mut client = Client::open(config);
    client.advance(9 * SECOND).unwrap();
    probe(&mut client, 4 * SECOND).unwrap();
    pinged(&mut client);
    client.advance(SECOND).unwrap();
    pinged(&mut client);
    // It answers both, and the next ping comes in time.
    client.came(&frame(true, Opcode::Text, b"x")).unwrap();
    client.advance(3 * SECOND).unwrap();
    client.advance(2 * SECOND).unwrap();
    assert_eq!(client.due_in(), Some(5 * SECOND));
    // The time of a keep-alive ping is still its own.
    client.advance(5 * SECOND).unwrap();
    pinged(&mut client);
    assert_eq!(client.advance(5 * SECOND), Err(Error::Timeout(Timeout::Pong)));
}

#[test]
fn a_close_ends_its_time_and_it_needs_an_open_connection_with_room() {
    let mut client = client(Liveness::AnyData);
    probe(&mut client, SECOND).unwrap();
    client.conn.tx().close(&Close::default().timeout(60 * SECOND), &mut client.env).unwrap();
    client.sent();
    assert_eq!(client.advance(30 * SECOND), Ok(()));
    assert_eq!(probe(&mut client, SECOND), Err(SendError::NotOpen(State::Closing)));

    let mut config = Config::default();
    config.max_queued_bytes = 21;
    let mut client = Client::open(config);
    assert_eq!(probe(&mut client, SECOND), Err(SendError::TooBig { len: 22, limit: 21 }));
}
