//! How long the steps of an attempt to connect took.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

/// How long each step of an attempt to connect took, and where it led.
///
/// A step that was not needed, or that the attempt did not complete, has no duration. Waiting for a turn to resolve or to connect is not part of
/// any step. Where an attempt takes a step more than once, as after a redirect, the durations are added.
/// They are kept in microseconds, up to 71 minutes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Phases {
    /// From asking the resolver to its answer.
    pub resolve: Option<Duration>,
    /// From the first address to the connected stream.
    pub connect: Option<Duration>,
    /// From there to the proxy's consent, with TLS to the proxy.
    pub proxy: Option<Duration>,
    /// The handshake of TLS with the server.
    pub tls: Option<Duration>,
    /// From the stream on which the request is sent to the server's response.
    pub upgrade: Option<Duration>,
    /// The address that the stream is connected to: the server's, or the proxy's. `None` before, on a unix socket and on your own stream.
    pub address: Option<SocketAddr>,
}

impl Phases {
    /// Returns the sum of all steps.
    pub fn total(&self) -> Duration {
        [self.resolve, self.connect, self.proxy, self.tls, self.upgrade].into_iter().flatten().sum()
    }
}

/// A step of an attempt.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Resolve,
    Connect,
    Proxy,
    Tls,
    Upgrade,
}

/// Stands for no duration.
const ABSENT: u32 = u32::MAX;

/// [`Phases`] in the little memory that each app has for it. It has bytes where numbers would leave gaps.
#[derive(Clone, Copy)]
pub(crate) struct CompactPhases {
    micros: [u32; 5],
    address: CompactAddress,
}

#[derive(Clone, Copy)]
enum CompactAddress {
    None,
    V4 { ip: [u8; 4], port: [u8; 2] },
    V6 { ip: [u8; 16], port: [u8; 2], scope: [u8; 4] },
}

impl Default for CompactPhases {
    fn default() -> Self {
        Self { micros: [ABSENT; 5], address: CompactAddress::None }
    }
}

impl CompactPhases {
    pub(crate) fn add(&mut self, phase: Phase, took: Duration) {
        let micros = &mut self.micros[phase as usize];
        let before = if *micros == ABSENT { 0 } else { u128::from(*micros) };
        *micros = u32::try_from(before + took.as_micros()).unwrap_or(ABSENT).min(ABSENT - 1);
    }

    pub(crate) fn set_address(&mut self, address: Option<SocketAddr>) {
        self.address = match address {
            None => CompactAddress::None,
            Some(SocketAddr::V4(v4)) => {
                CompactAddress::V4 { ip: v4.ip().octets(), port: v4.port().to_ne_bytes() }
            }
            Some(SocketAddr::V6(v6)) => CompactAddress::V6 {
                ip: v6.ip().octets(),
                port: v6.port().to_ne_bytes(),
                scope: v6.scope_id().to_ne_bytes(),
            },
        };
    }

    /// The phases as users see them.
    pub(crate) fn expand(&self) -> Phases {
        let took = |phase: Phase| {
            let micros = self.micros[phase as usize];
            (micros != ABSENT).then(|| Duration::from_micros(micros.into()))
        };
        Phases {
            resolve: took(Phase::Resolve),
            connect: took(Phase::Connect),
            proxy: took(Phase::Proxy),
            tls: took(Phase::Tls),
            upgrade: took(Phase::Upgrade),
            address: match self.address {
                CompactAddress::None => None,
                CompactAddress::V4 { ip, port } => {
                    Some(SocketAddr::new(IpAddr::from(ip), u16::from_ne_bytes(port)))
                }
                CompactAddress::V6 { ip, port, scope } => {
                    let (ip, port) = (Ipv6Addr::from(ip), u16::from_ne_bytes(port));
                    Some(SocketAddrV6::new(ip, port, 0, u32::from_ne_bytes(scope)).into())
                }
            },
        }
    }
}

/// The phases of an attempt that is under way, and since when the current one lasts.
#[derive(Clone, Copy)]
pub(crate) struct PhaseTimer {
    pub(crate) phases: CompactPhases,
    since: Instant,
}

impl PhaseTimer {
    pub(crate) fn new(now: Instant) -> Self {
        Self { phases: CompactPhases::default(), since: now }
    }

    /// A phase begins.
    pub(crate) const fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// A phase ends, and the next begins.
    pub(crate) fn end(&mut self, phase: Phase, now: Instant) {
        self.phases.add(phase, now.saturating_duration_since(self.since));
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let mut compact = CompactPhases::default();
        assert_eq!(compact.expand(), Phases::default());
        for address in ["192.0.2.1:443", "[2001:db8::1]:80", "[fe80::1%7]:9001"] {
            let address: SocketAddr = address.parse().unwrap();
            compact.set_address(Some(address));
            assert_eq!(compact.expand().address, Some(address));
        }
        compact.add(Phase::Tls, Duration::from_micros(1500));
        compact.add(Phase::Tls, Duration::from_micros(500));
        compact.add(Phase::Upgrade, Duration::ZERO);
        let phases = compact.expand();
        assert_eq!((phases.tls, phases.upgrade), (Some(Duration::from_millis(2)), Some(Duration::ZERO)));
        assert_eq!((phases.resolve, phases.total()), (None, Duration::from_millis(2)));
    }

    #[test]
    fn a_phase_of_hours_is_not_taken_for_none() {
        let mut compact = CompactPhases::default();
        for hours in [2, u64::MAX / 3600] {
            compact.add(Phase::Connect, Duration::from_secs(hours * 3600));
            assert_eq!(compact.expand().connect, Some(Duration::from_micros(u64::from(u32::MAX - 1))));
        }
    }

    #[test]
    fn an_idle_app_pays_little_for_it() {
        assert!(size_of::<CompactPhases>() <= 44);
    }
}
