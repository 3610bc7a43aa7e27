//! SOCKS5 (RFC 1928), with user and password (RFC 1929).

use std::net::IpAddr;

use super::login::Login;
use super::reply::fill;
use super::{ProxyFailure, Socks5Reply};
use crate::Destination;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const PASSWORD_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The client's side, once the greeting is made.
pub(super) struct Dialogue {
    step: Step,
    /// The reply of this step, as far as it has come.
    reply: Vec<u8>,
    request: Vec<u8>,
    /// User and password, empty ones if there are none.
    password: Vec<u8>,
    has_password: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Method,
    Password,
    Connect,
}

impl Dialogue {
    /// Returns the dialogue and the greeting to send.
    pub(super) fn start(login: Option<&Login>, destination: &Destination) -> (Self, Vec<u8>) {
        let (user, password, has_password) = match login {
            Some(Login::Password { user, password }) => (&user[..], &password[..], true),
            _ => (&[][..], &[][..], false),
        };
        let password = [&[PASSWORD_VERSION], &length(user)[..], user, &length(password), password].concat();
        let greeting = if has_password {
            vec![VERSION, 2, NO_AUTHENTICATION, PASSWORD]
        } else {
            vec![VERSION, 1, NO_AUTHENTICATION]
        };
        let request = request(destination);
        let dialogue = Self { step: Step::Method, reply: Vec::new(), request, password, has_password };
        (dialogue, greeting)
    }

