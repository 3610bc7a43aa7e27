//! Streams on real sockets, with the reactor on its own thread, on a thread of tokio, and as a task of the runtime.

use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use websocket_app::{BoxError, Reactor, ReactorHandle, RunOptions};
use websocket_dispatcher_tokio::TokioDispatcher;
use websocket_stream::connect;
use websocket_testkit::server::EchoServer;

const STREAMS: usize = 10;
const MESSAGES: usize = 200;

/// Has many messages come back over one connection, sent by one task and received by another.
async fn converse(url: String, handle: ReactorHandle) -> Result<(), BoxError> {
    let stream = connect(url, &RunOptions::new(), &handle).await?;
    let (mut write, mut read) = stream.split();
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES {
            match number % 10 {
                9 => write.send(format!("message {number}").into()).await?,
                _ => write.feed(format!("message {number}").into()).await?,
            }
        }
        Ok::<_, websocket_stream::Error>(write)
    });
    for number in 0..MESSAGES {
        let message = read.next().await.ok_or("the end")??;
        assert_eq!(message.as_text(), Some(&*format!("message {number}")));
    }
    sending.await??.close().await?;
    assert!(read.next().await.is_none());
    Ok(())
}

/// All streams at once.
async fn converse_all(url: &str, handle: &ReactorHandle) {
    let tasks: Vec<_> =
        (0..STREAMS).map(|_| tokio::spawn(converse(url.to_owned(), handle.clone()))).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[test]
fn on_tokios_threads_with_a_reactor_on_its_own() {
    let server = EchoServer::start().unwrap();
    let reactor = Reactor::spawn(Reactor::new).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(converse_all(&server.url(), reactor.handle()));
    reactor.handle().stop();
    reactor.join().unwrap();
}

#[test]
fn on_tokios_threads_with_a_reactor_on_one_of_them() {
    let server = EchoServer::start().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (made, handle) = tokio::sync::oneshot::channel();
        let running = websocket_dispatcher_tokio::spawn(move || async move {
            let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new().unwrap()).unwrap();
            made.send(reactor.handle()).unwrap();
            reactor.run_async_until(|_| false).await.map_err(|error| error.to_string())
        });
        let handle = handle.await.unwrap();
        converse_all(&server.url(), &handle).await;
        handle.stop();
        running.await.unwrap().unwrap();
    });
}

#[test]
fn on_one_thread_with_the_reactor_as_a_task_that_stays_while_it_has_nothing_to_do() {
    let server = EchoServer::start().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new().unwrap()).unwrap();
        let handle = reactor.handle();
        let running = tokio::task::spawn_local(async move { reactor.run_async_until(|_| false).await });
        for _ in 0..2 {
            converse_all(&server.url(), &handle).await;
            tokio::task::yield_now().await;
            assert!(!running.is_finished());
        }
        handle.stop();
        running.await.unwrap().unwrap();
    });
}

#[test]
fn a_tunnel_serves_tokios_traits_as_well() {
    let server = EchoServer::start().unwrap();
    let reactor = Reactor::spawn(Reactor::new).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let mut tunnel =
            connect(server.url(), &RunOptions::new(), reactor.handle()).await.unwrap().into_bytes();
        let mut back = vec![0; 100_000];
        tokio::io::AsyncWriteExt::write_all(&mut tunnel, &[7; 50_000]).await.unwrap();
        tunnel.write_all(&[8; 50_000]).await.unwrap();
        tokio::io::AsyncWriteExt::flush(&mut tunnel).await.unwrap();
        tokio::io::AsyncReadExt::read_exact(&mut tunnel, &mut back[..10]).await.unwrap();
        tunnel.read_exact(&mut back[10..]).await.unwrap();
        assert!(back[..50_000] == [7; 50_000] && back[50_000..] == [8; 50_000]);
        tokio::io::AsyncWriteExt::shutdown(&mut tunnel).await.unwrap();
        assert_eq!(tokio::io::AsyncReadExt::read(&mut tunnel, &mut back).await.unwrap(), 0);
    });
}

#[test]
fn on_another_executor() {
    let server = EchoServer::start().unwrap();
    let reactor = Reactor::spawn(Reactor::new).unwrap();
    futures_lite::future::block_on(async {
        let mut stream = connect(server.url(), &RunOptions::new(), reactor.handle()).await.unwrap();
        stream.send("hello".into()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().as_text(), Some("hello"));
        stream.close().await.unwrap();
    });
}
