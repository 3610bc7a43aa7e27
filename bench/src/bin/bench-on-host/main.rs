//! One part of `bench/run hosts` on one host: `bench-on-host PART HOST`, and then the command line of a client.

#![forbid(unsafe_code)]

mod apps;
mod beside;
mod echo;
mod idle;
mod timers;

use std::ffi::OsString;
use std::process::ExitCode;

use websocket_bench::Result;
use websocket_bench::contract::{Task, unknown};
use websocket_bench::hosts::{HostReport, Part};
use websocket_bench::system::raise_descriptor_limit;
use websocket_hosts::{HOSTS, Host};

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<String> {
    let mut name = || arguments.next().unwrap_or_default().to_string_lossy().into_owned();
    let (part, host) = (name(), name());
    let part = Part::by_name(&part).ok_or_else(|| unknown("part", &part, &Part::ALL.map(Part::name)))?;
    let host = Host::by_name(&host).ok_or_else(|| unknown("host", &host, &host_names()))?;
    let task = Task::parse(arguments)?;
    raise_descriptor_limit()?;
    let report = match part {
        Part::Echo => HostReport { echo: Some(echo::run(host, &task, |_| Ok(()))?), turns: None },
        Part::Idle => idle::run(host, &task)?,
        Part::Timers => HostReport { echo: None, turns: Some(timers::run(host, &task)?) },
        Part::EchoTicks => beside::echo(host, &task, beside::ticks)?,
        Part::IdleTicks => beside::idle(host, &task)?,
        Part::EchoBusy => beside::echo(host, &task, beside::pieces)?,
    };
    Ok(serde_json::to_string(&report)?)
}

fn host_names() -> Vec<&'static str> {
    HOSTS.iter().map(|host| host.name).collect()
}
