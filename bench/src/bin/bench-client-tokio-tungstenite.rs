//! tokio-tungstenite with its default configuration on tokio's current-thread runtime, as its users would write it: a loop that awaits
//! messages, a task for each connection where there are many.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::hint::black_box;
use std::process::ExitCode;
use std::rc::Rc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, WRITE, Workload, client_main, payload};
use websocket_bench::measure::{RoundTrips, Sending, Tally, measure_idle};
use websocket_bench::tls::client_config;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::Receive | Workload::ReceiveTls => receive(task),
        Workload::Send => send(task),
        Workload::Echo | Workload::EchoTls => echo(task),
        Workload::Connect | Workload::ConnectTls => connect(task),
        Workload::Idle | Workload::IdleTls => idle(task),
        other => Err(format!("tokio-tungstenite has no '{}'", other.name()).into()),
    })
}

fn receive(task: &Task) -> Result<Report> {
    let connector = connector(task)?;
    runtime()?.block_on(async {
        let mut tally = Tally::new(task)?;
        let mut socket = open(task, connector).await?;
        while let Some(message) = socket.next().await {
            match message? {
                Message::Text(text) => {
                    tally.count(black_box(text.as_str()).len());
                }
                Message::Close(_) => return tally.into_report(),
                other => return Err(format!("no text: {other:?}").into()),
            }
        }
        Err("the feed did not end with a close".into())
    })
}

fn send(task: &Task) -> Result<Report> {
    runtime()?.block_on(async {
        let mut sending = Sending::new(task)?;
        let config = WebSocketConfig::default().write_buffer_size(WRITE);
        let (mut socket, _) = connect_async_tls_with_config(task.url(), Some(config), true, None).await?;
        loop {
            while let Some(text) = sending.next_text() {
                let message = Message::text(text);
                match task.each {
                    true => socket.send(message).await?,
                    false => socket.feed(message).await?,
                }
            }
            socket.flush().await?;
            let word = socket.next().await.ok_or("the server has nothing to say")??;
            if sending.heard(word.to_text()?) {
                return sending.into_report();
            }
        }
    })
}

fn echo(task: &Task) -> Result<Report> {
    let connector = connector(task)?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime()?, async {
        let mut sockets = Vec::with_capacity(task.connections);
        for _ in 0..task.connections {
            sockets.push(open(task, connector.clone()).await?);
        }
        let trips = Rc::new(RefCell::new(RoundTrips::new(task)?));
        let last = Rc::new(Notify::new());
        for (index, mut socket) in sockets.into_iter().enumerate() {
            let (trips, last, first) = (trips.clone(), last.clone(), Message::text(payload(task.payload)));
            tokio::task::spawn_local(async move {
                let mut next = Some(first);
                while let Some(message) = next {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                    next = socket.next().await.and_then(|message| message.ok());
                    let len = next.as_ref().map_or(0, Message::len);
                    if trips.borrow_mut().count(index, len) {
                        break;
                    }
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

fn connect(task: &Task) -> Result<Report> {
    let connector = connector(task)?;
    runtime()?.block_on(async {
        let mut tally = Tally::new(task)?;
        let mut next = (0..task.warm_up + task.messages).map(|_| open(task, connector.clone()));
        let mut under_way: FuturesUnordered<_> = next.by_ref().take(task.connections).collect();
        while let Some(socket) = under_way.next().await {
            drop(socket?);
            tally.count(0);
            under_way.extend(next.next());
        }
        tally.into_report()
    })
}

fn idle(task: &Task) -> Result<Report> {
    let runtime = runtime()?;
    let connector = connector(task)?;
    measure_idle(task, || {
        runtime.block_on(async {
            let mut socket = open(task, connector.clone()).await?;
            // As any task does before it waits.
            match socket.next().now_or_never() {
                None => Ok(socket),
                Some(message) => Err(format!("not idle: {message:?}").into()),
            }
        })
    })
}

fn runtime() -> Result<Runtime> {
    Ok(runtime::Builder::new_current_thread().enable_io().build()?)
}

fn connector(task: &Task) -> Result<Option<Connector>> {
    match task.workload.is_tls() {
        true => Ok(Some(Connector::Rustls(client_config(task)?))),
        false => Ok(None),
    }
}

/// Opens a connection, without Nagle's algorithm as the others do.
async fn open(task: &Task, connector: Option<Connector>) -> Result<Socket> {
    Ok(connect_async_tls_with_config(task.url(), None, true, connector).await?.0)
}
