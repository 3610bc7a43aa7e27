//! Pings, pongs and their deadlines in virtual time.

use std::time::Duration;

use super::SECOND;
use crate::fuzzing::harness::{Client, Leave, Seen, frame};
use crate::{Close, Config, Error, Liveness, Opcode, State, Timeout};

const MS: Duration = Duration::from_millis(1);

/// A ping every 10 s, 2 s to answer.
fn config(liveness: Liveness) -> Config {
    let mut config = Config::default();
    config.ping_interval = 10 * SECOND;
    config.ping_timeout = Some(2 * SECOND);
    config.liveness = liveness;
    config.check().unwrap();
    config
}

/// The payload of the ping that was just sent.
fn pinged(client: &mut Client) -> Vec<u8> {
    let sent = client.sent();
    let [ping] = sent.as_slice() else { panic!("one ping is due: {sent:?}") };
    assert_eq!(ping.opcode, 9);
    ping.payload.clone()
}

fn pong(payload: &[u8]) -> Vec<u8> {
    frame(true, Opcode::Pong, payload)
}

#[test]
fn b004_without_an_interval_no_ping_is_sent() {
    let mut client = Client::open(Config::default());
    assert_eq!(client.conn.deadline(), None);
    assert_eq!(client.advance(1000 * SECOND), Ok(()));
    assert_eq!(client.sent(), []);
}

#[test]
fn b100_a_ping_with_the_configured_payload_is_sent_every_interval() {
    let mut config = config(Liveness::AnyData);
    config.ping_payload = Some(Box::from(*b"are you there?"));
    let mut client = Client::open(config);
    for round in 0..5 {
        assert_eq!(client.due_in(), Some(10 * SECOND));
        client.advance(10 * SECOND - MS).unwrap();
        assert_eq!(client.sent(), [], "{round}: too early");
        client.advance(MS).unwrap();
        assert_eq!(pinged(&mut client), b"are you there?");
        client.came(&pong(b"are you there?")).unwrap();
        assert_eq!(client.take(), [Seen::Pong(b"are you there?".to_vec(), Some(Duration::ZERO))]);
    }
}

#[test]
fn b101_the_first_ping_comes_one_interval_after_the_connection_opened() {
    let mut client = Client::connecting(config(Liveness::AnyData));
    client.advance(7 * SECOND).unwrap();
    client.came(crate::fuzzing::harness::RESPONSE).unwrap();
    assert_eq!(client.due_in(), Some(10 * SECOND));
    client.advance(10 * SECOND).unwrap();
    pinged(&mut client);
}

#[test]
fn b100_b102_late_timers_neither_shift_the_pings_nor_pile_them_up() {
    let mut config = Config::default();
    config.ping_interval = 10 * SECOND;
    let mut client = Client::open(config);
    client.advance(10 * SECOND + 300 * MS).unwrap();
    pinged(&mut client);
    assert_eq!(client.due_in(), Some(10 * SECOND - 300 * MS), "a late timer does not shift the next ping");
    client.advance(95 * SECOND).unwrap();
    pinged(&mut client);
    assert_eq!(client.due_in(), Some(10 * SECOND), "pings that were slept through are not made up for");
    for _ in 0..10 {
        client.conn.handle_timeout(&mut client.env).unwrap();
        assert_eq!(client.sent(), [], "an early timeout does nothing");
    }
}

#[test]
fn b103_b107_no_pong_within_ping_timeout_ends_the_connection_at_once() {
    for liveness in [Liveness::AnyData, Liveness::PongOnly] {
        let mut client = Client::open(config(liveness));
        client.advance(10 * SECOND).unwrap();
        pinged(&mut client);
        assert_eq!(client.due_in(), Some(2 * SECOND));
        assert_eq!(client.advance(2 * SECOND - MS), Ok(()));
        assert_eq!(client.conn.state(), State::Open);
        assert_eq!(client.advance(MS), Err(Error::Timeout(Timeout::Pong)));
        client.assert_over();
        assert_eq!(client.conn.error(), Some(&Error::Timeout(Timeout::Pong)));
        assert_eq!(client.conn.close_frame(), None);
        assert_eq!(client.came(b"x"), Err(Error::Timeout(Timeout::Pong)));
    }
}

#[test]
fn b103_a_pong_in_time_keeps_the_connection() {
    for liveness in [Liveness::AnyData, Liveness::PongOnly] {
        let mut client = Client::open(config(liveness));
        for _ in 0..3 {
            client.advance(10 * SECOND).unwrap();
            let payload = pinged(&mut client);
            client.env.now += 2 * SECOND - MS;
            client.came(&pong(&payload)).unwrap();
            assert_eq!(client.due_in(), Some(8 * SECOND + MS), "the deadline of the pong is gone");
            client.env.now -= 2 * SECOND - MS;
        }
        assert_eq!(client.conn.state(), State::Open);
    }
}

