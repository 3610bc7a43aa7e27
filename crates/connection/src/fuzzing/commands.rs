use std::time::Duration;

use super::harness::{self, Client, Leave, RESPONSE, Seen, Sent, parse_sent};
use super::plan::{Plan, leave};
use crate::{Close, CloseCode, Config, Error, Kind, Liveness, Opcode, SendError, State};

const MAX_QUEUED: usize = 700;
/// What goes out although the queue is full: a close frame and one keep-alive ping.
const RESERVE: usize = 2 * (125 + 8);

/// Commands of the user, bytes of the server and time in any order: what is written are frames of a client with the accepted
/// messages in their order, one close frame at most and nothing after it; a refused command changes nothing; the queue stays bounded;
/// failures are kept; a connection that is over holds no memory.
///
/// Input: one byte of options, then commands with their operands.
///
/// # Panics
/// If one of these does not hold.
pub fn commands(input: &[u8]) {
    let mut plan = Plan::new(input);
    let mut run = Run::start(plan.byte());
    while !plan.is_empty() {
        run.step(&mut plan);
        run.check();
    }
    run.finish();
}

struct Run {
    client: Client,
    opened: bool,
    state: State,
    error: Option<Error>,
    written: Vec<u8>,
    /// Data frames that were accepted for sending.
    accepted: Vec<(bool, u8, Vec<u8>)>,
    seen: Vec<Seen>,
}

impl Run {
    fn start(options: u8) -> Self {
        let mut config = Config::default();
        config.max_queued_bytes = MAX_QUEUED;
        config.max_frame_size = 40_000;
        config.max_message_size = 50_000;
        config.max_fragments = 5;
        if options & 1 != 0 {
            config.ping_interval = Duration::from_secs(5);
            config.ping_timeout = (options & 2 != 0).then_some(Duration::from_secs(2));
            config.ping_payload = (options & 4 != 0).then(|| Box::from(*b"alive"));
        }
        config.liveness = if options & 8 != 0 { Liveness::PongOnly } else { Liveness::AnyData };
        config.deliver_fragments = options & 16 != 0;
        let client = Client::connecting(config);
        let mut run = Self {
            client,
            opened: false,
            state: State::Connecting,
            error: None,
            written: Vec::new(),
            accepted: Vec::new(),
            seen: Vec::new(),
        };
        if options & 32 == 0 {
            run.feed(RESPONSE, Leave::Absorb);
        }
        run
    }

    fn step(&mut self, plan: &mut Plan<'_>) {
        let (command, operand) = (plan.byte(), plan.byte());
        match command % 16 {
            0 => self.send(plan, operand, Opcode::Text),
            1 => self.send(plan, operand, Opcode::Binary),
            2 => self.fragment(plan, operand),
            3 => {
                let payload = plan.bytes(usize::from(operand));
                self.control(payload, operand, |client, payload| {
                    client.conn.tx().ping(payload, &mut client.env)
                });
            }
            4 => {
                // Marked, so that it is not taken for the answer to a ping.
                let payload = [b"u", plan.bytes(usize::from(operand))].concat();
                self.control(&payload, operand, |client, payload| {
                    client.conn.tx().pong(payload, &mut client.env)
                });
            }
            5 => self.close(plan, operand),
            6 => {
                let bytes = self.client.write(usize::from(operand));
                self.record(bytes);
            }
            7 => {
                let bytes = self.client.write(usize::MAX);
                self.record(bytes);
            }
            8 => self.timeout(Duration::from_millis(u64::from(operand) * 50)),
            9 => self.client.env.now -= Duration::from_millis(u64::from(operand)),
            10 => self.feed(RESPONSE, leave(operand)),
            11 => {
                let bytes = plan.bytes(usize::from(operand));
                self.feed(bytes, leave(operand));
            }
            12 => self.message(plan, operand),
            13 => {
                // An answer to the latest of our pings, where one is out.
                let (sent, _) = parse_sent(&self.written);
                if let Some(ping) = sent.iter().rev().find(|frame| frame.opcode == 9) {
                    let pong = harness::frame(true, Opcode::Pong, &ping.payload);
                    self.feed(&pong, leave(operand));
                }
            }
            14 => {
                let close = harness::close_frame(1000 + u16::from(operand % 4), "");
                self.feed(&close, leave(operand));
            }
            _ => {
                if operand & 1 == 0 {
                    let result = self.client.end();
                    self.failed(result);
                } else {
                    self.client.conn.abort(&mut self.client.env);
                }
                self.client.assert_over();
            }
        }
    }

