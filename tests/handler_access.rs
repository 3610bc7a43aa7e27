//! A handler is reached by its type: in timers, by other code that gets its app's context, and after the run. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::mpsc;
use std::time::Duration;

use websocket_app::{
    CallbackResult, Context, Error, Handler, Message, Open, Outcome, RunOptions, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::server::EchoServer;
use websocket_tests::{URL, World, run_forever};

const SECOND: Duration = Duration::from_secs(1);

/// Counts messages, and the errors that were reported.
#[derive(Default, Debug, PartialEq)]
struct Counter {
    messages: u32,
    errors: u32,
    ticks: Vec<u32>,
}

impl Handler for Counter {
    fn on_open(&mut self, app: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        assert!(app.handler_mut::<Self>().is_none(), "in its own callback it is `self`");
        app.set_interval(SECOND, |app| -> CallbackResult {
            let counter = app.handler_mut::<Self>().ok_or("a timer reaches the handler")?;
            counter.ticks.push(counter.messages);
            if counter.messages == 3 {
                return Err("three".into());
            }
            Ok(())
        });
        Ok(())
    }

    fn on_message(&mut self, app: &mut Context<'_>, _: Message<'_>) -> CallbackResult {
        assert!(app.handler_mut::<Self>().is_none());
        self.messages += 1;
        Ok(())
    }

    fn on_error(&mut self, app: &mut Context<'_>, _: &Error) -> CallbackResult {
        assert!(app.handler_mut::<Self>().is_none());
        self.errors += 1;
        Ok(())
    }

    fn on_end(&mut self, app: &mut Context<'_>, _: &Outcome) -> CallbackResult {
        assert!(app.handler_mut::<Self>().is_none());
        Ok(())
    }
}

/// Another type of the same size.
#[derive(Default)]
struct Other(Counter);

impl Handler for Other {}

#[test]
fn timers_and_lent_contexts_and_work_of_senders_reach_the_handler() {
    let mut world = World::new();
    let mut app = WebSocketApp::with_handler(URL, Counter::default());
    let sender = app.sender();
    let peer = world.open(app, &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    peer.write(&frame::text("hello").repeat(2));
    world.run_until(SECOND);
    let counted = |app: &mut Context<'_>| {
        let counter = app.handler_mut::<Counter>().unwrap();
        (counter.messages, counter.errors, counter.ticks.clone())
    };
    assert_eq!(world.reactor.apps().with(id, counted).unwrap(), (2, 0, vec![2]));
    let (counts, received) = mpsc::channel();
    sender.run(move |app| -> CallbackResult {
        app.handler_mut::<Counter>().ok_or("work of a sender reaches the handler")?.messages += 1;
        counts.send(counted(app))?;
        Err("an error of such work is reported".into())
    });
    world.run_until(2 * SECOND);
    assert_eq!(received.recv().unwrap(), (3, 0, vec![2]));
    // The error of the work and that of the timer have both come to its `on_error`.
    assert_eq!(world.reactor.apps().with(id, counted).unwrap(), (3, 2, vec![2, 3]));
}

#[test]
fn another_type_and_an_app_of_closures_have_no_such_handler() {
    let mut world = World::new();
    world.open(WebSocketApp::with_handler(URL, Other::default()), &RunOptions::new());
    world.open(WebSocketApp::new(URL), &RunOptions::new());
    for id in world.reactor.apps().ids() {
        world.reactor.apps().with(id, |app| assert!(app.handler_mut::<Counter>().is_none())).unwrap();
    }
}

#[test]
fn a_callback_reaches_the_handler_of_another_app() {
    let mut world = World::new();
    world.open(WebSocketApp::with_handler(URL, Counter::default()), &RunOptions::new());
    let counter = world.reactor.apps().ids()[0];
    let app = WebSocketApp::new(URL).on_message(move |app, message| {
        let other = |app: &mut Context<'_>| {
            app.handler_mut::<Counter>().unwrap().messages += message.len() as u32;
        };
        app.apps().with(counter, other).unwrap();
    });
    world.open(app, &RunOptions::new()).write(&frame::text("hello"));
    world.settle();
    let messages = |app: &mut Context<'_>| app.handler_mut::<Counter>().unwrap().messages;
    assert_eq!(world.reactor.apps().with(counter, messages), Some(5));
}

#[test]
fn an_app_gives_its_handler_back_after_its_runs() {
    /// Says hello and closes when it has come back.
    #[derive(Default)]
    struct Greeter(Vec<String>);

    impl Handler for Greeter {
        fn on_open(&mut self, app: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
            Ok(app.send_text("hello")?)
        }

        fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
            self.0.push(String::from_utf8_lossy(message.as_bytes()).into_owned());
            app.close();
            Ok(())
        }
    }

    let server = EchoServer::start().unwrap();
    let mut app = WebSocketApp::with_handler(server.url(), Greeter::default());
    for _ in 0..2 {
        run_forever(&mut app, &RunOptions::new()).unwrap().into_result().unwrap();
    }
    assert_eq!(app.into_handler::<Greeter>().unwrap().0, ["hello", "hello"]);
    assert!(WebSocketApp::with_handler(URL, Greeter::default()).into_handler::<Other>().is_none());
    assert!(WebSocketApp::new(URL).into_handler::<Greeter>().is_none());
    let counter = WebSocketApp::with_handler(URL, Other::default()).into_handler::<Other>().unwrap().0;
    assert_eq!(counter, Counter::default());
}
