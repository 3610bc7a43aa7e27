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
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    // A thread that ends has nobody left to ask.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
    hold(bytes as isize);
}

fn hold(bytes: isize) {
    let _ = BYTES.try_with(|held| held.set(held.get() + bytes));
}

/// The system's allocator, with what each thread asks of it and holds counted.
struct Counting;

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        hold(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
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
    fn open(config: &Arc<Config>, response: &[u8]) -> Self {
        let mut env = Env::new(std::time::Instant::now(), SeededEntropy::new([1; 32]));
        let mut request = Request::new("/");
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        request.headers.insert(header::SEC_WEBSOCKET_KEY, key);
        let conn = Connection::new(config.clone(), &request, &mut env).unwrap();
        let mut echo = Self { env, conn, messages: 0 };
        echo.write();
        echo.receive(response);
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

/// Runs `round` a few times and then `rounds` times more; asserts that each brought `messages` and that the latter allocated nothing.
fn steady(config: Config, rounds: usize, messages: usize, round: impl FnMut(&mut Echo)) {
    steady_with(RESPONSE, config, 4, rounds, messages, round);
}

fn steady_with(
    response: &[u8],
    config: Config,
    warm_up: usize,
    rounds: usize,
    messages: usize,
    mut round: impl FnMut(&mut Echo),
) {
    let mut echo = Echo::open(&Arc::new(config), response);
    for _ in 0..warm_up {
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

#[cfg(feature = "deflate")]
mod compressed {
    use websocket_connection::Deflate;

    use super::*;

    /// The example of RFC 7692 section 7.2.3.3: it refers to nothing, so it may come again and again.
    const STORED: &[u8] = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];

    /// The modes, and what each connection of many holds at most once messages of 100 kB went both ways.
    const MODES: [(&str, usize); 4] = [
        ("", 37_500),
        ("; server_max_window_bits=10; client_max_window_bits=10", 2700),
        ("; client_no_context_takeover", 33_400),
        ("; server_no_context_takeover; client_no_context_takeover", 600),
    ];

    fn config() -> Config {
        let mut config = Config::default();
        config.deflate = Some(Deflate::new().threshold(1));
        config
    }

    fn response(parameters: &str) -> Vec<u8> {
        let head = RESPONSE.strip_suffix(b"\r\n").unwrap();
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n\r\n");
        [head, line.as_bytes()].concat()
    }

    /// A stored block with `payload`, up to 65 535 bytes.
    fn stored(payload: &[u8]) -> Vec<u8> {
        let len = payload.len() as u16;
        [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), payload, &[0]].concat()
    }

    #[test]
    fn messages_allocate_nothing() {
        let bytes = [
            frame(0xc1, STORED),
            frame(0xc2, &stored(&[b'x'; 3000])),
            frame(0x41, &STORED[..4]),
            frame(0x89, b"ping"),
            frame(0x80, &STORED[4..]),
        ]
        .concat();
        for (parameters, _) in MODES {
            let response = response(parameters);
            // The window has to be full first.
            steady_with(&response, config(), 50, 200, 3, |echo| echo.came(&bytes));
        }
    }

    /// The bytes that each of many connections holds after `bytes` came, beyond its own size and what they take turns with.
    fn held(response: &[u8], bytes: &[u8]) -> usize {
        const FIRST: usize = 40;
        const MANY: usize = 200;
        let config = Arc::new(config());
        let mut echo = Echo::open(&config, response);
        echo.came(bytes);
        let mut connections = Vec::with_capacity(FIRST + MANY);
        let mut before = 0;
        for index in 0..FIRST + MANY {
            if index == FIRST {
                before = BYTES.get();
            }
            let mut next = Echo::open(&config, response);
            std::mem::swap(&mut next.env, &mut echo.env);
            next.came(bytes);
            assert_eq!(next.messages, 1);
            std::mem::swap(&mut next.env, &mut echo.env);
            connections.push(next.conn);
        }
        (BYTES.get() - before) as usize / MANY
    }

    #[test]
    fn many_connections_hold_little_more_than_their_contexts() {
        let block: Vec<u8> = (0..50_000_u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let stored = stored(&block);
        let compressed = frame(0xc2, &[&stored[..stored.len() - 1], &stored].concat());
        let plain = held(RESPONSE, &frame(0x82, &block));
        for (parameters, most) in MODES {
            let each = held(&response(parameters), &compressed) - plain;
            println!("permessage-deflate{parameters}: {each} bytes a connection");
            assert!(each <= most, "{each} bytes, expected at most {most}: {parameters}");
        }
    }
}
