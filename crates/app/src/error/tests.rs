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
        (Error::EndOfStream, io::ErrorKind::UnexpectedEof),
        (Error::Protocol(ProtocolError::MaskedFrame), io::ErrorKind::Other),
    ];
    for (error, kind) in table {
        let text = error.to_string();
        let converted = io::Error::from(error);
        assert_eq!((converted.kind(), converted.to_string()), (kind, text));
        assert!(converted.get_ref().is_some_and(|inner| inner.is::<Error>()), "{converted}");
    }
}
