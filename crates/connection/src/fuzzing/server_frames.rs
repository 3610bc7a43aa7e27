use std::io::{Cursor, Read, Result, Write};

use tungstenite::Error as Theirs;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::harness::{Client, Leave, Outcome, Seen};
use super::plan::Plan;
use crate::{Config, Error, ProtocolError};

const MAX_FRAME: usize = 20_000;
const MAX_MESSAGE: usize = 24_000;

/// Whatever a server sends after the upgrade: the same events and the same verdict however the bytes are cut, and the same as
/// tungstenite's, but for what `compare` allows.
///
/// Input: one byte of options, then `Pieces` of the plan.
///
/// # Panics
/// If one of these does not hold.
pub fn server_frames(input: &[u8]) {
    let mut plan = Plan::new(input);
    let options = plan.byte();
    let mut config = Config::default();
    config.max_frame_size = MAX_FRAME as u64;
    config.max_message_size = MAX_MESSAGE as u64;
    config.accept_non_minimal_lengths = options & 1 != 0;
    let pieces = plan.pieces();
    let bytes = pieces.whole();

    let ours = receive(&config, [(bytes, Leave::Absorb)]);
    assert_eq!(receive(&config, pieces.clone()), ours, "the cuts make a difference");
    compare(&ours, &tungstenite(bytes));

    // Without a peer to compare with: single fragments, masked frames and unchecked text.
    config.deliver_fragments = options & 2 != 0;
    config.accept_masked_frames = options & 4 != 0;
    config.validate_utf8 = options & 8 == 0;
    config.max_fragments = 3;
    let ours = receive(&config, [(bytes, Leave::Absorb)]);
    assert_eq!(receive(&config, pieces), ours, "the cuts make a difference");
}

fn receive<'a>(config: &Config, pieces: impl IntoIterator<Item = (&'a [u8], Leave)>) -> Outcome {
    let mut client = Client::open(config.clone());
    let result = pieces.into_iter().try_for_each(|(piece, leave)| client.feed(piece, leave));
    let error = match result {
        Ok(()) => None,
        Err(Error::Protocol(error)) => Some(error),
        Err(error) => unreachable!("{error}"),
    };
    let sent = client.sent();
    let closes: Vec<_> = sent.iter().filter(|frame| frame.opcode == 8).collect();
    match (&error, client.seen.last()) {
        (Some(error), _) => {
            assert_eq!(closes.len(), 1);
            assert_eq!(closes[0].close().map(|(code, _)| code), Some(error.close_code().into()));
        }
        (None, Some(Seen::Close(code, _))) => {
            assert_eq!(closes.len(), 1);
            assert_eq!(closes[0].close().map(|(code, _)| code), *code);
        }
        (None, _) => assert_eq!(closes, Vec::<&_>::new()),
    }
    let pings = client.seen.iter().filter(|seen| matches!(seen, Seen::Ping(_))).count();
    assert_eq!(sent.iter().filter(|frame| frame.opcode == 10).count(), pings, "every ping is answered");
    let _ = client.end();
    client.assert_over();
    (client.seen, error)
}

/// Reads what is there and swallows what is written.
struct Replay<'a>(Cursor<&'a [u8]>);

impl Read for Replay<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Replay<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of the same bytes; no error stands for the end of the stream.
fn tungstenite(bytes: &[u8]) -> (Vec<Seen>, Option<Theirs>) {
    use tungstenite::Message;
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;

    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_frame_size(Some(MAX_FRAME))
        .max_message_size(Some(MAX_MESSAGE));
    let mut socket = WebSocket::from_raw_socket(Replay(Cursor::new(bytes)), Role::Client, Some(config));
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Text(text)) => Seen::Text(text.to_string()),
            Ok(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Ok(Message::Ping(payload)) => Seen::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Seen::Pong(payload.to_vec(), None),
            Ok(Message::Close(frame)) => {
                seen.push(match frame {
                    Some(frame) => Seen::Close(Some(frame.code.into()), frame.reason.to_string()),
                    None => Seen::Close(None, String::new()),
                });
                return (seen, None);
            }
            Ok(Message::Frame(_)) => unreachable!("tungstenite reads no raw frames"),
            Err(Theirs::Protocol(ResetWithoutClosingHandshake)) => return (seen, None),
            Err(error) => return (seen, Some(error)),
        });
    }
}

/// Asserts that both came to the same events and the same verdict. Allowed are:
///
/// - Ours fails where theirs waits for more: we check header and text as they come, tungstenite checks whole frames.
/// - Ours refuses a length in more bytes than it needs (RFC 6455 section 5.2), which tungstenite accepts, and always in a control
///   frame, whose form for long payloads says already that it is too long. Whatever follows differs.
/// - Ours refuses a close code that must not be sent (section 7.4); tungstenite hands on 1002 "Protocol violation" in its place.
///   It does so for 1014 too, which the registry of section 11.7 has had since 2012, and which we accept.
fn compare((ours, error): &Outcome, (theirs, their_error): &(Vec<Seen>, Option<Theirs>)) {
    let violation = Seen::Close(Some(1002), "Protocol violation".to_owned());
    match error {
        None => {
            assert!(their_error.is_none(), "we accept what tungstenite refuses: {their_error:?}");
            match (ours.split_last(), theirs.split_last()) {
                (Some((Seen::Close(Some(1014), _), ours)), Some((close, theirs))) => {
                    assert_eq!((ours, close), (theirs, &violation));
                }
                _ => assert_eq!(ours, theirs),
            }
        }
        Some(ProtocolError::NonMinimalLength(_) | ProtocolError::ControlTooLong(_)) => {
            assert!(theirs.starts_with(ours), "{ours:?} is no start of {theirs:?}");
        }
        Some(ProtocolError::InvalidCloseCode(_)) if their_error.is_none() => {
            assert_eq!(theirs.split_last(), Some((&violation, ours.as_slice())));
        }
        Some(error) => {
            assert_eq!(ours, theirs, "{error}");
            if let Some(Theirs::Utf8(_)) = their_error {
                // A close frame's code comes before its reason; tungstenite looks at the reason first.
                assert!(matches!(
                    error,
                    ProtocolError::InvalidUtf8
                        | ProtocolError::CloseReasonNotUtf8(_)
                        | ProtocolError::InvalidCloseCode(_)
                ));
            }
        }
    }
}
