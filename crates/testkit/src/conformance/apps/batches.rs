//! What arrives together, and when it was read.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use websocket_app::{CallbackResult, Closed, Context, Handler, Message, RunOptions};

use super::stage::Stage;
use crate::conformance::Host;
use crate::frame;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    /// The number that it begins with.
    Message(u32),
    BatchEnd,
    Closed,
}

/// Events, with when the reactor read what they are about.
#[derive(Clone, Default)]
struct Batches(Rc<RefCell<Vec<(Event, Instant)>>>);

impl Batches {
    fn note(&self, app: &Context<'_>, event: Event) -> CallbackResult {
        assert!(app.received_at() <= app.now(), "{event:?} was read later than now");
        self.0.borrow_mut().push((event, app.received_at()));
        Ok(())
    }

    fn messages(&self) -> usize {
        self.0.borrow().iter().filter(|(event, _)| matches!(event, Event::Message(_))).count()
    }
}

impl Handler for Batches {
    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        let number = message.as_bytes().first_chunk().expect("a number");
        self.note(app, Event::Message(u32::from_be_bytes(*number)))
    }

    fn on_batch_end(&mut self, app: &mut Context<'_>) -> CallbackResult {
        self.note(app, Event::BatchEnd)
    }

    fn on_close(&mut self, app: &mut Context<'_>, _: &Closed<'_>) -> CallbackResult {
        self.note(app, Event::Closed)
    }
}

/// Each batch of messages, however many arrive together, ends with one `on_batch_end`, also where the connection ends behind it. Messages come
/// in their order, and so do the times at which they were read.
pub fn batches_end_behind_their_last_message<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    let seen = Batches::default();
    let app = stage.app_with(seen.clone(), 1);
    stage.add(app, &RunOptions::new());
    let mut sent = 0;
    // One, a few in one packet, more than is read in a turn.
    for (count, size) in [(1, 0), (50, 0), (200, 16 << 10)] {
        for number in sent..sent + count {
            let message = [&(number as u32).to_be_bytes()[..], &vec![7; size]].concat();
            stage.servers[0].send(&frame::binary(&message));
        }
        sent += count;
        stage.until("a burst", |_| seen.messages() == sent);
        let last = seen.0.borrow().last().map(|(event, _)| *event);
        assert_eq!(last, Some(Event::BatchEnd), "after the last message of a burst");
    }
    stage.servers[0].send(&frame::binary(&(sent as u32).to_be_bytes()));
    stage.servers[0].close(1000);
    stage.until("the end of the app", |stage| stage.reactor().apps().is_empty());

    let events = seen.0.take();
    assert!(events.is_sorted_by_key(|(_, at)| *at), "times of reads go back");
    let events: Vec<_> = events.into_iter().map(|(event, _)| event).collect();
    let numbers = events
        .iter()
        .filter_map(|event| if let Event::Message(number) = event { Some(*number) } else { None });
    assert!(numbers.eq(0..=sent as u32), "messages are not in their order");
    for pair in events.windows(2) {
        let is_in_order = match pair[1] {
            Event::Message(_) => pair[0] != Event::Closed,
            Event::BatchEnd => matches!(pair[0], Event::Message(_)),
            Event::Closed => pair[0] == Event::BatchEnd,
        };
        assert!(is_in_order, "{pair:?}");
    }
    assert_eq!(events.last(), Some(&Event::Closed));
    stage.leaves_nothing();
}
