//! A thousand apps share one reactor on one thread against an embedded echo server, and a table tells what that costs.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use websocket_app::{BoxError, CallbackResult, Context, Message, Reactor, RunOptions, WebSocketApp};
use websocket_examples::bar::Bar;
use websocket_examples::latencies::Latencies;
use websocket_examples::server::{self, MOST_IN_ONE_PROCESS, OTHER_DESCRIPTORS, Server};
use websocket_examples::{descriptors, process};

use self::arguments::{Command, Run, SERVE, USAGE};
use self::report::{Memory, Report, grouped};

#[path = "multiplex/arguments.rs"]
mod arguments;
#[path = "multiplex/report.rs"]
mod report;

/// Apps that connect at the same time: more than the server's system lets wait for acceptance (128) would come a second late.
const CONNECTING: usize = 100;

fn main() -> ExitCode {
    let outcome = match arguments::parse() {
        Ok(Command::Run(arguments)) => run(&arguments),
        Ok(Command::Serve(connections)) => server::serve(connections).map_err(Into::into),
        Ok(Command::Help) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What all apps have come to together.
struct Tally {
    start: Instant,
    open: usize,
    latencies: Latencies,
    failures: u64,
    first_failure: Option<String>,
}

fn run(arguments: &Run) -> Result<(), BoxError> {
    let Run { apps, length } = *arguments;
    let ends = if apps > MOST_IN_ONE_PROCESS { 1 } else { 2 };
    descriptors::reserve((ends * apps) as u64 + OTHER_DESCRIPTORS)
        .map_err(|error| format!("--apps {apps}: {error}"))?;
    let server = Server::start(apps, SERVE)?;

    let tally = Rc::new(RefCell::new(Tally {
        start: Instant::now(),
        open: 0,
        latencies: Latencies::default(),
        failures: 0,
        first_failure: None,
    }));
    let mut reactor = Reactor::new()?;
    let mut bar = Bar::default();
    let resident = process::resident_bytes();

    // 1. Connect, so many at a time.
    let url = server.url();
    let options =
        RunOptions::new().ping_interval(Duration::from_secs(20)).ping_timeout(Duration::from_secs(10));
    let start = Instant::now();
    let mut ids = Vec::with_capacity(apps);
    while tally.borrow().open < apps {
        while ids.len() < apps && ids.len() - tally.borrow().open < CONNECTING {
            ids.push(app(&url, length.messages(), &tally).run_on(&mut reactor, &options)?);
        }
        reactor.poll(None)?;
        check(&tally)?;
        let open = tally.borrow().open;
        bar.show("connecting", open as f64 / apps as f64, || {
            format!("{} of {}", grouped(open as u64), grouped(apps as u64))
        });
    }
    let connecting = start.elapsed();
    bar.finish("connecting", &format!("{} apps are open", grouped(apps as u64)));
    let memory = Memory::new(resident, process::resident_bytes(), apps, server.is_here());
    let threads = process::threads();

    // 2. Every app sends a message, and the next when that is back.
    let start = Instant::now();
    tally.borrow_mut().start = start;
    for id in &ids {
        reactor.apps().with(*id, |app| say(app, start)).transpose()?;
    }
    while !reactor.apps().is_empty() && !length.is_over(start.elapsed()) {
        reactor.poll(Some(Duration::from_millis(100)))?;
        check(&tally)?;
        let count = tally.borrow().latencies.count();
        let done = length.progress(start.elapsed(), count, apps);
        bar.show("exchanging", done, || format!("{} messages", grouped(count)));
    }
    let exchanging = start.elapsed();
    let latencies = tally.borrow().latencies.clone();
    bar.finish("exchanging", &format!("{} messages", grouped(latencies.count())));

    // 3. Close what is still open. The reactor has run dry when the last app has ended.
    for id in &ids {
        reactor.apps().with(*id, |app| app.close());
    }
    reactor.run()?;
    check(&tally)?;

    println!("{}", Report { apps, connecting, exchanging, latencies, memory, threads });
    Ok(())
}

/// One app: says something, and the next thing when that is back, until it has said `messages` things.
fn app(url: &str, messages: u64, tally: &Rc<RefCell<Tally>>) -> WebSocketApp {
    let (opened, received, failed) = (tally.clone(), tally.clone(), tally.clone());
    let mut left = messages;
    WebSocketApp::new(url)
        .on_open(move |_, _| opened.borrow_mut().open += 1)
        .on_message(move |app, message| {
            let start = received.borrow().start;
            let said = said_at(message).ok_or("the server sent something else back")?;
            received.borrow_mut().latencies.add(start.elapsed().saturating_sub(said));
            left -= 1;
            if left == 0 {
                app.close();
            }
            if app.is_open() { say(app, start) } else { Ok(()) }
        })
        .on_error(move |_, error| {
            let mut tally = failed.borrow_mut();
            tally.failures += 1;
            tally.first_failure.get_or_insert_with(|| error.to_string());
        })
}

/// Sends the time, in nanoseconds since `start`, as a text of 32 bytes.
fn say(app: &mut Context<'_>, start: Instant) -> CallbackResult {
    Ok(app.send_text(format!("{:032}", start.elapsed().as_nanos()))?)
}

/// When `message` was sent, counted from the start.
fn said_at(message: Message<'_>) -> Option<Duration> {
    message.as_text()?.parse().ok().map(Duration::from_nanos)
}

/// Whether all goes well.
fn check(tally: &RefCell<Tally>) -> Result<(), String> {
    let tally = tally.borrow();
    match &tally.first_failure {
        Some(failure) => Err(format!("{failure} (of {} apps so far)", grouped(tally.failures))),
        None => Ok(()),
    }
}
