//! In the steady state receiving and answering messages allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use websocket_connection::http::{HeaderValue, header};
use websocket_connection::{
    Config, Connection, Env, Event, Input, Kind, Message, Request, SeededEntropy, State,
};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends has nobody left to ask.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

/// The system's allocator, with what each thread asks of it counted.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that the system's allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct Echo {
    env: Env,
    conn: Connection,
    messages: usize,
}

impl Echo {
    #[allow(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
    fn open(config: Config) -> Self {
        let mut env = Env::new(std::time::Instant::now(), SeededEntropy::new([1; 32]));
        let mut request = Request::new("/");
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        request.headers.insert(header::SEC_WEBSOCKET_KEY, key);
        let conn = Connection::new(Arc::new(config), &request, &mut env).unwrap();
        let mut echo = Self { env, conn, messages: 0 };
        echo.write();
        echo.receive(RESPONSE);
        assert_eq!(echo.conn.state(), State::Open);
        echo
    }

    /// Reads `bytes` as if no more were at hand, answers, writes.
    fn came(&mut self, bytes: &[u8]) {
        self.receive(bytes);
        self.write();
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut input = Input::new(bytes);
        while let Some((event, tx)) = self.conn.receive(&mut input, &mut self.env).unwrap() {
            match event {
                Event::Message(Message::Text(text)) => tx.send_text(text, &mut self.env).unwrap(),
                Event::Message(message) => tx.send_binary(message.as_bytes(), &mut self.env).unwrap(),
                Event::Fragment(fragment) => {
                    let kind = fragment.first.then_some(fragment.kind);
                    tx.send_fragment(kind, fragment.payload, fragment.last, &mut self.env).unwrap();
                }
                Event::Ping(_) | Event::Open(_) => continue,
                other => panic!("{other:?}"),
            }
            self.messages += 1;
        }
        self.conn.absorb(&mut input, &mut self.env).unwrap();
    }

    /// The stream takes some bytes, and then the rest.
    fn write(&mut self) {
        while !self.conn.output().is_empty() {
            let len = self.conn.output().len().min(100_000);
            self.conn.wrote(len, &mut self.env);
        }
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut frame = vec![first];
    match len {
        0..126 => frame.push(len as u8),
        126..65_536 => frame.extend([&[126][..], &(len as u16).to_be_bytes()].concat()),
        _ => frame.extend([&[127][..], &(len as u64).to_be_bytes()].concat()),
    }
    [frame.as_slice(), payload].concat()
}

/// Runs `round` for a while and then `rounds` times more; asserts that each brought `messages` and that the latter allocated nothing.
fn steady(config: Config, rounds: usize, messages: usize, mut round: impl FnMut(&mut Echo)) {
    let mut echo = Echo::open(config);
    for _ in 0..4 {
        round(&mut echo);
    }
    let before = ALLOCATIONS.get();
    echo.messages = 0;
    for _ in 0..rounds {
        round(&mut echo);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0, "allocations in {rounds} rounds");
    assert_eq!(echo.messages, rounds * messages);
}

#[test]
fn the_allocator_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

#[test]
fn whole_frames_allocate_nothing() {
    let bytes = [frame(0x81, "grüß".as_bytes()), frame(0x82, &[7; 300]), frame(0x89, b"ping")].concat();
    steady(Config::default(), 5000, 2, |echo| echo.came(&bytes));
}

#[test]
fn frames_cut_by_the_end_of_the_input_allocate_nothing() {
    let bytes = [frame(0x81, "grüß".as_bytes()), frame(0x82, &[7; 300]), frame(0x89, b"ping")].concat();
    for cut in [1, 2, 5, 10, 11, 200, bytes.len() - 5, bytes.len() - 1] {
        steady(Config::default(), 700, 2, |echo| {
            echo.came(&bytes[..cut]);
            echo.came(&bytes[cut..]);
        });
    }
}

#[test]
fn fragmented_messages_allocate_nothing() {
    let bytes = [
        frame(0x01, b"caf\xc3"),
        frame(0x89, b"ping"),
        frame(0x00, b"\xa9 "),
        frame(0x80, &[b'x'; 2000]),
        frame(0x82, b"whole"),
    ]
    .concat();
    steady(Config::default(), 5000, 2, |echo| echo.came(&bytes));
    steady(Config::default(), 1000, 2, |echo| bytes.chunks(100).for_each(|piece| echo.came(piece)));
    let mut single = Config::default();
    single.deliver_fragments = true;
    steady(single, 1000, 4, |echo| bytes.chunks(100).for_each(|piece| echo.came(piece)));
}

#[test]
fn large_messages_read_in_place_allocate_nothing() {
    let payload = vec![b'x'; 1 << 20];
    for kind in [Kind::Binary, Kind::Text] {
        let bytes = frame(if kind == Kind::Text { 0x81 } else { 0x82 }, &payload);
        let (start, rest) = bytes.split_at(64 << 10);
        steady(Config::default(), 20, 1, |echo| {
            echo.came(start);
            let mut at = 0;
            while let Some(spare) = echo.conn.spare(&mut echo.env) {
                let len = spare.len().min(rest.len() - at);
                spare[..len].copy_from_slice(&rest[at..at + len]);
                echo.conn.filled(len, &mut echo.env).unwrap();
                at += len;
            }
            echo.came(&rest[at..]);
        });
    }
}
