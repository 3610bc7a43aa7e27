//! The proxy that the environment names.

use std::ffi::OsString;
use std::fmt;

use super::{NoProxy, Proxy, ProxyConfigError};

/// The proxy that the environment names for `ws` or, if `secure`, for `wss`; `read` returns a variable's value.
///
/// `http_proxy` is for `ws`, `https_proxy` for `wss`, `all_proxy` for what has none of its own; each in lower case or else in upper case.
/// The first that is set decides: an empty one says that there is no proxy. In a CGI program (`REQUEST_METHOD` is set) `HTTP_PROXY` is not
/// read, since it is there what the client sent as header `Proxy` ("httpoxy"); on Windows, where case does not matter, neither is `http_proxy`.
///
/// # Errors
/// When the variable's value is no proxy.
pub fn from_environment(
    secure: bool,
    read: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, EnvironmentError> {
    variable(secure, read).map_or(Ok(None), |variable| variable.proxy())
}

/// A variable that says which proxy there is.
pub(super) struct Variable {
    name: &'static str,
    value: OsString,
}

/// The variable that decides, if one is set.
pub(super) fn variable(secure: bool, read: impl Fn(&str) -> Option<OsString>) -> Option<Variable> {
    let own = if secure { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
    own.into_iter().chain(["all_proxy", "ALL_PROXY"]).find_map(|name| {
        let value = read(name)?;
        let is_forged = forged_in_cgi(name) && read("REQUEST_METHOD").is_some();
        (!is_forged).then_some(Variable { name, value })
    })
}

impl Variable {
    /// # Errors
    /// When the value is no proxy.
    pub(super) fn proxy(&self) -> Result<Option<Proxy>, EnvironmentError> {
        let error = |source| EnvironmentError { variable: self.name, source };
        match self.value.to_str().map(str::trim) {
            Some("") => Ok(None),
            Some(url) => Proxy::parse(url).map(Some).map_err(error),
            None => Err(error(ProxyConfigError::Syntax("it is not Unicode"))),
        }
    }
}

/// The exceptions that the environment names in `no_proxy` or else `NO_PROXY`.
pub(super) fn exceptions(read: impl Fn(&str) -> Option<OsString>) -> NoProxy {
    let list = read("no_proxy").or_else(|| read("NO_PROXY")).unwrap_or_default();
    NoProxy::parse_known(&list.to_string_lossy())
}

fn forged_in_cgi(name: &str) -> bool {
    name == "HTTP_PROXY" || (cfg!(windows) && name == "http_proxy")
}

/// An environment variable that should name a proxy and does not. It does not repeat the value, which may hold credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct EnvironmentError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with its value.
    pub source: ProxyConfigError,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment variable {}: {}", self.variable, self.source)
    }
}

