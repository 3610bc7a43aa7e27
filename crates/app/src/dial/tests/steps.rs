//! Dials that wait, one in each step.

#[cfg(unix)]
use std::path::Path;

use websocket_link::{Connector as _, SocketOptions};
use websocket_testkit::sim::SimPeer;

#[cfg(unix)]
use super::backlog::Crowded;
use super::*;

pub(super) const PROXY: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(192, 0, 2, 9), 3128));

/// Where a dial waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// In the line of names, until other apps are answered.
    ToAsk,
    ForName,
    /// In the line of servers: of one with an address, and of one whose name was resolved.
    ToConnect,
    ToConnectByName,
    ForServer,
    /// For two addresses that race.
    ForRace,
    /// For the one address that is under way, and in line for the next one.
    ForServerAndToRace,
    /// In line for the next address, after the first was refused.
    ToRace,
    ForProxyName,
    ForProxy,
    ForHttpTunnel,
    ForSocksTunnel,
    /// For the address that a proxy of type socks5 has to be given.
    ForNameBehindProxy,
    ForOwnStream,
    #[cfg(unix)]
    ForUnixSocket,
    /// For room at a unix socket that never has any.
    #[cfg(unix)]
    ForBacklog,
}

impl Wait {
    pub(super) const ALL: &[Self] = &[
        Self::ToAsk,
        Self::ForName,
        Self::ToConnect,
        Self::ToConnectByName,
        Self::ForServer,
        Self::ForRace,
        Self::ForServerAndToRace,
        Self::ToRace,
        Self::ForProxyName,
        Self::ForProxy,
        Self::ForHttpTunnel,
        Self::ForSocksTunnel,
        Self::ForNameBehindProxy,
        Self::ForOwnStream,
        #[cfg(unix)]
        Self::ForUnixSocket,
        #[cfg(unix)]
        Self::ForBacklog,
    ];

    /// Whether it waits for its turn and for nothing else.
    pub(super) fn is_in_line(self) -> bool {
        matches!(self, Self::ToAsk | Self::ToConnect | Self::ToConnectByName | Self::ToRace)
    }

    /// The URL of the proxy on the way.
    pub(super) const fn proxy(self) -> Option<&'static str> {
        match self {
            Self::ForProxyName => Some("http://proxy.test:3128"),
            Self::ForProxy | Self::ForHttpTunnel => Some("http://192.0.2.9:3128"),
            Self::ForSocksTunnel => Some("socks5h://192.0.2.9:3128"),
            Self::ForNameBehindProxy => Some("socks5://192.0.2.9:3128"),
            _ => None,
        }
    }

    /// The options of a run that comes here.
    pub(super) fn options(self) -> RunOptions {
        options(self.proxy())
    }

    /// A dial that waits there.
    pub(super) fn rig(self, options: &RunOptions) -> Rig {
        self.rig_with(options, |_| ())
    }

    /// A dial that waits there, in circumstances that were changed before it began.
    pub(super) fn rig_with(self, options: &RunOptions, change: impl FnOnce(&mut Rig)) -> Rig {
        let url = match self {
            Self::ToConnect | Self::ForServer | Self::ForOwnStream => BY_ADDRESS,
            #[cfg(unix)]
            Self::ForUnixSocket | Self::ForBacklog => "ws+unix:/run/server.sock",
            _ => BY_NAME,
        };
        let addresses: &[u8] = match self {
            Self::ForRace | Self::ForServerAndToRace | Self::ToRace => &[1, 2],
            _ => &[1],
        };
        let mut rig = Rig::new(url, options).with_name(addresses);
        rig.net.black_hole(address(1));
        rig.net.black_hole(address(2));
        let mut until = Duration::ZERO;
        match self {
            Self::ToAsk => rig.take_all_names(),
            Self::ForName | Self::ForNameBehindProxy => rig.resolver.delay(NAME, None),
            Self::ToConnect | Self::ToConnectByName => rig.take_all_connections(),
            Self::ForServer => {}
            Self::ForRace => until = SECOND / 2,
            Self::ForServerAndToRace => {
                rig.links.connections.set_max_total(1);
                until = SECOND / 2;
            }
            Self::ToRace => {
                rig.links.connections.set_max_per_server(1);
                rig.take_place(Server::At(address(2)));
                rig.net.refuse(address(1));
            }
            Self::ForProxyName => rig.resolver.delay("proxy.test", None),
            Self::ForProxy => rig.net.black_hole(PROXY),
            Self::ForHttpTunnel => drop(rig.net.listen(PROXY)),
            Self::ForSocksTunnel => rig.net.serve_arrivals(PROXY, |peer| {
                let _greeted = socks5_greeting(peer);
            }),
            Self::ForOwnStream => {
                let mut net = rig.net.clone();
                let socket = move || net.connect(address(1), &SocketOptions::default());
                rig =
                    rig.with_functions(Functions { socket: Some(Box::new(socket)), ..Functions::default() });
            }
            #[cfg(unix)]
            Self::ForUnixSocket => rig.links.connector = Box::new(Wired(rig.net.clone())),
            #[cfg(unix)]
            Self::ForBacklog => drop(Crowded::wired(&mut rig, usize::MAX)),
        }
        change(&mut rig);
        waiting(rig.begin_and_run_until(until));
        rig
    }
}

/// Answers the greeting of a client of SOCKS5 that has no credentials.
pub(super) fn socks5_greeting(peer: &SimPeer) -> Option<()> {
    let greeting = peer.read_available();
    (greeting == [5, 1, 0]).then(|| peer.write(&[5, 0]))
}

/// Connects to every unix socket at [`address`] 1.
#[cfg(unix)]
pub(super) struct Wired(pub(super) SimNet);

#[cfg(unix)]
impl websocket_link::Connector for Wired {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        self.0.connect(address, options)
    }

    fn connect_unix(&mut self, path: &Path) -> io::Result<Io> {
        assert_eq!(path, Path::new("/run/server.sock"));
        self.0.connect(address(1), &SocketOptions::default())
    }
}

#[test]
fn each_wait_is_in_its_step() {
    for &wait in Wait::ALL {
        let rig = wait.rig(&wait.options());
        let step = &rig.dial.as_ref().unwrap().step;
        let is_there = match wait {
            Wait::ToAsk => matches!(step, Step::WaitingToAsk(_)),
            Wait::ForName | Wait::ForProxyName | Wait::ForNameBehindProxy => {
                matches!(step, Step::Resolving(_))
            }
            Wait::ToConnect | Wait::ToConnectByName => matches!(step, Step::WaitingToConnect(_)),
            Wait::ForHttpTunnel | Wait::ForSocksTunnel => matches!(step, Step::Tunnelling(_)),
            #[cfg(unix)]
            Wait::ForBacklog => matches!(step, Step::BacklogFull(_)),
            Wait::ToRace => matches!(step, Step::Connecting(race) if race.is_waiting()),
            _ => matches!(step, Step::Connecting(race) if !race.is_waiting()),
        };
        assert!(is_there, "{wait:?}");
        let streams = match wait {
            Wait::ForRace => 2,
            Wait::ToAsk
            | Wait::ForName
            | Wait::ForProxyName
            | Wait::ForNameBehindProxy
            | Wait::ToConnect
            | Wait::ToConnectByName
            | Wait::ToRace => 0,
            #[cfg(unix)]
            Wait::ForBacklog => 0,
            _ => 1,
        };
        assert_eq!(rig.dispatcher.registrations(), streams, "{wait:?}");
    }
}
