//! Apps beside a runtime whose tasks move between threads.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use websocket_app::{BoxError, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_dispatcher_tokio::{TokioDispatcher, spawn};
use websocket_testkit::server::{EchoServer, ScriptedServer};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A server that notices when its one client is gone, however that went.
fn server() -> ScriptedServer {
    ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.read_to_end();
    })
    .unwrap()
}

/// Runs one app for ever, which gives its sender away when it is open.
async fn app(url: String, opened: oneshot::Sender<Sender>) -> Result<(), BoxError> {
    let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new()?)?;
    let mut opened = Some(opened);
    WebSocketApp::new(url)
        .on_open(move |app, _| {
            if let Some(opened) = opened.take() {
                let _ = opened.send(app.sender());
            }
        })
        .run_on(&mut reactor, &RunOptions::new())?;
    Ok(reactor.run_async().await?)
}

#[test]
fn tokio_takes_what_spawn_returns() {
    let echo = EchoServer::start().unwrap();
    let url = echo.url();
    runtime().block_on(async move {
        let (heard, mut hear) = mpsc::unbounded_channel();
        let apps = spawn(move || async move {
            // Not `Send`, and shared by the callbacks.
            let heard = Rc::new(heard);
            let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new().unwrap()).unwrap();
            for number in 0..2 {
                let heard = heard.clone();
                WebSocketApp::new(url.clone())
                    .on_open(move |app, _| app.send_text(number.to_string()))
                    .on_message(move |app, message| {
                        heard.send(message.as_text().unwrap().to_owned()).unwrap();
                        app.close();
                    })
                    .run_on(&mut reactor, &RunOptions::new())
                    .unwrap();
            }
            reactor.run_async().await.unwrap();
            "over"
        });
        let task = tokio::spawn(async move {
            let mut texts = Vec::new();
            while let Some(text) = hear.recv().await {
                texts.push(text);
            }
            texts.sort();
            (texts, apps.await.unwrap())
        });
        assert_eq!(task.await.unwrap(), (vec!["0".to_owned(), "1".to_owned()], "over"));
    });
}

#[test]
fn dropping_it_drops_the_reactor_on_its_thread() {
    let server = server();
    let url = server.url();
    runtime().block_on(async move {
        let (opened, open) = oneshot::channel();
        let apps = spawn(move || async move { app(url, opened).await.map_err(|error| error.to_string()) });
        let sender = open.await.unwrap();
        assert!(sender.reactor().is_some());
        drop(apps);
        tokio::task::spawn_blocking(|| server.join()).await.unwrap();
    });
}

#[test]
fn aborting_the_task_that_awaits_it_drops_the_reactor() {
    let server = server();
    let url = server.url();
    runtime().block_on(async move {
        let (opened, open) = oneshot::channel();
        let apps = spawn(move || async move { app(url, opened).await.map_err(|error| error.to_string()) });
        let task = tokio::spawn(apps);
        open.await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        tokio::task::spawn_blocking(|| server.join()).await.unwrap();
    });
}

#[test]
fn a_runtime_that_is_dropped_ends_what_its_tasks_await() {
    let server = server();
    let url = server.url();
    let runtime = runtime();
    runtime.block_on(async move {
        let (opened, open) = oneshot::channel();
        let apps = spawn(move || async move { app(url, opened).await.map_err(|error| error.to_string()) });
        tokio::spawn(apps);
        open.await.unwrap();
    });
    // Waits for the thread.
    drop(runtime);
    server.join();
}

#[test]
fn what_is_dropped_before_it_started_never_starts() {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let token = Arc::new(());
    let held = token.clone();
    runtime.block_on(async {
        let (started, start) = oneshot::channel();
        let first = spawn(move || async move {
            started.send(()).unwrap();
            pending::<()>().await;
        });
        start.await.unwrap();
        // There is no thread left for this one.
        let second = spawn(move || async move {
            let _held = held;
            panic!("it ran");
        });
        drop::<websocket_dispatcher_tokio::Running<()>>(second);
        drop(first);
    });
    drop(runtime);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn a_panic_is_the_error_of_the_future() {
    runtime().block_on(async {
        let error = spawn(|| async { panic!("on purpose") as () }).await.unwrap_err();
        assert!(error.is_panic());
        let error = spawn(|| -> std::future::Ready<()> { panic!("on purpose") }).await.unwrap_err();
        assert!(error.is_panic());
        assert_eq!(spawn(|| async { 7 }).await.unwrap(), 7, "the runtime goes on");
    });
}

#[test]
fn a_runtime_on_one_thread_looks_after_it_too() {
    let echo = EchoServer::start().unwrap();
    let url = echo.url();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let (opened, open) = oneshot::channel();
        let apps = spawn(move || async move { app(url, opened).await.map_err(|error| error.to_string()) });
        let sender = open.await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        sender.close();
        apps.await.unwrap().unwrap();
    });
}