// No `source`: the text says it all.
impl std::error::Error for EnvironmentError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::environment;

    fn choose(secure: bool, variables: &[(&str, &str)]) -> Result<Option<String>, EnvironmentError> {
        Ok(from_environment(secure, environment(variables))?.map(|proxy| proxy.to_string()))
    }

    fn chosen(secure: bool, variables: &[(&str, &str)]) -> Option<String> {
        choose(secure, variables).unwrap()
    }

    #[test]
    fn b186_each_scheme_has_its_own_variable_and_they_are_not_crossed() {
        let both = [("http_proxy", "http://plain:3128/"), ("https_proxy", "http://secure:3129/")];
        assert_eq!(chosen(false, &both).as_deref(), Some("http://plain:3128"));
        assert_eq!(chosen(true, &both).as_deref(), Some("http://secure:3129"));
        assert_eq!(chosen(true, &both[..1]), None);
        assert_eq!(chosen(false, &both[1..]), None);
        assert_eq!(chosen(false, &[]), None);
    }

    #[test]
    fn b186_lower_case_goes_before_upper_case() {
        let upper = [("HTTP_PROXY", "http://upper"), ("HTTPS_PROXY", "http://upper-secure")];
        assert_eq!(chosen(false, &upper).as_deref(), Some("http://upper:80"));
        assert_eq!(chosen(true, &upper).as_deref(), Some("http://upper-secure:80"));
        let both = [("HTTP_PROXY", "http://upper"), ("http_proxy", "http://lower")];
        assert_eq!(chosen(false, &both).as_deref(), Some("http://lower:80"));
    }

    #[test]
    fn b186_credentials_are_decoded_and_a_missing_port_is_the_schemes() {
        let read = environment(&[("http_proxy", "http://jo%40hn:p%3Ass@proxy")]);
        let expected =
            Proxy::new(Default::default(), "proxy", Some(80)).unwrap().credentials("jo@hn", "p:ss").unwrap();
        assert_eq!(from_environment(false, read), Ok(Some(expected)));
    }

    #[test]
    fn b187_the_scheme_is_honoured_and_none_is_http() {
        let at = |value| chosen(false, &[("http_proxy", value)]).unwrap();
        assert_eq!(at("socks5://h"), "socks5://h:1080");
        assert_eq!(at("https://h"), "https://h:443");
        assert_eq!(at("h:3128"), "http://h:3128");
        assert_eq!(at(" http://h \n"), "http://h:80");
    }

    #[test]
    fn b187_all_proxy_serves_what_has_none_of_its_own() {
        let variables = [("all_proxy", "socks5h://all"), ("http_proxy", "http://plain")];
        assert_eq!(chosen(true, &variables).as_deref(), Some("socks5h://all:1080"));
        assert_eq!(chosen(false, &variables).as_deref(), Some("http://plain:80"));
        assert_eq!(chosen(true, &[("ALL_PROXY", "h")]).as_deref(), Some("http://h:80"));
        let own = [("all_proxy", "http://all"), ("HTTP_PROXY", "http://own")];
        assert_eq!(chosen(false, &own).as_deref(), Some("http://own:80"));
    }

    #[test]
    fn b187_nonsense_is_an_error_that_names_the_variable_and_not_the_value() {
        for value in ["http://", "://h", "ftp://h", "http://u:secret@h:port", "a b", "http://h/secret"] {
            for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
                let error = choose(false, &[(name, value)]).unwrap_err();
                assert_eq!(error.variable, name);
                let shown = format!("{error} {error:?}");
                assert!(shown.contains(name) && !shown.contains("secret"), "{shown}");
                let (text, cause) = (error.to_string(), error.source.to_string());
                assert!(text.contains(&cause) && std::error::Error::source(&error).is_none(), "said once");
            }
        }
    }

    #[test]
    #[cfg(unix)]
    fn b187_a_value_that_is_not_unicode_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let read = |name: &str| (name == "http_proxy").then(|| OsString::from_vec(b"http://\xff".to_vec()));
        assert_eq!(from_environment(false, read).unwrap_err().variable, "http_proxy");
    }

    #[test]
    fn b186_an_empty_variable_says_that_there_is_no_proxy() {
        let others = [("http_proxy", ""), ("HTTP_PROXY", "http://upper"), ("all_proxy", "http://all")];
        assert_eq!(chosen(false, &others), None);
        assert_eq!(chosen(true, &others).as_deref(), Some("http://all:80"));
    }

    #[test]
    #[cfg(not(windows))]
    fn in_a_cgi_program_the_upper_case_variable_comes_from_the_client_and_is_not_read() {
        let forged = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil")];
        assert_eq!(chosen(false, &forged), None);
        let more = [forged[0], forged[1], ("ALL_PROXY", "http://all")];
        assert_eq!(chosen(false, &more).as_deref(), Some("http://all:80"));
        let lower = [forged[0], forged[1], ("http_proxy", "http://good")];
        assert_eq!(chosen(false, &lower).as_deref(), Some("http://good:80"));
        let secure = [forged[0], ("HTTPS_PROXY", "http://good")];
        assert_eq!(chosen(true, &secure).as_deref(), Some("http://good:80"));
    }

    #[test]
    fn b188_the_exceptions_come_from_no_proxy_in_either_case() {
        assert_eq!(
            exceptions(environment(&[("no_proxy", "a.example")])),
            NoProxy::parse("a.example").unwrap()
        );
        assert_eq!(
            exceptions(environment(&[("NO_PROXY", "a.example")])),
            NoProxy::parse("a.example").unwrap()
        );
        assert_eq!(exceptions(environment(&[("no_proxy", ""), ("NO_PROXY", "*")])), NoProxy::default());
        assert_eq!(exceptions(environment(&[])), NoProxy::default());
    }
}
