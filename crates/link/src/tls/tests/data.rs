//! Plaintext both ways.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::pair::{Numbers, VERSIONS, World, hear};
use crate::tls::{TlsError, TlsOutput, TlsSession, TlsVersion};

#[test]
fn b209_all_records_of_one_read_are_delivered_before_it_ends() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        let mut bytes = Vec::new();
        for frame in [b"one", b"two", b"333", b"444", b"555"] {
            bytes.extend(pair.say(frame));
        }
        pair.feed(&bytes).unwrap();
        assert_eq!(pair.received, [b"one", b"two", b"333", b"444", b"555"]);
    }
}

#[test]
fn b209_many_frames_in_one_record_arrive_together() {
    let mut pair = World::new(TlsVersion::Tls13).open();
    let bytes = pair.say(&[7; 16 << 10]);
    pair.feed(&bytes).unwrap();
    assert_eq!(pair.received, [[7; 16 << 10]]);
}

#[test]
fn a_mebibyte_goes_each_way_however_it_is_cut() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        let mut numbers = Numbers::new(2);
        let data = numbers.bytes(1 << 20);
        for most in [100_000, 20_000, 1500] {
            let bytes = pair.say(&data);
            pair.feed_in_pieces(&bytes, || numbers.below(most)).unwrap();
            assert!(pair.received() == data);
            assert_eq!(pair.client.held_bytes(), 0);
        }
        pair.send(&data).unwrap();
        pair.reach_server().unwrap();
        assert!(pair.heard() == data);
    }
}

#[test]
fn a_caller_that_never_restores_loses_nothing() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        let mut numbers = Numbers::new(3);
        let data = numbers.bytes(200_000);
        let bytes = pair.say(&data);
        let mut received = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + numbers.below(3000)).min(rest.len()));
            let receive = pair.client.receive(&mut now.to_vec(), &mut pair.output, |plaintext| {
                received.extend_from_slice(plaintext);
                ControlFlow::Continue(())
            });
            receive.unwrap();
            rest = later;
        }
        assert!(received == data);
    }
}

#[test]
fn half_a_record_is_put_back_byte_for_byte() {
    let mut pair = World::new(TlsVersion::Tls13).open();
    let first = pair.say(b"first");
    let bytes = [&*first, &pair.say(b"second")].concat();
    let cut = bytes.len() - 4;
    pair.feed(&bytes[..cut]).unwrap();
    assert_eq!(pair.received(), b"first");

    let mut small = [0; 8];
    assert_eq!(pair.client.restore(&mut small), 0, "there would be no room to read");
    let mut buffer = [0; 128];
    let held = pair.client.restore(&mut buffer);
    assert_eq!(buffer[..held], bytes[first.len()..cut], "the second record as far as it came");
    assert_eq!(pair.client.restore(&mut buffer), 0, "once");

    let len = held + 4;
    buffer[held..len].copy_from_slice(&bytes[cut..]);
    let mut received = Vec::new();
    let receive = pair.client.receive(&mut buffer[..len], &mut pair.output, |plaintext| {
        received.extend_from_slice(plaintext);
        ControlFlow::Continue(())
    });
    receive.unwrap();
    assert_eq!(received, b"second");
}

#[test]
fn half_a_ticket_is_kept_as_it_was_decrypted_and_sending_goes_on() {
    // Records of 32 bytes cut the tickets into many.
    let world = World::with(TlsVersion::Tls13, |server| server.max_fragment_size = Some(32));
    let mut pair = world.pair();
    pair.reach_server().unwrap();
    let flight = pair.server_output();
    pair.feed(&flight).unwrap();
    pair.reach_server().unwrap();
    let tickets = pair.server_output();
    let mut decrypted = 0;
    for (turn, piece) in tickets.chunks(11).enumerate() {
        let mut buffer = vec![0; 128 << 10];
        let held = pair.client.restore(&mut buffer);
        let len = held + piece.len();
        buffer[held..len].copy_from_slice(piece);
        let mut read = |buffer: &mut [u8]| {
            let received =
                pair.client.receive(buffer, &mut pair.output, |_| panic!("tickets are not for the caller"));
            received.unwrap();
        };
        read(&mut buffer[..len]);

        let mut kept = vec![0; 128 << 10];
        let rest = pair.client.restore(&mut kept);
        assert_eq!(kept[..rest], buffer[len - rest..len], "what rustls left in the buffer");
        let end = ((turn + 1) * 11).min(tickets.len());
        decrypted += usize::from(kept[..rest] != tickets[end - rest..end]);
        let received = pair.client.receive(&mut kept[..rest], &mut pair.output, |_| ControlFlow::Break(()));
        received.unwrap();

        let message = format!("message {turn}");
        pair.send(message.as_bytes()).unwrap();
        pair.reach_server().unwrap();
        assert_eq!(pair.heard(), message.as_bytes());
    }
    assert!(decrypted > 10, "{decrypted} times it was not what came over the wire");
    assert_eq!(pair.client.held_bytes(), 0);
    assert!(world.open().client.info().unwrap().resumed, "the tickets were whole in the end");
}

