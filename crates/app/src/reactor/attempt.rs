//! One attempt to reach a server: where it leads, and which hop is next.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use websocket_connection::{Request, Response, State, UpgradeError};
use websocket_link::proxy::{Proxy, ProxyFailure};
use websocket_link::{Answer, Destination, Host, Query};

use super::AppId;
use super::app::{App, Resolving, Stage};
use super::drive::Driver;
use super::schedule::later;
use crate::address::{Place, Target};
use crate::inbox::Job;
use crate::redirect::Redirects;
use crate::{Challenge, Error, UrlError};

/// What all steps of an attempt need, until its connection is open.
pub(super) struct Attempt {
    pub(super) target: Target,
    pub(super) request: Request,
    /// Of the whole attempt.
    pub(super) deadline: Instant,
    pub(super) via: Option<Box<Via>>,
    /// The stream is the user's own, and leads to the server of the target.
    own_stream: bool,
    /// A redirect has led to another host than that of the URL.
    pub(super) other_host: bool,
    redirects: Redirects,
    /// The user was asked to answer the challenge of the server for this target, of the proxy on the way to it.
    authorized: bool,
    proxy_authorized: bool,
}

/// Where an attempt goes on that was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Onward {
    /// To the same target, with an answer to its challenge.
    Again,
    SameOrigin,
    OtherOrigin,
}

/// The proxy on the way, and what it is asked for.
pub(super) struct Via {
    pub(super) proxy: Proxy,
    pub(super) destination: Destination,
}

impl Attempt {
    /// The host that a stream is connected to first.
    fn first_hop(&self) -> Result<Destination, Error> {
        match &self.via {
            Some(via) => Ok(via.proxy.server().clone()),
            None => destination(&self.target),
        }
    }
}

/// The server of `target`, as a proxy and the resolver know it.
fn destination(target: &Target) -> Result<Destination, Error> {
    let host = match &target.place {
        Place::Name(name) => name.parse::<Host>(),
        Place::Address(address) => Ok(Host::from(*address)),
    };
    let host = host.map_err(|error| UrlError::Syntax(error.to_string()))?;
    Ok(Destination::new(host, target.port))
}

