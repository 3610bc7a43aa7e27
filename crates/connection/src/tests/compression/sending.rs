use super::*;
use crate::fuzzing::harness::Client;
use crate::{Kind, Opcode, SendError};

fn send(client: &mut Client, text: &str) -> Vec<Sent> {
    client.conn.tx().send_text(text, &mut client.env).unwrap();
    client.sent()
}

fn eager() -> Deflate {
    anything().threshold(0)
}

#[test]
fn messages_are_compressed_once_that_was_agreed() {
    let payload = text(1000, 1);
    let mut client = open(eager(), "");
    let mut server = Inflater::new(15, true);
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let sent = send(&mut client, &payload);
        assert!(sent[0].compressed && sent[0].fin && sent[0].opcode == 1);
        lengths.push(sent[0].payload.len());
        assert_eq!(server.frames(&sent), payload.as_bytes());
    }
    // The context is taken over: what was said before is short.
    assert!(lengths[0] < 400 && lengths[1] < 40 && lengths[2] < 40, "{lengths:?}");

    let mut client = Client::open(Config::default());
    assert!(!send(&mut client, &payload)[0].compressed);
}

#[test]
fn without_takeover_each_message_stands_alone() {
    for answer in ["; client_no_context_takeover", ""] {
        let mut client = open(Deflate::from(DeflateOffer::new().client_no_context_takeover()), answer);
        for round in 0..3 {
            let payload = text(1000, round);
            let sent = send(&mut client, &payload);
            assert!(sent[0].compressed);
            assert_eq!(Inflater::new(15, false).frames(&sent), payload.as_bytes());
            assert_eq!(client.conn.held_bytes(), 0);
        }
    }
}

#[test]
fn short_messages_go_as_they_are() {
    let mut client = open(anything().threshold(100), "");
    assert!(!send(&mut client, &text(99, 1))[0].compressed);
    assert!(send(&mut client, &text(100, 1))[0].compressed);
    // Nothing is shorter than nothing.
    let mut client = open(eager(), "");
    assert_eq!(send(&mut client, "")[0].payload, b"");
}

#[test]
fn control_frames_are_never_compressed() {
    let mut client = open(eager(), "");
    let payload = [b'x'; 125];
    client.conn.tx().ping(&payload, &mut client.env).unwrap();
    client.conn.tx().pong(&payload, &mut client.env).unwrap();
    client.conn.tx().close(&(crate::CloseCode::Normal, "x".repeat(120)).into(), &mut client.env).unwrap();
    let sent = client.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|frame| !frame.compressed));
}

#[test]
fn a_message_can_be_left_out() {
    let (payload, secret) = (text(300, 1), text(300, 2));
    let mut client = open(eager(), "");
    let mut server = Inflater::new(15, true);
    assert_eq!(server.frames(&send(&mut client, &payload)), payload.as_bytes());
    client.conn.tx().set_compression(false);
    let sent = send(&mut client, &secret);
    assert!(!sent[0].compressed);
    assert_eq!(server.frames(&sent), secret.as_bytes());
    client.conn.tx().send_fragment(Some(Kind::Text), secret.as_bytes(), false, &mut client.env).unwrap();
    client.conn.tx().set_compression(true);
    client.conn.tx().send_fragment(None, secret.as_bytes(), true, &mut client.env).unwrap();
    assert!(client.sent().iter().all(|frame| !frame.compressed));
    let sent = send(&mut client, &payload);
    assert!(sent[0].compressed && sent[0].payload.len() < 30);
    assert_eq!(server.frames(&sent), payload.as_bytes());
}

#[test]
fn fragments_are_compressed_as_they_come() {
    for (answer, takeover) in [("", true), ("; client_no_context_takeover", false)] {
        let mut client = open(anything(), answer);
        let mut server = Inflater::new(15, takeover);
        for pieces in [&["a", "b", "c"][..], &["", "x", ""], &["", ""], &["long, long, long", ""]] {
            let mut kind = Some(Kind::Text);
            let mut sent = Vec::new();
            for (index, piece) in pieces.iter().enumerate() {
                let fin = index + 1 == pieces.len();
                client.conn.tx().send_fragment(kind.take(), piece.as_bytes(), fin, &mut client.env).unwrap();
                let frame = client.sent().remove(0);
                assert_eq!(frame.compressed, index == 0, "RSV1 is for the first (RFC 7692 section 6)");
                sent.push(frame);
                client.conn.tx().ping(b"between", &mut client.env).unwrap();
                assert_eq!(client.sent()[0].opcode, 9);
            }
            assert_eq!(server.frames(&sent), pieces.concat().as_bytes());
        }
        assert_eq!(server.frames(&send(&mut client, &text(500, 1))), text(500, 1).as_bytes());
    }
}

