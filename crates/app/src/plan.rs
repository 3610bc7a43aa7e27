//! What an app needs for its connection attempts, kept small: most apps have a URL and nothing else.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use websocket_connection::{Config, MaskKey, Request};
use websocket_dispatcher::Io;

use crate::address::Target;
use crate::app_url::AppUrl;
use crate::challenge::Challenge;
use crate::checked_url::CheckedUrl;
use crate::cookies::CookieJar;
use crate::error::{BoxError, Error};
use crate::headers::{self, HeaderError};
use crate::options::RunOptions;
use crate::redirect;

type Function<T> = Option<Box<dyn FnMut() -> T>>;

/// The error of the user's source of mask keys, until it is reported.
pub(crate) type MaskFailure = Rc<Cell<Option<BoxError>>>;

/// The user's functions that are called for every attempt.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) url: Function<Result<String, BoxError>>,
    pub(crate) headers: Function<Result<HeaderMap, BoxError>>,
    pub(crate) subprotocols: Function<Result<Vec<String>, BoxError>>,
    pub(crate) socket: Function<io::Result<Io>>,
    pub(crate) authorize: Option<Box<Authorize>>,
}

/// Answers a challenge with the value of a header.
pub(crate) type Authorize = dyn FnMut(&Challenge<'_>) -> Result<Option<String>, BoxError>;

impl Functions {
    const fn is_empty(&self) -> bool {
        self.url.is_none()
            && self.headers.is_none()
            && self.subprotocols.is_none()
            && self.socket.is_none()
            && self.authorize.is_none()
    }
}

/// What an app connects to, and what it asks for there.
pub(crate) struct Plan {
    /// The URL of the current attempt.
    url: CheckedUrl,
    pub(crate) options: RunOptions,
    extras: Option<Box<Extras>>,
}

/// The URL of one attempt, and where redirects have led it.
pub(crate) struct CurrentUrl {
    url: CheckedUrl,
    redirected_to: Option<Box<str>>,
}

/// What only some apps have.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) headers: HeaderMap,
    pub(crate) functions: Functions,
    pub(crate) cookie: Option<HeaderValue>,
    pub(crate) jar: Option<CookieJar>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) mask_key: Option<MaskKey>,
    pub(crate) mask_failure: Option<MaskFailure>,
    /// Where redirects have led the current attempt.
    pub(crate) redirected_to: Option<Box<str>>,
    /// Connected already; serves one attempt.
    pub(crate) stream: Option<Io>,
}

impl Plan {
    /// A plan that has passed every check that is possible before the attempt.
    pub(crate) fn new(url: &str, extras: Extras, options: &RunOptions) -> Result<Box<Self>, Error> {
        options.config.check()?;
        options.connect.feed.check()?;
        if let Some(reconnect) = &options.connect.reconnect {
            reconnect.check()?;
        }
        let needed =
            !(extras.headers.is_empty() && extras.cookie.is_none() && extras.subprotocols.is_empty());
        let extras = needed.then(|| Box::new(extras));
        let mut plan = Box::new(Self { url: url.into(), options: options.clone(), extras });
        let target = Target::parse(url)?;
        plan.request_with(&target, HeaderMap::new())?.check()?;
        #[cfg(feature = "tls")]
        if target.secure {
            options.connect.tls.server_name_for(&target.host.to_string())?;
        }
        #[cfg(feature = "tls")]
        if target.secure || options.connect.proxy.is_tls() {
            // It may read files, which must not keep the loop from its work later.
            options.connect.tls.build()?;
        }
        plan.url.keep(target);
        Ok(plan)
    }

    /// Sets one of the extras, if there is a value for it.
    pub(crate) fn extras<T>(&mut self, part: impl FnOnce(&mut Extras) -> &mut Option<T>, value: Option<T>) {
        if value.is_some() {
            *part(self.extras.get_or_insert_default()) = value;
        }
    }

    /// Takes one of the extras out.
    pub(crate) fn take<T>(&mut self, part: impl FnOnce(&mut Extras) -> &mut Option<T>) -> Option<T> {
        part(self.extras.as_mut()?).take()
    }

    /// Sets the functions, if there are any.
    pub(crate) fn set_functions(&mut self, functions: Functions) {
        if !functions.is_empty() {
            self.extras.get_or_insert_default().functions = functions;
        }
    }

    /// What the next run needs again.
    pub(crate) fn into_functions(self) -> (Functions, Option<MaskKey>, Option<MaskFailure>) {
        let extras = self.extras.unwrap_or_default();
        (extras.functions, extras.mask_key, extras.mask_failure)
    }

    /// Takes the error of the user's source of mask keys.
    pub(crate) fn take_mask_failure(&self) -> Option<BoxError> {
        self.extras.as_ref()?.mask_failure.as_ref()?.take()
    }

    /// Where the next attempt leads.
    pub(crate) fn next_target(&mut self) -> Result<Target, Error> {
        drop(self.take(|extras| &mut extras.redirected_to));
        if let Some(url) = self.function(|functions| &mut functions.url) {
            self.url = url.map_err(|error| Error::of_function("url_with", error))?.as_str().into();
        }
        Ok(self.url.take_target()?)
    }

