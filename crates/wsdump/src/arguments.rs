//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;
use websocket_app::link::proxy::Proxy;

const HELP: &str = "\
wsdump: a WebSocket client for the command line

usage: wsdump [options] URL

Prints the messages that the server at URL sends, and sends each line of standard input as a text message. Closes the
connection at the end of the input. URL is ws://host[:port][/path][?query], wss://... with TLS, or ws+unix:/socket[:/path]
for a unix socket.

  -t, --text TEXT          send TEXT as soon as the connection is open
  -s, --subprotocols LIST  offer these subprotocols, separated by commas
  -o, --origin ORIGIN      value of the Origin header
  -H, --header LINE        add a request header, 'Name: value'; may be repeated
      --headers LIST       the same for several, separated by commas
      --ping-interval SEC  send a ping every SEC seconds (default 0: none)
      --eof-wait SEC       wait SEC seconds between the end of the input and the close (default 0)
      --compress           offer to compress messages (permessage-deflate)
      --reconnect SEC      connect again SEC seconds after a loss, and not after a definite answer, such as a close with 1000
                           or a status 403 (default 0: never)

  -p, --proxy URL          go through this proxy: [scheme://][user[:password]@]host[:port]; the scheme is http (default),
                           https, socks4, socks4a, socks5 or socks5h; without this option the environment decides
                           (http_proxy, https_proxy, all_proxy, no_proxy)
      --ca FILE            trust the certificates in this file or directory instead of the system's; may be repeated
      --cert FILE          show this certificate (PEM) to servers that want one
      --key FILE           its private key (PEM); default: the file of --cert
  -n, --nocert             accept every certificate, whoever shows it

  -r, --raw                print payloads as they are, without any decoration; else text that was compressed with gzip, zlib
                           or deflate is shown
  -v, --verbose            also show pings, pongs and the close; twice: fragments, sizes and the log
      --timings            show the seconds since the start before each message

  -h, --help               print this and exit
  -V, --version            print the version and exit

Exits with 0 after a clean close, with 1 after a failure, with 2 when the command line is wrong.";

/// What the user wants.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Box<Arguments>),
    Print(String),
}

#[derive(Default, Debug)]
pub(crate) struct Arguments {
    pub(crate) url: String,
    pub(crate) text: Option<String>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) origin: Option<String>,
    /// Lines of the form `Name: value`.
    pub(crate) headers: Vec<String>,
    pub(crate) ping_interval: Duration,
    pub(crate) eof_wait: Duration,
    pub(crate) compress: bool,
    /// Zero: not at all.
    pub(crate) reconnect: Duration,
    pub(crate) proxy: Option<Proxy>,
    /// Files and directories of certificates.
    pub(crate) ca: Vec<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) accept_any_certificate: bool,
    pub(crate) raw: bool,
    pub(crate) verbose: u8,
    pub(crate) timings: bool,
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut parsed = Box::<Arguments>::default();
    let mut url = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('t') | Long("text") => parsed.text = Some(parser.value()?.string()?),
            Short('s') | Long("subprotocols") => parsed.subprotocols.extend(list(&mut parser)?),
            Short('o') | Long("origin") => parsed.origin = Some(parser.value()?.string()?),
            Short('H') | Long("header") => parsed.headers.push(parser.value()?.string()?),
            Long("headers") => parsed.headers.extend(list(&mut parser)?),
            Long("ping-interval") => parsed.ping_interval = seconds(&mut parser, "--ping-interval")?,
            Long("eof-wait") => parsed.eof_wait = seconds(&mut parser, "--eof-wait")?,
            Long("compress") => parsed.compress = true,
            Long("reconnect") => parsed.reconnect = seconds(&mut parser, "--reconnect")?,
            Short('p') | Long("proxy") => parsed.proxy = Some(proxy(&parser.value()?.string()?)?),
            Long("ca") => parsed.ca.push(parser.value()?.into()),
            Long("cert") => parsed.certificate = Some(parser.value()?.into()),
            Long("key") => parsed.key = Some(parser.value()?.into()),
            Short('n') | Long("nocert") => parsed.accept_any_certificate = true,
            Short('r') | Long("raw") => parsed.raw = true,
            Short('v') | Long("verbose") => parsed.verbose = parsed.verbose.saturating_add(1),
            Long("timings") => parsed.timings = true,
            Short('h') | Long("help") => return Ok(Command::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Command::Print(format!("wsdump {}", env!("CARGO_PKG_VERSION"))));
            }
            Value(value) if url.is_none() => url = Some(value.string()?),
            argument => return Err(argument.unexpected()),
        }
    }
    parsed.url = url.ok_or("the URL is missing")?;
    if parsed.key.is_some() && parsed.certificate.is_none() {
        return Err("--key needs --cert: a key without a certificate proves nothing".into());
    }
    Ok(Command::Run(parsed))
}

/// The parts of a value that commas separate.
fn list(parser: &mut lexopt::Parser) -> Result<Vec<String>, lexopt::Error> {
    let value = parser.value()?.string()?;
    Ok(value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
}

fn proxy(url: &str) -> Result<Proxy, lexopt::Error> {
    Proxy::parse(url).map_err(|error| lexopt::Error::Custom(Box::new(error)))
}

fn seconds(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, lexopt::Error> {
    let value = parser.value()?.string()?;
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("{option} must be a number of seconds, 0 or more, not {value:?}").into())
}
