use websocket_link::Destination;
use websocket_link::proxy::{Handshake, Proxy, from_environment};

use super::*;

#[test]
fn as_an_io_error_the_loops_failure_is_what_the_system_said() {
    let error = Error::Dispatcher(io::Error::from_raw_os_error(24));
    assert_eq!(io::Error::from(error).raw_os_error(), Some(24));
}

#[test]
fn as_an_io_error_any_other_keeps_its_text_and_its_type_and_gets_a_kind() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let table = [
        (Error::Url(UrlError::PortZero), io::ErrorKind::InvalidInput),
        (Error::Connect { address: None, source: refused() }, io::ErrorKind::ConnectionRefused),
        (Error::Resolve { host: "h".into(), source: refused() }, io::ErrorKind::ConnectionRefused),
        (Error::Io(io::ErrorKind::BrokenPipe.into()), io::ErrorKind::BrokenPipe),
        (Error::Timeout(Timeout::Pong), io::ErrorKind::TimedOut),
        (Error::NoResponse { source: Some(refused()) }, io::ErrorKind::ConnectionRefused),
        (Error::NoResponse { source: None }, io::ErrorKind::UnexpectedEof),
        (Error::EndOfStream, io::ErrorKind::UnexpectedEof),
        (Error::ReconnectRequested("why".into()), io::ErrorKind::ConnectionAborted),
        (Error::Protocol(ProtocolError::MaskedFrame), io::ErrorKind::Other),
    ];
    for (error, kind) in table {
        let text = error.to_string();
        let converted = io::Error::from(error);
        assert_eq!((converted.kind(), converted.to_string()), (kind, text));
        assert!(converted.get_ref().is_some_and(|inner| inner.is::<Error>()), "{converted}");
    }
}

/// An error of the user's code, with one behind it.
#[derive(Debug)]
struct Layered(&'static str, Option<Box<Layered>>);

impl fmt::Display for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Layered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.1.as_deref()?)
    }
}

fn behind() -> Layered {
    Layered("the outer reason", Some(Box::new(Layered("the inner reason", None))))
}

fn proxy_error() -> websocket_link::proxy::ProxyError {
    let destination = Destination::new("::1".parse().unwrap(), 80);
    // SOCKS4 cannot reach IPv6.
    Handshake::new(&Proxy::parse("socks4://p").unwrap(), &destination).err().unwrap()
}

/// Errors of every variant; those that hold an error of the system, or of the user's code, with sources behind it.
fn every_variant() -> Vec<Error> {
    let io = || io::Error::other(behind());
    let environment = from_environment(false, |_| Some("gopher://h".into())).unwrap_err();
    vec![
        Error::Url(UrlError::Scheme("http".into())),
        Error::Header(HeaderError::Line),
        Error::Request(RequestError::Path("x".into())),
        Error::Options(ConfigError::PingTimeoutWithoutInterval),
        Error::Reconnect(ReconnectError::FirstDelayZero),
        Error::Feed(FeedError::SilenceTimeoutZero),
        Error::Resolve { host: "feed.example".into(), source: io() },
        Error::Connect { address: Some(([192, 0, 2, 1], 80).into()), source: io() },
        Error::Connect { address: None, source: io::ErrorKind::ConnectionRefused.into() },
        Error::Proxy(proxy_error()),
        Error::ProxyStream { proxy: "http://p:3128".into(), source: io() },
        Error::ProxyEnvironment(environment),
        Error::Upgrade(UpgradeError::NotHttp),
        Error::NoResponse { source: None },
        Error::NoResponse { source: Some(io()) },
        Error::Redirect(RedirectError::Location { location: "x:".into(), source: UrlError::PortZero }),
        Error::Protocol(ProtocolError::MaskedFrame),
        #[cfg(feature = "tls")]
        Error::Tls(TlsError::EndOfHandshake),
        #[cfg(feature = "tls")]
        Error::TlsOptions(TlsConfigError::NoProvider),
        #[cfg(feature = "tls")]
        Error::ProxyStream { proxy: "https://p:443".into(), source: TlsError::EndOfHandshake.into() },
        Error::Timeout(Timeout::Pong),
        Error::Io(io()),
        Error::Io(io::Error::from_raw_os_error(104)),
        Error::EndOfStream,
        Error::ReconnectRequested("the sequence is lost".into()),
        Error::Successor(Box::new(Error::Io(io()))),
        Error::Function { name: "url_with", source: Box::new(behind()) },
        Error::Callback(Box::new(behind())),
        Error::Callback("only a text".into()),
        Error::Callback(Box::new(Error::Io(io()))),
        Error::CallbackPanicked("index out of bounds".into()),
        Error::Dispatcher(io()),
    ]
}

