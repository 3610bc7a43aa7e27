//! How a run ends: the status of the program, and what it says.

use websocket_app::link::proxy::ProxyFailure;
use websocket_app::{CloseCode, Error, Outcome, Side, Timeout, UpgradeError};

use crate::output::sanitized;

/// The end of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Done,
    /// The server closed, or the connection was lost or not made.
    Closed(String),
    Usage(String),
    /// The server or the proxy answered with a status that is a refusal.
    Refused(String),
    Timeout(String),
    Tls(String),
    Unmet(String),
}

impl Exit {
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Closed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Timeout(_) => 4,
            Self::Tls(_) => 5,
            Self::Unmet(_) => 6,
        }
    }

    /// What is to be said about it.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::Closed(text)
            | Self::Usage(text)
            | Self::Refused(text)
            | Self::Timeout(text)
            | Self::Tls(text)
            | Self::Unmet(text) => Some(text),
        }
    }

    /// The end that a run had by itself.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Lost(error) => error.into(),
            Outcome::Clean { code: Some(code), reason, by: Side::Server, .. }
                if *code != CloseCode::Normal =>
            {
                let colon = if reason.is_empty() { "" } else { ": " };
                Self::Closed(format!(
                    "the server closed with {}{colon}{}",
                    u16::from(*code),
                    sanitized(reason)
                ))
            }
            _ => Self::Done,
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        let text = text(error);
        match error {
            Error::Url(_)
            | Error::Header(_)
            | Error::Request(_)
            | Error::Options(_)
            | Error::TlsOptions(_)
            | Error::ProxyEnvironment(_)
            | Error::Reconnect(_) => Self::Usage(text),
            Error::Upgrade(UpgradeError::Status { .. }) => Self::Refused(text),
            Error::Proxy(error) => match error.failure {
                ProxyFailure::Status { .. } | ProxyFailure::AuthenticationRequired { .. } => {
                    Self::Refused(text)
                }
                _ => Self::Closed(text),
            },
            Error::Timeout(_) => Self::Timeout(text),
            Error::Tls(_) => Self::Tls(text),
            _ => Self::Closed(text),
        }
    }
}

/// The text of an error, in the words of the command line.
pub(crate) fn text(error: &Error) -> String {
    match error {
        Error::Timeout(Timeout::Pong) => "the server gave no sign of life within --ping-timeout".into(),
        Error::Timeout(Timeout::Attempt) => "the connection was not open within --connect-timeout".into(),
        error => in_options(&error.to_string()),
    }
}

/// Names of the library, as options.
fn in_options(text: &str) -> String {
    [
        ("TlsOptions::roots_from_file", "--ca"),
        ("set TlsOptions::danger_accept_invalid_names", "use --nocert"),
        ("set TlsOptions::server_name", "use --server-name"),
        ("TlsOptions::server_name", "--server-name"),
        (" within resolve_timeout", " in time"),
        (" within connect_timeout", " in time"),
        (" within proxy_timeout", " in time"),
        (" within tls_timeout", " in time"),
        (" within upgrade_timeout", " in time"),
        (" within write_timeout", " in time"),
        (" within close_timeout", " in time"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, option)| text.replace(name, option))
}

#[cfg(test)]
mod tests {
    use websocket_app::tls::TlsError;
    use websocket_app::tls::rustls::{AlertDescription, CertificateError};

    use super::*;

    #[test]
    fn errors_name_options_and_not_the_library() {
        let tls = [
            TlsError::Certificate(CertificateError::UnknownIssuer),
            TlsError::Certificate(CertificateError::NotValidForName),
            TlsError::Alert(AlertDescription::UnrecognisedName),
        ];
        let timeouts = [
            Timeout::Attempt,
            Timeout::Resolve,
            Timeout::Connect,
            Timeout::Proxy,
            Timeout::Tls,
            Timeout::Upgrade,
            Timeout::Pong,
            Timeout::Write,
            Timeout::Close,
        ];
        let errors = tls.into_iter().map(Error::Tls).chain(timeouts.into_iter().map(Error::Timeout));
        for error in errors {
            let exit = Exit::from(&error);
            let text = exit.text().unwrap();
            assert!(!text.contains("TlsOptions") && !text.contains("_timeout"), "{text}");
            assert_eq!(exit.code(), if matches!(error, Error::Tls(_)) { 5 } else { 4 });
        }
    }
}
