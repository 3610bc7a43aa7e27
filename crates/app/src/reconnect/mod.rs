//! Whether and when a connection is made again.

mod error;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use websocket_connection::http::HeaderMap;
use websocket_connection::{Side, UpgradeError};
use websocket_link::proxy::ProxyFailure;
#[cfg(feature = "tls")]
use websocket_link::tls::TlsError;

use crate::error::Error;
use crate::outcome::{NoRetry, Outcome};

pub use error::ReconnectError;

/// The longest wait that a server's `Retry-After` can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What to do after a connection, or an attempt to make one, has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The run ends with this outcome.
    GiveUp,
    /// Another attempt follows after the policy's delay.
    Retry,
    /// Another attempt follows after this long at the earliest: after a fixed delay that is longer, or with a
    /// back-off's random delay on top, so that the clients of a busy server do not come back in the same
    /// second.
    RetryAfter(Duration),
}

impl Verdict {
    /// The verdict on `outcome` that is used without [`Reconnect::classify`].
    ///
    /// | outcome | verdict |
    /// |---|---|
    /// | the server closed with 1001 or 1011 to 1014 | retry |
    /// | the server closed with another code, or without one | give up |
    /// | lost, timed out, refused, not resolved, broken protocol | retry |
    /// | dropped by [`Context::reconnect`](crate::Context::reconnect) | retry |
    /// | status 429 or 503 | retry, not before `Retry-After`, which counts up to an hour |
    /// | status 408, 425, 5xx (but 501, 505), or a stream that ended before the response | retry |
    /// | any other answer to the upgrade request | give up |
    /// | a stream that ended before TLS or a proxy was ready, a status 5xx or a refusal of a SOCKS proxy | retry |
    /// | anything else about TLS and proxies, redirects that cannot be followed | give up |
    /// | URL, headers or options that cannot be used | give up |
    ///
    /// After the user's own close, a stop of the reactor or a panic the policy is not asked: the run ends.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Clean { code: Some(code), by: Side::Server, .. } => match u16::from(*code) {
                1001 | 1011..=1014 => Self::Retry,
                _ => Self::GiveUp,
            },
            Outcome::Clean { .. } | Outcome::Stopped => Self::GiveUp,
            Outcome::Lost(error) => Self::after(error),
        }
    }

    fn after(error: &Error) -> Self {
        match error {
            Error::Resolve { .. }
            | Error::Connect { .. }
            | Error::Protocol(_)
            | Error::Timeout(_)
            | Error::Io(_)
            | Error::EndOfStream
            | Error::ReconnectRequested(_)
            | Error::NoResponse { .. }
            | Error::Function { .. }
            | Error::Upgrade(UpgradeError::EndOfStream) => Self::Retry,
            Error::Upgrade(UpgradeError::Status { response, .. }) => match response.status.as_u16() {
                408 | 425 | 429 | 500 | 502..=504 | 506..=599 => {
                    retry_after(response.status, &response.headers).map_or(Self::Retry, Self::RetryAfter)
                }
                _ => Self::GiveUp,
            },
            Error::Proxy(error) => match &error.failure {
                ProxyFailure::EndOfStream | ProxyFailure::Socks4(_) | ProxyFailure::Socks5(_) => Self::Retry,
                ProxyFailure::Status { status: 500..=599, .. } => Self::Retry,
                _ => Self::GiveUp,
            },
            // TLS has failed for good, or is not in this build.
            Error::ProxyStream { source, .. }
                if matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::Unsupported) =>
            {
                Self::GiveUp
            }
            Error::ProxyStream { .. } => Self::Retry,
            #[cfg(feature = "tls")]
            Error::Tls(TlsError::EndOfHandshake | TlsError::Truncated | TlsError::Exhausted) => Self::Retry,
            _ => Self::GiveUp,
        }
    }
}

/// How long a busy server asks to be left alone (RFC 9110 section 10.2.3). A date is measured from the
/// response's own `Date`, so that the clocks of the two ends need not agree.
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text("retry-after")?;
    let wait = if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(asked.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(asked).ok()?;
        until.duration_since(httpdate::parse_http_date(text("date")?).ok()?).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Which outcomes are followed by another attempt.
#[derive(Clone)]
enum Classifier {
    /// As [`Verdict::of`] says.
    Default,
    /// All.
    Always,
    User(Arc<dyn Fn(&Outcome) -> Verdict + Send + Sync>),
}

impl Classifier {
    fn verdict(&self, outcome: &Outcome) -> Verdict {
        match self {
            Self::Default => Verdict::of(outcome),
            Self::Always => match Verdict::of(outcome) {
                Verdict::GiveUp => Verdict::Retry,
                verdict => verdict,
            },
            Self::User(classify) => classify(outcome),
        }
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "Verdict::of",
            Self::Always => "always",
            Self::User(_) => "the user's",
        })
    }
}