/// The place of a variant in the enum. A new one does not compile before it is here.
fn place(error: &Error) -> usize {
    match error {
        Error::Url(_) => 0,
        Error::Header(_) => 1,
        Error::Request(_) => 2,
        Error::Options(_) => 3,
        Error::Reconnect(_) => 4,
        Error::Resolve { .. } => 5,
        Error::Connect { .. } => 6,
        Error::Proxy(_) => 7,
        Error::ProxyStream { .. } => 8,
        Error::ProxyEnvironment(_) => 9,
        Error::Upgrade(_) => 10,
        Error::Redirect(_) => 11,
        Error::Protocol(_) => 12,
        Error::Timeout(_) => 13,
        Error::Io(_) => 14,
        Error::EndOfStream => 15,
        Error::Callback(_) => 16,
        Error::CallbackPanicked(_) => 17,
        Error::Dispatcher(_) => 18,
        Error::NoResponse { .. } => 19,
        #[cfg(feature = "tls")]
        Error::Tls(_) => 20,
        #[cfg(feature = "tls")]
        Error::TlsOptions(_) => 21,
        Error::ReconnectRequested(_) => 22,
        Error::Function { .. } => 23,
        Error::Feed(_) => 24,
        Error::Successor(_) => 25,
    }
}

/// The texts of an error and of its sources, as programs print them.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

#[test]
fn no_text_occurs_twice_in_an_error_and_its_sources() {
    let errors = every_variant();
    let places: std::collections::BTreeSet<_> = errors.iter().map(place).collect();
    assert_eq!(places.len(), if cfg!(feature = "tls") { 26 } else { 24 }, "a variant is missing");
    for error in errors {
        let inner = error.inner().map(ToString::to_string);
        let texts = chain(&error);
        if let Some(inner) = &inner {
            assert!(texts[0].contains(inner), "{texts:?} lacks {inner:?}");
        }
        for (index, text) in texts.iter().enumerate() {
            let others = texts.iter().enumerate().filter(|(other, _)| *other != index);
            for (_, other) in others {
                assert!(!other.contains(text.as_str()), "{texts:?}");
            }
        }
        let all = texts.join("; ");
        let reasons = inner.into_iter().chain(texts.iter().skip(1).cloned());
        for reason in reasons.chain(["the outer reason".into(), "the inner reason".into()]) {
            assert!(all.matches(&reason).count() <= 1, "{all}");
        }
        // Nothing is lost either.
        assert_eq!(all.contains("the outer reason"), all.contains("the inner reason"), "{all}");
    }
}

#[test]
fn debug_is_the_text_with_those_of_the_sources() {
    for error in every_variant() {
        assert_eq!(format!("{error:?}"), chain(&error).join(": "));
        assert_eq!(format!("{error:#?}"), format!("{error:?}"));
    }
    let outcome = crate::Outcome::Lost(Error::Io(io::Error::other(behind())));
    assert_eq!(format!("{outcome:?}"), "Lost(the connection broke: the outer reason: the inner reason)");
}

#[test]
fn debug_does_not_repeat_a_source_that_is_in_the_text() {
    let twice = Layered("failed: the inner reason", Some(Box::new(Layered("the inner reason", None))));
    let error = Error::Callback(Box::new(twice));
    assert_eq!(format!("{error:?}"), "a callback returned an error: failed: the inner reason");
}

#[test]
fn other_errors_of_the_crate_repeat_nothing_either() {
    let message = crate::OwnedMessage::Binary(Default::default());
    let refused = crate::Refused { message, reason: websocket_connection::SendError::NotUtf8 };
    assert_eq!(chain(&refused).len(), 1);
    assert_eq!(chain(&crate::CookieError::Url(UrlError::PortZero)).len(), 1);
}