/// With an interval of 2 s and a timeout of 1.9 s the original never saw that its peer was dead.
#[test]
fn b104_a_dead_peer_is_detected_whatever_the_interval() {
    let mut config = config(Liveness::AnyData);
    config.ping_interval = 2 * SECOND;
    config.ping_timeout = Some(1900 * MS);
    let mut client = Client::open(config);
    client.advance(2 * SECOND).unwrap();
    pinged(&mut client);
    assert_eq!(client.advance(1900 * MS), Err(Error::Timeout(Timeout::Pong)));
}

#[test]
fn b104_the_deadline_is_armed_when_the_ping_has_been_written() {
    let mut client = Client::open(config(Liveness::AnyData));
    client.conn.tx().send_binary(&[0; 1000], &mut client.env).unwrap();
    client.advance(10 * SECOND).unwrap();
    assert_eq!(client.due_in(), Some(10 * SECOND), "the stream is stuck: the next ping");
    client.env.now += SECOND;
    client.write(1008);
    client.write(13);
    assert_eq!(client.due_in(), Some(9 * SECOND), "part of the ping");
    client.env.now += SECOND;
    client.write(1);
    assert_eq!(client.conn.queued_bytes(), 0);
    assert_eq!(client.due_in(), Some(2 * SECOND), "all of the ping");
    assert_eq!(client.advance(2 * SECOND), Err(Error::Timeout(Timeout::Pong)));
}

#[test]
fn b104_where_the_stream_is_stuck_one_ping_waits() {
    let mut client = Client::open(config(Liveness::AnyData));
    for _ in 0..100 {
        assert_eq!(client.advance(10 * SECOND), Ok(()));
    }
    assert_eq!(client.conn.queued_bytes(), 6 + 8);
    assert_eq!(client.due_in(), Some(10 * SECOND));
    // It is as good as any later one.
    let payload = pinged(&mut client);
    client.came(&pong(&payload)).unwrap();
    client.advance(10 * SECOND).unwrap();
    assert_ne!(pinged(&mut client), payload);
}

#[test]
fn b105_any_byte_after_the_ping_is_a_sign_of_life() {
    let bytes = frame(true, Opcode::Binary, &[0; 50_000]);
    // A whole frame, part of one that is absorbed, and part of one that is read in place.
    let signs: [fn(&mut Client, &[u8]); 3] = [
        |client, _| client.came(&frame(true, Opcode::Text, b"x")).unwrap(),
        |client, bytes| client.came(&bytes[..1]).unwrap(),
        |client, bytes| {
            client.came(&bytes[..100]).unwrap();
            client.env.now += 10 * SECOND;
            client.conn.handle_timeout(&mut client.env).unwrap();
            client.sent();
            client.feed(&bytes[100..101], Leave::Spare).unwrap();
        },
    ];
    for sign in signs {
        let mut client = Client::open(config(Liveness::AnyData));
        client.advance(10 * SECOND).unwrap();
        pinged(&mut client);
        sign(&mut client, &bytes);
        assert_eq!(client.advance(2 * SECOND), Ok(()));
        assert_eq!(client.conn.state(), State::Open);
        assert!(client.due_in().is_some_and(|due| due > Duration::ZERO && due <= 10 * SECOND));
    }
}

#[test]
fn b105_bytes_before_the_ping_was_written_are_none() {
    let mut client = Client::open(config(Liveness::AnyData));
    client.advance(10 * SECOND).unwrap();
    client.came(&frame(true, Opcode::Text, b"crossed the ping")).unwrap();
    pinged(&mut client);
    assert_eq!(client.advance(2 * SECOND), Err(Error::Timeout(Timeout::Pong)));
}

#[test]
fn b105_only_the_pong_counts_where_that_is_asked_for() {
    let mut client = Client::open(config(Liveness::PongOnly));
    client.advance(10 * SECOND).unwrap();
    pinged(&mut client);
    client.came(&[frame(true, Opcode::Text, b"data"), pong(b"of another")].concat()).unwrap();
    assert_eq!(client.advance(2 * SECOND), Err(Error::Timeout(Timeout::Pong)));
}

#[test]
fn b106_pongs_find_their_pings_by_payload() {
    let mut client = Client::open(Config::default());
    for payload in [b"a", b"b", b"c"] {
        client.conn.tx().ping(payload, &mut client.env).unwrap();
        client.sent();
        client.env.now += SECOND;
    }
    // The server may answer the latest alone (RFC 6455 section 5.5.3); earlier ones are no longer waited for.
    client.came(&[pong(b"none of ours"), pong(b"b"), pong(b"a"), pong(b"c"), pong(b"c")].concat()).unwrap();
    let rtt = |payload: &[u8], rtt: Option<u32>| Seen::Pong(payload.to_vec(), rtt.map(|rtt| rtt * SECOND));
    assert_eq!(
        client.take(),
        [
            rtt(b"none of ours", None),
            rtt(b"b", Some(2)),
            rtt(b"a", None),
            rtt(b"c", Some(1)),
            rtt(b"c", None)
        ]
    );
}

