//! What an app that echoes every millisecond suffers beside a resolver, proxies and a TLS server that never answer, on real sockets.

mod echo;
mod options;
mod stalled;
mod table;

use std::ffi::OsString;
use websocket_bench::Result;
use websocket_testkit::server::EchoServer;

use crate::no_blocking::options::Options;
use crate::no_blocking::stalled::Stalled;
use crate::no_blocking::table::Rounds;

/// How many times as long the slowest hundredth of the echoes may take.
const LIMIT: f64 = 1.5;
/// While chance could have decided: at most so many times the rounds asked for.
const PATIENCE: usize = 4;

/// Does what the rest of the command line asks for; false where a limit was missed.
pub(crate) fn main(arguments: Vec<OsString>) -> Result<bool> {
    options::parse(arguments)?.answer(options::HELP, run)
}

/// Measures round by round, prints, and tells whether that is good enough.
fn run(options: &Options) -> Result<bool> {
    let server = EchoServer::start()?;
    let stalled = Stalled::start()?;
    let mut rounds = Rounds::default();
    for round in 1..=options.rounds * PATIENCE {
        // Whoever is first has the colder machine: they take turns.
        let (alone, beside) = match round % 2 {
            0 => {
                let beside = echo::run(&server, Some(&stalled), options.messages)?;
                (echo::run(&server, None, options.messages)?, beside)
            }
            _ => {
                let alone = echo::run(&server, None, options.messages)?;
                (alone, echo::run(&server, Some(&stalled), options.messages)?)
            }
        };
        rounds.push(alone, beside);
        eprintln!("round {round}: {}", rounds.last());
        if round >= options.rounds && rounds.are_clear(LIMIT) {
            break;
        }
    }
    let ratio = rounds.ratio();
    print!("{}", rounds.render());
    let (low, high) = rounds.interval();
    println!(
        "\np99 beside those who stall: {ratio:.2} x that without them (95 % sure: {low:.2} to {high:.2}), limit {LIMIT} x"
    );
    if !rounds.are_clear(LIMIT) {
        println!("the rounds do not make it clear: something else is at work on this machine");
    }
    let good = ratio <= LIMIT;
    if !good && options.report_only {
        println!("too much, which is reported only");
    }
    Ok(good || options.report_only)
}
