//! How a client proves to a proxy who its user is.

use super::{ProxyConfigError, ProxyScheme};

/// What RFC 1929 and the length bytes of SOCKS allow.
const SOCKS_LIMIT: usize = 255;

/// The user's credentials, in a form that the proxy's scheme can carry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    Password {
        user: Box<[u8]>,
        password: Box<[u8]>,
    },
    /// The value of `Proxy-Authorization`.
    Authorization(Box<str>),
}

impl Login {
    pub(super) fn password(
        scheme: ProxyScheme,
        user: Vec<u8>,
        password: Vec<u8>,
    ) -> Result<Self, ProxyConfigError> {
        let refused = match scheme {
            ProxyScheme::Http | ProxyScheme::Https => {
                // RFC 7617 section 2.
                if user.contains(&b':') {
                    Some("the user must not contain a colon")
                } else if user.iter().chain(&password).any(u8::is_ascii_control) {
                    Some("user and password must not contain control characters")
                } else {
                    None
                }
            }
            _ if user.len() > SOCKS_LIMIT || password.len() > SOCKS_LIMIT => {
                Some("user and password must not exceed 255 bytes each")
            }
            ProxyScheme::Socks4 | ProxyScheme::Socks4a if !password.is_empty() => {
                Some("SOCKS4 has no passwords; leave it out or use socks5")
            }
            ProxyScheme::Socks4 | ProxyScheme::Socks4a if user.contains(&0) => {
                Some("the user must not contain NUL")
            }
            _ => None,
        };
        match refused {
            Some(what) => Err(ProxyConfigError::Credentials(what)),
            None => Ok(Self::Password { user: user.into(), password: password.into() }),
        }
    }

    pub(super) fn authorization(scheme: ProxyScheme, value: &str) -> Result<Self, ProxyConfigError> {
        if !matches!(scheme, ProxyScheme::Http | ProxyScheme::Https) {
            return Err(ProxyConfigError::Credentials("only HTTP proxies take an authorization"));
        }
        if value.is_empty() || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(ProxyConfigError::Credentials("the authorization must be printable ASCII"));
        }
        Ok(Self::Authorization(value.into()))
    }
}