/// A server that skips pongs is more common than a round trip longer than the interval.
#[test]
fn b106_of_pings_with_the_same_payload_a_pong_answers_the_latest() {
    let mut client = Client::open(Config::default());
    for _ in 0..3 {
        client.conn.tx().ping(b"same", &mut client.env).unwrap();
        client.sent();
        client.env.now += SECOND;
    }
    client.came(&pong(b"same").repeat(2)).unwrap();
    assert_eq!(
        client.take(),
        [Seen::Pong(b"same".to_vec(), Some(SECOND)), Seen::Pong(b"same".to_vec(), None)]
    );
}

#[test]
fn b106_round_trip_times_are_kept_and_smoothed() {
    let mut client = Client::open(Config::default());
    assert_eq!((client.conn.rtt().last, client.conn.rtt().smoothed), (None, None));
    for (rtt, smoothed) in [(80, 80), (160, 90), (90, 90)] {
        client.conn.tx().ping(b"p", &mut client.env).unwrap();
        client.env.now += SECOND;
        client.sent();
        client.env.now += rtt * MS;
        client.came(&pong(b"p")).unwrap();
        assert_eq!(client.conn.rtt().last, Some(rtt * MS), "from the write to the pong");
        assert_eq!(client.conn.tx().rtt().smoothed, Some(smoothed * MS));
    }
}

#[test]
fn b106_a_pong_for_a_ping_that_is_not_written_is_none() {
    let mut client = Client::open(Config::default());
    client.conn.tx().ping(b"p", &mut client.env).unwrap();
    client.came(&pong(b"p")).unwrap();
    assert_eq!(client.take(), [Seen::Pong(b"p".to_vec(), None)]);
    client.sent();
    client.came(&pong(b"p")).unwrap();
    assert_eq!(client.take(), [Seen::Pong(b"p".to_vec(), Some(Duration::ZERO))]);
}

/// The pong of a later ping answers the earlier ones too, also those that are forgotten among many.
#[test]
fn b106_many_pings_of_the_user_do_not_cost_the_connection() {
    let mut client = Client::open(config(Liveness::PongOnly));
    client.advance(10 * SECOND).unwrap();
    let keep_alive = pinged(&mut client);
    for index in 0..100_u8 {
        client.conn.tx().ping(&[index], &mut client.env).unwrap();
    }
    client.sent();
    let answers: Vec<u8> = (0..100_u8).flat_map(|index| pong(&[index])).collect();
    client.came(&[pong(&keep_alive), answers].concat()).unwrap();
    assert_eq!(client.advance(2 * SECOND), Ok(()));
    assert_eq!(client.conn.state(), State::Open);
}

#[test]
fn pings_of_the_user_arm_no_deadline() {
    let mut client = Client::open(config(Liveness::PongOnly));
    client.conn.tx().ping(b"mine", &mut client.env).unwrap();
    client.sent();
    assert_eq!(client.due_in(), Some(10 * SECOND));
    assert_eq!(client.advance(9 * SECOND), Ok(()));
}

#[test]
fn receiving_does_not_touch_the_deadline() {
    let mut client = Client::open(config(Liveness::AnyData));
    let deadline = client.conn.deadline();
    client.env.now += SECOND;
    client.came(&frame(true, Opcode::Text, b"x").repeat(10)).unwrap();
    client.conn.tx().send_text("y", &mut client.env).unwrap();
    client.sent();
    assert_eq!(client.conn.deadline(), deadline);
}

#[test]
fn an_interval_beyond_all_time_is_never_due() {
    let mut config = config(Liveness::AnyData);
    config.ping_interval = Duration::MAX;
    config.close_timeout = Duration::MAX;
    config.upgrade_timeout = Duration::MAX;
    let mut client = Client::open(config);
    assert_eq!(client.conn.deadline(), None);
    client.conn.tx().close(&Close::without_code(), &mut client.env).unwrap();
    assert_eq!(client.conn.deadline(), None);
    assert_eq!(client.advance(1000 * SECOND), Ok(()));
    assert_eq!(client.conn.state(), State::Closing);
}

#[test]
fn b001_b002_b003_b005_contradictory_timings_are_refused() {
    let check = |interval, timeout| {
        let mut config = Config::default();
        config.ping_interval = interval;
        config.ping_timeout = timeout;
        config.check().map_err(|error| error.to_string())
    };
    assert!(check(SECOND, Some(Duration::ZERO)).unwrap_err().contains("above zero"));
    assert!(check(SECOND, Some(SECOND)).unwrap_err().contains("must be below"));
    assert!(check(SECOND, Some(2 * SECOND)).unwrap_err().contains("2s"));
    assert!(check(Duration::ZERO, Some(SECOND)).unwrap_err().contains("needs a ping_interval"));
    assert_eq!(check(SECOND, Some(SECOND - MS)), Ok(()));
    assert_eq!(check(Duration::ZERO, None), Ok(()));
    let mut config = Config::default();
    config.ping_payload = Some(vec![0; 126].into());
    assert!(config.check().unwrap_err().to_string().contains("125"));
}
