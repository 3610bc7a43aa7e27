//! A proxy in the simulated network, which also plays the server behind it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use websocket_app::link::proxy::ProxyScheme;
use websocket_testkit::handshake::Request;
use websocket_testkit::sim::{SimNet, SimPeer};

use super::neighbour::echo;

/// What a client wants of a proxy.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Asked {
    /// The host and port to which the tunnel is to lead, as the client names them.
    pub target: String,
    /// `Proxy-Authorization`, the user of SOCKS4, or `user:password` of SOCKS5; empty when there is none.
    pub login: String,
}

/// A proxy that grants every tunnel to whoever has the right login. All tunnels lead to an echo server. Clones are handles to the same.
#[derive(Clone)]
pub struct SimProxy(Rc<RefCell<Inner>>);

struct Inner {
    scheme: ProxyScheme,
    login: &'static str,
    clients: BTreeMap<usize, Client>,
    asked: Vec<Asked>,
    requests: Vec<Request>,
}

#[derive(Default)]
struct Client {
    /// What came and was not whole yet.
    received: Vec<u8>,
    asked: Asked,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Step {
    #[default]
    Greeting,
    Password,
    Request,
    Tunnel,
    Open,
}

impl SimProxy {
    /// Begins to serve at `address`. `login` is what [`Asked::login`] must be.
    pub fn serve(net: &SimNet, address: SocketAddr, scheme: ProxyScheme, login: &'static str) -> Self {
        let inner =
            Inner { scheme, login, clients: BTreeMap::new(), asked: Vec::new(), requests: Vec::new() };
        let proxy = Self(Rc::new(RefCell::new(inner)));
        let handle = proxy.clone();
        net.serve_arrivals(address, move |peer| handle.0.borrow_mut().serve(peer));
        proxy
    }

    /// What was asked for so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.borrow().asked.clone()
    }

    /// The requests that came through the tunnels so far.
    pub fn requests(&self) -> Vec<Request> {
        self.0.borrow().requests.clone()
    }
}

impl Inner {
    fn serve(&mut self, peer: &SimPeer) {
        let client = self.clients.entry(peer.index()).or_default();
        if !matches!(client.step, Step::Tunnel | Step::Open) {
            client.received.extend(peer.read_available());
            let granted = match self.scheme {
                ProxyScheme::Socks4 | ProxyScheme::Socks4a => client.socks4(peer, self.login),
                ProxyScheme::Socks5 | ProxyScheme::Socks5h => client.socks5(peer, self.login),
                _ => client.http(peer, self.login),
            };
            if granted.is_none() {
                return;
            }
            self.asked.push(client.asked.clone());
            if client.step != Step::Tunnel {
                return;
            }
        }
        if client.step == Step::Tunnel
            && let Some(request) = peer.accept_upgrade()
        {
            self.requests.push(request);
            client.step = Step::Open;
        }
        if client.step == Step::Open {
            echo(peer);
        }
    }
}

/// Each answers what has come whole, and returns whether the client has said all that it wants.
impl Client {
    fn http(&mut self, peer: &SimPeer, login: &str) -> Option<()> {
        let request = Request::parse(&self.received)?;
        self.received.drain(..request.bytes.len());
        assert_eq!((request.method.as_str(), request.header("Host")), ("CONNECT", Some(&*request.path)));
        let given = request.header("Proxy-Authorization").unwrap_or_default().to_owned();
        self.asked = Asked { target: request.path, login: given };
        if self.asked.login == login {
            self.grant(peer, b"HTTP/1.1 200 Connection established\r\n\r\n");
        } else {
            let refusal = "HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic realm=\"r\"\r\n\
                           Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n";
            peer.write(refusal.as_bytes());
            peer.close();
        }
        Some(())
    }

    fn socks4(&mut self, peer: &SimPeer, login: &str) -> Option<()> {
        let (head, mut rest) = self.received.split_first_chunk::<8>()?;
        let [4, 1, high, low, address @ ..] = *head else { panic!("not SOCKS4: {head:?}") };
        let user = word(&mut rest)?;
        let host = match address {
            [0, 0, 0, 1..=255] => word(&mut rest)?,
            address => Ipv4Addr::from(address).to_string(),
        };
        assert_eq!(rest, b"", "the client says more than it may");
        self.asked = Asked { target: format!("{host}:{}", u16::from_be_bytes([high, low])), login: user };
        if self.asked.login == login {
            self.grant(peer, &[0, 90, 0, 0, 0, 0, 0, 0]);
        } else {
            peer.write(&[0, 93, 0, 0, 0, 0, 0, 0]);
            peer.close();
        }
        Some(())
    }

    fn socks5(&mut self, peer: &SimPeer, login: &str) -> Option<()> {
        if self.step == Step::Greeting {
            let (&[5, count], methods) = self.received.split_first_chunk::<2>()? else {
                panic!("not SOCKS5")
            };
            let methods = methods.get(..count.into())?;
            let (method, step) = if login.is_empty() { (0, Step::Request) } else { (2, Step::Password) };
            let known = methods.contains(&method);
            self.received.clear();
            peer.write(&[5, if known { method } else { 255 }]);
            if !known {
                peer.close();
                return Some(());
            }
            self.step = step;
        }
        if self.step == Step::Password {
            let (1, rest) = self.received.split_first().map(|(version, rest)| (*version, rest))? else {
                panic!("not RFC 1929")
            };
            let (user, rest) = counted(rest)?;
            let (password, _) = counted(rest)?;
            self.asked.login = format!("{user}:{password}");
            self.received.clear();
            let right = self.asked.login == login;
            peer.write(&[1, u8::from(!right)]);
            if !right {
                peer.close();
                return Some(());
            }
            self.step = Step::Request;
        }
        let (&[5, 1, 0, kind], rest) = self.received.split_first_chunk::<4>()? else { panic!("not SOCKS5") };
        let (host, port) = match kind {
            1 => {
                let (address, port) = rest.split_first_chunk::<4>()?;
                (IpAddr::from(*address).to_string(), port)
            }
            3 => counted(rest)?,
            4 => {
                let (address, port) = rest.split_first_chunk::<16>()?;
                (format!("[{}]", Ipv6Addr::from(*address)), port)
            }
            kind => panic!("there is no address of type {kind}"),
        };
        self.asked.target = format!("{host}:{}", u16::from_be_bytes(*port.first_chunk::<2>()?));
        self.grant(peer, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        Some(())
    }

    fn grant(&mut self, peer: &SimPeer, answer: &[u8]) {
        peer.write(answer);
        self.step = Step::Tunnel;
    }
}

/// A text up to the next NUL, which is taken too.
fn word(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let word = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    Some(word)
}

/// A text behind its length in one byte, and what follows it.
fn counted(rest: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = rest.split_first()?;
    let (text, rest) = rest.split_at_checked((*length).into())?;
    Some((String::from_utf8_lossy(text).into_owned(), rest))
}

impl fmt::Debug for SimProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimProxy").field("asked", &self.asked()).finish_non_exhaustive()
    }
}
