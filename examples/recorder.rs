//! A recorder of 20 feeds: a watchdog for each, a line of numbers per second, and back-pressure from the file to the servers.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use websocket_app::{Apps, BoxError, Reactor, ReactorHandle, Reconnect, RunOptions, WebSocketApp};
use websocket_examples::feeds;

use self::arguments::Recording;

#[path = "recorder/arguments.rs"]
mod arguments;

/// A feed pauses when so many messages wait for the writer, and all feeds resume when only a few are left.
const MANY: u64 = 1000;
const FEW: u64 = 250;

/// How long the servers have to answer a close.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    waiting: AtomicU64,
    written_bytes: AtomicU64,
    paused: AtomicU64,
    pauses: AtomicU64,
}

fn main() -> ExitCode {
    arguments::run(record)
}

fn record(recording: &Recording) -> Result<(), BoxError> {
    let file = BufWriter::new(File::options().append(true).create(true).open(&recording.file)?);
    let (server, mut reactor) = (feeds::start()?, Reactor::new()?);
    let counts = Arc::<Counts>::default();
    // A feed may deliver one more message before it pauses, and another one when it has resumed.
    let (messages, received) = sync_channel(MANY as usize + 2 * recording.feeds);
    let options = RunOptions::new()
        .silence_timeout(Duration::from_secs(1))
        .reconnect(Reconnect::default())
        .deliver_after_close(false);
    for number in 0..recording.feeds {
        feed(number, &server.url(), messages.clone(), counts.clone()).run_on(&mut reactor, &options)?;
    }
    drop(messages);

    let (handle, shared, delay) = (reactor.handle(), counts.clone(), recording.write_delay);
    let writer = thread::spawn(move || {
        let written = write(received, file, delay, &shared, &handle);
        // There is nothing to receive for without a writer.
        handle.stop();
        written
    });
    let handle = reactor.handle();
    ctrlc::set_handler(move || handle.stop_within(PATIENCE))?;
    reactor.apps().set_timeout(recording.time, |apps| apps.stop_within(PATIENCE));
    let (shared, mut before) = (counts.clone(), 0);
    reactor.apps().set_interval(Duration::from_secs(1), move |apps| report(apps, &shared, &mut before));
    reactor.run()?;

    let written = writer.join().map_err(|_| "the writer has panicked")??;
    let [delivered, pauses] = [&counts.delivered, &counts.pauses].map(|count| count.load(Relaxed));
    println!("{delivered} messages delivered, {written} written, {pauses} pauses");
    Ok(())
}

/// Hands what a server sends to the writer, and pauses when that falls behind.
fn feed(number: usize, url: &str, messages: SyncSender<String>, counts: Arc<Counts>) -> WebSocketApp {
    WebSocketApp::new(format!("{url}{number}"))
        .on_message(move |app, message| -> Result<(), BoxError> {
            let line = format!("{number} {}\n", message.as_text().ok_or("not a text")?);
            counts.delivered.fetch_add(1, Relaxed);
            // Counted first: the writer may be done with it at once.
            if counts.waiting.fetch_add(1, Relaxed) + 1 >= MANY {
                app.pause_reading();
                counts.paused.fetch_add(1, Relaxed);
                counts.pauses.fetch_add(1, Relaxed);
            }
            Ok(messages.send(line)?)
        })
        .on_error(move |_, error| eprintln!("feed {number}: {error}"))
        .on_reconnect(move |_, _| println!("feed {number}: connected again"))
}

/// Writes until there are no more feeds, and has them resume when few messages are left. Returns how many it has written.
fn write(
    messages: Receiver<String>,
    mut file: impl Write,
    delay: Duration,
    counts: &Arc<Counts>,
    reactor: &ReactorHandle,
) -> io::Result<u64> {
    let mut written = 0;
    for line in messages {
        file.write_all(line.as_bytes())?;
        written += 1;
        counts.written_bytes.fetch_add(line.len() as u64, Relaxed);
        thread::sleep(delay);
        if counts.waiting.fetch_sub(1, Relaxed) == FEW + 1 {
            let counts = counts.clone();
            reactor.run(move |apps| {
                counts.paused.store(0, Relaxed);
                for id in apps.ids() {
                    apps.with(id, |app| app.resume_reading());
                }
            });
        }
    }
    file.flush()?;
    Ok(written)
}

fn report(apps: &mut Apps, counts: &Counts, before: &mut u64) {
    let (mut messages, mut reconnects) = (0, 0);
    for id in apps.ids() {
        let Some(stats) = apps.with(id, |app| app.total_stats()) else { continue };
        messages += stats.received.messages;
        reconnects += stats.attempts.opened.saturating_sub(1);
    }
    let slowest = apps.stats().longest_callback.map_or(Duration::ZERO, |callback| callback.took);
    println!(
        "{:>6} messages/s, {:.3} MB written, {} paused, {reconnects} reconnects, slowest callback {slowest:.1?}",
        // Feeds that have ended do not count any more.
        messages.saturating_sub(std::mem::replace(before, messages)),
        counts.written_bytes.load(Relaxed) as f64 / 1e6,
        counts.paused.load(Relaxed),
    );
}