impl Driver<'_> {
    /// Begins the attempt.
    pub(super) fn start(&mut self, app: &mut App, id: AppId) {
        app.control.attempts.started = app.control.attempts.started.saturating_add(1);
        app.control.note(id, State::Connecting);
        if let Some(row) = &mut app.control.row {
            row.retry_at = None;
        }
        app.stage = Stage::New;
        app.outcome = None;
        let asked = app.plan.next_target().and_then(|target| Ok((app.plan.next_request(&target)?, target)));
        let (request, target) = match asked {
            Ok(asked) => asked,
            Err(error) => return self.end(app, id, Some(error)),
        };
        let stream = match app.plan.next_stream() {
            Ok(stream) => stream,
            Err(source) => return self.end(app, id, Some(Error::Connect { address: None, source })),
        };
        let attempt = Box::new(Attempt {
            target,
            request,
            deadline: later(self.apps.env.now, app.plan.options.way.attempt_timeout),
            via: None,
            own_stream: stream.is_some(),
            other_host: false,
            redirects: Redirects::default(),
            authorized: false,
            proxy_authorized: false,
        });
        match stream {
            Some(io) => self.adopt(app, id, io, attempt),
            None => self.go(app, id, attempt),
        }
    }

    /// Goes to the attempt's target: through its unix socket, through a proxy, or directly.
    fn go(&mut self, app: &mut App, id: AppId, mut attempt: Box<Attempt>) {
        attempt.via = None;
        attempt.proxy_authorized = false;
        #[cfg(unix)]
        if let Some(path) = &attempt.target.unix {
            return match self.apps.connector.connect_unix(path) {
                Ok(io) => self.adopt(app, id, io, attempt),
                Err(source) => self.end(app, id, Some(Error::Connect { address: None, source })),
            };
        }
        let policy = &app.plan.options.way.proxy;
        let chosen = destination(&attempt.target).and_then(|destination| {
            let proxy = policy.choose(&destination, attempt.target.secure);
            let proxy = proxy.map_err(Error::ProxyEnvironment)?;
            Ok(proxy.map(|proxy| Box::new(Via { proxy, destination })))
        });
        match chosen {
            Ok(via) => attempt.via = via,
            Err(error) => return self.end(app, id, Some(error)),
        }
        self.next_hop(app, id, attempt);
    }

    /// Resolves what has to be resolved, and connects.
    fn next_hop(&mut self, app: &mut App, id: AppId, attempt: Box<Attempt>) {
        if let Some(via) = &attempt.via
            && via.proxy.needs_address(&via.destination)
        {
            let destination = via.destination.clone();
            return self.resolve(app, id, destination, true, attempt);
        }
        let hop = match attempt.first_hop() {
            Ok(hop) => hop,
            Err(error) => return self.end(app, id, Some(error)),
        };
        let literal = match &attempt.via {
            // Only here an address may have a zone.
            None => attempt.target.socket_address().transpose(),
            Some(_) => Ok(hop.host.address().map(|address| SocketAddr::new(address, hop.port))),
        };
        match literal {
            Ok(Some(address)) => self.connect(app, id, vec![address], attempt),
            Ok(None) => self.resolve(app, id, hop, false, attempt),
            Err(source) => self.end(app, id, Some(Error::Connect { address: None, source })),
        }
    }

    fn resolve(
        &mut self,
        app: &mut App,
        id: AppId,
        destination: Destination,
        for_proxy: bool,
        attempt: Box<Attempt>,
    ) {
        self.apps.queries += 1;
        let query = self.apps.queries;
        let inbox = self.apps.inbox.clone();
        let deliver = move |addresses| inbox.push(Job::Resolved { app: id, query, addresses });
        let (answer, asker) = Answer::with_asker(deliver);
        let name = destination.host.name().unwrap_or_default().to_owned();
        let deadline = later(self.apps.env.now, app.plan.options.way.resolve_timeout);
        self.apps.resolver.resolve(Query::new(name.clone(), destination.port), answer);
        let resolving = Resolving { query, _asker: asker, name, for_proxy, deadline, attempt };
        app.stage = Stage::Resolving(Box::new(resolving));
    }

    /// The resolver has answered; an answer to an earlier question is ignored.
    pub(super) fn resolved(
        &mut self,
        app: &mut App,
        id: AppId,
        answered: u64,
        addresses: io::Result<Vec<SocketAddr>>,
    ) {
        let resolving = match std::mem::replace(&mut app.stage, Stage::New) {
            Stage::Resolving(resolving) if resolving.query == answered => *resolving,
            stage => {
                app.stage = stage;
                return;
            }
        };
        let Resolving { name: host, for_proxy, mut attempt, .. } = resolving;
        let source = match addresses {
            Ok(addresses) if addresses.is_empty() => {
                io::Error::new(io::ErrorKind::NotFound, "the name has no address")
            }
            Ok(addresses) if !for_proxy => return self.connect(app, id, addresses, attempt),
            Ok(addresses) => {
                if let Some(via) = &mut attempt.via {
                    match via.proxy.pick_address(&addresses) {
                        Ok(address) => via.destination = address.into(),
                        Err(error) => return self.end(app, id, Some(Error::Proxy(error))),
                    }
                }
                return self.next_hop(app, id, attempt);
            }
            Err(source) => source,
        };
        self.end(app, id, Some(Error::Resolve { host, source }));
    }

    /// The opening handshake has failed. Where the response leads elsewhere, or the user can answer its challenge, the attempt goes on;
    /// else the app is told.
    pub(super) fn refused(&mut self, app: &mut App, id: AppId, error: Error) {
        let Error::Upgrade(UpgradeError::Status { response, .. }) = &error else {
            return app.report(id, self.apps, error);
        };
        let attempt = match &mut app.stage {
            Stage::Live(live) => live.attempt.take(),
            _ => None,
        };
        let Some(mut attempt) = attempt else { return app.report(id, self.apps, error) };
        if let Some(jar) = app.plan.jar() {
            jar.store(&attempt.target, &response.headers);
        }
        let onward = match next_request(app, &mut attempt, response) {
            Ok(Some(onward)) => onward,
            Ok(None) => return app.report(id, self.apps, error),
            Err(error) => return app.report(id, self.apps, error),
        };
        attempt.own_stream &= onward != Onward::OtherOrigin;
        let stream = if attempt.own_stream { app.plan.next_stream() } else { Ok(None) };
        match stream {
            // The only stream is used up, and the answer is for whoever is at its other end.
            Ok(None) if attempt.own_stream && onward == Onward::Again => app.report(id, self.apps, error),
            Ok(stream) => {
                self.close_stream(app, id);
                app.stage = Stage::New;
                match stream {
                    Some(io) => self.adopt(app, id, io, attempt),
                    None => self.go(app, id, attempt),
                }
            }
            Err(source) => app.report(id, self.apps, Error::Connect { address: None, source }),
        }
    }

    /// The proxy wants to know who asks: if the user has an answer, the attempt goes on with it.
    pub(super) fn challenged_by_proxy(
        &mut self,
        app: &mut App,
        id: AppId,
        failure: Error,
        mut attempt: Box<Attempt>,
    ) {
        let (Error::Proxy(error), Some(via)) = (&failure, &mut attempt.via) else {
            return self.end(app, id, Some(failure));
        };
        let ProxyFailure::AuthenticationRequired { challenges, .. } = &error.failure else {
            return self.end(app, id, Some(failure));
        };
        if std::mem::replace(&mut attempt.proxy_authorized, true) {
            return self.end(app, id, Some(failure));
        }
        let challenge = Challenge { proxy: Some(&error.proxy), challenges };
        let answer = app.plan.authorize(&challenge);
        match answer.and_then(|answer| via.proxy.clone().authorization(&answer).ok()) {
            Some(proxy) => {
                via.proxy = proxy;
                self.next_hop(app, id, attempt);
            }
            None => self.end(app, id, Some(failure)),
        }
    }
}

