//! A sender's futures: they wait for a connection or for room, on any executor, and leave nothing behind. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use websocket_app::{RunOptions, SendError, Sender, State, Unsent, WebSocketApp};
use websocket_testkit::server::EchoServer;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{SERVER, URL, World, reactor, run};

const SECOND: Duration = Duration::from_secs(1);
const ENDED: Poll<Result<(), SendError>> = Poll::Ready(Err(SendError::NotOpen(State::Closed)));
const DONE: Poll<Result<(), SendError>> = Poll::Ready(Ok(()));

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Waiting = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + Sync>>;

/// A future, and the wakes of its task.
struct Task {
    future: Waiting,
    wakes: Arc<Wakes>,
}

impl Task {
    fn new(future: impl Future<Output = Result<(), SendError>> + Send + Sync + 'static) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default() }
    }

    fn poll(&mut self) -> Poll<Result<(), SendError>> {
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(self.wakes.clone())))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

fn app() -> (WebSocketApp, Sender) {
    let mut app = WebSocketApp::new(URL);
    let sender = app.sender();
    (app, sender)
}

#[test]
fn opened_waits_for_the_run_the_first_connection_and_the_next_one() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let (app, sender) = app();
    let mut tasks: Vec<_> = (0..3).map(|_| Task::new(sender.opened())).collect();
    assert!(tasks.iter_mut().all(|task| task.poll().is_pending()), "the app does not run yet");
    app.run_on(&mut world.reactor, &RunOptions::new().reconnect(SECOND)).unwrap();
    world.settle();
    let mut late = Task::new(sender.opened());
    assert!(late.poll().is_pending(), "it connects");
    let peer = listener.accept().unwrap();
    peer.accept_upgrade().unwrap();
    world.settle();
    for task in tasks.iter_mut().chain([&mut late]) {
        assert_eq!((task.wakes(), task.poll()), (1, DONE));
    }
    assert_eq!(Task::new(sender.opened()).poll(), DONE, "it is open");

    peer.reset();
    world.settle();
    let mut again = Task::new(sender.opened());
    assert!(again.poll().is_pending(), "it waits to connect again");
    world.run_for(SECOND);
    assert_eq!(again.wakes(), 0);
    listener.accept().unwrap().accept_upgrade().unwrap();
    world.settle();
    assert_eq!((again.wakes(), again.poll()), (1, DONE));
}

#[test]
fn opened_fails_when_the_app_ends_or_is_dropped_before_it_runs() {
    let (app, sender) = app();
    let mut task = Task::new(sender.opened());
    assert!(task.poll().is_pending());
    drop(app);
    assert_eq!((task.wakes(), task.poll()), (1, ENDED));

    let mut world = World::new();
    let (app, sender) = self::app();
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    let (mut opened, mut ready) = (Task::new(sender.opened()), Task::new(sender.ready(1)));
    assert!(opened.poll().is_pending() && ready.poll().is_pending());
    // Nothing listens.
    world.reactor.run().unwrap();
    assert_eq!((opened.wakes(), opened.poll()), (1, ENDED));
    assert_eq!((ready.wakes(), ready.poll()), (1, ENDED));
    assert_eq!(Task::new(sender.ready(1)).poll(), ENDED);
}

#[test]
fn ready_waits_until_a_message_of_that_length_would_be_accepted() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let (app, sender) = app();
    let peer = world.open(app, &RunOptions::new().max_queued_bytes(2000));
    assert_eq!(Task::new(sender.ready(1000)).poll(), DONE);
    let too_big = SendError::TooBig { len: 2014, limit: 2000 };
    assert_eq!(Task::new(sender.ready(2000)).poll(), Poll::Ready(Err(too_big)));

    // The system takes 1000 bytes, and some 1000 stay in the queue.
    sender.send_bytes(vec![1; 1900]).unwrap();
    world.settle();
    assert!(sender.send_bytes(vec![2; 1500]).is_err());
    let (mut large, mut small) = (Task::new(sender.ready(1500)), Task::new(sender.ready(100)));
    assert_eq!((large.poll(), small.poll()), (Poll::Pending, DONE));
    world.settle();
    assert_eq!(large.wakes(), 0, "nothing was written meanwhile");
    while peer.read_frame().is_none() {
        world.settle();
    }
    world.settle();
    assert_eq!((large.wakes(), large.poll()), (1, DONE));
    sender.send_bytes(vec![2; 1500]).unwrap();
}