/// The policy of [`RunOptions::reconnect`](crate::RunOptions::reconnect): after which outcomes, how soon and
/// how often the app connects again.
///
/// By default it connects again after what another attempt can mend, such as a loss, a timeout or a busy server,
/// without a limit in number or time. A close with 1000, a 403 and other [definite answers](Verdict::of) end the run:
/// [`always`](Self::always) continues after those, too. [`Closed::no_retry`](crate::Closed::no_retry) says why no
/// other attempt follows.
///
/// The policy is not asked, and the run ends, after the user's own close, after a stop of the reactor and after a
/// panic.
///
/// ```
/// use std::time::Duration;
/// use websocket_app::{Outcome, Reconnect, RunOptions, Verdict};
///
/// let policy = Reconnect::backoff(Duration::from_millis(500), Duration::from_secs(30))
///     .max_retries(20)
///     .classify(|outcome| match outcome {
///         Outcome::Clean { code: Some(code), .. } if u16::from(*code) == 4000 => Verdict::Retry,
///         outcome => Verdict::of(outcome),
///     });
/// let options = RunOptions::new().reconnect(policy);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct Reconnect {
    delay: Delay,
    max_retries: Option<u32>,
    max_elapsed: Option<Duration>,
    stable_after: Duration,
    classifier: Classifier,
}

#[derive(Clone, Copy, Debug)]
enum Delay {
    Fixed(Duration),
    Backoff { first: Duration, cap: Duration },
}

impl Default for Reconnect {
    /// [`backoff`](Self::backoff) from 1 s to 60 s, without other limits.
    fn default() -> Self {
        Self::backoff(Duration::from_secs(1), Duration::from_secs(60))
    }
}

impl From<Duration> for Reconnect {
    /// [`Reconnect::fixed`]
    fn from(delay: Duration) -> Self {
        Self::fixed(delay)
    }
}

impl Reconnect {
    /// Waits `delay` before each retry. Zero means that there is no retry.
    ///
    /// Both are as `reconnect=` in Python, but there every end is followed by a retry: see [`always`](Self::always).
    pub const fn fixed(delay: Duration) -> Self {
        Self::with(Delay::Fixed(delay))
    }

    /// Waits a random time between zero and an upper bound, which begins with `first` and doubles with each
    /// failure in a row up to `cap` (exponential back-off with full jitter): many clients of a server that
    /// has restarted do not come back at once.
    pub const fn backoff(first: Duration, cap: Duration) -> Self {
        Self::with(Delay::Backoff { first, cap })
    }

    const fn with(delay: Delay) -> Self {
        let stable_after = Duration::from_secs(30);
        Self { delay, max_retries: None, max_elapsed: None, stable_after, classifier: Classifier::Default }
    }

    /// Gives up after this many retries in a row. Default: no limit.
    #[must_use]
    pub const fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Gives up when the next retry would begin later than this after the first failure in a row. Default: no
    /// limit.
    #[must_use]
    pub const fn max_elapsed(mut self, elapsed: Duration) -> Self {
        self.max_elapsed = Some(elapsed);
        self
    }

    /// A connection that was open for this long ends the streak of failures: delay and limits start over.
    /// Default 30 s.
    #[must_use]
    pub const fn stable_after(mut self, open: Duration) -> Self {
        self.stable_after = open;
        self
    }

    /// Connects again after every outcome, also after a close with 1000, a 403 or a certificate that is not trusted,
    /// as `reconnect=` in Python does.
    ///
    /// The run still ends with the user's own close, with a stop of the reactor, with a panic, and at the limits
    /// [`max_retries`](Self::max_retries) and [`max_elapsed`](Self::max_elapsed). `Retry-After` counts as by default.
    /// It takes the place of [`classify`](Self::classify), and that of it: the later call holds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{Reconnect, RunOptions};
    ///
    /// // `reconnect=5` in Python.
    /// let options = RunOptions::new().reconnect(Reconnect::fixed(Duration::from_secs(5)).always());
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn always(mut self) -> Self {
        self.classifier = Classifier::Always;
        self
    }

