use super::harness::{Client, Leave, Seen};
use super::plan::Plan;
use crate::{Config, Error, State, UpgradeError};

/// Whatever a server answers to the upgrade request: no panic, an error of the opening handshake or an open connection, and the
/// same result however the bytes are cut.
///
/// Input: one byte of options, then `Pieces` of the plan.
///
/// # Panics
/// If one of these does not hold.
pub fn upgrade_response(input: &[u8]) {
    let mut plan = Plan::new(input);
    let mut config = Config::default();
    if plan.byte() & 1 != 0 {
        config.max_header_bytes = 256;
        config.max_headers = 6;
        config.max_error_body = 16;
    }
    let pieces = plan.pieces();
    let whole = shake(&config, [(pieces.whole(), Leave::Absorb)]);
    check(&whole, &config);
    assert_eq!(shake(&config, pieces), whole, "the cuts make a difference");
}

struct Handshake(Client, Result<(), Error>);

impl PartialEq for Handshake {
    fn eq(&self, other: &Self) -> bool {
        (&self.0.seen, self.0.conn.state(), &self.1) == (&other.0.seen, other.0.conn.state(), &other.1)
    }
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {:?}, {:?}", self.0.seen, self.0.conn.state(), self.1)
    }
}

/// What comes of the pieces, and of the end of the stream where they bring no failure.
fn shake<'a>(config: &Config, pieces: impl IntoIterator<Item = (&'a [u8], Leave)>) -> Handshake {
    let mut client = Client::connecting(config.clone());
    let result = pieces.into_iter().try_for_each(|(piece, leave)| client.feed(piece, leave));
    let result = result.and_then(|()| match client.conn.state() {
        State::Connecting => client.end(),
        _ => Ok(()),
    });
    Handshake(client, result)
}

fn check(Handshake(client, result): &Handshake, config: &Config) {
    let opened = client.seen.first() == Some(&Seen::Open);
    match result {
        Ok(()) => assert!(opened),
        Err(Error::Upgrade(error)) => {
            assert!(!opened);
            client.assert_over();
            if let UpgradeError::Status { response, body } = error {
                assert_ne!(response.status, 101);
                assert!(body.len() <= config.max_error_body);
                assert!(response.headers.len() <= config.max_headers);
            }
        }
        Err(Error::Protocol(_)) => assert!(opened, "frames are parsed after the upgrade"),
        Err(error) => unreachable!("{error}"),
    }
}
