//! A connection on which client and server say what a test wants them to, and both look whether it comes back.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use websocket_app::{
    CallbackResult, Closed, Context, DeflateAgreed, Error, Handler, Kind, Message, Open, RunOptions,
    WebSocketApp,
};
use websocket_tests::{HostReactor, close_line, error_line};

use crate::meter::{Meter, metered};

/// One thing to do.
#[derive(Clone)]
pub enum Step {
    /// We send these at once, each in so many fragments; the server sends them back.
    Ours(Vec<(Kind, Vec<u8>)>, usize),
    /// The server makes one up of that kind, content, length and number of fragments; we send it back.
    Theirs(Kind, &'static str, usize, usize),
}

/// What came of it.
#[derive(Clone, Default, Debug)]
pub struct Report {
    pub agreed: Option<DeflateAgreed>,
    /// Steps that were done.
    pub done: usize,
    /// Error and close.
    pub end: Vec<String>,
    /// Bytes of messages, as the apps have them, and of the connection, without the upgrade.
    pub plain: (usize, usize),
    pub wire: (usize, usize),
}

/// What comes next.
enum Expected {
    Back(VecDeque<(Kind, Vec<u8>)>),
    MadeUp(Kind, usize),
    Verdict,
}

/// A session on a reactor; it is over when the reactor has run.
pub struct Session(Rc<RefCell<Report>>);

impl Session {
    /// Has the reactor connect to `url`, which is at `addr`.
    #[track_caller]
    pub fn start(
        reactor: &mut HostReactor,
        url: &str,
        addr: SocketAddr,
        options: &RunOptions,
        steps: Vec<Step>,
    ) -> Self {
        let (report, meter) = (Rc::<RefCell<Report>>::default(), Rc::<Meter>::default());
        let steps = steps.into_iter();
        let expected = Expected::Verdict;
        let handler = Talk { steps, expected, report: report.clone(), meter: meter.clone(), start: (0, 0) };
        WebSocketApp::with_handler(url, handler)
            .socket_with(move || metered(addr, &meter))
            .run_on(reactor, options)
            .unwrap();
        Self(report)
    }

    pub fn report(&self) -> Report {
        self.0.borrow().clone()
    }
}

struct Talk {
    steps: std::vec::IntoIter<Step>,
    expected: Expected,
    report: Rc<RefCell<Report>>,
    meter: Rc<Meter>,
    /// What the upgrade took.
    start: (usize, usize),
}

impl Talk {
    fn next(&mut self, app: &mut Context<'_>) -> CallbackResult {
        match self.steps.next() {
            None => app.close(),
            Some(Step::Theirs(kind, content, len, fragments)) => {
                self.expected = Expected::MadeUp(kind, len);
                let kind = if kind == Kind::Text { "text" } else { "binary" };
                let order = format!("!{kind} {content} {len} {fragments}");
                self.send(app, Kind::Text, order.as_bytes(), 1)?;
            }
            Some(Step::Ours(messages, fragments)) => {
                for (kind, payload) in &messages {
                    self.send(app, *kind, payload, fragments)?;
                }
                self.expected = Expected::Back(messages.into());
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        app: &mut Context<'_>,
        kind: Kind,
        payload: &[u8],
        fragments: usize,
    ) -> CallbackResult {
        self.report.borrow_mut().plain.0 += payload.len();
        match kind {
            _ if fragments > 1 => {
                let size = payload.len().div_ceil(fragments).max(1);
                for start in (0..payload.len().max(1)).step_by(size) {
                    let end = (start + size).min(payload.len());
                    let kind = (start == 0).then_some(kind);
                    app.send_fragment(kind, &payload[start..end], end == payload.len())?;
                }
            }
            Kind::Text => app.send_text(str::from_utf8(payload)?)?,
            Kind::Binary => app.send_bytes(payload)?,
        }
        Ok(())
    }
}

impl Handler for Talk {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.report.borrow_mut().agreed = open.response.deflate;
        self.start = (self.meter.sent.get(), self.meter.received.get());
        self.next(app)
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        self.report.borrow_mut().plain.1 += message.len();
        match &mut self.expected {
            Expected::Back(messages) => {
                let (kind, payload) = messages.pop_front().ok_or("more comes back than was sent")?;
                if message.kind() != kind || message.as_bytes() != payload {
                    return Err(format!("{} {kind:?} bytes come back changed", payload.len()).into());
                }
                if !messages.is_empty() {
                    return Ok(());
                }
            }
            Expected::MadeUp(kind, len) => {
                let letters = message.as_text().map_or(message.len(), |text| text.chars().count());
                if (message.kind(), letters) != (*kind, *len) {
                    return Err(format!("{letters} {:?}, but {len} {kind:?}", message.kind()).into());
                }
                self.expected = Expected::Verdict;
                return self.send(app, message.kind(), message.as_bytes(), 1);
            }
            Expected::Verdict => match message.as_text() {
                Some("same") => {}
                _ => return Err(format!("the server says {message:?}").into()),
            },
        }
        self.report.borrow_mut().done += 1;
        self.next(app)
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.report.borrow_mut().end.push(error_line(error));
        app.close();
        Ok(())
    }

    fn on_close(&mut self, _app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        let mut report = self.report.borrow_mut();
        report.end.push(close_line(closed));
        report.wire = (self.meter.sent.get() - self.start.0, self.meter.received.get() - self.start.1);
        Ok(())
    }
}
