//! One attempt to reach a server: where it leads, and where it continues when it is refused.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use websocket_connection::{Request, Response};
use websocket_dispatcher::{Clock, Io};
use websocket_link::proxy::{Proxy, ProxyFailure};
use websocket_link::{Destination, Host};

use super::gate::{Place, Server};
use crate::address::{Target, TargetHost, UrlError};
use crate::challenge::Challenge;
use crate::error::Error;
use crate::failed_addresses::FailedAddresses;
use crate::phases::PhaseTimer;
use crate::plan::Plan;
use crate::redirect::Redirects;
use crate::schedule::later;

/// What all steps of an attempt need, until its connection is open.
pub(crate) struct Attempt {
    pub(crate) target: Target,
    pub(crate) request: Request,
    /// The user's functions have made the request.
    pub(super) is_prepared: bool,
    /// Of the whole attempt; time in which it waits for its turn does not count.
    pub(crate) deadline: Instant,
    /// The right to make this connection, given back when it is open or has failed.
    pub(super) place: Option<Place<Server>>,
    pub(super) via: Option<Box<Via>>,
    /// The stream is the user's, and leads to the server of the target.
    pub(super) own_stream: bool,
    /// What this attempt should try last.
    pub(super) failed_addresses: FailedAddresses,
    /// The address of the proxy or server that has taken the connection and has yet to do its part.
    pub(crate) connected_to: Option<SocketAddr>,
    /// A redirect has led to another host than that of the URL.
    pub(crate) other_host: bool,
    /// How long its steps take.
    pub(crate) timer: PhaseTimer,
    redirects: Redirects,
    /// The user was asked to answer the challenge of the server for this target, or of the proxy on the way
    /// to it.
    authorized: bool,
    proxy_authorized: bool,
}

/// How an attempt sets out.
pub(super) enum Route {
    /// To what counts as a server, and is known.
    To(Server),
    /// The name of the server is to be resolved first.
    Resolve(Destination),
}

/// The proxy on the way, and what it is asked for.
pub(super) struct Via {
    pub(super) proxy: Proxy,
    pub(super) destination: Destination,
}

/// An attempt that continues after a refusal, and the user's stream for it.
pub(crate) type Continued = (Box<Attempt>, Option<Io>);

/// Where a refused attempt continues.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continuation {
    /// To the same target, with an answer to its challenge.
    SameTarget,
    SameOrigin,
    OtherOrigin,
}

/// The server of `target`, as a proxy and the resolver know it.
fn destination(target: &Target) -> Result<Destination, Error> {
    let host = match &target.host {
        TargetHost::Name(name) => name.parse::<Host>(),
        TargetHost::Address(address) => Ok(Host::from(*address)),
    };
    let host = host.map_err(|error| UrlError::Syntax(error.to_string()))?;
    Ok(Destination::new(host, target.port))
}

/// The address of a host that was given by its address.
fn address_of(destination: &Destination) -> Option<SocketAddr> {
    destination.host.address().map(|address| SocketAddr::new(address, destination.port))
}

impl Attempt {
    /// An attempt at the plan's next target. Its request is made when its turn has come.
    pub(crate) fn begin(
        plan: &mut Plan,
        failed_addresses: FailedAddresses,
        clock: &Clock,
    ) -> Result<Box<Self>, Error> {
        let target = plan.next_target()?;
        Ok(Box::new(Self {
            request: Request::new(target.path.clone()),
            is_prepared: false,
            target,
            deadline: later(clock.now(), plan.options.connect.attempt_timeout),
            place: None,
            via: None,
            own_stream: plan.has_stream(),
            failed_addresses,
            connected_to: None,
            other_host: false,
            timer: PhaseTimer::new(clock.now()),
            redirects: Redirects::default(),
            authorized: false,
            proxy_authorized: false,
        }))
    }

    /// Chooses between the user's stream, a unix socket, a proxy and the direct way.
    pub(super) fn choose_route(&mut self, plan: &Plan) -> Result<Route, Error> {
        self.via = None;
        self.connected_to = None;
        self.proxy_authorized = false;
        if let Some(path) = &self.target.unix {
            return Ok(Route::To(Server::Unix(path.clone())));
        }
        let destination = destination(&self.target)?;
        if self.own_stream {
            return Ok(Route::To(Server::Named(destination)));
        }
        let proxy = plan.options.connect.proxy.choose(&destination, self.target.secure);
        if let Some(proxy) = proxy.map_err(Error::ProxyEnvironment)? {
            self.via = Some(Box::new(Via { proxy, destination: destination.clone() }));
            return Ok(Route::To(Server::Named(destination)));
        }
        Ok(match self.literal_address(&destination)? {
            Some(address) => Route::To(Server::at(address)),
            None => Route::Resolve(destination),
        })
    }

    /// The host that a stream is connected to first.
    pub(super) fn first_hop(&self) -> Result<Destination, Error> {
        match &self.via {
            Some(via) => Ok(via.proxy.server().clone()),
            None => destination(&self.target),
        }
    }

