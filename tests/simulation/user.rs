//! The user: callbacks that check what they are told, then do something.

use std::sync::Arc;
use std::time::Duration;

use websocket_app::{
    CallbackResult, Challenge, Closed, Context, Error, Fragment, Handler, Message, Opcode, Open, Outcome,
    Part, WebSocketApp,
};

use crate::actions::act;
use crate::world::{Callback, World, port, world};

/// How long the name service thinks about the name that it fails.
pub const BROKEN: Duration = Duration::from_millis(300);

/// The callbacks of the app of number `me`.
pub struct User {
    pub me: usize,
    /// Tells that the handler is still held.
    pub _alive: Arc<()>,
}

/// What a handler must do after its checks.
fn then_act(app: &mut Context<'_>, me: usize, callback: Callback) -> CallbackResult {
    act(&world(), app, me, callback)
}

fn arrive(app: &Context<'_>, me: usize, callback: Callback) -> std::rc::Rc<World> {
    let world = world();
    world.arrive(app, me, callback);
    world
}

impl Handler for User {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        arrive(app, self.me, Callback::Open).opened(app, self.me, open);
        then_act(app, self.me, Callback::Open)
    }

    fn on_reconnect(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        let world = arrive(app, self.me, Callback::Reconnect);
        world.expect(open.attempts == app.attempts(), || "on_reconnect knows of other attempts".to_owned());
        then_act(app, self.me, Callback::Reconnect)
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        arrive(app, self.me, Callback::Message).message(self.me, message);
        then_act(app, self.me, Callback::Message)
    }

    fn on_data(
        &mut self,
        app: &mut Context<'_>,
        payload: &[u8],
        opcode: Opcode,
        part: Part,
    ) -> CallbackResult {
        arrive(app, self.me, Callback::Data).data(self.me, payload, opcode, part);
        then_act(app, self.me, Callback::Data)
    }

    fn on_cont_message(&mut self, app: &mut Context<'_>, fragment: Fragment<'_>) -> CallbackResult {
        arrive(app, self.me, Callback::Fragment).fragment(self.me, fragment);
        then_act(app, self.me, Callback::Fragment)
    }

    fn wants_fragments(&self) -> bool {
        world().life(self.me, |life| life.settings.fragments)
    }

    fn on_ping(&mut self, app: &mut Context<'_>, payload: &[u8]) -> CallbackResult {
        arrive(app, self.me, Callback::Ping).ping(self.me, payload);
        then_act(app, self.me, Callback::Ping)
    }

    fn on_pong(&mut self, app: &mut Context<'_>, payload: &[u8], rtt: Option<Duration>) -> CallbackResult {
        let world = arrive(app, self.me, Callback::Pong);
        world.pong(self.me, payload, rtt);
        world.expect(rtt.is_none() || app.rtt().last == rtt, || format!("rtt {rtt:?}, {:?}", app.rtt()));
        then_act(app, self.me, Callback::Pong)
    }

    fn on_drain(&mut self, app: &mut Context<'_>) -> CallbackResult {
        let world = arrive(app, self.me, Callback::Drain);
        world.life(self.me, |life| life.owes_drain = false);
        world.expect(app.queued_bytes() == 0, || format!("drained with {} bytes left", app.queued_bytes()));
        then_act(app, self.me, Callback::Drain)
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        let world = world();
        world.failed(app, self.me, error);
        then_act(app, self.me, Callback::Error)
    }

    fn on_close(&mut self, app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        arrive(app, self.me, Callback::Close).closed(app, self.me, closed);
        then_act(app, self.me, Callback::Close)
    }

    fn on_end(&mut self, app: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        world().run_ended(app, self.me, outcome);
        Ok(())
    }
}

/// The app of number `me`, whose attempts lead to wherever the seed says.
pub fn app(me: usize) -> WebSocketApp {
    let world = world();
    let user = User { me, _alive: world.alive.clone() };
    let dice = &world.dice;
    let [alive, header, authorize] = std::array::from_fn(|_| world.alive.clone());
    let mut app = WebSocketApp::with_handler("ws://192.0.2.1/", user).url_with(move || {
        let _held = &alive;
        world_url(me)
    });
    if dice.one_in(3) {
        app = app.header_with(move || {
            let _held = &header;
            let world = crate::world::world();
            world.calls(me, Callback::Header);
            world.dawdle(Some(me), Callback::Header);
            [("X-Seed", "yes")]
        });
    }
    if dice.one_in(3) {
        app = app.authorize_with(move |challenge| {
            let _held = &authorize;
            world_answer(me, challenge)
        });
    }
    if !dice.one_in(12) {
        return app;
    }
    let alive = world.alive.clone();
    world.life(me, |life| life.own_stream = true);
    app.socket_with(move || {
        let _held = &alive;
        crate::world::world().socket(me)
    })
}

/// An attempt begins: where it goes.
fn world_url(me: usize) -> String {
    let world = world();
    let attempt = world.begin(me);
    world.dawdle(Some(me), Callback::Url);
    if world.dice.one_in(300) {
        world.panic(me, "url_with");
    }
    // The whole attempt has its time from here.
    world.life(me, |life| life.began_at = world.now());
    let host = match world.dice.below(if world.calm { 80 } else { 30 }) {
        0 => "192.0.2.2",
        1 => "192.0.2.3",
        2 => "192.0.2.4",
        3 => "192.0.2.5",
        4 => "slow.test",
        5 => "never.test",
        6 => "broken.test",
        7 => "unknown.test",
        8 => "many.test",
        9 => "lost.test",
        10 => "dead.test",
        11 if world.dice.one_in(4) => return "http://not.a.websocket/".to_owned(),
        11..14 => "quick.test",
        _ => "192.0.2.1",
    };
    let answers_after = match host {
        "never.test" => Some(Duration::MAX),
        "slow.test" => Some(world.slow),
        "broken.test" => Some(BROKEN),
        host => host.ends_with(".test").then_some(Duration::ZERO),
    };
    world.life(me, |life| life.answers_after = answers_after.filter(|_| !life.own_stream));
    world.dials(me);
    format!("ws://{host}:{}/{me}/{attempt}", port(me))
}

/// The server has refused the request: whether it gets another.
fn world_answer(me: usize, challenge: &Challenge<'_>) -> Option<String> {
    let world = world();
    world.calls(me, Callback::Authorize);
    world.dawdle(Some(me), Callback::Authorize);
    if world.dice.one_in(3) {
        return None;
    }
    let answer = Some(format!("Toy {}", challenge.round));
    let index = world.life(me, |life| life.wire).filter(|_| challenge.keeps_connection);
    if let Some(index) = index {
        world.cover("asked again on the same connection, with an answer to the challenge");
        if let Some(wire) = world.wires.borrow_mut().get_mut(&index) {
            wire.ask_again(world.now());
        }
        world.life(me, |life| life.asked_at = world.now());
        return answer;
    }
    world.cover("asked again, with an answer to the challenge");
    world.life(me, |life| life.wire = None);
    world.dials(me);
    answer
}
