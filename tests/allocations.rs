//! In the steady state a message costs no heap allocation: not when it is received, not when it is echoed, neither whole nor in fragments,
//! neither small nor large. And what comes and goes again and again leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::dispatcher::Io;
use websocket_app::link::{Connector, SocketOptions};
use websocket_app::{Context, Kind, Message, Reactor, RunOptions, SendError, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::EchoServer;
use websocket_testkit::sim::SimNet;
use websocket_tests::{SERVER, Trust, URL, World, secure_echo, secure_server};

thread_local! {
    /// Allocations of this thread: the server's thread has its own.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has allocated and not freed.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Echo rounds, the first of which warms up.
const ROUNDS: usize = 6;

struct Counting;

// SAFETY: every call goes on to the system's allocator with the arguments as they came; counting touches a cell of the thread that
// needs neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        HELD.set(HELD.get() + layout.size() as isize);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        HELD.set(HELD.get() + size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Echoes `messages` messages on each of `apps` connections, round after round; returns the allocations of the round that had fewest. What a
/// message costs, it costs in every round; what the pools need once, when a frame is cut where none was cut before, they do not.
fn allocations(
    apps: usize,
    messages: usize,
    send: impl Fn(&mut Context<'_>) -> Result<(), SendError> + Copy + 'static,
) -> u64 {
    let server = EchoServer::start().unwrap();
    let mut reactor = Reactor::new().unwrap();
    let echoed = Rc::new(Cell::new(0));
    for _ in 0..apps {
        let echoed = echoed.clone();
        WebSocketApp::new(server.url())
            .on_open(move |app, _| send(app))
            .on_message(move |app, _| {
                echoed.set(echoed.get() + 1);
                send(app)
            })
            .run_on(&mut reactor, &RunOptions::default())
            .unwrap();
    }
    let mut run_to = |count: usize| {
        reactor.run_until(|_| echoed.get() >= count).unwrap();
        ALLOCATIONS.get()
    };
    let mut rounds = (1..=ROUNDS).map(|round| run_to(round * apps * messages));
    let mut last = rounds.next().unwrap();
    let costs = rounds.map(|total| total - std::mem::replace(&mut last, total));
    costs.min().unwrap()
}

#[test]
fn small_texts_cost_no_allocation() {
    let text = "x".repeat(100);
    let text: &'static str = text.leak();
    assert_eq!(allocations(10, 1000, move |app| app.send_text(text)), 0);
}

#[test]
fn fragmented_messages_cost_no_allocation() {
    let send = |app: &mut Context<'_>| {
        app.send_fragment(Some(Kind::Binary), &[1; 300], false)?;
        app.send_fragment(None, &[2; 300], true)
    };
    assert_eq!(allocations(3, 1000, send), 0);
}

#[test]
fn large_messages_cost_no_allocation() {
    let bytes: &'static [u8] = vec![7; 1 << 20].leak();
    assert_eq!(allocations(1, 20, move |app| app.send_bytes(bytes)), 0);
}

/// As [`allocations`] with one connection over TLS to a server that puts `packed` messages of 100 bytes into each record. The client
/// sends one message for each record.
fn allocations_over_tls(records: usize, packed: usize) -> u64 {
    let trust = Trust::new();
    let server = secure_server(&trust.server(), move |peer, _| {
        peer.accept_upgrade();
        let record = frame::text(&"x".repeat(100)).repeat(packed);
        // Until the client leaves.
        while peer.next_frame().is_some() {
            peer.write(&record);
        }
    });
    let mut reactor = Reactor::new().unwrap();
    let heard = Rc::new(Cell::new(0_usize));
    let count = heard.clone();
    WebSocketApp::new(format!("wss://{}/", server.addr()))
        .on_open(|app, _| app.send_text("more"))
        .on_message(move |app, _| {
            count.set(count.get() + 1);
            if count.get().is_multiple_of(packed) { app.send_text("more") } else { Ok(()) }
        })
        .run_on(&mut reactor, &trust.options())
        .unwrap();
    let mut run_to = |count: usize| {
        reactor.run_until(|_| heard.get() >= count).unwrap();
        ALLOCATIONS.get()
    };
    let mut rounds = (1..=ROUNDS).map(|round| run_to(round * records * packed));
    let mut last = rounds.next().unwrap();
    rounds.map(|total| total - std::mem::replace(&mut last, total)).min().unwrap()
}

#[test]
fn over_tls_a_record_costs_allocations_and_a_message_none() {
    // Those of rustls: one for a record that is read, one for a record that is written.
    let (alone, packed) = (allocations_over_tls(200, 1), allocations_over_tls(200, 50));
    assert!(alone <= 2 * 200, "{alone}");
    assert!(packed <= 2 * 200, "{packed}");
}

#[test]
fn an_idle_connection_over_tls_holds_no_buffers() {
    const APPS: usize = 20;
    let trust = Trust::new();
    let server = secure_echo(&trust.server());
    let options = trust.options();
    let mut reactor = Reactor::new().unwrap();
    let heard = Rc::new(Cell::new(0));
    let connect = |reactor: &mut Reactor| {
        let count = heard.clone();
        let app = WebSocketApp::new(format!("wss://{}/", server.addr()))
            .on_open(|app, _| app.send_text("hello"))
            .on_message(move |_, _| count.set(count.get() + 1));
        let id = app.run_on(reactor, &options).unwrap();
        let before = heard.get();
        reactor.run_until(|_| heard.get() > before).unwrap();
        id
    };
    let talk = |reactor: &mut Reactor, id| {
        let before = heard.get();
        reactor.apps().with(id, |app| app.send_bytes([1; 300_000])).unwrap().unwrap();
        reactor.run_until(|_| heard.get() > before).unwrap();
    };
    // What the reactor keeps for all of them it has after the first.
    let first = connect(&mut reactor);
    talk(&mut reactor, first);
    connect(&mut reactor);
    let alone = HELD.get();
    let ids: Vec<_> = (0..APPS).map(|_| connect(&mut reactor)).collect();
    let open = HELD.get();
    for id in ids {
        talk(&mut reactor, id);
    }
    let each = (open - alone) / APPS as isize;
    assert!(each < 6 << 10, "{each} bytes a connection");
    // The reactor's own memory to encrypt into may have grown, once; a record a connection would be 320 KiB.
    let more = HELD.get() - open;
    assert!(more < 100 << 10, "{more} bytes more after all were used");
}

/// Refuses every connection, and remembers none.
struct Refusing;

impl Connector for Refusing {
    fn connect(&mut self, _: SocketAddr, _: &SocketOptions) -> io::Result<Io> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

#[test]
fn b126_ten_thousand_retries_in_a_row_hold_no_more_memory_than_a_hundred() {
    let net = SimNet::new(1);
    let mut reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap().connector(Refusing);
    let closed = Rc::new(Cell::new(0));
    let seen = closed.clone();
    let mut app = WebSocketApp::new("ws://192.0.2.1/")
        .on_error(|_, _| {})
        .on_close(move |app, _| {
            seen.set(seen.get() + 1);
            app.set_timeout(Duration::from_secs(3600), |_| ());
        })
        .header_with(|| [("X", "y")]);
    let sender = app.sender();
    app.run_on(&mut reactor, &RunOptions::new().reconnect(Duration::from_secs(1))).unwrap();
    let mut held_after = |retries: u32| {
        reactor.run_until(|_| closed.get() >= retries).unwrap();
        HELD.get()
    };
    let early = held_after(100);
    assert_eq!(held_after(10_000), early);
    drop(sender);
}

#[test]
fn memory_for_large_messages_is_kept_while_they_come_and_given_back_after() {
    const MIB: isize = 1 << 20;
    let mut world = World::new();
    let heard = Rc::new(Cell::new(0));
    let count = heard.clone();
    let peer = world.open(
        WebSocketApp::new(URL).on_message(move |_, _| count.set(count.get() + 1)),
        &RunOptions::default(),
    );
    let message = frame::text(&"x".repeat(1 << 20));
    let mut held_after = |number: usize| {
        peer.write(&message);
        world.run_for(Duration::from_millis(600));
        assert_eq!(heard.get(), number);
        HELD.get()
    };
    // The simulation keeps memory, too.
    let mut held = held_after(1);
    for number in 2..10 {
        let now = held_after(number);
        assert!((now - held).abs() < MIB / 4, "message {number}: {held} bytes, then {now}");
        held = now;
    }
    world.run_for(Duration::from_secs(2));
    let freed = held - HELD.get();
    assert!((MIB..MIB + MIB / 4).contains(&freed), "{freed} bytes were freed");
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    let boxed = Box::new(Message::Binary(&[]));
    assert_eq!(boxed.len(), 0);
    assert_eq!(ALLOCATIONS.get(), before + 1);
    let held = HELD.get();
    drop(boxed);
    assert!(HELD.get() < held);
}

#[test]
fn a_connection_holds_memory_for_its_numbers_only_from_its_first_message_on() {
    const APPS: usize = 100;
    let net = SimNet::new(1);
    let peers = Rc::new(RefCell::new(Vec::new()));
    let arrived = peers.clone();
    net.serve_arrivals(SERVER, move |peer| {
        if peer.accept_upgrade().is_some() {
            arrived.borrow_mut().push(peer.clone());
        }
    });
    let mut reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap().connector(net.clone());
    let heard = Rc::new(Cell::new(0));
    for _ in 0..APPS {
        let count = heard.clone();
        let app = WebSocketApp::new(URL).on_message(move |_, _| count.set(count.get() + 1));
        app.run_on(&mut reactor, &RunOptions::default()).unwrap();
    }
    reactor.run_until(|_| peers.borrow().len() == APPS).unwrap();
    let mut held_after = |frame: &[u8], messages: usize| {
        peers.borrow().iter().for_each(|peer| peer.write(frame));
        let all = heard.get() + messages;
        for _ in 0..2 * APPS {
            reactor.poll(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(heard.get(), all);
        peers.borrow().iter().for_each(|peer| drop(peer.read_available()));
        HELD.get()
    };
    held_after(&frame::ping(b"first"), 0);
    let idle = held_after(&frame::ping(b"other"), 0);
    let used = held_after(&frame::text("hello"), APPS);
    let each = (used - idle) / APPS as isize;
    assert!((100..300).contains(&each), "{each} bytes for each");
    assert_eq!(held_after(&frame::text("again"), APPS), used);
}
