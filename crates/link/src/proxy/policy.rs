//! Which proxy a connection takes.

use std::ffi::OsString;

use super::{EnvironmentError, NoProxy, Proxy, environment};
use crate::Destination;

/// Which proxy a connection takes, if any.
///
/// The default is what the environment says. A [`proxy`](Self::proxy) of the user's wins over the environment's; exceptions win over both,
/// whichever they come from. Exceptions of the user's, also none at all, replace the environment's.
///
/// ```
/// use websocket_link::proxy::{NoProxy, Proxy, ProxyPolicy};
///
/// let policy = ProxyPolicy::default()
///     .proxy(Proxy::parse("socks5h://proxy.example")?)
///     .no_proxy(NoProxy::parse("localhost, .internal.example")?);
/// # let _ = policy;
/// # Ok::<(), websocket_link::proxy::ProxyConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ProxyPolicy {
    ignore_environment: bool,
    proxy: Option<Proxy>,
    no_proxy: Option<NoProxy>,
}

/// That proxy for every destination that is no exception.
impl From<Proxy> for ProxyPolicy {
    fn from(proxy: Proxy) -> Self {
        Self::default().proxy(proxy)
    }
}

impl ProxyPolicy {
    /// No proxy at all, whatever the environment says.
    pub fn direct() -> Self {
        Self::default().ignore_environment()
    }

    /// The proxy for every destination that is no exception.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// The exceptions, in place of the environment's.
    #[must_use]
    pub fn no_proxy(mut self, exceptions: NoProxy) -> Self {
        self.no_proxy = Some(exceptions);
        self
    }

    /// Reads no environment variable. Default: it reads them at each attempt.
    #[must_use]
    pub const fn ignore_environment(mut self) -> Self {
        self.ignore_environment = true;
        self
    }

    /// Whether TLS is to be spoken to the [`proxy`](Self::proxy) of the user's, if there is one.
    pub fn is_tls(&self) -> bool {
        self.proxy.as_ref().is_some_and(Proxy::is_tls)
    }

    /// The proxy to `destination`, for `wss` if `secure` and else for `ws`; `None`: go there directly.
    ///
    /// # Errors
    /// When the variable of the process's environment that decides is no proxy.
    pub fn choose(&self, destination: &Destination, secure: bool) -> Result<Option<Proxy>, EnvironmentError> {
        self.choose_with(destination, secure, |name| std::env::var_os(name))
    }

    /// As [`choose`](Self::choose), in an environment whose variables `read` returns.
    ///
    /// # Errors
    /// When the variable that decides is no proxy.
    pub fn choose_with(
        &self,
        destination: &Destination,
        secure: bool,
        read: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Proxy>, EnvironmentError> {
        let read = |name: &str| if self.ignore_environment { None } else { read(name) };
        let is_exempt = || match &self.no_proxy {
            Some(exceptions) => exceptions.matches(destination),
            None => environment::exceptions(read).matches(destination),
        };
        // Most environments name no proxy, and exceptions from nothing need not be read.
        match &self.proxy {
            Some(proxy) => Ok((!is_exempt()).then(|| proxy.clone())),
            None => match environment::variable(secure, read) {
                Some(variable) if !is_exempt() => variable.proxy(),
                _ => Ok(None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::environment as variables;

    fn chosen(policy: &ProxyPolicy, host: &str, environment: &[(&str, &str)]) -> Option<String> {
        let destination = Destination::new(host.parse().unwrap(), 80);
        let proxy = policy.choose_with(&destination, false, variables(environment)).unwrap();
        proxy.map(|proxy| proxy.server().host.to_string())
    }

    fn explicit() -> ProxyPolicy {
        ProxyPolicy::default().proxy(Proxy::parse("explicit:3128").unwrap())
    }

    fn exempt(list: &str) -> NoProxy {
        NoProxy::parse(list).unwrap()
    }

    const PROXY: (&str, &str) = ("http_proxy", "http://environment");

    #[test]
    fn b192_an_explicit_proxy_wins_over_the_environment() {
        assert_eq!(chosen(&explicit(), "h", &[PROXY]).as_deref(), Some("explicit"));
        assert_eq!(chosen(&ProxyPolicy::default(), "h", &[PROXY]).as_deref(), Some("environment"));
        assert_eq!(chosen(&ProxyPolicy::default(), "h", &[]), None);
        let nonsense = [("http_proxy", "nonsense://")];
        assert_eq!(chosen(&explicit(), "h", &nonsense).as_deref(), Some("explicit"));
    }

    #[test]
    fn b192_exceptions_win_over_both() {
        let environment = [PROXY, ("no_proxy", "h")];
        assert_eq!(chosen(&ProxyPolicy::default(), "h", &environment), None);
        assert_eq!(chosen(&explicit(), "h", &environment), None);
        assert_eq!(chosen(&explicit(), "other", &environment).as_deref(), Some("explicit"));
        assert_eq!(chosen(&explicit().no_proxy(exempt("h")), "h", &[PROXY]), None);
        assert_eq!(chosen(&ProxyPolicy::default().no_proxy(exempt("h")), "h", &[PROXY]), None);
    }

    #[test]
    fn b188_b190_explicit_exceptions_replace_the_environments_even_when_there_are_none() {
        let environment = [PROXY, ("no_proxy", "h")];
        let policy = ProxyPolicy::default().no_proxy(exempt("other"));
        assert_eq!(chosen(&policy, "h", &environment).as_deref(), Some("environment"));
        let policy = explicit().no_proxy(NoProxy::default());
        assert_eq!(chosen(&policy, "h", &environment).as_deref(), Some("explicit"));
    }

    #[test]
    fn b190_exceptions_hold_for_socks_too() {
        for scheme in ["https", "socks4", "socks4a", "socks5", "socks5h"] {
            let policy = ProxyPolicy::default()
                .proxy(Proxy::parse(&format!("{scheme}://p")).unwrap())
                .no_proxy(exempt("h"));
            assert_eq!(chosen(&policy, "h", &[]), None, "{scheme}");
            let environment = [("http_proxy", &*format!("{scheme}://p")), ("no_proxy", "h")];
            assert_eq!(chosen(&ProxyPolicy::default(), "h", &environment), None, "{scheme}");
            assert_eq!(chosen(&ProxyPolicy::default(), "i", &environment).as_deref(), Some("p"), "{scheme}");
        }
    }

    #[test]
    fn b191_localhost_takes_the_proxy_like_any_other() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(chosen(&ProxyPolicy::default(), host, &[PROXY]).as_deref(), Some("environment"));
        }
    }

    #[test]
    fn the_environment_can_be_left_out() {
        let environment = [PROXY, ("no_proxy", "h")];
        assert_eq!(chosen(&ProxyPolicy::direct(), "i", &environment), None);
        assert_eq!(chosen(&explicit().ignore_environment(), "h", &environment).as_deref(), Some("explicit"));
    }
}