/// Prepares the request that follows a refusal, if one does.
fn next_request(app: &mut App, attempt: &mut Attempt, response: &Response) -> Result<Option<Onward>, Error> {
    let limit = app.plan.options.way.max_redirects;
    if let Some(target) =
        attempt.redirects.follow(response.status, &response.headers, &attempt.target, limit)?
    {
        log::debug!(target: "websocket::upgrade", "redirected with {} to {:?}", response.status, target.authority);
        if attempt.request.headers.get(AUTHORIZATION) == attempt.target.authorization.as_ref() {
            // It comes from the URL, and the next one may have another.
            attempt.request.headers.remove(AUTHORIZATION);
        }
        app.plan.redirect(&mut attempt.request, &target, attempt.redirects.crossed_origin())?;
        target.check_tls(cfg!(feature = "tls"))?;
        let onward =
            if target.same_origin(&attempt.target) { Onward::SameOrigin } else { Onward::OtherOrigin };
        attempt.other_host |= target.place != attempt.target.place;
        attempt.target = target;
        attempt.authorized = false;
        return Ok(Some(onward));
    }
    // The user's answer is for the server of the URL, not for whoever that has sent the client to.
    if response.status != StatusCode::UNAUTHORIZED
        || attempt.redirects.crossed_origin()
        || std::mem::replace(&mut attempt.authorized, true)
    {
        return Ok(None);
    }
    let challenges: Vec<String> = response
        .headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .map(|challenge| String::from_utf8_lossy(challenge.as_bytes()).into_owned())
        .collect();
    let Some(answer) = app.plan.authorize(&Challenge { proxy: None, challenges: &challenges }) else {
        return Ok(None);
    };
    let mut answer: HeaderValue = crate::headers::value("Authorization", &answer)?;
    answer.set_sensitive(true);
    attempt.request.headers.insert(AUTHORIZATION, answer);
    // The response may have brought cookies.
    app.plan.redirect(&mut attempt.request, &attempt.target, false)?;
    Ok(Some(Onward::Again))
}
