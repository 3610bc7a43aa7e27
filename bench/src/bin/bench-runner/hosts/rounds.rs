//! The runs of the rounds, each in a process and against a server of its own.

use std::process::Command;

use websocket_bench::Result;
use websocket_bench::contract::{Compression, Records, Report, Task, Workload};
use websocket_bench::hosts::{HostReport, Part, TICK, Turns};
use websocket_bench::launch::{Programs, Server};
use websocket_bench::progress::Progress;
use websocket_bench::sizing::{self, Scale};

use crate::hosts::idle::{self, Idle};
use crate::hosts::options::{Options, Size};

/// The host that has tasks of its own beside the apps.
pub(crate) const SHARED: &str = "tokio";
/// Bytes of payload a message.
const PAYLOAD: usize = 32;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) series: Vec<Series>,
    /// One a round.
    pub(crate) shared: Vec<Shared>,
}

/// The runs of one host, one a round.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) host: &'static str,
    pub(crate) one: Vec<Report>,
    pub(crate) many: Vec<Report>,
    pub(crate) timers: Vec<Turns>,
    pub(crate) idle: Option<Idle>,
}

/// A round of many apps that share [`SHARED`] with a task of the host's own.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) alone: Report,
    pub(crate) ticks_alone: Turns,
    pub(crate) beside_ticks: (Report, Turns),
    pub(crate) beside_busy: (Report, Turns),
}

/// Runs all hosts round by round; before that, each alone to find out how many messages fill a run, and after that without anything to do.
pub(crate) fn run(options: &Options, programs: &Programs) -> Result<Measured> {
    let size = options.size;
    let runner = Runner { programs, size };
    let mut progress = Progress::new("hosts");
    let mut sizes = Vec::with_capacity(options.hosts.len());
    for host in &options.hosts {
        progress.show(host.name, "sizing");
        let one = runner.messages(host.name, 1, size.echo)?;
        sizes.push((one, runner.messages(host.name, size.many, size.echo)?));
    }
    let mut shared_size = None;
    if options.hosts.iter().any(|host| host.name == SHARED) {
        shared_size = Some(runner.messages(SHARED, size.many, size.beside)?);
    }
    let mut series: Vec<Series> =
        options.hosts.iter().map(|host| Series { host: host.name, ..Series::default() }).collect();
    let mut shared = Vec::new();
    for round in 1..=options.rounds {
        let stage = format!("round {round} of {}", options.rounds);
        for (series, &(one, many)) in series.iter_mut().zip(&sizes) {
            progress.show(series.host, &stage);
            series.one.push(runner.echo(series.host, 1, one)?);
            series.many.push(runner.echo(series.host, size.many, many)?);
            series.timers.push(turns(runner.run(Part::Timers, series.host, 1, size.timers)?)?);
        }
        if let Some(messages) = shared_size {
            progress.show("a task beside the apps", &stage);
            shared.push(runner.shared(messages)?);
        }
    }
    if idle::can_measure() {
        for series in &mut series {
            progress.show(series.host, "nothing to do");
            series.idle = Some(runner.idle(series.host)?);
        }
    }
    progress.clear();
    Ok(Measured { series, shared })
}

struct Runner<'a> {
    programs: &'a Programs,
    size: &'a Size,
}

impl Runner<'_> {
    fn messages(&self, host: &str, connections: usize, scale: Scale) -> Result<u64> {
        sizing::messages(connections, scale, |messages| self.echo(host, connections, messages))
    }

    fn echo(&self, host: &str, connections: usize, messages: u64) -> Result<Report> {
        echo(self.run(Part::Echo, host, connections, messages)?)
    }

    fn shared(&self, messages: u64) -> Result<Shared> {
        let many = self.size.many;
        let both =
            |report: HostReport| Ok::<_, Box<dyn std::error::Error>>((echo(report.clone())?, turns(report)?));
        // As long as the runs in which the apps have something to do.
        let ticks = u64::try_from(self.size.beside.run.as_nanos() / TICK.as_nanos())?;
        Ok(Shared {
            alone: self.echo(SHARED, many, messages)?,
            ticks_alone: turns(self.run(Part::IdleTicks, SHARED, many, ticks)?)?,
            beside_ticks: both(self.run(Part::EchoTicks, SHARED, many, messages)?)?,
            beside_busy: both(self.run(Part::EchoBusy, SHARED, many, messages)?)?,
        })
    }

    fn idle(&self, host: &str) -> Result<Idle> {
        let server = self.programs.start_server(false)?;
        let command = self.command(Part::Idle, host, &task(&server, self.size.idle, 0));
        idle::measure(self.programs, self.size, &command).map_err(|error| of(Part::Idle, host, &error))
    }

    fn run(&self, part: Part, host: &str, connections: usize, messages: u64) -> Result<HostReport> {
        let server = self.programs.start_server(false)?;
        let mut command = self.command(part, host, &task(&server, connections, messages));
        self.programs.run_client(&mut command).map_err(|error| of(part, host, &error))
    }

    fn command(&self, part: Part, host: &str, task: &Task) -> Command {
        let mut command = self.programs.command("bench-on-host");
        command.arg(part.name()).arg(host).args(task.arguments());
        command
    }
}

fn task(server: &Server, connections: usize, messages: u64) -> Task {
    Task {
        workload: Workload::Echo,
        addr: server.addr,
        payload: PAYLOAD,
        messages,
        warm_up: messages.div_ceil(10).max(connections as u64),
        connections,
        records: Records::default(),
        compression: Compression::DEFAULT,
        each: false,
        root: None,
        texts: None,
    }
}

fn echo(report: HostReport) -> Result<Report> {
    report.echo.ok_or_else(|| "the report has no echoes".into())
}

fn turns(report: HostReport) -> Result<Turns> {
    report.turns.ok_or_else(|| "the report has no turns".into())
}

fn of(part: Part, host: &str, error: &dyn std::fmt::Display) -> Box<dyn std::error::Error> {
    format!("{} on {host}: {error}", part.name()).into()
}
