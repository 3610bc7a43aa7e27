//! What an app needs for its connection attempts, kept small: most apps have a URL and nothing else.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use websocket_connection::{Config, MaskKey, Request};
use websocket_dispatcher::Io;

use crate::headers::{self, HeaderError};
use crate::target::Target;
use crate::{Error, RunOptions};

/// Returns headers anew for every attempt.
pub(crate) type HeaderFunction = Box<dyn FnMut() -> Result<HeaderMap, HeaderError>>;

/// Where to, and what to ask for there.
pub(crate) struct Plan {
    /// Parsed for each attempt: an open connection needs nothing of it.
    url: Box<str>,
    pub(crate) options: RunOptions,
    extras: Option<Box<Extras>>,
}

/// What only some apps have.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) headers: HeaderMap,
    pub(crate) header_function: Option<HeaderFunction>,
    pub(crate) cookie: Option<HeaderValue>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) mask_key: Option<MaskKey>,
    /// Connected already; serves one attempt.
    pub(crate) stream: Option<Io>,
}

impl Plan {
    /// A plan that has passed every check that is possible before the attempt.
    pub(crate) fn new(url: &str, extras: Extras, options: &RunOptions) -> Result<Box<Self>, Error> {
        options.config.check()?;
        let needed =
            !(extras.headers.is_empty() && extras.cookie.is_none() && extras.subprotocols.is_empty());
        let extras = needed.then(|| Box::new(extras));
        let plan = Box::new(Self { url: url.into(), options: options.clone(), extras });
        plan.request_with(&plan.target()?, HeaderMap::new())?.check()?;
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

    /// What the next run needs again.
    pub(crate) fn into_functions(self) -> (Option<HeaderFunction>, Option<MaskKey>) {
        self.extras.map(|extras| (extras.header_function, extras.mask_key)).unwrap_or_default()
    }

    /// Where the URL leads.
    pub(crate) fn target(&self) -> Result<Target, Error> {
        Ok(Target::parse(&self.url)?)
    }

    /// The request for the next attempt at `target`.
    pub(crate) fn request(&mut self, target: &Target) -> Result<Request, Error> {
        let function = self.extras.as_mut().and_then(|extras| extras.header_function.as_mut());
        let more = function.map(|headers| headers()).transpose()?;
        let request = self.request_with(target, more.unwrap_or_default())?;
        request.check()?;
        Ok(request)
    }

    pub(crate) const fn config(&self) -> &Arc<Config> {
        &self.options.config
    }

    fn request_with(&self, target: &Target, more: HeaderMap) -> Result<Request, Error> {
        let way = &self.options.way;
        let or = |name, given: &Option<String>, default: &HeaderValue| match given {
            Some(text) => headers::value(name, text),
            None => Ok(default.clone()),
        };
        let mut request = Request::new(target.path.clone());
        if !way.suppress_host {
            request.host = Some(or("Host", &way.host, &target.authority)?);
        }
        if !way.suppress_origin {
            request.origin = Some(or("Origin", &way.origin, &target.origin)?);
        }
        request.require_subprotocol = way.require_subprotocol;
        if let Some(extras) = &self.extras {
            request.cookie.clone_from(&extras.cookie);
            request.subprotocols.clone_from(&extras.subprotocols);
            request.headers.clone_from(&extras.headers);
        }
        // What the function returns takes the place of what was given once, name by name.
        for name in more.keys() {
            request.headers.remove(name);
        }
        headers::append_all(&mut request.headers, &more)?;
        if let (Some(credential), false) =
            (&target.authorization, request.headers.contains_key(AUTHORIZATION))
        {
            let inserted = request.headers.try_insert(AUTHORIZATION, credential.clone());
            inserted.map_err(|_| HeaderError::TooMany)?;
        }
        Ok(request)
    }
}