    /// The address of the first hop, where no name has to be resolved.
    pub(super) fn literal_address(&self, hop: &Destination) -> Result<Option<SocketAddr>, Error> {
        match &self.via {
            // Only here an address may have a zone.
            None => {
                let address = self.target.socket_address().transpose();
                address.map_err(|source| Error::Connect { address: None, source })
            }
            Some(_) => Ok(address_of(hop)),
        }
    }

    /// The proxy has made a tunnel. It leads to the server, at an address that is known here if the proxy was
    /// asked for one.
    pub(super) fn tunnelled(&mut self) {
        self.connected_to = self.via.as_ref().and_then(|via| address_of(&via.destination));
    }

    /// Moves the deadline by the time in which the attempt waited for its turn.
    pub(super) fn postpone(&mut self, waited: Duration) {
        self.deadline = later(self.deadline, waited);
    }

    /// The server has refused the upgrade. Where its response leads elsewhere, or the user can answer its
    /// challenge, the attempt continues, on the user's next stream if the user supplies streams.
    ///
    /// # Errors
    /// Why the attempt cannot continue where the response leads.
    pub(crate) fn refused(
        mut self: Box<Self>,
        response: &Response,
        plan: &mut Plan,
    ) -> Result<Option<Continued>, Error> {
        if let Some(jar) = plan.jar() {
            jar.store(&self.target, &response.headers);
        }
        let Some(continuation) = self.next_request(response, plan)? else { return Ok(None) };
        if continuation == Continuation::OtherOrigin {
            self.own_stream = false;
            self.place = None;
        }
        if !self.own_stream {
            return Ok(Some((self, None)));
        }
        match plan.next_stream().map_err(|source| Error::Connect { address: None, source })? {
            // The only stream is used up, and the answer is for the server at its other end.
            None if continuation == Continuation::SameTarget => Ok(None),
            stream => {
                self.own_stream = stream.is_some();
                Ok(Some((self, stream)))
            }
        }
    }

    /// Prepares the request that follows a refusal, if one does.
    fn next_request(&mut self, response: &Response, plan: &mut Plan) -> Result<Option<Continuation>, Error> {
        let limit = plan.options.connect.max_redirects;
        let redirected = self.redirects.follow(response.status, &response.headers, &self.target, limit)?;
        if let Some(target) = redirected {
            log::debug!(target: "websocket::upgrade", "redirected with {} to {:?}", response.status, target.authority);
            if self.request.headers.get(AUTHORIZATION) == self.target.authorization.as_ref() {
                // It comes from the URL, and the next one may have another.
                self.request.headers.remove(AUTHORIZATION);
            }
            plan.redirect(&mut self.request, &target, self.redirects.crossed_origin())?;
            target.check_tls(cfg!(feature = "tls"))?;
            plan.extras(|extras| &mut extras.redirected_to, Some(target.to_text().into()));
            let same = target.same_origin(&self.target);
            self.other_host |= target.host != self.target.host;
            self.target = target;
            self.authorized = false;
            return Ok(Some(if same { Continuation::SameOrigin } else { Continuation::OtherOrigin }));
        }
        // The user's answer is for the server of the URL, not for any other that it has sent the client to.
        if response.status != StatusCode::UNAUTHORIZED
            || self.redirects.crossed_origin()
            || std::mem::replace(&mut self.authorized, true)
        {
            return Ok(None);
        }
        let challenges: Vec<String> = response
            .headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .map(|challenge| String::from_utf8_lossy(challenge.as_bytes()).into_owned())
            .collect();
        let Some(answer) = plan.authorize(&Challenge { proxy: None, challenges: &challenges })? else {
            return Ok(None);
        };
        let mut answer: HeaderValue = crate::headers::value("Authorization", &answer)?;
        answer.set_sensitive(true);
        self.request.headers.insert(AUTHORIZATION, answer);
        // The response may have brought cookies.
        plan.redirect(&mut self.request, &self.target, false)?;
        Ok(Some(Continuation::SameTarget))
    }

    /// The proxy has refused the tunnel. The attempt continues where the user has an answer to its challenge.
    ///
    /// # Errors
    /// The failure, or that of the user's function.
    pub(super) fn answer_proxy(&mut self, failure: Error, plan: &mut Plan) -> Result<(), Error> {
        let (Error::Proxy(error), Some(via)) = (&failure, &mut self.via) else { return Err(failure) };
        let ProxyFailure::AuthenticationRequired { challenges, .. } = &error.failure else {
            return Err(failure);
        };
        if std::mem::replace(&mut self.proxy_authorized, true) {
            return Err(failure);
        }
        let answer = plan.authorize(&Challenge { proxy: Some(&error.proxy), challenges })?;
        let Some(proxy) = answer.and_then(|answer| via.proxy.clone().authorization(&answer).ok()) else {
            return Err(failure);
        };
        via.proxy = proxy;
        self.connected_to = None;
        Ok(())
    }
}
