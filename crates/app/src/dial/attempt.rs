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
use crate::challenge::{Challenge, MAX_ROUNDS};
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
    /// How often the server of this target has asked the user who comes, and the proxy on the way to it.
    rounds: u32,
    proxy_rounds: u32,
    /// The request goes over a connection that has carried another one.
    pub(crate) reuses_connection: bool,
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

/// An attempt that continues after a refusal.
pub(crate) enum Continued {
    /// On the connection that the refusal came on.
    SameConnection(Box<Attempt>),
    /// On another one: the user's stream, if the user supplies streams.
    NewConnection(Box<Attempt>, Option<Io>),
}

/// Where a refused attempt continues.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continuation {
    /// To the same target, with an answer to its challenge, on the connection that this came on.
    SameConnection,
    /// To the same target, on another connection.
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
            rounds: 0,
            proxy_rounds: 0,
            reuses_connection: false,
        }))
    }

    /// Chooses between the user's stream, a unix socket, a proxy and the direct way.
    pub(super) fn choose_route(&mut self, plan: &Plan) -> Result<Route, Error> {
        self.via = None;
        self.connected_to = None;
        self.proxy_rounds = 0;
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

    /// Whether the stream is a TCP connection that the connector has made.
    pub(crate) const fn is_by_connector(&self) -> bool {
        !self.own_stream && self.target.unix.is_none()
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
    /// challenge, the attempt continues: with an answer on the same connection if that `can_ask_again`, else on a new one,
    /// which is the user's next stream if the user supplies streams.
    ///
    /// # Errors
    /// Why the attempt cannot continue where the response leads.
    pub(crate) fn refused(
        mut self: Box<Self>,
        response: &Response,
        can_ask_again: bool,
        plan: &mut Plan,
    ) -> Result<Option<Continued>, Error> {
        if let Some(jar) = plan.jar() {
            jar.store(&self.target, &response.headers);
        }
        let next = self.next_request(response, can_ask_again, plan)?;
        next.map_or(Ok(None), |continuation| self.continued(continuation, plan))
    }

    /// The server has closed a connection that it could have kept, without a response to the answer to its challenge, which is
    /// sent again on another connection (RFC 9112 section 9.3.1).
    ///
    /// # Errors
    /// Why the user supplies no stream for it.
    pub(crate) fn unanswered(self: Box<Self>, plan: &mut Plan) -> Result<Option<Continued>, Error> {
        self.continued(Continuation::SameTarget, plan)
    }

    fn continued(
        mut self: Box<Self>,
        continuation: Continuation,
        plan: &mut Plan,
    ) -> Result<Option<Continued>, Error> {
        self.reuses_connection = continuation == Continuation::SameConnection;
        if self.reuses_connection {
            return Ok(Some(Continued::SameConnection(self)));
        }
        if continuation == Continuation::OtherOrigin {
            self.own_stream = false;
            self.place = None;
        }
        if !self.own_stream {
            return Ok(Some(Continued::NewConnection(self, None)));
        }
        match plan.next_stream().map_err(|source| Error::Connect { address: None, source })? {
            // The only stream is used up, and the answer is for the server at its other end.
            None if continuation == Continuation::SameTarget => Ok(None),
            stream => {
                self.own_stream = stream.is_some();
                Ok(Some(Continued::NewConnection(self, stream)))
            }
        }
    }

    /// Prepares the request that follows a refusal, if one does.
    fn next_request(
        &mut self,
        response: &Response,
        can_ask_again: bool,
        plan: &mut Plan,
    ) -> Result<Option<Continuation>, Error> {
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
            self.rounds = 0;
            return Ok(Some(if same { Continuation::SameOrigin } else { Continuation::OtherOrigin }));
        }
        // The user's answer is for the server of the URL, not for any other that it has sent the client to.
        if response.status != StatusCode::UNAUTHORIZED
            || self.redirects.crossed_origin()
            || self.rounds == MAX_ROUNDS
        {
            return Ok(None);
        }
        self.rounds += 1;
        let challenges: Vec<String> = response
            .headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .map(|challenge| String::from_utf8_lossy(challenge.as_bytes()).into_owned())
            .collect();
        let challenge = Challenge {
            proxy: None,
            challenges: &challenges,
            round: self.rounds,
            keeps_connection: can_ask_again,
        };
        let Some(answer) = plan.authorize(&challenge)? else { return Ok(None) };
        let mut answer: HeaderValue = crate::headers::value("Authorization", &answer)?;
        if self.request.headers.get(AUTHORIZATION) == Some(&answer) {
            log::debug!(target: "websocket::upgrade", "the answer to the challenge is the one that was refused");
            return Ok(None);
        }
        answer.set_sensitive(true);
        self.request.headers.insert(AUTHORIZATION, answer);
        // The response may have brought cookies.
        plan.redirect(&mut self.request, &self.target, false)?;
        Ok(Some(if can_ask_again { Continuation::SameConnection } else { Continuation::SameTarget }))
    }

    /// The proxy has refused the tunnel. The attempt continues where the user has an answer to its challenge, on the same
    /// stream if that is kept.
    ///
    /// # Errors
    /// The failure, or that of the user's function.
    pub(super) fn answer_proxy(
        &mut self,
        failure: Error,
        keeps_connection: bool,
        plan: &mut Plan,
    ) -> Result<(), Error> {
        let (Error::Proxy(error), Some(via)) = (&failure, &mut self.via) else { return Err(failure) };
        let ProxyFailure::AuthenticationRequired { challenges, .. } = &error.failure else {
            return Err(failure);
        };
        if self.proxy_rounds == MAX_ROUNDS {
            return Err(failure);
        }
        self.proxy_rounds += 1;
        let round = self.proxy_rounds;
        let answer =
            plan.authorize(&Challenge { proxy: Some(&error.proxy), challenges, round, keeps_connection })?;
        let proxy = answer.and_then(|answer| via.proxy.clone().authorization(&answer).ok());
        match proxy {
            // An answer that was refused is not sent again.
            Some(proxy) if proxy != via.proxy => via.proxy = proxy,
            _ => return Err(failure),
        }
        Ok(())
    }
}
