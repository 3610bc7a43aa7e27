//! The workloads of `websocket-stream`, as its users would write them, wherever its reactor runs.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::runtime::{self, Runtime};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use websocket_app::{ReactorHandle, RunOptions};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, Workload, payload};
use websocket_bench::measure::{RoundTrips, Tally};
use websocket_stream::{Message, WebSocketStream, connect};

pub(crate) async fn run(task: &Task, handle: &ReactorHandle) -> Result<Report> {
    match task.workload {
        Workload::Receive => receive(task, handle).await,
        Workload::Echo => echo(task, handle).await,
        other => Err(format!("websocket-stream has no '{}' here", other.name()).into()),
    }
}

async fn receive(task: &Task, handle: &ReactorHandle) -> Result<Report> {
    let mut tally = Tally::new(task)?;
    let mut stream = open(task, handle).await?;
    while let Some(message) = stream.next().await {
        match message? {
            Message::Text(text) => {
                tally.count(black_box(text.as_str()).len());
            }
            other => return Err(format!("no text: {other:?}").into()),
        }
    }
    tally.into_report()
}

async fn echo(task: &Task, handle: &ReactorHandle) -> Result<Report> {
    let mut streams = Vec::with_capacity(task.connections);
    for _ in 0..task.connections {
        streams.push(open(task, handle).await?);
    }
    let trips = Rc::new(RefCell::new(RoundTrips::new(task)?));
    let last = Rc::new(Notify::new());
    for (index, mut stream) in streams.into_iter().enumerate() {
        let (trips, last, first) = (trips.clone(), last.clone(), Message::from(payload(task.payload)));
        spawn_local(async move {
            let mut next = Some(first);
            while let Some(message) = next {
                if stream.send(message).await.is_err() {
                    break;
                }
                next = stream.next().await.and_then(|message| message.ok());
                let len = next.as_ref().map_or(0, |message| message.as_bytes().len());
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
}

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn open(task: &Task, handle: &ReactorHandle) -> Result<WebSocketStream> {
    Ok(connect(task.url(), &RunOptions::new(), handle).await?)
}
