//! Those who never answer, and the apps that wait for them.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use websocket_app::link::proxy::Proxy;
use websocket_app::link::{Answer, Query, Resolver};
use websocket_app::tls::TlsOptions;
use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_bench::Result;

/// After this long an attempt is given up, and after that long it is made again: both are in the measurement too, also in short runs,
/// and are rare beside the messages.
const GIVEN_UP: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_millis(100);

/// Connections that a mute server keeps. The client has left older ones long ago.
const KEPT: usize = 256;

/// Where nobody answers.
pub(crate) struct Stalled {
    /// Accepts and says nothing; as a proxy of any kind, or as a TLS server.
    mute: SocketAddr,
    trust: TlsOptions,
}

impl Stalled {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mute = listener.local_addr()?;
        thread::Builder::new().name("mute".into()).spawn(move || {
            let mut kept = VecDeque::new();
            for stream in listener.incoming().flatten() {
                kept.push_back(stream);
                if kept.len() > KEPT {
                    kept.pop_front();
                }
            }
        })?;
        let nobody = rcgen::generate_simple_self_signed(["nobody.test".to_owned()])?;
        let trust = TlsOptions::new().environment(|_| None).roots_from_bytes(nobody.cert.pem());
        Ok(Self { mute, trust })
    }

    /// Puts an app for each of them on the reactor.
    pub(crate) fn attach(&self, reactor: &mut Reactor) -> Result<()> {
        let options = RunOptions::new()
            .resolve_timeout(GIVEN_UP)
            .proxy_timeout(GIVEN_UP)
            .tls_timeout(GIVEN_UP)
            .reconnect(AGAIN)
            .tls(self.trust.clone());
        let through = |scheme| -> Result<RunOptions> {
            Ok(options.clone().proxy(Proxy::parse(&format!("{scheme}://{}", self.mute))?))
        };
        let apps = [
            ("ws://never.test/".to_owned(), options.clone()),
            ("ws://hangs.test/".to_owned(), options.clone()),
            ("ws://192.0.2.1/".to_owned(), through("http")?),
            ("ws://192.0.2.1/".to_owned(), through("https")?),
            ("ws://192.0.2.1/".to_owned(), through("socks5")?),
            (format!("wss://{}/", self.mute), options.clone()),
        ];
        for (url, options) in apps {
            WebSocketApp::new(url).run_on(reactor, &options)?;
        }
        Ok(())
    }
}

/// Keeps questions without an answer, or gives them to a thread that hangs with the first of them.
pub(crate) struct StalledResolver {
    kept: Vec<Answer>,
    hung: Sender<Answer>,
}

impl StalledResolver {
    pub(crate) fn start() -> Result<Self> {
        let (hung, queue) = mpsc::channel::<Answer>();
        thread::Builder::new().name("hung".into()).spawn(move || {
            let _first = queue.recv();
            loop {
                thread::park();
            }
        })?;
        Ok(Self { kept: Vec::new(), hung })
    }
}

impl Resolver for StalledResolver {
    fn resolve(&mut self, query: Query, answer: Answer) {
        if query.host == "hangs.test" {
            // The thread lives as long as the process.
            let _sent = self.hung.send(answer);
        } else {
            self.kept.push(answer);
        }
    }
}
