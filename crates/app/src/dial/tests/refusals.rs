//! What says no to a dial before there is a stream to the server.

use websocket_link::proxy::ProxyFailure;

use super::steps::Wait;
use super::*;

#[test]
fn b143_a_name_that_is_not_resolved_or_has_no_address_is_named() {
    for (wait, host) in
        [(Wait::ForName, NAME), (Wait::ForProxyName, "proxy.test"), (Wait::ForNameBehindProxy, NAME)]
    {
        for kind in [Some(io::ErrorKind::TimedOut), None] {
            let mut rig = wait.rig_with(&wait.options(), |rig| {
                rig.resolver.delay(host, Some(SECOND));
                match kind {
                    Some(kind) => rig.resolver.failing(host, kind),
                    None => rig.resolver.name(host, &[]),
                }
            });
            let error = failure(rig.run_until(SECOND));
            let of_proxy = |error: &Error| match error {
                Error::Proxy(error) => error.failure == ProxyFailure::NeedsAddress,
                _ => false,
            };
            match (&error, kind) {
                (Error::Resolve { host: named, source }, kind) => {
                    assert_eq!((&**named, source.kind()), (host, kind.unwrap_or(io::ErrorKind::NotFound)));
                }
                // It is the proxy that would have needed one.
                (error, None) if wait == Wait::ForNameBehindProxy && of_proxy(error) => {}
                _ => panic!("{wait:?}: {error:?}"),
            }
            rig.assert_leaves_nothing();
        }
    }
}

#[test]
fn b194_when_all_addresses_refuse_the_last_failure_is_reported() {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    // What each address does: refuse after so many seconds, or fail at once.
    type Case = (&'static [Result<u32, io::ErrorKind>], u8, io::ErrorKind);
    let cases: [Case; 5] = [
        (&[Ok(0), Ok(0)], 2, ConnectionRefused),
        (&[Ok(2), Ok(1)], 1, ConnectionRefused),
        (&[Err(HostUnreachable)], 1, HostUnreachable),
        (&[Ok(0), Err(NetworkUnreachable)], 2, NetworkUnreachable),
        (&[Err(NetworkUnreachable), Ok(3), Err(HostUnreachable)], 2, ConnectionRefused),
    ];
    for (addresses, last, kind) in cases {
        for limit in [1, 64] {
            let numbers: Vec<u8> = (1..=addresses.len() as u8).collect();
            let mut rig = Rig::new(BY_NAME, &options(None)).with_name(&numbers);
            rig.links.connections.set_max_per_server(limit);
            for (number, does) in numbers.iter().zip(addresses) {
                match does {
                    Ok(seconds) => rig.net.delay(address(*number), *seconds * SECOND),
                    Err(kind) => rig.net.fail(address(*number), *kind),
                }
            }
            match failure(rig.begin_and_run_until(9 * SECOND)) {
                Error::Connect { address: Some(at), source } => {
                    assert_eq!((at, source.kind()), (address(last), kind), "{addresses:?}");
                }
                other => panic!("{addresses:?}: {other:?}"),
            }
            rig.assert_leaves_nothing();
        }
    }
}

#[test]
fn a_stream_without_an_address_that_fails_is_an_error_without_one() {
    type Socket = Box<dyn FnMut() -> io::Result<Io>>;
    let sockets: [(Socket, _); 2] = [
        (Box::new(|| Err(io::ErrorKind::PermissionDenied.into())), io::ErrorKind::PermissionDenied),
        // One of another network, which the dispatcher cannot watch, is as bad.
        (Box::new(|| Ok(Io::custom(Unknown))), io::ErrorKind::Unsupported),
    ];
    for (socket, kind) in sockets {
        let functions = Functions { socket: Some(socket), ..Functions::default() };
        let mut rig = Rig::new(BY_NAME, &options(None)).with_functions(functions);
        match failure(rig.begin_and_run_until(SECOND)) {
            Error::Connect { address: None, source } => assert_eq!(source.kind(), kind),
            other => panic!("{other:?}"),
        }
        rig.assert_leaves_nothing();
    }

    // One that is refused after a while; a unix socket; a connector that knows no unix sockets.
    let mut rig = Wait::ForOwnStream.rig_with(&options(None), |rig| {
        rig.net.refuse(address(1));
        rig.net.delay(address(1), SECOND);
    });
    let error = failure(rig.run_until(SECOND));
    assert!(matches!(error, Error::Connect { address: None, .. }), "{error:?}");
    rig.assert_leaves_nothing();
    #[cfg(unix)]
    {
        let mut rig = Wait::ForUnixSocket.rig_with(&options(None), |rig| {
            rig.net.refuse(address(1));
            rig.net.delay(address(1), SECOND);
        });
        let error = failure(rig.run_until(SECOND));
        assert!(matches!(error, Error::Connect { address: None, .. }), "{error:?}");
        rig.assert_leaves_nothing();

        let mut rig = Rig::new("ws+unix:/run/server.sock", &options(None));
        match failure(rig.begin()) {
            Error::Connect { address: None, source } => {
                assert_eq!(source.kind(), io::ErrorKind::Unsupported);
            }
            other => panic!("{other:?}"),
        }
        rig.assert_leaves_nothing();
    }
}

/// A stream that no dispatcher knows.
struct Unknown;

impl io::Read for Unknown {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl io::Write for Unknown {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl websocket_dispatcher::Stream for Unknown {}
