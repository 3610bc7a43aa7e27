//! `Handler::on_messages`: small messages that have arrived together, in one call. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use websocket_app::{Batch, CallbackResult, Context, Error, Handler, Message, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, SECURE_URL, SecureWorld, URL, World};

/// What the handler does in its `on_messages`.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    TakeAll,
    /// It takes so many messages per call.
    Take(usize),
    FailAt(&'static str),
    CloseAt(&'static str),
    PauseAt(&'static str),
    RemoveAt(&'static str),
    PanicAt(&'static str),
}

struct Reader {
    log: Log,
    does: Does,
    wants_data: bool,
}

impl Handler for Reader {
    fn on_messages(&mut self, batch: &mut Batch<'_, '_>) -> CallbackResult {
        self.log.push("[");
        let mut left = if let Does::Take(most) = self.does { most } else { usize::MAX };
        while left > 0
            && let Some((app, message)) = batch.next()
        {
            left -= 1;
            self.log.message(message);
            let Message::Text(text) = message else { continue };
            let is = |at: &str| at == text;
            match self.does {
                Does::FailAt(at) if is(at) => return Err("no".into()),
                Does::CloseAt(at) if is(at) => app.close(),
                Does::PauseAt(at) if is(at) => app.pause_reading(),
                Does::RemoveAt(at) if is(at) => app.remove(),
                Does::PanicAt(at) if is(at) => panic!("no"),
                _ => {}
            }
        }
        self.log.push("]");
        Ok(())
    }

    fn on_message(&mut self, _: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        self.log.push("alone:");
        self.log.message(message);
        Ok(())
    }

    fn wants_data(&self) -> bool {
        self.wants_data
    }

    fn on_error(&mut self, _: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.log.push(format!("error: {error}"));
        Ok(())
    }
}

fn open(world: &mut World, does: Does, options: &RunOptions) -> (Log, SimPeer) {
    let log = Log::new();
    let handler = Reader { log: log.clone(), does, wants_data: false };
    let peer = world.open(WebSocketApp::with_handler(URL, handler), options);
    log.take();
    (log, peer)
}

fn texts(numbers: std::ops::RangeInclusive<u32>) -> Vec<u8> {
    numbers.flat_map(|number| frame::text(&number.to_string())).collect()
}

/// What comes of three messages in one read.
fn three(does: Does, options: &RunOptions) -> Vec<String> {
    let mut world = World::new();
    let (log, peer) = open(&mut world, does, options);
    peer.write(&texts(1..=3));
    world.settle();
    // A call that finds nothing is made where the last one has stopped early.
    let lines = log.take().join(" ").replace("[ ]", "");
    lines.split_whitespace().map(str::to_owned).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn all_small_messages_of_a_read_come_in_one_call() {
    assert_eq!(three(Does::TakeAll, &RunOptions::new()), words("[ text 1 text 2 text 3 ]"));
}

#[test]
fn what_is_not_taken_comes_to_on_message_and_nothing_is_lost() {
    assert_eq!(three(Does::Take(1), &RunOptions::new()), words("[ text 1 ] alone: text 2 [ text 3 ]"));
    assert_eq!(three(Does::Take(0), &RunOptions::new()), words("alone: text 1 alone: text 2 alone: text 3"));
}

#[test]
fn an_error_is_reported_before_the_messages_that_are_left() {
    assert_eq!(
        three(Does::FailAt("2"), &RunOptions::new()),
        words("[ text 1 text 2 error: a callback returned an error: no [ text 3 ]")
    );
    // At the last message nothing is left.
    assert_eq!(
        three(Does::FailAt("3"), &RunOptions::new()),
        words("[ text 1 text 2 text 3 error: a callback returned an error: no")
    );
}

#[test]
fn after_a_close_messages_still_come_unless_the_app_declines_them() {
    assert_eq!(three(Does::CloseAt("2"), &RunOptions::new()), words("[ text 1 text 2 ] alone: text 3"));
    assert_eq!(
        three(Does::CloseAt("2"), &RunOptions::new().deliver_after_close(false)),
        words("[ text 1 text 2 ]")
    );
}

#[test]
fn a_pause_ends_the_batch_and_the_rest_comes_after_it() {
    let mut world = World::new();
    let (log, peer) = open(&mut world, Does::PauseAt("2"), &RunOptions::new());
    peer.write(&texts(1..=3));
    world.settle();
    assert_eq!(log.take(), ["[", "text 1", "text 2", "]"]);
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.resume_reading()).unwrap();
    world.settle();
    assert_eq!(log.take()[..3], ["[", "text 3", "]"]);
}

#[test]
fn an_app_that_removes_itself_or_panics_gets_no_more_of_the_batch() {
    assert_eq!(three(Does::RemoveAt("2"), &RunOptions::new()), words("[ text 1 text 2 ]"));
    let lines = three(Does::PanicAt("2"), &RunOptions::new());
    assert_eq!(lines[..6].join(" "), "[ text 1 text 2 error:");
    assert!(!lines.contains(&"3".to_owned()), "{lines:?}");
}

#[test]
fn other_messages_come_alone_and_in_their_order() {
    let mut world = World::new();
    let (log, peer) = open(&mut world, Does::TakeAll, &RunOptions::new());
    let fragmented = [frame::encode(false, 0, frame::TEXT, b"a "), frame::continuation(true, b"whole")];
    let large = frame::text(&"x".repeat(65_536));
    peer.write(&[texts(1..=1), fragmented.concat(), texts(2..=3), large, texts(4..=5)].concat());
    world.settle();
    let lines = log.take().join(" ").replace("[ ] ", "").replace(&"x".repeat(65_536), "x");
    assert_eq!(
        lines,
        "[ text 1 ] alone: text a whole alone: text 2 [ text 3 ] alone: text x [ text 4 text 5 ]"
    );
}

#[test]
fn it_works_over_tls_as_well() {
    let mut secure = SecureWorld::new();
    let log = Log::new();
    let handler = Reader { log: log.clone(), does: Does::TakeAll, wants_data: false };
    let mut peer = secure.open(WebSocketApp::with_handler(SECURE_URL, handler));
    log.take();
    // One record.
    let sealed = peer.side.seal(&texts(1..=3));
    peer.peer.write(&sealed);
    secure.world.settle();
    assert_eq!(log.take()[..5], ["[", "text 1", "text 2", "text 3", "]"]);
}

#[test]
fn a_handler_that_wants_the_data_before_each_message_gets_them_one_by_one() {
    let mut world = World::new();
    let log = Log::new();
    let handler = Reader { log: log.clone(), does: Does::TakeAll, wants_data: true };
    let peer = world.open(WebSocketApp::with_handler(URL, handler), &RunOptions::new());
    log.take();
    peer.write(&texts(1..=2));
    world.settle();
    assert_eq!(log.take(), ["alone:", "text 1", "alone:", "text 2"]);
}