#[test]
fn a_key_update_of_the_peer_is_answered_with_the_next_message() {
    let mut pair = World::new(TlsVersion::Tls13).open();
    for round in 0..5 {
        pair.server.refresh_traffic_keys().unwrap();
        let bytes = pair.say(b"new keys");
        pair.feed(&bytes).unwrap();
        assert_eq!(pair.received(), b"new keys");
        assert!(pair.output.is_empty(), "nothing is sent before there is something to say");

        let len = if round == 4 { 40_000 } else { 5 };
        pair.send(&vec![1; len]).unwrap();
        let plain = len + 22 * len.div_ceil(16 << 10);
        assert!(pair.output.len() > plain, "the answer came along");
        pair.reach_server().unwrap();
        assert_eq!(pair.heard().len(), len);

        pair.send(b"more").unwrap();
        assert_eq!(pair.output.len(), 4 + 22, "once");
        pair.reach_server().unwrap();
        assert_eq!(pair.heard(), b"more");
    }
}

#[test]
fn unanswered_key_updates_do_not_pile_up() {
    let mut pair = World::new(TlsVersion::Tls13).open();
    for _ in 0..20 {
        pair.server.refresh_traffic_keys().unwrap();
        let bytes = pair.say(b"x");
        pair.feed_in_pieces(&bytes, || 3).unwrap();
    }
    assert_eq!(pair.received().len(), 20);
    pair.send(b"answer").unwrap();
    assert!(pair.output.len() < 100);
    pair.reach_server().unwrap();
    assert_eq!(pair.heard(), b"answer");
}

#[test]
fn one_call_takes_no_more_than_it_promises() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        let sent = pair.client.send(&vec![0; 1 << 20], &mut pair.output).unwrap();
        assert_eq!(sent, TlsSession::MAX_SEND);
        assert!(pair.output.len() <= TlsSession::MAX_SEND + 4 * 40);
        assert_eq!(pair.client.send(b"", &mut pair.output).unwrap(), 0);
        pair.reach_server().unwrap();
        assert_eq!(pair.heard().len(), TlsSession::MAX_SEND);
    }
}

#[test]
fn output_that_is_taken_in_pieces_stays_in_order() {
    let mut pair = World::new(TlsVersion::Tls13).open();
    let mut numbers = Numbers::new(4);
    let (mut wire, mut said, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..200 {
        let len = 1 + numbers.below(3000);
        let message = numbers.bytes(len);
        pair.send(&message).unwrap();
        said.extend(message);
        let taken = numbers.below(pair.output.len() + 1);
        wire.extend_from_slice(&pair.output.as_slice()[..taken]);
        pair.output.consume(taken);
    }
    wire.extend_from_slice(pair.output.as_slice());
    pair.output = TlsOutput::new();
    hear(&mut pair.server, &wire, &mut heard).unwrap();
    assert!(heard == said);
}

#[test]
fn a_caller_that_breaks_gets_nothing_more_but_may_send() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        let bytes = [pair.say(b"one"), pair.say(b"two")].concat();
        let mut calls = 0;
        let mut receive = |pair: &mut super::pair::Pair, bytes: &[u8]| {
            let received = pair.client.receive(&mut bytes.to_vec(), &mut pair.output, |_| {
                calls += 1;
                ControlFlow::Break(())
            });
            received.unwrap();
            calls
        };
        assert_eq!(receive(&mut pair, &bytes), 1);
        let more = pair.say(b"three");
        assert_eq!(receive(&mut pair, &more[..7]), 1);
        assert_eq!(pair.client.held_bytes(), 0);
        pair.send(b"good bye").unwrap();
        pair.reach_server().unwrap();
        assert_eq!(pair.heard(), b"good bye");
    }
}

#[test]
fn a_panic_of_the_caller_leaves_the_session_able_to_send() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        let bytes = [pair.say(b"one"), pair.say(b"two")].concat();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pair.client.receive(&mut bytes.clone(), &mut pair.output, |_| panic!("in a callback"))
        }));
        assert!(caught.is_err());
        let more = pair.say(b"three");
        pair.feed(&more).unwrap();
        assert!(pair.received.is_empty());
        pair.send(b"good bye").unwrap();
        pair.reach_server().unwrap();
        assert_eq!(pair.heard(), b"good bye");
    }
}

#[test]
fn a_damaged_record_fails_once_with_one_alert() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        let mut bytes = [pair.say(b"whole"), pair.say(b"damaged")].concat();
        *bytes.last_mut().unwrap() ^= 1;
        let error = pair.feed(&bytes).unwrap_err();
        assert_eq!(error, TlsError::Protocol(rustls::Error::DecryptError));
        assert_eq!(pair.received(), b"whole", "what came before was delivered");
        let alert = pair.output.len();
        assert!(alert > 0 && alert < 40, "one alert: {alert} bytes");

        let more = pair.say(b"more");
        for _ in 0..3 {
            assert_eq!(pair.feed(&more), Err(error.clone()));
            assert_eq!(pair.client.send(b"x", &mut pair.output), Err(error.clone()));
            assert_eq!(pair.client.end_of_stream(), Err(error.clone()));
            pair.client.close_notify(&mut pair.output);
        }
        assert_eq!(pair.output.len(), alert, "and no other");
        assert_eq!(
            pair.reach_server().unwrap_err(),
            rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac)
        );
    }
}
