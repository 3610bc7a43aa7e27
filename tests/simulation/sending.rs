//! What users send, and why it may be refused.

use websocket_app::{Context, Kind, OwnedMessage, SendError, Sender, State};

use crate::life::{Phase, Promise};
use crate::world::World;

fn size(world: &World) -> usize {
    // Few are so large that they are written while they are masked.
    if world.dice.one_in(300) {
        return 70_000;
    }
    world.dice.pick(&[0, 0, 3, 10, 100, 120, 300, 1000])
}

/// A payload that occurs once.
fn payload(world: &World, from: char, size: usize) -> Vec<u8> {
    let number = world.messages.get() + 1;
    world.messages.set(number);
    format!("{from}{number}.{}", "x".repeat(size)).into_bytes()
}

pub fn send(world: &World, app: &mut Context<'_>, me: usize) {
    let payload = payload(world, 'c', size(world));
    let text = world.dice.one_in(2);
    if world.dice.one_in(8) {
        app.set_compression(world.dice.one_in(3));
    }
    // What is sent may be written before `send` returns, but not before it is accepted.
    world.life(me, |life| life.direct.push_back(payload.clone()));
    let sent = match (text, std::str::from_utf8(&payload)) {
        (true, Ok(text)) => app.send_text(text),
        _ => app.send_bytes(&payload),
    };
    world.log(|| format!("{me}: sends {} bytes: {sent:?}", payload.len()));
    if let Err(error) = sent {
        world.life(me, |life| life.direct.pop_back());
        refused(world, app, me, &error);
    }
}

fn refused(world: &World, app: &Context<'_>, me: usize, error: &SendError) {
    let (fragment, limit, limits) =
        world.life(me, |life| (life.fragment.is_some(), life.settings.limit, life.settings.limits.clone()));
    let right = match *error {
        SendError::NotOpen(state) => state == app.state() && state != State::Open,
        SendError::WaitingToReconnect => app.state() == State::Closed && app.retry_at().is_some(),
        SendError::InsideFragmented => fragment,
        SendError::TooBig { len, limit: told } => told == limit && len > limit,
        SendError::ExceedsSendLimit { len, limit: told } => limits.refuse(len, told),
        SendError::FragmentsUnderSendLimit => !limits.is_empty(),
        SendError::QueueFull { queued, len, limit: told } => {
            // Not so for a user who will not hear of it.
            if app.state() == State::Open && world.life(me, |life| life.phase == Phase::Open) {
                world.life(me, |life| life.owes_drain = true);
            }
            world.cover("refused: the queue is full");
            told == limit && queued + len > limit && queued == app.queued_bytes()
        }
        _ => false,
    };
    world.expect(right, || format!("{me}: refused for no reason: {error:?} when {:?}", app.state()));
}

pub fn ping(world: &World, app: &mut Context<'_>, me: usize) {
    let payload = payload(world, 'c', 0);
    world.life(me, |life| life.direct.push_back(payload.clone()));
    if let Err(error) = app.ping(&payload) {
        world.life(me, |life| life.direct.pop_back());
        refused(world, app, me, &error);
    }
}

/// Begins a message in fragments, or ends the one that was begun.
pub fn fragments(world: &World, app: &mut Context<'_>, me: usize) {
    let begun = world.life(me, |life| life.fragment.clone());
    let (kind, half) = match begun {
        None => (Some(Kind::Binary), payload(world, 'c', 4)),
        Some(_) => (None, b"the end".to_vec()),
    };
    if let Some(begun) = &begun {
        let whole = [begun, &half[..]].concat();
        world.life(me, |life| life.direct.push_back(whole));
    }
    let sent = app.send_fragment(kind, &half, kind.is_none());
    match (sent, begun) {
        (Ok(()), None) => world.life(me, |life| life.fragment = Some(half)),
        (Ok(()), Some(_)) => world.life(me, |life| life.fragment = None),
        (Err(error), begun) => {
            if begun.is_some() {
                world.life(me, |life| life.direct.pop_back());
            }
            refused(world, app, me, &error);
        }
    }
}

/// Sends through a sender; `state` is that of the connection where that is known for sure.
pub fn send_from_afar(world: &World, sender: &Sender, me: usize, state: Option<State>) {
    let bytes = payload(world, 's', size(world));
    let message = match world.dice.below(5) {
        0 if bytes.len() <= 125 => OwnedMessage::Ping(bytes.clone().into()),
        1 => OwnedMessage::Text(String::from_utf8_lossy(&bytes).as_ref().into()),
        _ => OwnedMessage::Binary(bytes.clone().into()),
    };
    let turn = world.turn.get();
    world.life(me, |life| life.promised.push_back(Promise { payload: bytes.clone(), turn, kept: false }));
    let sent = sender.send(message.clone());
    world.log(|| {
        format!("{me}: sender sends {} bytes: {:?}", bytes.len(), sent.as_ref().map_err(|it| &it.reason))
    });
    let Err(refused) = sent else { return };
    let (limit, limits, phase) = world.life(me, |life| {
        life.promised.pop_back();
        (life.settings.limit, life.settings.limits.clone(), life.phase)
    });
    world.expect(refused.message == message, || format!("{me}: another message came back: {refused:?}"));
    let right = match refused.reason {
        SendError::NotOpen(told) => told != State::Open && state.is_none_or(|state| state == told),
        SendError::WaitingToReconnect => state.is_none_or(|state| state == State::Closed),
        SendError::TooBig { len, limit: told } => told == limit && len > limit,
        SendError::ExceedsSendLimit { len, limit: told } => limits.refuse(len, told),
        SendError::QueueFull { queued, len, limit: told } => told == limit && queued + len > limit,
        _ => false,
    };
    world.expect(right, || format!("{me}: refused for no reason: {:?} when {phase:?}", refused.reason));
}