#[test]
fn flushed_waits_until_the_system_has_the_last_byte() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let (app, sender) = app();
    assert_eq!(Task::new(sender.flushed()).poll(), DONE, "nothing was sent");
    let peer = world.open(app, &RunOptions::new());
    sender.send_bytes(vec![1; 3000]).unwrap();
    let mut flushed = Task::new(sender.flushed());
    assert!(flushed.poll().is_pending(), "the loop has not looked");
    world.settle();
    assert!(flushed.poll().is_pending(), "the system takes 1000 bytes");
    let mut taken = 0;
    while flushed.wakes() == 0 {
        taken += peer.read_available().len();
        world.settle();
    }
    assert_eq!(flushed.poll(), DONE);
    assert!((2008..=3008).contains(&taken), "{taken}");
    assert_eq!(Task::new(sender.flushed()).poll(), DONE, "nothing was sent since");
}

#[test]
fn flushed_waits_for_messages_that_are_kept_and_fails_with_the_app() {
    let mut world = World::new();
    let (app, sender) = app();
    let peer = world.open(app, &RunOptions::new().reconnect(SECOND).unsent(Unsent::Keep));
    sender.send_text("kept").unwrap();
    peer.reset();
    world.settle();
    let mut flushed = Task::new(sender.flushed());
    assert!(flushed.poll().is_pending());
    sender.close();
    world.settle();
    assert_eq!((flushed.wakes(), flushed.poll()), (1, ENDED));
}

#[test]
fn a_future_that_is_dropped_or_done_leaves_nothing_behind() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let (app, sender) = app();
    let mut dropped = Task::new(sender.opened());
    let mut stays = Task::new(sender.opened());
    assert!(dropped.poll().is_pending() && stays.poll().is_pending());
    // Polled again, it has the waker of its task only once.
    assert!(dropped.poll().is_pending());
    assert_eq!(Arc::strong_count(&dropped.wakes), 2);
    let wakes = dropped.wakes.clone();
    drop(dropped);
    assert_eq!(Arc::strong_count(&wakes), 1);

    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    listener.accept().unwrap().accept_upgrade().unwrap();
    world.settle();
    assert_eq!((wakes.0.load(Ordering::Relaxed), stays.wakes(), stays.poll()), (0, 1, DONE));
    assert_eq!(Arc::strong_count(&stays.wakes), 1);
}

#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let (app, sender) = app();
    let mut first = Task::new(sender.opened());
    assert!(first.poll().is_pending());
    let mut second = Task { future: first.future, wakes: Arc::default() };
    assert!(second.poll().is_pending());
    assert_eq!(Arc::strong_count(&first.wakes), 1);
    drop(app);
    assert_eq!((first.wakes.0.load(Ordering::Relaxed), second.wakes()), (0, 1));
}

/// A task that only its waker keeps alive, and that holds the future itself.
#[derive(Default)]
struct OwnTask(Mutex<Option<Waiting>>);

impl Wake for OwnTask {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_that_is_the_last_reference_to_its_task_is_dropped_without_a_deadlock() {
    let (app, sender) = app();
    let task = Arc::new(OwnTask::default());
    let mut future: Waiting = Box::pin(sender.opened());
    assert!(future.as_mut().poll(&mut Context::from_waker(&Waker::from(task.clone()))).is_pending());
    *task.0.lock().unwrap() = Some(future);
    drop(task);
    // It wakes the task, which is dropped with the waker and takes the future along.
    drop(app);
    assert_eq!(Task::new(sender.opened()).poll(), ENDED);
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_that_panics_harms_neither_the_loop_nor_other_tasks() {
    let mut world = World::new();
    let (app, sender) = app();
    let mut bad: Waiting = Box::pin(sender.opened());
    assert!(bad.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Panics)))).is_pending());
    let mut good = Task::new(sender.opened());
    assert!(good.poll().is_pending());
    world.open(app, &RunOptions::new());
    assert_eq!((good.wakes(), good.poll()), (1, DONE));
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn several_threads_wait_for_room_and_every_message_arrives() {
    const THREADS: usize = 4;
    const MESSAGES: usize = 500;
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let mut left = THREADS * MESSAGES;
    let mut app = WebSocketApp::new(echo.url()).on_message(move |app, _| {
        left -= 1;
        if left == 0 {
            app.close();
        }
    });
    let sender = app.sender();
    let threads = [(); THREADS].map(|()| {
        let sender = sender.clone();
        thread::spawn(move || {
            block_on(async {
                for _ in 0..MESSAGES {
                    // Room for little more than one message: all threads wait most of the time.
                    while sender.send_bytes(vec![0; 1000]).is_err() {
                        sender.ready(1000).await.unwrap();
                    }
                }
            });
        })
    });
    app.run_on(&mut reactor, &RunOptions::new().max_queued_bytes(1500)).unwrap();
    run(&mut reactor);
    for thread in threads {
        thread.join().unwrap();
    }
}
