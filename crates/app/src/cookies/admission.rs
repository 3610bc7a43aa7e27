//! What a cookie must be like to be kept: RFC 6265 section 5.3, and of its successor
//! (draft-ietf-httpbis-rfc6265bis) the rules for cookies that only TLS may set.

use cookie_store::{Cookie, CookieDomain, CookieStore, RawCookie};
use url::Url;

use super::CookieError;

/// Longest `Set-Cookie` that is kept, in bytes: the least that RFC 6265 section 6.1 asks for.
pub(super) const MAX_BYTES: usize = 4096;
/// Most cookies of one domain: the least that RFC 6265 section 6.1 asks for.
pub(super) const MAX_PER_DOMAIN: usize = 50;
/// Most cookies of a jar: the least that RFC 6265 section 6.1 asks for.
pub(super) const MAX_COOKIES: usize = 3000;

/// Parses a `Set-Cookie` that came from `url`, and checks what needs no other cookies.
pub(super) fn parse(
    line: &str,
    url: &Url,
    is_public_suffix: impl Fn(&str) -> bool,
) -> Result<Cookie<'static>, CookieError> {
    if line.len() > MAX_BYTES {
        return Err(CookieError::TooLong { limit: MAX_BYTES });
    }
    if line.contains(|letter: char| letter.is_ascii_control() && letter != '\t') {
        return Err(CookieError::Malformed);
    }
    let raw = RawCookie::parse(line).map_err(|_| CookieError::Malformed)?;
    let cookie = Cookie::try_from_raw_cookie(&raw, url).map_err(|_| CookieError::Domain)?;
    let mut cookie = cookie.into_owned();
    if is_secure(&cookie) && !is_tls(url) {
        return Err(CookieError::NotSecure);
    }
    if let CookieDomain::Suffix(domain) = &cookie.domain {
        // `com.` and `com` are one.
        let domain = domain.trim_end_matches('.');
        if !domain.contains('.') || is_public_suffix(domain) {
            if !cookie.domain.host_is_identical(url) {
                return Err(CookieError::PublicSuffix);
            }
            cookie.domain = CookieDomain::host_only(url).map_err(|_| CookieError::Domain)?;
        }
    }
    check_prefix(&cookie)?;
    Ok(cookie)
}

/// Puts `cookie`, which came from `url`, into the store; one that has expired takes its namesake out.
pub(super) fn admit(store: &mut CookieStore, cookie: Cookie<'static>, url: &Url) -> Result<(), CookieError> {
    if !is_tls(url) && store.iter_unexpired().any(|kept| is_secure(kept) && covers(kept, &cookie)) {
        return Err(CookieError::NotSecure);
    }
    let domain = String::from(&cookie.domain);
    if cookie.is_expired() {
        store.remove(&domain, &cookie.path, cookie.name());
        return Ok(());
    }
    if !store.contains_any(&domain, &cookie.path, cookie.name()) {
        // Cookies that are there stay: a sub-domain must not be able to push out what its neighbours rely on.
        if full(store, &domain).is_some() {
            remove_expired(store);
        }
        if let Some(limit) = full(store, &domain) {
            return Err(CookieError::Full { limit });
        }
    }
    store.insert(cookie, url).map(drop).map_err(|_| CookieError::Domain)
}

pub(super) fn is_secure(cookie: &Cookie<'_>) -> bool {
    cookie.secure().unwrap_or(false)
}

fn is_tls(url: &Url) -> bool {
    url.scheme() == "https"
}

/// What the name promises (rfc6265bis section 4.1.3): `Secure`, and for `__Host-` the whole of one host.
fn check_prefix(cookie: &Cookie<'_>) -> Result<(), CookieError> {
    let begins = |prefix: &str| {
        cookie.name().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let host = cookie.domain().is_none() && cookie.path() == Some("/");
    let kept = is_secure(cookie) && (host || !begins("__Host-"));
    if (begins("__Secure-") || begins("__Host-")) && !kept { Err(CookieError::Prefix) } else { Ok(()) }
}

/// Whether `new` would be sent beside or instead of `kept` (rfc6265bis section 5.7, "leave secure cookies
/// alone").
fn covers(kept: &Cookie<'_>, new: &Cookie<'_>) -> bool {
    let (Some(kept_domain), Some(new_domain)) = (kept.domain.as_cow(), new.domain.as_cow()) else {
        return false;
    };
    let below = |name: &str, above: &str| {
        name.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let rest = new.path.strip_prefix(&*kept.path);
    kept.name() == new.name()
        && (below(&kept_domain, &new_domain) || below(&new_domain, &kept_domain))
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || kept.path.ends_with('/'))
}

/// The limit that has been reached.
fn full(store: &CookieStore, domain: &str) -> Option<usize> {
    let (mut all, mut of_domain) = (0, 0);
    for cookie in store.iter_any() {
        all += 1;
        of_domain += usize::from(cookie.domain.as_cow().is_some_and(|kept| kept == domain));
    }
    let limits = [(all, MAX_COOKIES), (of_domain, MAX_PER_DOMAIN)];
    limits.into_iter().find(|(count, limit)| count >= limit).map(|(_, limit)| limit)
}

fn remove_expired(store: &mut CookieStore) {
    let expired: Vec<_> = store
        .iter_any()
        .filter(|cookie| cookie.is_expired())
        .map(|cookie| (String::from(&cookie.domain), cookie.path.to_string(), cookie.name().to_owned()))
        .collect();
    for (domain, path, name) in expired {
        store.remove(&domain, &path, &name);
    }
}
