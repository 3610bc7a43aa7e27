//! A feed goes on although its server breaks off, is busy and restarts: back-off, resubscription, and messages that wait for the next connection.

use std::time::{Duration, Instant};

use websocket_app::{
    BoxError, CallbackResult, Closed, Context, Error, Handler, Message, Open, OwnedMessage, Reconnect,
    RunOptions, Unsent, WebSocketApp,
};
use websocket_examples::flaky::{self, TICKS};

/// More than any socket takes at once, so that the first connection breaks in the middle of it.
const REPORT: usize = 16 << 20;
/// Four connections open, and each of them brings some ticks.
const LAST: u32 = 4 * TICKS;

/// What the program knows outlives its connections.
struct Feed {
    started: Instant,
    next: u32,
    reported: bool,
}

impl Feed {
    fn say(&self, what: &str) {
        println!("{:5.2} s  {what}", self.started.elapsed().as_secs_f32());
    }
}

impl Handler for Feed {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        let Open { attempts, .. } = open;
        self.say(&format!("attempt {}: open, connection {} of this run", attempts.started, attempts.opened));
        // The server remembers nothing of earlier connections.
        Ok(app.send_text(format!("subscribe {}", self.next))?)
    }

    fn on_reconnect(&mut self, _app: &mut Context<'_>, _open: &Open<'_>) -> CallbackResult {
        self.say(&format!("           resumed at tick {}", self.next));
        Ok(())
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        let text = message.as_text().ok_or("not a text")?;
        self.say(&format!("           {text}"));
        let Some(number) = text.strip_prefix("tick ") else { return Ok(()) };
        self.next = number.parse::<u32>()? + 1;
        if !self.reported {
            self.reported = true;
            // What a Sender has accepted is kept until it is on the wire; what a callback sends dies with the connection.
            app.sender().send_bytes(vec![0; REPORT])?;
        }
        if self.next > LAST {
            app.close();
        }
        Ok(())
    }

    fn on_error(&mut self, _app: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.say(&format!("           {error}"));
        Ok(())
    }

    fn on_close(&mut self, app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        let mut line = format!("attempt {}: over", app.attempts().started);
        if let Some(code) = closed.code {
            line += &format!(" with {code} {:?}", closed.reason);
        }
        let waiting: usize = closed.unsent.iter().map(OwnedMessage::as_bytes).map(<[u8]>::len).sum();
        if waiting > 0 {
            line += &format!("; {waiting} bytes wait for the next connection");
        }
        if let Some(delay) = closed.retry_in {
            line += &format!("; the next attempt begins in {delay:.2?}");
        }
        self.say(&line);
        Ok(())
    }
}

fn main() -> Result<(), BoxError> {
    let server = flaky::start()?;
    let policy = Reconnect::backoff(Duration::from_millis(200), Duration::from_secs(2)).max_retries(10);
    let options = RunOptions::new().reconnect(policy).unsent(Unsent::Keep);

    let feed = Feed { started: Instant::now(), next: 1, reported: false };
    let mut app = WebSocketApp::with_handler(server.url(), feed);
    let outcome = app.run_forever(&options)?;

    let attempts = app.attempts();
    println!("{} attempts, {} connections, and every tick came once", attempts.started, attempts.opened);
    Ok(outcome.into_result()?)
}
