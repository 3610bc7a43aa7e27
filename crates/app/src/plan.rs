//! What an app needs for its connection attempts.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use websocket_connection::{Config, MaskKey, Request};
use websocket_dispatcher::Io;

use crate::headers::{self, HeaderError};
use crate::sender::Shared;
use crate::target::Target;
use crate::{Error, RunOptions};

/// Returns headers anew for every attempt.
pub(crate) type HeaderFunction = Box<dyn FnMut() -> Result<HeaderMap, HeaderError>>;

/// Where to, and what to ask for there.
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) options: RunOptions,
    pub(crate) headers: HeaderMap,
    pub(crate) header_function: Option<HeaderFunction>,
    pub(crate) cookie: Option<HeaderValue>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) mask_key: Option<MaskKey>,
    /// Connected already; serves one attempt.
    pub(crate) stream: Option<Io>,
    pub(crate) shared: Option<Arc<Shared>>,
}

impl Plan {
    pub(crate) fn new(url: &str, headers: HeaderMap, options: &RunOptions) -> Result<Box<Self>, Error> {
        options.config.check()?;
        Ok(Box::new(Self {
            target: Target::parse(url)?,
            options: options.clone(),
            headers,
            header_function: None,
            cookie: None,
            subprotocols: Vec::new(),
            mask_key: None,
            stream: None,
            shared: None,
        }))
    }

    /// Whether the request can be sent, as far as no function is needed to know.
    pub(crate) fn check(&self) -> Result<(), Error> {
        Ok(self.request_with(HeaderMap::new())?.check()?)
    }

    /// The request for the next attempt.
    pub(crate) fn request(&mut self) -> Result<Request, Error> {
        let more = self.header_function.as_mut().map(|headers| headers()).transpose()?;
        let request = self.request_with(more.unwrap_or_default())?;
        request.check()?;
        Ok(request)
    }

    pub(crate) const fn config(&self) -> &Arc<Config> {
        &self.options.config
    }

    fn request_with(&self, more: HeaderMap) -> Result<Request, Error> {
        let Target { path, authority, origin, authorization, .. } = &self.target;
        let way = &self.options.way;
        let or = |name, given: &Option<String>, default: &HeaderValue| match given {
            Some(text) => headers::value(name, text),
            None => Ok(default.clone()),
        };
        let mut request = Request::new(path.clone());
        if !way.suppress_host {
            request.host = Some(or("Host", &way.host, authority)?);
        }
        if !way.suppress_origin {
            request.origin = Some(or("Origin", &way.origin, origin)?);
        }
        request.cookie.clone_from(&self.cookie);
        request.subprotocols.clone_from(&self.subprotocols);
        request.require_subprotocol = way.require_subprotocol;
        request.headers.clone_from(&self.headers);
        // What the function returns takes the place of what was given once, name by name.
        for name in more.keys() {
            request.headers.remove(name);
        }
        for (name, value) in &more {
            request.headers.append(name.clone(), value.clone());
        }
        if let (Some(credential), false) = (authorization, request.headers.contains_key(AUTHORIZATION)) {
            request.headers.insert(AUTHORIZATION, credential.clone());
        }
        Ok(request)
    }
}
