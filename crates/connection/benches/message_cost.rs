//! What a small message costs a connection, without sockets and callbacks, in nanoseconds: `cargo bench --package websocket-connection`.
//!
//! Whatever is done for each message shows here first. To compare two versions, run each a few times in turns, and compare the lowest
//! figures; this file compiles on older ones too. Without `--bench`, as tests run it, it only looks whether it works.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use websocket_connection::http::{HeaderValue, header};
use websocket_connection::{Config, Connection, Env, Input, Request, SeededEntropy};

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What one read brings.
const BUFFER: usize = 128 << 10;

fn open() -> (Connection, Env) {
    let mut env = Env::new(Instant::now(), SeededEntropy::new([1; 32]));
    let mut request = Request::new("/");
    request.headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
    let mut connection = Connection::new(Arc::new(Config::default()), &request, &mut env).unwrap();
    connection.wrote(connection.output().len(), &mut env);
    let mut input = Input::new(RESPONSE);
    assert!(connection.receive(&mut input, &mut env).unwrap().is_some());
    (connection, env)
}

/// Runs `round` often; returns the lowest and the median time per message.
fn measure(rounds: usize, mut round: impl FnMut() -> usize) -> (f64, f64) {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            let messages = round();
            start.elapsed().as_secs_f64() * 1e9 / messages as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

/// Reads a buffer of binary messages.
fn receive(connection: &mut Connection, bytes: &[u8]) -> usize {
    let (mut input, mut messages) = (Input::new(bytes), 0);
    let (whole, tx) = connection.messages();
    while let Some(message) = whole.next(tx, &mut input) {
        black_box(message.as_bytes());
        messages += 1;
    }
    assert!(input.rest().is_empty());
    messages
}

fn main() {
    let rounds = if std::env::args().any(|arg| arg == "--bench") { 5000 } else { 3 };
    for len in [8, 32, 125, 1000] {
        let mut frame = vec![0x82];
        match u8::try_from(len) {
            Ok(short) if short < 126 => frame.push(short),
            _ => frame.extend([[126].as_slice(), &u16::try_from(len).unwrap().to_be_bytes()].concat()),
        }
        let payload = vec![7; len];
        frame.extend_from_slice(&payload);
        let bytes = frame.repeat(BUFFER / frame.len());
        let (mut connection, mut env) = open();
        let (lowest, median) = measure(rounds, || receive(&mut connection, &bytes));
        println!("receive {len:>5} bytes: {lowest:6.2} ns, median {median:6.2}");
        let messages = BUFFER / frame.len();
        let (lowest, median) = measure(rounds, || {
            let tx = connection.tx();
            for _ in 0..messages {
                tx.send_binary(black_box(&payload), &mut env).unwrap();
            }
            connection.wrote(connection.queued_bytes(), &mut env);
            messages
        });
        println!("send    {len:>5} bytes: {lowest:6.2} ns, median {median:6.2}");
    }
}
