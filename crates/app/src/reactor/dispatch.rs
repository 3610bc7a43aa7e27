//! From one event to the callback for it.

use websocket_connection::{Event, Kind, Message, Part, Response, State};

use crate::apps::{Context, Delivery, Handler, Open, check};
use crate::phases::Phase;
use crate::threads::SenderState;

/// Calls the handler for one message.
#[inline(always)]
fn dispatch_message(handler: &mut dyn Handler, context: &mut Context<'_>, message: Message<'_>) {
    if context.control.delivery != Delivery::Messages
        && !deliver_data(handler, context, message.as_bytes(), message.kind(), Part::Whole)
    {
        return;
    }
    let result = handler.on_message(context, message);
    check(handler, context, result);
}

/// Calls `on_data` where the handler wants it. Returns whether the message or fragment is to be delivered then.
fn deliver_data(
    handler: &mut dyn Handler,
    context: &mut Context<'_>,
    payload: &[u8],
    kind: Kind,
    part: Part,
) -> bool {
    if context.control.delivery == Delivery::Nothing {
        return false;
    }
    let result = handler.on_data(context, payload, kind.into(), part);
    check(handler, context, result);
    // It may have closed the app, or removed it.
    !context.apps.interrupted && context.control.delivery != Delivery::Nothing
}

/// Calls the handler for one event.
#[inline]
pub(super) fn dispatch(handler: &mut dyn Handler, mut context: Context<'_>, event: Event<'_>) {
    let context = &mut context;
    let result = match event {
        Event::Message(message) => {
            context.control.has_heard = true;
            return dispatch_message(handler, context, message);
        }
        Event::Fragment(fragment) => {
            context.control.has_heard = true;
            if context.control.delivery != Delivery::Messages
                && !deliver_data(handler, context, fragment.payload, fragment.kind, fragment.part())
            {
                return;
            }
            handler.on_cont_message(context, fragment)
        }
        Event::Ping(payload) => handler.on_ping(context, payload),
        Event::Pong { payload, rtt } => handler.on_pong(context, payload, rtt),
        Event::Open(response) => return opened(handler, context, &response),
        // The closing handshake ends with on_close, when the stream does.
        _ => Ok(()),
    };
    check(handler, context, result);
}

#[cold]
fn opened(handler: &mut dyn Handler, context: &mut Context<'_>, response: &Response) {
    let control = &mut *context.control;
    control.end_phase(Phase::Upgrade, context.apps.env.current().now);
    control.log_state(context.identity.id, State::Open);
    control.attempts.opened = control.attempts.opened.saturating_add(1);
    if let Some(streak) = &mut control.streak {
        streak.opened(context.apps.env.current().now);
    }
    let on_open = control.on_open.take();
    let is_successor = control.take_over(context.identity, context.apps);
    if let Some((jar, target)) = on_open.as_ref().and_then(|on_open| on_open.cookies.as_ref()) {
        jar.store(target, &response.headers);
    }
    if let Some(outbox) = &control.outbox {
        outbox.mailbox().set(SenderState::Open);
        if outbox.has_backlog() {
            control.mark_dirty(context.apps, context.identity.id);
        }
    }
    let open = Open {
        response,
        attempts: context.control.attempts,
        is_successor,
        url: context.identity.plan.final_url(),
        #[cfg(feature = "tls")]
        tls: on_open.as_ref().and_then(|on_open| on_open.tls.as_ref()),
    };
    context.start_feed();
    let result = handler.on_open(context, &open);
    check(handler, context, result);
    if open.attempts.is_reconnect() && !is_successor && !context.apps.interrupted {
        let result = handler.on_reconnect(context, &open);
        check(handler, context, result);
    }
}
