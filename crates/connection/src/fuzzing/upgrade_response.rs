use super::harness::{Client, Leave, Seen};
use super::plan::Plan;
use crate::{Config, Error, State, Timeout, UpgradeError};

/// Whatever a server answers to the upgrade request: no panic, an error of the opening handshake or an open connection, and the
/// same result however the bytes are cut. Where the stream does not end, the deadline ends it.
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
    let whole = shake(&config, [(pieces.whole(), Leave::Absorb)], Client::end);
    check(&whole, &config);
    assert_eq!(shake(&config, pieces.clone(), Client::end), whole, "the cuts make a difference");
    let timed = shake(&config, pieces, Client::wait);
    check(&timed, &config);
    match (&timed.1, &whole.1) {
        (Err(Error::Timeout(Timeout::Upgrade)), Err(Error::Upgrade(error))) => {
            assert!(matches!(error, UpgradeError::EndOfStream | UpgradeError::Status { .. }));
        }
        _ => assert_eq!(timed, whole, "a head that came whole is reported, by the deadline too"),
    }
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

/// What comes of the pieces, and of `end` where they bring no failure.
fn shake<'a>(
    config: &Config,
    pieces: impl IntoIterator<Item = (&'a [u8], Leave)>,
    end: fn(&mut Client) -> Result<(), Error>,
) -> Handshake {
    let mut client = Client::connecting(config.clone());
    let result = pieces.into_iter().try_for_each(|(piece, leave)| client.feed(piece, leave));
    let result = result.and_then(|()| match client.conn.state() {
        State::Connecting => end(&mut client),
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
                assert!(!response.status.is_informational());
                assert!(body.len() <= config.max_error_body);
                assert!(response.headers.len() <= config.max_headers);
            }
        }
        Err(Error::Timeout(Timeout::Upgrade)) => client.assert_over(),
        Err(Error::Protocol(_)) => assert!(opened, "frames are parsed after the upgrade"),
        Err(error) => unreachable!("{error}"),
    }
}