#[test]
fn connections_take_turns_with_deflaters() {
    // More than there are deflaters for, and one `Env` for all of them.
    const MANY: usize = 40;
    let mut clients: Vec<Client> = (0..MANY).map(|_| open(anything(), "")).collect();
    let mut servers: Vec<_> = (0..MANY).map(|_| Inflater::new(15, true)).collect();
    let mut shared = open(anything(), "").env;
    for round in 0..4 {
        for (index, (client, server)) in clients.iter_mut().zip(&mut servers).enumerate() {
            std::mem::swap(&mut client.env, &mut shared);
            let payload = text(1000, index);
            let sent = send(client, &payload);
            assert_eq!(server.frames(&sent), payload.as_bytes());
            assert!(round == 0 || sent[0].payload.len() < 60, "it refers to what was sent before");
            std::mem::swap(&mut client.env, &mut shared);
        }
        // Those who come again soon have their deflater as they left it, also between fragments and beside those who close.
        let [first, .., last] = &mut clients[..] else { unreachable!() };
        let servers = &mut servers[..];
        for (client, server) in [(first, 0), (last, MANY - 1)] {
            std::mem::swap(&mut client.env, &mut shared);
            for (kind, fin) in [(Some(Kind::Text), false), (None, true)] {
                client.conn.tx().send_fragment(kind, b"piece by piece", fin, &mut client.env).unwrap();
            }
            assert_eq!(servers[server].frames(&client.sent()), b"piece by piecepiece by piece");
            std::mem::swap(&mut client.env, &mut shared);
        }
    }
}

#[test]
fn what_does_not_become_shorter_goes_as_it_is_without_takeover() {
    let mut client = open(eager(), "; client_no_context_takeover");
    let noise = noise(500);
    client.conn.tx().send_binary(&noise, &mut client.env).unwrap();
    let sent = client.sent();
    assert!(!sent[0].compressed);
    assert_eq!(sent[0].payload, noise);
}

#[test]
fn a_message_that_fits_plain_is_sent_and_a_refused_one_leaves_no_trace() {
    let noise = noise(2000);
    let mut config = Config::default();
    config.max_queued_bytes = noise.len() + 14;
    let mut client = open_with(config, eager(), "");
    let mut server = Inflater::new(15, true);
    for round in 0..3 {
        // It would grow, and not fit then: it goes as it is, and the next one does not refer to it.
        client.conn.tx().send_binary(&noise, &mut client.env).unwrap();
        let queued = client.conn.queued_bytes();
        assert!(queued <= noise.len() + 14);
        let error = client.conn.tx().send_text("refused, refused, refused", &mut client.env).unwrap_err();
        assert!(matches!(error, SendError::QueueFull { .. }));
        assert_eq!(client.conn.queued_bytes(), queued);
        assert_eq!(server.frames(&client.sent()), noise);
        let payload = text(1000, round);
        let sent = send(&mut client, &payload);
        assert!(sent[0].compressed);
        assert_eq!(server.frames(&sent), payload.as_bytes());
    }
    let error = client.conn.tx().send_binary(&vec![0; 3000], &mut client.env).unwrap_err();
    assert!(matches!(error, SendError::TooBig { .. }));
    // A fragment has to fit however badly it compresses.
    let error =
        client.conn.tx().send_fragment(Some(Kind::Binary), &noise, false, &mut client.env).unwrap_err();
    assert!(matches!(error, SendError::TooBig { .. }));
    let payload = text(1000, 9);
    assert_eq!(server.frames(&send(&mut client, &payload)), payload.as_bytes());
}

#[test]
fn what_is_queued_is_counted_in_compressed_bytes() {
    let mut client = open(eager(), "");
    client.conn.tx().send(text(10_000, 1).as_bytes(), Opcode::Binary, &mut client.env).unwrap();
    assert!(client.conn.queued_bytes() < 5000);
    assert_eq!(client.conn.queued_bytes(), client.conn.output().len());
}
