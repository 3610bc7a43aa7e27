//! How long `close()` from another thread takes to end `run_forever`, on real sockets.

mod options;
mod runs;
mod table;

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use websocket_app::{Error, Outcome, Timeout};
use websocket_bench::Result;
use websocket_testkit::server::{EchoServer, ScriptedServer};

use crate::close_latency::options::Options;
use crate::close_latency::runs::Closer;
use crate::close_latency::table::Row;

/// What the client's own part of a close may take.
const ALLOWANCE: Duration = Duration::from_millis(50);
/// How long the client waits for a server that does not answer.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);
/// How long it waits for one that does: on a busy machine that can take a while, and is then reported as late.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Does what the rest of the command line asks for; false where a limit was missed.
pub(crate) fn main(arguments: Vec<OsString>) -> Result<bool> {
    options::parse(arguments)?.answer(options::HELP, run)
}

/// Measures both, prints, and tells whether that is good enough.
fn run(options: &Options) -> Result<bool> {
    let rows = [answering(options.runs)?, mute(options.mute_runs)?];
    print!("{}", table::render(&rows));
    let late: usize = rows.iter().map(Row::late).sum();
    match late {
        0 => println!("\nevery run ended in time"),
        late if options.report_only => println!("\n{late} runs ended late, which is reported only"),
        late => println!("\n{late} runs ended late"),
    }
    Ok(late == 0 || options.report_only)
}

/// Closes connections whose server answers.
fn answering(runs: usize) -> Result<Row> {
    let server = EchoServer::start()?;
    let mut closer = Closer::new(server.url(), ANSWER_TIMEOUT)?;
    let times = measure("answering server", runs, |number| match closer.close(number)? {
        (Outcome::Clean { .. }, time) => Ok(time),
        (other, _) => Err(format!("a server that answers is not left like this: {other:?}").into()),
    })?;
    Ok(Row::new("answers", times, Duration::ZERO, ALLOWANCE))
}

/// Closes connections whose server reads and says nothing.
fn mute(runs: usize) -> Result<Row> {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.read_to_end();
    })?;
    let mut closer = Closer::new(server.url(), CLOSE_TIMEOUT)?;
    let times = measure("mute server", runs, |number| match closer.close(number)? {
        (Outcome::Lost(Error::Timeout(Timeout::Close)), time) => Ok(time),
        (other, _) => Err(format!("a mute server is not left like this: {other:?}").into()),
    })?;
    server.join();
    Ok(Row::new("is mute", times, CLOSE_TIMEOUT, ALLOWANCE))
}

/// Runs again and again and tells on standard error how far it has come.
fn measure(name: &str, runs: usize, mut run: impl FnMut(usize) -> Result<Duration>) -> Result<Vec<Duration>> {
    let terminal = stderr().is_terminal();
    let mut times = Vec::with_capacity(runs);
    for number in 1..=runs {
        times.push(run(number)?);
        if terminal {
            eprint!("\r\x1b[K{name}: {number} of {runs}");
            let _ignored = stderr().flush();
        } else if number * 10 / runs > (number - 1) * 10 / runs {
            eprintln!("{name}: {number} of {runs}");
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(times)
}