    /// Decides by the outcome, instead of [`Verdict::of`], which the function may call. Limits still hold. The
    /// function is not called after the user's own close, after a stop of the reactor and after a panic.
    #[must_use]
    pub fn classify(mut self, classify: impl Fn(&Outcome) -> Verdict + Send + Sync + 'static) -> Self {
        self.classifier = Classifier::User(Arc::new(classify));
        self
    }

    pub(crate) const fn is_off(&self) -> bool {
        matches!(self.delay, Delay::Fixed(delay) if delay.is_zero())
    }

    pub(crate) const fn check(&self) -> Result<(), ReconnectError> {
        match self.delay {
            Delay::Backoff { first, .. } if first.is_zero() => Err(ReconnectError::FirstDelayZero),
            Delay::Backoff { first, cap } if cap.as_nanos() < first.as_nanos() => {
                Err(ReconnectError::CapBelowFirst { first, cap })
            }
            _ => Ok(()),
        }
    }

    pub(crate) const fn is_stable(&self, open: Duration) -> bool {
        open.as_nanos() >= self.stable_after.as_nanos()
    }

    /// Returns the delay before the retry that follows the failure of this number in a row (the first is 1), which
    /// began `elapsed` ago, or why there is none. `random` is uniform.
    pub(crate) fn delay(
        &self,
        outcome: &Outcome,
        failures: u32,
        elapsed: Duration,
        random: u32,
    ) -> Result<Duration, NoRetry> {
        let least = match self.classifier.verdict(outcome) {
            Verdict::GiveUp => return Err(NoRetry::GaveUp),
            Verdict::Retry => Duration::ZERO,
            Verdict::RetryAfter(least) => least,
        };
        let delay = match self.delay {
            Delay::Fixed(delay) => delay.max(least),
            Delay::Backoff { first, cap } => {
                let doubled = 2_u32.checked_pow(failures - 1).and_then(|times| first.checked_mul(times));
                least.saturating_add(part(doubled.map_or(cap, |bound| bound.min(cap)), random))
            }
        };
        if let Some(limit) = self.max_retries.filter(|limit| failures > *limit) {
            return Err(NoRetry::MaxRetries { limit });
        }
        if let Some(limit) = self.max_elapsed.filter(|limit| elapsed.saturating_add(delay) > *limit) {
            return Err(NoRetry::MaxElapsed { limit });
        }
        Ok(delay)
    }
}

/// Returns `bound * random / u32::MAX`. In whole numbers: the longest duration has no exact `f64`.
const fn part(bound: Duration, random: u32) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    let nanos = bound.as_nanos() * random as u128 / u32::MAX as u128;
    Duration::new((nanos / NANOS) as u64, (nanos % NANOS) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b123_a_back_off_without_a_cap_continues_doubling_to_the_longest_delay_there_is() {
        let policy = Reconnect::backoff(Duration::from_secs(1), Duration::MAX).classify(|_| Verdict::Retry);
        for failures in [1, 32, 33, 64, 65, u32::MAX] {
            for random in [0, u32::MAX / 2, u32::MAX] {
                let delay = policy.delay(&Outcome::Stopped, failures, Duration::ZERO, random).unwrap();
                assert_eq!(delay.is_zero(), random == 0, "{failures} {random}");
            }
        }
        assert_eq!(policy.delay(&Outcome::Stopped, 2, Duration::ZERO, u32::MAX), Ok(Duration::from_secs(2)));
    }

    #[test]
    fn b125_a_proxy_that_is_not_trusted_is_not_asked_repeatedly() {
        let verdict = |source: io::Error| {
            Verdict::of(&Outcome::Lost(Error::ProxyStream { proxy: "https://p:443".into(), source }))
        };
        assert_eq!(verdict(io::ErrorKind::ConnectionReset.into()), Verdict::Retry);
        assert_eq!(verdict(io::ErrorKind::Unsupported.into()), Verdict::GiveUp);
        #[cfg(feature = "tls")]
        {
            let unknown = websocket_link::tls::rustls::CertificateError::UnknownIssuer;
            assert_eq!(verdict(TlsError::Certificate(unknown).into()), Verdict::GiveUp);
            assert_eq!(verdict(TlsError::EndOfHandshake.into()), Verdict::Retry);
        }
    }
}
