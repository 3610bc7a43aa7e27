//! The workloads on tokio's current-thread runtime, as its users would write them: a loop that awaits messages, in `echo` a task for each
//! connection.

use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;
use std::rc::Rc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::contract::{Report, Task, WRITE, Workload, payload};
use crate::measure::{RoundTrips, Sending, Tally, measure_idle};
use crate::tls::client_config;
use crate::{MAX_HEADER, Result, unknown_workload, upgrade};

/// What a peer runs on.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Stream for S {}

/// A connection of the peer.
pub trait Peer<S>: Sized {
    /// A text that was received, and checked to be UTF-8.
    type Text;

    /// Upgrades a stream that is connected.
    fn open(task: &Task, stream: S) -> impl Future<Output = Result<Self>>;

    /// The next text; `None` when the server has closed.
    fn receive(&mut self) -> impl Future<Output = Result<Option<Self::Text>>>;

    /// The bytes of a text.
    fn bytes(text: &Self::Text) -> &[u8];

    /// Sends a text that was received.
    fn send_back(&mut self, text: Self::Text) -> impl Future<Output = Result<()>>;

    /// Sends a text, which may wait in a buffer for [`Peer::flush`].
    fn feed(&mut self, text: &str) -> impl Future<Output = Result<()>>;

    /// Writes what waits.
    fn flush(&mut self) -> impl Future<Output = Result<()>>;
}

/// Runs a workload on a peer: `Plain` without TLS, `Tls` with it.
///
/// # Errors
/// The workload fails, or there is no such workload here.
pub fn run<Plain, Tls>(task: &Task) -> Result<Report>
where
    Plain: Peer<TcpStream> + 'static,
    Tls: Peer<TlsStream<TcpStream>> + 'static,
{
    match task.workload {
        Workload::Receive | Workload::ReceiveDeflate => receive(task, plain::<Plain>),
        Workload::ReceiveTls => receive(task, tls::<Tls>(task)?),
        Workload::Send | Workload::SendDeflate => send(task, plain::<Plain>),
        Workload::Echo => echo(task, plain::<Plain>),
        Workload::EchoTls => echo(task, tls::<Tls>(task)?),
        Workload::Connect => connections(task, plain::<Plain>),
        Workload::ConnectTls => connections(task, tls::<Tls>(task)?),
        Workload::Idle => idle(task, plain::<Plain>),
        _ => Err(unknown_workload(task)),
    }
}

fn receive<S, P: Peer<S>>(task: &Task, open: impl AsyncFn(&Task) -> Result<P>) -> Result<Report> {
    runtime()?.block_on(async {
        let mut tally = Tally::new(task)?;
        let mut peer = open(task).await?;
        while let Some(text) = peer.receive().await? {
            tally.count(black_box(P::bytes(&text)).len());
        }
        tally.into_report()
    })
}

fn send<S, P: Peer<S>>(task: &Task, open: impl AsyncFn(&Task) -> Result<P>) -> Result<Report> {
    runtime()?.block_on(async {
        let mut sending = Sending::new(task)?;
        let mut peer = open(task).await?;
        let most = if task.each { 0 } else { WRITE };
        loop {
            let mut waiting = 0;
            while let Some(text) = sending.next_text() {
                peer.feed(text).await?;
                waiting += text.len() + MAX_HEADER;
                if waiting >= most {
                    peer.flush().await?;
                    waiting = 0;
                }
            }
            peer.flush().await?;
            let word = peer.receive().await?.ok_or("the server has nothing to say")?;
            if sending.heard(std::str::from_utf8(P::bytes(&word))?) {
                return sending.into_report();
            }
        }
    })
}

fn echo<S, P: Peer<S> + 'static>(task: &Task, open: impl AsyncFn(&Task) -> Result<P>) -> Result<Report> {
    let tasks = LocalSet::new();
    tasks.block_on(&runtime()?, async {
        let mut peers = Vec::with_capacity(task.connections);
        for _ in 0..task.connections {
            peers.push(open(task).await?);
        }
        let trips = Rc::new(RefCell::new(RoundTrips::new(task)?));
        let last = Rc::new(Notify::new());
        for (index, mut peer) in peers.into_iter().enumerate() {
            let (trips, last, first) = (trips.clone(), last.clone(), payload(task.payload));
            tokio::task::spawn_local(async move {
                if let Err(error) = round_trips(&mut peer, index, &first, &trips).await {
                    eprintln!("error: {error}");
                }
                // The last message of all has come, or a connection is lost: either is the end.
                last.notify_one();
            });
        }
        last.notified().await;
        let trips = trips.replace(RoundTrips::new(task)?);
        trips.into_report()
    })
}

/// Sends the first text, then back whatever comes, until the last message of all has come or the server has closed.
async fn round_trips<S, P: Peer<S>>(
    peer: &mut P,
    index: usize,
    first: &str,
    trips: &RefCell<RoundTrips>,
) -> Result<()> {
    peer.feed(first).await?;
    peer.flush().await?;
    while let Some(text) = peer.receive().await? {
        let last = trips.borrow_mut().count(index, P::bytes(&text).len());
        if last {
            break;
        }
        peer.send_back(text).await?;
    }
    Ok(())
}

/// Runs `connect`, or `connect-tls`.
fn connections<S, P: Peer<S>>(task: &Task, open: impl AsyncFn(&Task) -> Result<P>) -> Result<Report> {
    runtime()?.block_on(async {
        let mut tally = Tally::new(task)?;
        let mut next = (0..task.warm_up + task.messages).map(|_| open(task));
        let mut under_way: FuturesUnordered<_> = next.by_ref().take(task.connections).collect();
        while let Some(peer) = under_way.next().await {
            drop(peer?);
            tally.count(0);
            under_way.extend(next.next());
        }
        tally.into_report()
    })
}

fn idle<S, P: Peer<S>>(task: &Task, open: impl AsyncFn(&Task) -> Result<P>) -> Result<Report> {
    let runtime = runtime()?;
    measure_idle(task, || {
        runtime.block_on(async {
            let mut peer = open(task).await?;
            // As any task does before it waits.
            match peer.receive().now_or_never() {
                None => Ok(peer),
                Some(_) => Err("not idle".into()),
            }
        })
    })
}

async fn plain<P: Peer<TcpStream>>(task: &Task) -> Result<P> {
    P::open(task, connect(task).await?).await
}

/// Opens a connection over TLS, with one configuration for all, so that they can resume each other's sessions.
fn tls<P: Peer<TlsStream<TcpStream>>>(task: &Task) -> Result<impl AsyncFn(&Task) -> Result<P>> {
    let connector = TlsConnector::from(client_config(task)?);
    Ok(async move |task: &Task| {
        let name = ServerName::from(task.addr.ip());
        P::open(task, connector.connect(name, connect(task).await?).await?).await
    })
}

/// Connects, without Nagle's algorithm as the others do.
async fn connect(task: &Task) -> Result<TcpStream> {
    let stream = TcpStream::connect(task.addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A current-thread runtime.
///
/// # Errors
/// The system refuses.
pub fn runtime() -> Result<Runtime> {
    Ok(runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The upgrade of a peer that begins after it. The response is read byte by byte: what comes behind it stays in the stream.
///
/// # Errors
/// The server refuses, or ends.
pub async fn upgrade(task: &Task, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
    stream.write_all(upgrade::request(task).as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    while upgrade::response(&head)?.is_none() {
        head.push(stream.read_u8().await?);
    }
    Ok(())
}