    /// The URL of the current attempt, or of the next if none has begun.
    pub(crate) const fn url(&self) -> AppUrl<'_> {
        AppUrl::new(self.url.as_str())
    }

    /// Where the current attempt leads.
    pub(crate) fn final_url(&self) -> AppUrl<'_> {
        let redirected = self.extras.as_ref().and_then(|extras| extras.redirected_to.as_deref());
        AppUrl::new(redirected.unwrap_or(self.url.as_str()))
    }

    /// The URL as it is, for the time in which another attempt is under way.
    pub(crate) fn current_url(&self) -> CurrentUrl {
        CurrentUrl { url: self.url.as_str().into(), redirected_to: None }
    }

    /// Exchanges the URL of the current attempt, and where redirects have led it.
    pub(crate) fn swap_url(&mut self, other: &mut CurrentUrl) {
        std::mem::swap(&mut self.url, &mut other.url);
        let redirected_to = self.take(|extras| &mut extras.redirected_to);
        self.extras(
            |extras| &mut extras.redirected_to,
            std::mem::replace(&mut other.redirected_to, redirected_to),
        );
    }

    /// The stream of the next attempt, where it is not to be connected.
    pub(crate) fn next_stream(&mut self) -> io::Result<Option<Io>> {
        match self.take(|extras| &mut extras.stream) {
            Some(stream) => Ok(Some(stream)),
            None => self.function(|functions| &mut functions.socket).transpose(),
        }
    }

    /// Whether [`next_stream`](Self::next_stream) has one, or will make one.
    pub(crate) fn has_stream(&self) -> bool {
        let extras = self.extras.as_ref();
        extras.is_some_and(|extras| extras.stream.is_some() || extras.functions.socket.is_some())
    }

    /// The request for the next attempt at `target`.
    pub(crate) fn next_request(&mut self, target: &Target) -> Result<Request, Error> {
        let more = self.function(|functions| &mut functions.headers).transpose();
        let more = more.map_err(|error| Error::of_function("header_with", error))?;
        let mut request = self.request_with(target, more.unwrap_or_default())?;
        if let Some(subprotocols) = self.function(|functions| &mut functions.subprotocols) {
            request.subprotocols =
                subprotocols.map_err(|error| Error::of_function("subprotocols_with", error))?;
        }
        request.check()?;
        Ok(request)
    }

    /// Directs the request of an attempt that continues to `target`, with the cookies that the jar has now.
    /// What was meant only for the first origin is removed once another has been `crossed` to.
    pub(crate) fn redirect(
        &self,
        request: &mut Request,
        target: &Target,
        crossed: bool,
    ) -> Result<(), Error> {
        if crossed {
            redirect::strip(&mut request.headers);
        }
        self.aim(request, target, crossed)
    }

    /// Asks the user how to answer a challenge.
    ///
    /// # Errors
    /// The error of the user's function.
    pub(crate) fn authorize(&mut self, challenge: &Challenge<'_>) -> Result<Option<String>, Error> {
        let functions = self.extras.as_mut().map(|extras| &mut extras.functions);
        let Some(authorize) = functions.and_then(|functions| functions.authorize.as_mut()) else {
            return Ok(None);
        };
        authorize(challenge).map_err(|error| Error::of_function("authorize_with", error))
    }

    /// Whether the user has said how to answer challenges.
    pub(crate) fn can_authorize(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.functions.authorize.is_some())
    }

    /// The cookie jar, if there is one.
    pub(crate) fn jar(&self) -> Option<&CookieJar> {
        self.extras.as_ref()?.jar.as_ref()
    }

    fn function<T>(&mut self, which: impl FnOnce(&mut Functions) -> &mut Function<T>) -> Option<T> {
        let function = which(&mut self.extras.as_mut()?.functions).as_mut()?;
        Some(function())
    }

    pub(crate) const fn config(&self) -> &Arc<Config> {
        &self.options.config
    }

    fn request_with(&self, target: &Target, more: HeaderMap) -> Result<Request, Error> {
        let mut request = Request::new(target.path.clone());
        request.require_subprotocol = self.options.connect.require_subprotocol;
        if let Some(extras) = &self.extras {
            request.subprotocols.clone_from(&extras.subprotocols);
            request.headers.clone_from(&extras.headers);
        }
        // What the function returns replaces what was given once, name by name.
        for name in more.keys() {
            request.headers.remove(name);
        }
        headers::append_all(&mut request.headers, &more)?;
        self.aim(&mut request, target, false)?;
        Ok(request)
    }

    /// Sets the parts of a request that depend on its target.
    fn aim(&self, request: &mut Request, target: &Target, crossed: bool) -> Result<(), Error> {
        let connect = &self.options.connect;
        let or = |name, given: Option<&String>, default: &HeaderValue| match given {
            Some(text) => headers::value(name, text),
            None => Ok(default.clone()),
        };
        request.path.clone_from(&target.path);
        if !connect.suppress_host {
            let given = connect.host.as_ref().filter(|_| !crossed);
            request.host = Some(or("Host", given, &target.authority)?);
        }
        if !connect.suppress_origin {
            request.origin = Some(or("Origin", connect.origin.as_ref(), &target.origin)?);
        }
        let explicit = self.extras.as_ref().and_then(|extras| extras.cookie.as_ref()).filter(|_| !crossed);
        request.cookie = match self.jar() {
            Some(jar) => jar.header_for(target, explicit),
            None => explicit.cloned(),
        };
        if let (Some(credential), false) =
            (&target.authorization, request.headers.contains_key(AUTHORIZATION))
        {
            let inserted = request.headers.try_insert(AUTHORIZATION, credential.clone());
            inserted.map_err(|_| HeaderError::TooMany)?;
        }
        Ok(())
    }
}
