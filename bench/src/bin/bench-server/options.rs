//! The command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;
use websocket_bench::Result;

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Options {
    /// Where to write the certificate; without it there is no TLS.
    pub(crate) root: Option<PathBuf>,
    /// Whether clients can resume TLS sessions.
    pub(crate) resumption: bool,
    pub(crate) listen: SocketAddr,
    /// Connections that may wait to be accepted. The system has a limit of its own, which is the default.
    pub(crate) backlog: i32,
    /// How long an upgrade keeps the server busy, besides what it takes anyway.
    pub(crate) work: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Self { root: None, resumption: true, listen, backlog: i32::MAX, work: Duration::ZERO }
    }
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("root") => options.root = Some(parser.value()?.into()),
            Long("no-resumption") => options.resumption = false,
            Long("listen") => options.listen = parser.value()?.parse()?,
            Long("backlog") => options.backlog = parser.value()?.parse()?,
            Long("work") => options.work = Duration::from_micros(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_options_it_listens_on_a_free_port() {
        assert_eq!(options("").unwrap(), Options::default());
    }

    #[test]
    fn options_choose() {
        let listen = (Ipv4Addr::LOCALHOST, 9001).into();
        let work = Duration::from_millis(1);
        let expected = Options { root: Some("x.pem".into()), resumption: false, listen, backlog: 128, work };
        let line = "--root x.pem --no-resumption --listen 127.0.0.1:9001 --backlog=128 --work 1000";
        assert_eq!(options(line).unwrap(), expected);
        assert!(options("--listen here").is_err() && options("--fast").is_err());
    }
}