    /// Takes what belongs to the dialogue from `input` and adds what is to be sent to `output`; returns whether the tunnel is there.
    pub(super) fn receive(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<bool, ProxyFailure> {
        loop {
            let complete = match self.step {
                Step::Method => self.method(input, output)?,
                Step::Password => self.accepted(input, output)?,
                Step::Connect => return self.connected(input),
            };
            if !complete {
                return Ok(false);
            }
            self.reply.clear();
        }
    }

    fn method(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<bool, ProxyFailure> {
        let complete = fill(&mut self.reply, input, 2);
        self.check_version()?;
        if !complete {
            return Ok(false);
        }
        match self.reply[1] {
            NO_AUTHENTICATION => {
                output.append(&mut self.request);
                self.step = Step::Connect;
            }
            // Some proxies choose it without having been offered it, and take any.
            PASSWORD => {
                output.append(&mut self.password);
                self.step = Step::Password;
            }
            NONE_ACCEPTABLE => {
                return Err(ProxyFailure::NoAcceptableMethod { offered_password: self.has_password });
            }
            _ => return Err(ProxyFailure::Malformed("a method of authentication that was not offered")),
        }
        Ok(true)
    }

    fn accepted(&mut self, input: &mut &[u8], output: &mut Vec<u8>) -> Result<bool, ProxyFailure> {
        let complete = fill(&mut self.reply, input, 2);
        // Many proxies give the version of SOCKS in place of that of RFC 1929, so it counts for nothing.
        match *self.reply {
            [_, status] if status != 0 && self.has_password => {
                return Err(ProxyFailure::CredentialsRefused { status });
            }
            [_, status] if status != 0 => {
                return Err(ProxyFailure::Malformed(
                    "it chose authentication that was not offered; give it a user and a password",
                ));
            }
            _ => {}
        }
        if complete {
            output.append(&mut self.request);
            self.step = Step::Connect;
        }
        Ok(complete)
    }

    fn connected(&mut self, input: &mut &[u8]) -> Result<bool, ProxyFailure> {
        // Version, reply, reserved, type of the address, and its first byte: no reply is shorter, and the length is in there.
        let begun = fill(&mut self.reply, input, 5);
        self.check_version()?;
        match self.reply.get(1) {
            None | Some(0) => {}
            Some(code) => return Err(ProxyFailure::Socks5(Socks5Reply::from(*code))),
        }
        let address = match self.reply.get(3) {
            None => return Ok(false),
            Some(&IPV4) => 4,
            Some(&IPV6) => 16,
            Some(&NAME) if begun => 1 + usize::from(self.reply[4]),
            Some(&NAME) => return Ok(false),
            Some(_) => return Err(ProxyFailure::Malformed("the type of the bound address")),
        };
        Ok(fill(&mut self.reply, input, 4 + address + 2))
    }

    fn check_version(&self) -> Result<(), ProxyFailure> {
        match self.reply.first() {
            Some(version) if *version != VERSION => Err(ProxyFailure::WrongProtocol),
            _ => Ok(()),
        }
    }
}

fn request(destination: &Destination) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    match destination.host.address().map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Some(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
        None => {
            let name = destination.host.name().unwrap_or_default().as_bytes();
            request.push(NAME);
            request.extend_from_slice(&length(name));
            request.extend_from_slice(name);
        }
    }
    request.extend_from_slice(&destination.port.to_be_bytes());
    request
}

/// The length byte before `text`, which was checked to have at most 255 bytes.
fn length(text: &[u8]) -> [u8; 1] {
    [u8::try_from(text.len()).unwrap_or(u8::MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::talk;

    const PLAIN: &[u8] = b"\x05\x01\x00";
    const OFFER: &[u8] = b"\x05\x02\x00\x02";
    const BY_NAME: &[u8] = b"\x05\x01\x00\x03\x09h.example\x00\x50";
    const GRANT: &[u8] = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";

    fn replied(reply: &[u8]) -> Result<(), ProxyFailure> {
        talk("socks5h://p", "h.example:80", &[(PLAIN, b"\x05\x00"), (BY_NAME, reply)])
    }

    #[test]
    fn b178_b179_socks5h_sends_the_name() {
        replied(GRANT).unwrap();
    }

    #[test]
    fn b178_socks5_sends_the_address() {
        for scheme in ["socks5", "socks5h"] {
            let url = format!("{scheme}://p");
            let request = b"\x05\x01\x00\x01\xc0\x00\x02\x07\x1f\x90";
            talk(&url, "192.0.2.7:8080", &[(PLAIN, b"\x05\x00"), (request, GRANT)]).unwrap();
            let request = b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50";
            talk(&url, "[2001:db8::1]:80", &[(PLAIN, b"\x05\x00"), (request, GRANT)]).unwrap();
        }
    }

    #[test]
    fn b178_the_reply_may_name_any_kind_of_address() {
        replied(b"\x05\x00\x00\x04\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x12\x34")
            .unwrap();
        replied(b"\x05\x00\x00\x03\x05proxy\x12\x34").unwrap();
        replied(b"\x05\x00\x00\x03\x00\x12\x34").unwrap();
        replied(&[b"\x05\x00\x00\x03\xff", &[b'x'; 255][..], b"\x12\x34"].concat()).unwrap();
        assert_eq!(
            replied(b"\x05\x00\x00\x02\x00\x00"),
            Err(ProxyFailure::Malformed("the type of the bound address"))
        );
    }

    #[test]
    fn b181_user_and_password_are_sent_when_the_proxy_wants_them() {
        let login = b"\x01\x04user\x06p:ss w";
        let url = "socks5h://user:p%3Ass%20w@p";
        let script: [(&[u8], &[u8]); 3] = [(OFFER, b"\x05\x02"), (login, b"\x01\x00"), (BY_NAME, GRANT)];
        talk(url, "h.example:80", &script).unwrap();
        talk(url, "h.example:80", &[(OFFER, b"\x05\x00"), (BY_NAME, GRANT)]).unwrap();
    }

    #[test]
    fn b181_user_and_password_of_the_greatest_length() {
        let long = "x".repeat(255);
        let login = [b"\x01\xff", long.as_bytes(), b"\xff", long.as_bytes()].concat();
        let script: [(&[u8], &[u8]); 3] = [(OFFER, b"\x05\x02"), (&login, b"\x01\x00"), (BY_NAME, GRANT)];
        talk(&format!("socks5h://{long}:{long}@p"), "h.example:80", &script).unwrap();
    }

    #[test]
    fn b183_refused_credentials_and_methods_are_errors() {
        let url = "socks5h://user:pass@p";
        for status in [1, 0xff] {
            let login = b"\x01\x04user\x04pass";
            let outcome = talk(url, "h.example:80", &[(OFFER, b"\x05\x02"), (login, &[1, status])]);
            assert_eq!(outcome, Err(ProxyFailure::CredentialsRefused { status }));
        }
        for (url, greeting, offered_password) in [(url, OFFER, true), ("socks5h://p", PLAIN, false)] {
            let outcome = talk(url, "h.example:80", &[(greeting, b"\x05\xff")]);
            assert_eq!(outcome, Err(ProxyFailure::NoAcceptableMethod { offered_password }));
        }
    }

    #[test]
    fn b183_each_refusal_is_an_error_of_its_own() {
        for (code, reply) in [
            (1, Socks5Reply::GeneralFailure),
            (2, Socks5Reply::NotAllowed),
            (3, Socks5Reply::NetworkUnreachable),
            (4, Socks5Reply::HostUnreachable),
            (5, Socks5Reply::ConnectionRefused),
            (6, Socks5Reply::TtlExpired),
            (7, Socks5Reply::CommandNotSupported),
            (8, Socks5Reply::AddressTypeNotSupported),
            (9, Socks5Reply::Unknown(9)),
            (255, Socks5Reply::Unknown(255)),
        ] {
            assert_eq!(replied(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]), Err(ProxyFailure::Socks5(reply)));
            // Some proxies close after the code.
            assert_eq!(replied(&[5, code]), Err(ProxyFailure::Socks5(reply)));
        }
    }

    #[test]
    fn b183_answers_out_of_the_protocol_are_errors() {
        let first = |answer: &[u8]| talk("socks5h://p", "h.example:80", &[(PLAIN, answer)]);
        assert_eq!(first(b"\x04\x00"), Err(ProxyFailure::WrongProtocol));
        for method in [1, 3, 0x80, 0xfe] {
            assert!(matches!(first(&[5, method]), Err(ProxyFailure::Malformed(_))), "{method}");
        }
        assert_eq!(replied(b"\x04\x00\x00\x01"), Err(ProxyFailure::WrongProtocol));
    }

    #[test]
    fn f2_the_version_of_the_passwords_reply_counts_for_nothing() {
        let login = b"\x01\x01u\x01p";
        for version in [0, 1, 2, 5, 0xff] {
            let reply = |status| {
                let accepted = [version, status];
                let script: [(&[u8], &[u8]); 3] =
                    [(OFFER, b"\x05\x02"), (login, &accepted), (BY_NAME, GRANT)];
                talk("socks5h://u:p@p", "h.example:80", &script)
            };
            assert_eq!(reply(0), Ok(()));
            assert_eq!(reply(7), Err(ProxyFailure::CredentialsRefused { status: 7 }));
        }
    }

    #[test]
    fn f2_a_proxy_that_wants_a_password_without_having_been_offered_one_gets_an_empty_one() {
        let script: [(&[u8], &[u8]); 3] = [(PLAIN, b"\x05\x02"), (b"\x01\0\0", b"\x01\0"), (BY_NAME, GRANT)];
        assert_eq!(talk("socks5h://p", "h.example:80", &script), Ok(()));
        let script: [(&[u8], &[u8]); 2] = [(PLAIN, b"\x05\x02"), (b"\x01\0\0", b"\x01\x01")];
        let refused = talk("socks5h://p", "h.example:80", &script).unwrap_err();
        assert!(refused.to_string().contains("give it a user and a password"), "{refused}");
    }

    #[test]
    fn f2_the_reserved_byte_and_the_bound_address_of_a_reply_count_for_nothing() {
        replied(b"\x05\x00\xff\x01\xff\xff\xff\xff\xff\xff").unwrap();
        for len in [0, 1, 9, 254, 255] {
            let name = vec![0xff; usize::from(len)];
            replied(&[b"\x05\x00\x07\x03", &[len][..], &name, b"\0\0"].concat()).unwrap();
        }
        for kind in [0, 2, 5, 0xff] {
            let outcome = replied(&[5, 0, 0, kind]);
            assert_eq!(outcome, Err(ProxyFailure::Malformed("the type of the bound address")), "at once");
        }
    }
}
