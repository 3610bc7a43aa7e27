use super::harness::{Client, Leave, Outcome, Seen, raw_frame};
use super::plan::Plan;
use crate::{Config, Deflate, DeflateOffer, Error};

const MAX_MESSAGE: u64 = 24_000;

/// What a connection may hold: the message, the window and an eighth of it, a control frame and its answer, the close frame.
const MOST: usize = MAX_MESSAGE as usize + 1 + 32_768 + 1024;

/// Whatever a server sends after it has agreed to compression: the same events and the same verdict however the bytes are cut, in bounded
/// memory; and the messages that came survive being compressed by us and inflated.
///
/// Input: one byte of options, then `Pieces` of the plan.
///
/// # Panics
/// If one of these does not hold.
pub fn compressed_frames(input: &[u8]) {
    let mut plan = Plan::new(input);
    let options = plan.byte();
    let mut config = Config::default();
    config.max_message_size = MAX_MESSAGE;
    config.max_queued_bytes = 1 << 20;
    config.accept_masked_frames = options & 1 != 0;
    config.deliver_fragments = options & 2 != 0;
    config.deflate = Some(Deflate::from(DeflateOffer::new()).threshold(1).level(options >> 4));
    let mut answer = "permessage-deflate".to_owned();
    if options & 4 != 0 {
        answer += "; server_no_context_takeover; client_no_context_takeover";
    }
    if options & 8 != 0 {
        answer += "; server_max_window_bits=8; client_max_window_bits=8";
    }
    let pieces = plan.pieces();
    let ours = receive(&config, &answer, [(pieces.whole(), Leave::Absorb)]);
    assert_eq!(receive(&config, &answer, pieces), ours, "the cuts make a difference");
    compress_and_inflate(config, &answer, &ours.0);
}

fn open(config: &Config, answer: &str) -> Client {
    match Client::extended(config.clone(), answer) {
        Ok(client) => client,
        Err(error) => unreachable!("{error}"),
    }
}

fn receive<'a>(
    config: &Config,
    answer: &str,
    pieces: impl IntoIterator<Item = (&'a [u8], Leave)>,
) -> Outcome {
    let mut client = open(config, answer);
    let mut result = Ok(());
    for (piece, leave) in pieces {
        result = client.feed(piece, leave);
        client.sent();
        // A frame that is not compressed may wait for its end, with as much memory again.
        assert!(client.conn.held_bytes() <= MOST + 2 * piece.len() + MAX_MESSAGE as usize);
        if result.is_err() {
            break;
        }
    }
    let error = match result {
        Ok(()) => None,
        Err(Error::Protocol(error)) => Some(error),
        Err(error) => unreachable!("{error}"),
    };
    let _ = client.end();
    client.assert_over();
    (client.seen, error)
}

/// Sends the messages among `seen` from one client to another that has agreed to the same.
fn compress_and_inflate(mut config: Config, answer: &str, seen: &[Seen]) {
    let mut sender = open(&config, answer);
    config.accept_masked_frames = false;
    let mut receiver = open(&config, answer);
    for message in seen {
        let tx = sender.conn.tx();
        let sent = match message {
            Seen::Text(text) => tx.send_text(text, &mut sender.env),
            Seen::Binary(bytes) => tx.send_binary(bytes, &mut sender.env),
            _ => continue,
        };
        assert_eq!(sent, Ok(()));
        for frame in sender.sent() {
            let first = u8::from(frame.fin) << 7 | u8::from(frame.compressed) << 6 | frame.opcode;
            assert_eq!(receiver.feed(&raw_frame(first, &frame.payload), Leave::Absorb), Ok(()));
        }
        assert_eq!(receiver.take(), std::slice::from_ref(message));
    }
}