    fn record(&mut self, bytes: Vec<u8>) {
        self.written.extend_from_slice(&bytes);
    }

    fn send(&mut self, plan: &mut Plan<'_>, operand: u8, opcode: Opcode) {
        let payload = vec![b'a' + operand % 26; usize::from(operand) * usize::from(plan.byte() % 4)];
        let queued = self.client.conn.queued_bytes();
        let result = self.client.conn.tx().send(&payload, opcode, &mut self.client.env);
        self.sent(result, queued, (true, opcode as u8, payload));
    }

    fn fragment(&mut self, plan: &mut Plan<'_>, operand: u8) {
        let payload = plan.bytes(usize::from(operand >> 3)).to_vec();
        let kind = [None, Some(Kind::Text), Some(Kind::Binary), None][usize::from(operand & 3)];
        let fin = operand & 4 != 0;
        let queued = self.client.conn.queued_bytes();
        let result = self.client.conn.tx().send_fragment(kind, &payload, fin, &mut self.client.env);
        let opcode = match kind {
            None => 0,
            Some(Kind::Text) => 1,
            Some(Kind::Binary) => 2,
        };
        self.sent(result, queued, (fin, opcode, payload));
    }

    fn sent(&mut self, result: Result<(), SendError>, queued: usize, frame: (bool, u8, Vec<u8>)) {
        match result {
            Ok(()) => {
                assert_eq!(self.state, State::Open);
                assert!(self.client.conn.queued_bytes() <= MAX_QUEUED);
                self.accepted.push(frame);
            }
            Err(_) => assert_eq!(self.client.conn.queued_bytes(), queued),
        }
    }

    fn control(
        &mut self,
        payload: &[u8],
        operand: u8,
        send: impl Fn(&mut Client, &[u8]) -> Result<(), SendError>,
    ) {
        let queued = self.client.conn.queued_bytes();
        match send(&mut self.client, payload) {
            Ok(()) => assert!(payload.len() <= 125 && self.state == State::Open, "{operand}"),
            Err(_) => assert_eq!(self.client.conn.queued_bytes(), queued),
        }
    }

    fn close(&mut self, plan: &mut Plan<'_>, operand: u8) {
        let code = u16::from_be_bytes([plan.byte() % 20, plan.byte()]);
        let reason = "r".repeat(usize::from(operand));
        let queued = self.client.conn.queued_bytes();
        let close = match operand & 1 {
            0 => Close::without_code(),
            _ => Close::from(CloseCode::from(code)),
        };
        let result = self.client.conn.tx().close(&close.reason(&reason), &mut self.client.env);
        match (result, self.state) {
            (Ok(()), State::Open) => {
                assert_eq!(self.client.conn.state(), State::Closing);
                assert!(self.client.conn.queued_bytes() > queued);
            }
            _ => {
                assert_eq!(self.client.conn.state(), self.state);
                assert_eq!(self.client.conn.queued_bytes(), queued);
            }
        }
    }

