//! SOCKS4 and SOCKS4a.

use std::net::{IpAddr, Ipv4Addr};

use super::login::Login;
use super::reply::fill;
use super::{ProxyFailure, Socks4Reply};
use crate::Destination;

const CONNECT: [u8; 2] = [4, 1];
/// A reply has version 0; some proxies repeat that of the request.
const REPLY_VERSIONS: [u8; 2] = [0, 4];
const GRANTED: u8 = 90;
const REPLY: usize = 8;

/// The address that says: a name follows, resolve it (SOCKS4a).
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

/// The request for a tunnel. A name is sent as SOCKS4a has it.
pub(super) fn request(login: Option<&Login>, destination: &Destination) -> Result<Vec<u8>, ProxyFailure> {
    let address = match destination.host.address().map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address,
        Some(IpAddr::V6(_)) => return Err(ProxyFailure::Ipv6Unsupported),
        None => NAME_FOLLOWS,
    };
    let user = match login {
        Some(Login::Password { user, .. }) => &user[..],
        _ => &[],
    };
    let mut request = [&CONNECT[..], &destination.port.to_be_bytes(), &address.octets(), user, &[0]].concat();
    if let Some(name) = destination.host.name() {
        request.extend_from_slice(name.as_bytes());
        request.push(0);
    }
    Ok(request)
}

/// The reply, as far as it has come.
#[derive(Default)]
pub(super) struct Reply(Vec<u8>);

impl Reply {
    /// Takes what belongs to the reply from `input`; returns whether it is complete.
    pub(super) fn receive(&mut self, input: &mut &[u8]) -> Result<bool, ProxyFailure> {
        let complete = fill(&mut self.0, input, REPLY);
        match *self.0 {
            [version, ..] if !REPLY_VERSIONS.contains(&version) => Err(ProxyFailure::WrongProtocol),
            [_, code, ..] if code != GRANTED => Err(ProxyFailure::Socks4(Socks4Reply::from(code))),
            _ => Ok(complete),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::{destination, talk};
    use crate::proxy::{Handshake, Proxy};

    const GRANT: &[u8] = b"\0\x5a\x12\x34\x01\x02\x03\x04";

    #[test]
    fn b178_socks4_sends_the_address() {
        for (url, user) in [("socks4://p", ""), ("socks4://joe@p", "joe")] {
            let request = [b"\x04\x01\x1f\x90\xc0\x00\x02\x07", user.as_bytes(), b"\0"].concat();
            talk(url, "192.0.2.7:8080", &[(&request, GRANT)]).unwrap();
            talk(url, "[::ffff:192.0.2.7]:8080", &[(&request, GRANT)]).unwrap();
        }
    }

    #[test]
    fn b178_socks4a_sends_the_name_or_the_address() {
        let request = b"\x04\x01\x00\x50\0\0\0\x01joe\0h.example\0";
        talk("socks4a://joe@p", "h.example:80", &[(request, GRANT)]).unwrap();
        talk("socks4a://p", "192.0.2.7:80", &[(b"\x04\x01\x00\x50\xc0\x00\x02\x07\0", GRANT)]).unwrap();
    }

    #[test]
    fn b178_socks4_carries_no_ipv6() {
        for scheme in ["socks4", "socks4a"] {
            let proxy = Proxy::parse(&format!("{scheme}://p")).unwrap();
            let error = Handshake::new(&proxy, &destination("::1", 80)).unwrap_err();
            assert_eq!(error.failure, ProxyFailure::Ipv6Unsupported);
        }
    }

    #[test]
    fn b183_each_refusal_is_an_error_of_its_own() {
        for (code, reply) in [
            (91, Socks4Reply::Rejected),
            (92, Socks4Reply::IdentUnreachable),
            (93, Socks4Reply::IdentMismatch),
            (0, Socks4Reply::Unknown(0)),
            (255, Socks4Reply::Unknown(255)),
        ] {
            let request = b"\x04\x01\x00\x50\xc0\x00\x02\x07\0";
            // Some proxies close after the code.
            for answer in [&[0, code, 0, 0, 0, 0, 0, 0][..], &[4, code, 0, 0, 0, 0, 0, 0], &[0, code]] {
                let outcome = talk("socks4://p", "192.0.2.7:80", &[(request, answer)]);
                assert_eq!(outcome, Err(ProxyFailure::Socks4(reply)));
            }
        }
    }

    #[test]
    fn f2_a_reply_may_repeat_the_version_of_the_request() {
        let request = b"\x04\x01\x00\x50\xc0\x00\x02\x07\0";
        talk("socks4://p", "192.0.2.7:80", &[(request, b"\x04\x5a\xff\xff\xff\xff\xff\xff")]).unwrap();
    }

    #[test]
    fn b183_another_protocol_is_refused() {
        for answer in [&b"HTTP/1.1 400 No\r\n\r\n"[..], b"\x05\x00", b"\x01\x5a\0\0\0\0\0\0"] {
            let request = b"\x04\x01\x00\x50\xc0\x00\x02\x07\0";
            let outcome = talk("socks4://p", "192.0.2.7:80", &[(request, answer)]);
            assert_eq!(outcome, Err(ProxyFailure::WrongProtocol));
        }
    }
}
