//! Cookies that are kept from one connection to the next (RFC 6265).

mod admission;
mod error;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cookie_store::{Cookie, CookieStore};
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

use crate::address::{Target, UrlError};

pub use error::CookieError;

type IsPublicSuffix = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Keeps the cookies that servers set, and sends them where RFC 6265 wants them sent.
///
/// No app has a jar unless it is given one. A clone is the same jar: apps that are given clones share their
/// cookies, on all threads and reactors.
///
/// - `Domain`, `Path`, `Secure`, `Expires` and `Max-Age` are honoured; a cookie without `Domain` goes back to
///   its host alone. `HttpOnly` and `SameSite` concern scripts and pages, which do not exist here.
/// - `Secure` means TLS, on loopback too: over `ws` such a cookie is neither sent nor accepted.
/// - No server sets cookies for a domain that is not its own, nor for one of a single label like `com`. Of
///   other suffixes under which strangers have their names, like `co.uk`, only
///   [`with_public_suffixes`](Self::with_public_suffixes) knows.
/// - Cookies belong to a host, not to a port (RFC 6265 section 8.5). A unix socket has the cookies of
///   `localhost`.
/// - Kept are at most 3000 cookies, 50 per domain, each of at most 4096 bytes with its attributes; more are not
///   accepted until some expire or are removed. What is malformed is ignored.
/// - Time is the system's wall clock, whatever the clock of the dispatcher: `Expires` is a date.
///
/// ```
/// use websocket_app::CookieJar;
///
/// let jar = CookieJar::new();
/// jar.insert("wss://example.com/", "session=31d4; Path=/; Secure; Max-Age=3600")?;
/// assert_eq!(jar.names("wss://example.com/chat")?, ["session"]);
/// assert!(jar.names("ws://example.com/chat")?.is_empty());
/// # Ok::<(), websocket_app::CookieError>(())
/// ```
#[derive(Clone, Default)]
pub struct CookieJar(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: Mutex<CookieStore>,
    is_public_suffix: Option<IsPublicSuffix>,
}

impl CookieJar {
    /// An empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty jar that asks `is_public_suffix` about domains of several labels, in lower case and
    /// ASCII (punycode), such as `co.uk`; the `psl` crate knows the answers.
    pub fn with_public_suffixes(is_public_suffix: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let is_public_suffix = Some(Box::new(is_public_suffix) as IsPublicSuffix);
        Self(Arc::new(Inner { is_public_suffix, ..Inner::default() }))
    }

    /// Adds a cookie as if the server at `url` (`ws` or `wss`) had sent it as `Set-Cookie`; it replaces one
    /// with the same name, domain and path. One that has expired removes it.
    ///
    /// # Errors
    /// The cookie is malformed, not the server's to set, or one too many.
    pub fn insert(&self, url: &str, set_cookie: &str) -> Result<(), CookieError> {
        self.insert_at(&Target::parse_any(url)?, set_cookie)
    }

