//! Thousands of apps on one reactor connect to one server at once, lose their connections at once, and
//! reconnect.

mod options;
mod storm;
mod table;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use websocket_app::Reconnect;
use websocket_bench::Result;
use websocket_bench::launch::{Programs, Server};
use websocket_bench::system::{peak_resident_bytes, raise_descriptor_limit};

use crate::connect_storm::options::Options;
use crate::connect_storm::storm::Storm;
use crate::connect_storm::table::Phase;

/// How long a phase may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the server is down once every app has noticed.
const DOWN: Duration = Duration::from_secs(1);
/// Descriptors of either process besides those of its connections.
const SPARE_DESCRIPTORS: u64 = 32;

/// Does what the rest of the command line asks for; false where a limit was missed.
pub(crate) fn main(arguments: Vec<OsString>) -> Result<bool> {
    options::parse(arguments)?.answer(options::HELP, run)
}

/// Runs both phases, prints, and returns whether that is good enough.
fn run(options: &Options) -> Result<bool> {
    check_descriptors(options.apps)?;
    let programs = Programs::new(None)?;
    let mut server =
        programs.start_server_on((Ipv4Addr::LOCALHOST, 0).into(), options.backlog, options.work)?;
    let address = server.addr;
    let policy = options.fixed_delay.map_or_else(Reconnect::default, Reconnect::fixed);
    let mut storm = Storm::new(&format!("ws://{address}/idle"), options.apps, policy)?;

    eprintln!("{} apps connect", options.apps);
    let time = storm.run_until(true, LIMIT)?;
    let mut phases = vec![phase("connect", options.apps, &mut storm, &mut server, time)?];
    if time.is_some() {
        eprintln!("the server is killed");
        storm.begin_phase();
        server.kill()?;
        let (mut server, time) = restart(&programs, &mut storm, address, options)?;
        phases.push(phase("reconnect", options.apps, &mut storm, &mut server, time)?);
    }
    println!("\n{} apps on one reactor, one server with a listen queue of {}", options.apps, options.backlog);
    print!("{}", table::render(&phases));
    let verdict = verdict(&phases);
    println!("\n{}", verdict.as_ref().err().map_or("every app opened, and opened again", String::as_str));
    Ok(verdict.is_ok())
}

/// Waits until every app has lost its connection, starts the server again after a while, and waits until
/// every app is open; returns how long that took from when the server listened again.
fn restart(
    programs: &Programs,
    storm: &mut Storm,
    address: SocketAddr,
    options: &Options,
) -> Result<(Server, Option<Duration>)> {
    if storm.run_until(false, LIMIT)?.is_none() {
        return Err(format!("{} apps never noticed that the server was killed", storm.open()).into());
    }
    storm.run_for(DOWN)?;
    let server = programs.start_server_on(address, options.backlog, options.work)?;
    eprintln!("the server listens again");
    let time = storm.run_until(true, LIMIT)?;
    Ok((server, time))
}

fn phase(
    name: &'static str,
    apps: usize,
    storm: &mut Storm,
    server: &mut Server,
    time: Option<Duration>,
) -> Result<Phase> {
    Ok(Phase {
        name,
        apps,
        open: storm.open(),
        time,
        started: storm.started(),
        events: storm.events(),
        most_under_way: storm.most_under_way(),
        arrivals: server.arrivals()?,
        peak_bytes: peak_resident_bytes(),
    })
}

/// What is wrong with the phases, if anything is. While the server is down attempts fail, as they should.
fn verdict(phases: &[Phase]) -> Result<(), String> {
    for phase in phases {
        if phase.time.is_none() {
            return Err(format!(
                "{}: only {} of {} apps were open after {LIMIT:?}",
                phase.name, phase.open, phase.apps
            ));
        }
    }
    match phases.first().map_or(0, Phase::failed) {
        0 => Ok(()),
        failed => Err(format!("connect: {failed} attempts failed although the server was there")),
    }
}

/// Raises the limit of open descriptors, and refuses what does not fit into it.
fn check_descriptors(apps: usize) -> Result<()> {
    let (limit, needed) = (raise_descriptor_limit()?, apps as u64 + SPARE_DESCRIPTORS);
    if limit < needed {
        return Err(format!(
            "{apps} apps need {needed} open descriptors, and the hard limit is {limit}: raise it (ulimit -Hn), \
             or take fewer --apps"
        )
        .into());
    }
    Ok(())
}
