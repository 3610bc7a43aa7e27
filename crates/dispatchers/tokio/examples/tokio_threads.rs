//! Two apps beside a tokio runtime whose tasks move between threads: the apps stay on one, the tasks use them from anywhere.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use websocket_app::{BoxError, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_dispatcher_tokio::TokioDispatcher;
use websocket_testkit::server::EchoServer;

const MESSAGES: usize = 3;

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let url = server.url();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move {
        let (opened, mut open) = unbounded_channel();
        // The apps share a counter that must not leave its thread; the future may.
        let apps = tokio::spawn(websocket_dispatcher_tokio::spawn(move || run(url, opened)));
        let mut tasks = Vec::new();
        while let Some((name, sender)) = open.recv().await {
            tasks.push(tokio::spawn(talk(name, sender)));
        }
        for task in tasks {
            task.await??;
        }
        let received = apps.await??.map_err(BoxError::from)?;
        assert_eq!(received, 2 * MESSAGES);
        println!("{received} messages came back");
        Ok(())
    })
}

/// Runs the apps to their end, and counts what they have received. Errors that go to another thread go as texts.
async fn run(url: String, opened: UnboundedSender<(&'static str, Sender)>) -> Result<usize, String> {
    let received = Rc::new(Cell::new(0));
    let dispatcher = TokioDispatcher::new().map_err(|error| error.to_string())?;
    let mut reactor = Reactor::with_dispatcher(dispatcher).map_err(|error| error.to_string())?;
    for name in ["left", "right"] {
        let (opened, received) = (opened.clone(), received.clone());
        let mut opened = Some(opened);
        let mut left = MESSAGES;
        WebSocketApp::new(&url)
            .on_open(move |app, _| {
                if let Some(opened) = opened.take() {
                    opened.send((name, app.sender()))?;
                }
                Ok::<_, BoxError>(())
            })
            .on_message(move |app, message| {
                println!("{name}: {}", message.as_text().unwrap_or("no text"));
                received.set(received.get() + 1);
                left -= 1;
                if left == 0 {
                    app.close();
                }
            })
            .on_error(move |_, error| eprintln!("{name}: failed: {error}"))
            .run_on(&mut reactor, &RunOptions::new())
            .map_err(|error| error.to_string())?;
    }
    // Once all apps are open, or have failed, no other sender comes.
    drop(opened);
    reactor.run_async().await.map_err(|error| error.to_string())?;
    Ok(received.get())
}

/// A task of the program's own, on any thread.
async fn talk(name: &'static str, sender: Sender) -> Result<(), BoxError> {
    for number in 1..=MESSAGES {
        sender.send_text(format!("message {number} of {name}"))?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
