//! A reactor in a simulated network, in virtual time.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use websocket_app::{Context, Reactor, RunOptions, WebSocketApp};
use websocket_testkit::sim::{SimDispatcher, SimListener, SimNet, SimPeer, SimResolver};

/// Where the simulated server lives.
pub const SERVER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 80));

/// How to reach it.
pub const URL: &str = "ws://192.0.2.1/";

/// Turns enough for everything that takes no time.
const A_FEW_TURNS: usize = 16;

/// A reactor, its network and its name service.
#[derive(Debug)]
pub struct World {
    /// The network.
    pub net: SimNet,
    /// The name service.
    pub resolver: SimResolver,
    /// The reactor.
    pub reactor: Reactor<SimDispatcher>,
}

impl Default for World {
    fn default() -> Self {
        Self::on(SimNet::new(1))
    }
}

impl World {
    /// A world whose network has no faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A world on this network.
    ///
    /// # Panics
    /// When the system has no entropy.
    pub fn on(net: SimNet) -> Self {
        let resolver = net.resolver();
        let reactor = Reactor::with_dispatcher(net.dispatcher()).expect("the system has entropy");
        let reactor = reactor.connector(net.clone()).resolver(resolver.clone());
        Self { net, resolver, reactor }
    }

    /// The same world with another reactor, made of its own.
    #[must_use]
    pub fn map(self, change: impl FnOnce(Reactor<SimDispatcher>) -> Reactor<SimDispatcher>) -> Self {
        Self { reactor: change(self.reactor), ..self }
    }

    /// Takes turns while time stands still, until everything that can happen now has happened.
    ///
    /// # Panics
    /// When the loop breaks.
    pub fn settle(&mut self) {
        for _ in 0..A_FEW_TURNS {
            self.reactor.poll(Some(Duration::ZERO)).expect("the simulation goes on");
        }
    }

    /// Runs until the virtual time since the start is `elapsed`, which is included.
    ///
    /// # Panics
    /// When the loop breaks.
    pub fn run_until(&mut self, elapsed: Duration) {
        while let Some(left) = elapsed.checked_sub(self.net.elapsed()).filter(|left| !left.is_zero()) {
            self.reactor.poll(Some(left)).expect("the simulation goes on");
        }
        self.settle();
    }

    /// Runs for `time`.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.net.elapsed() + time);
    }

    /// Calls `work` with the context of the first app.
    ///
    /// # Panics
    /// When there is none.
    pub fn in_app<R>(&mut self, work: impl FnOnce(&mut Context<'_>) -> R) -> R {
        let id = self.reactor.apps().ids()[0];
        self.reactor.apps().with(id, work).expect("the app has not ended")
    }

    /// Puts `app`, whose URL leads to [`SERVER`], on the reactor and lets it connect. Returns where its connections arrive.
    ///
    /// # Panics
    /// When the app is refused.
    pub fn start(&mut self, app: WebSocketApp, options: &RunOptions) -> SimListener {
        let listener = self.net.listen(SERVER);
        app.run_on(&mut self.reactor, options).expect("the app is accepted");
        self.settle();
        listener
    }

    /// Opens the next connection that has arrived at `listener`, without time passing. Returns its server's end.
    ///
    /// # Panics
    /// When none has.
    pub fn accept(&mut self, listener: &SimListener) -> SimPeer {
        let peer = listener.accept().expect("the app has connected");
        peer.accept_upgrade().expect("the app has sent its request");
        self.settle();
        peer
    }

    /// Puts `app`, whose URL leads to [`SERVER`], on the reactor and opens its connection, without time passing. Returns its server's end.
    ///
    /// # Panics
    /// When the app is refused or does not connect.
    pub fn open(&mut self, app: WebSocketApp, options: &RunOptions) -> SimPeer {
        let listener = self.start(app, options);
        self.accept(&listener)
    }
}