    fn timeout(&mut self, by: Duration) {
        self.client.env.now += by;
        let due = self.client.conn.deadline().is_some_and(|deadline| deadline <= self.client.env.now);
        let (state, queued) = (self.client.conn.state(), self.client.conn.queued_bytes());
        let result = self.client.conn.handle_timeout(&mut self.client.env);
        if !due {
            assert_eq!(result, Ok(()));
            assert_eq!((self.client.conn.state(), self.client.conn.queued_bytes()), (state, queued));
        }
        self.failed(result);
        let deadline = self.client.conn.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.client.env.now), "a deadline in the past");
    }

    /// A message, fragment or ping of the server.
    fn message(&mut self, plan: &mut Plan<'_>, operand: u8) {
        let opcode =
            [Opcode::Text, Opcode::Binary, Opcode::Continuation, Opcode::Ping][usize::from(operand & 3)];
        let fin = operand & 4 != 0 || opcode == Opcode::Ping;
        let size = plan.byte();
        let payload = match opcode {
            Opcode::Ping => vec![operand; usize::from(size % 126)],
            _ => "é".repeat(usize::from(size) * if operand & 8 != 0 { 80 } else { 1 }).into_bytes(),
        };
        let frame = harness::frame(fin, opcode, &payload);
        // In two pieces, so that something lies about in between.
        let (first, second) = frame.split_at(usize::from(plan.byte()).min(frame.len()));
        self.feed(first, leave(operand >> 4));
        self.feed(second, leave(operand >> 6));
    }

    fn feed(&mut self, bytes: &[u8], leave: Leave) {
        let result = self.client.feed(bytes, leave);
        self.seen.append(&mut self.client.seen);
        if let Some(error) = &self.error {
            assert_eq!(result.as_ref(), Err(error), "a failure is kept");
        }
        self.failed(result);
        if !self.opened && self.client.conn.state() == State::Open {
            self.opened = true;
            self.state = State::Open;
        }
    }

    fn failed(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            assert_eq!(self.error.get_or_insert_with(|| error.clone()), &error);
        }
        assert_eq!(self.client.conn.error(), self.error.as_ref());
    }

    fn check(&mut self) {
        let state = self.client.conn.state();
        assert!(rank(state) >= rank(self.state), "{:?} -> {state:?}", self.state);
        self.state = state;
        assert!(self.client.conn.queued_bytes() <= MAX_QUEUED + RESERVE);
        assert_eq!(self.client.conn.queued_bytes(), self.client.conn.output().len());
        if state == State::Closed {
            self.client.assert_over();
        }
    }

    fn finish(mut self) {
        let over = self.client.conn.state() == State::Closed;
        let bytes = self.client.write(usize::MAX);
        self.record(bytes);
        let (sent, rest) = parse_sent(&self.written);
        let data: Vec<_> = sent.iter().filter(|frame| frame.opcode < 8).map(data_frame).collect();
        if over {
            // What had not been written by then never will be.
            assert!(self.accepted.starts_with(&data));
        } else {
            assert_eq!(rest, b"");
            assert_eq!(self.accepted, data);
        }
        if let Some(at) = sent.iter().position(|frame| frame.opcode == 8) {
            assert_eq!(at + 1, sent.len(), "something follows the close frame");
            assert_eq!(rest, b"");
        }
        let mut pings = self.seen.iter().filter_map(|seen| match seen {
            Seen::Ping(payload) => Some(payload),
            _ => None,
        });
        for pong in sent.iter().filter(|frame| frame.opcode == 10 && !frame.payload.starts_with(b"u")) {
            assert!(pings.any(|ping| *ping == pong.payload), "an answer to nothing, or out of order");
        }
        // Left alone, a connection that closes comes to its end by itself.
        if self.client.conn.state() == State::Closing {
            self.timeout(Duration::from_secs(60));
            self.client.assert_over();
        }
    }
}

const fn rank(state: State) -> u8 {
    match state {
        State::Connecting => 0,
        State::Open => 1,
        State::Closing => 2,
        State::Closed => 3,
    }
}

fn data_frame(frame: &Sent) -> (bool, u8, Vec<u8>) {
    (frame.fin, frame.opcode, frame.payload.clone())
}