    /// The names of the cookies that a request for `url` has, in their order.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn names(&self, url: &str) -> Result<Vec<String>, CookieError> {
        let target = Target::parse_any(url)?;
        Ok(matching(&self.lock(), &target, |cookie| cookie.name().to_owned())?)
    }

    /// Removes the cookies called `name` that a request for `url` has; returns whether there were any.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn remove(&self, url: &str, name: &str) -> Result<bool, CookieError> {
        self.remove_if(url, |cookie| cookie.name() == name)
    }

    /// Removes all cookies that a request for `url` has; returns whether there were any.
    ///
    /// # Errors
    /// The URL cannot be used.
    pub fn remove_all(&self, url: &str) -> Result<bool, CookieError> {
        self.remove_if(url, |_| true)
    }

    /// Removes all cookies.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The number of cookies that have not expired.
    pub fn len(&self) -> usize {
        self.lock().iter_unexpired().count()
    }

    /// Whether there is no cookie that has not expired.
    pub fn is_empty(&self) -> bool {
        self.lock().iter_unexpired().next().is_none()
    }

    /// The value of `Cookie` for a request to `target`: `explicit` as it is, then what the jar has, but
    /// nothing that `explicit` names too.
    pub(crate) fn header_for(&self, target: &Target, explicit: Option<&HeaderValue>) -> Option<HeaderValue> {
        let given = explicit.map_or(&[][..], HeaderValue::as_bytes);
        let names: Vec<&[u8]> = given.split(|byte| *byte == b';').map(name).collect();
        let pair = |cookie: &Cookie<'_>| (cookie.name().to_owned(), cookie.value().to_owned());
        let mut value = given.trim_ascii().to_vec();
        for (name, content) in matching(&self.lock(), target, pair).unwrap_or_default() {
            if names.contains(&name.as_bytes()) {
                continue;
            }
            if !value.is_empty() {
                value.extend_from_slice(b"; ");
            }
            for part in [&name, "=", &content] {
                value.extend_from_slice(part.as_bytes());
            }
        }
        let mut value = HeaderValue::from_bytes(&value).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Keeps the cookies of a response from `target`, whatever its status; bad ones are left out.
    pub(crate) fn store(&self, target: &Target, headers: &HeaderMap) {
        for value in headers.get_all(SET_COOKIE) {
            let line = str::from_utf8(value.as_bytes()).map_err(|_| CookieError::Malformed);
            if let Err(error) = line.and_then(|line| self.insert_at(target, line)) {
                let host = &target.authority;
                log::debug!(target: "websocket::cookies", "a cookie of {host:?} is ignored: {error}");
            }
        }
    }

    fn insert_at(&self, target: &Target, line: &str) -> Result<(), CookieError> {
        let url = url(target)?;
        // The user's function is not called under the lock: it may take long, or panic.
        let is_public_suffix = |domain: &str| self.0.is_public_suffix.as_ref().is_some_and(|is| is(domain));
        let cookie = admission::parse(line, &url, is_public_suffix)?;
        admission::admit(&mut self.lock(), cookie, &url)
    }

    fn remove_if(&self, url: &str, which: impl Fn(&Cookie<'_>) -> bool) -> Result<bool, CookieError> {
        let target = Target::parse_any(url)?;
        let mut store = self.lock();
        let key = |cookie: &Cookie<'_>| {
            let (domain, path) = (String::from(&cookie.domain), String::from(&cookie.path));
            which(cookie).then(|| (domain, path, cookie.name().to_owned()))
        };
        let mut removed = false;
        for (domain, path, name) in matching(&store, &target, key)?.into_iter().flatten() {
            removed |= store.remove(&domain, &path, &name).is_some();
        }
        Ok(removed)
    }

    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither values nor names: a name may be a user's.
        f.debug_struct("CookieJar").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What `take` makes of the cookies that a request to `target` has: those of longer paths first (RFC 6265
/// section 5.4), then by name.
fn matching<T>(
    store: &CookieStore,
    target: &Target,
    take: impl Fn(&Cookie<'_>) -> T,
) -> Result<Vec<T>, UrlError> {
    let mut cookies = store.matches(&url(target)?);
    // The library sends `Secure` cookies to loopback without TLS.
    cookies.retain(|cookie| target.secure || !admission::is_secure(cookie));
    cookies.sort_by(|a, b| {
        let rank = |cookie: &Cookie<'_>| Reverse(String::from(&cookie.domain).len());
        let by_name = || a.name().cmp(b.name()).then_with(|| rank(a).cmp(&rank(b)));
        b.path.len().cmp(&a.path.len()).then_with(by_name)
    });
    Ok(cookies.into_iter().map(take).collect())
}

/// The name in one `name=value` of a `Cookie` header.
fn name(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// The target as the library wants it: it knows the schemes of the web.
fn url(target: &Target) -> Result<Url, UrlError> {
    target.url(if target.secure { "https" } else { "http" })
}
