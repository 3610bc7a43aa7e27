//! The runner's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;
use websocket_bench::Result;
use websocket_bench::contract::{Workload, list, refuse_unknown, unknown};
use websocket_bench::sizing::Scale;

use crate::side_by_side::cells::{Cell, cells};
use crate::side_by_side::clients::{CLIENTS, Client};
use crate::{MEASUREMENTS, Measurement};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Run(Options),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    clients: Vec<&'static Client>,
    /// Workloads that a client is left out of.
    without: Vec<(String, Workload)>,
    pub(crate) json: PathBuf,
    pub(crate) markdown: Option<PathBuf>,
    /// The names of the chosen cells; `None` for all.
    cells: Option<Vec<String>>,
}

impl Options {
    /// The chosen cells of a workload.
    pub(crate) fn cells(&self, workload: Workload) -> impl Iterator<Item = &'static Cell> {
        let chosen =
            |cell: &&Cell| self.cells.as_ref().is_none_or(|names| names.iter().any(|name| name == cell.name));
        cells(workload, self.quick).iter().filter(chosen)
    }

    /// The clients that take part in a workload.
    pub(crate) fn clients(&self, workload: Workload) -> Vec<&'static Client> {
        let left_out = |client: &Client| {
            self.without.iter().any(|(name, other)| name == client.name && *other == workload)
        };
        let takes_part = |client: &&Client| client.runs(workload) && !left_out(client);
        self.clients.iter().copied().filter(takes_part).collect()
    }

    /// How long a run takes.
    pub(crate) fn scale(&self) -> Scale {
        match self.quick {
            true => Scale { probe: Duration::from_millis(5), run: Duration::from_millis(40) },
            false => Scale { probe: Duration::from_millis(50), run: Duration::from_millis(400) },
        }
    }
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut names = Vec::new();
    let (mut quick, mut rounds) = (false, None);
    let (mut cell_names, mut client_names, mut markdown) = (None, None, None);
    let (mut without, mut pairs) = (Vec::new(), Vec::new());
    let mut json = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/latest.json");
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => quick = true,
            Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Long("cells") => cell_names = Some(list(parser.value()?)?),
            Long("clients") => client_names = Some(list(parser.value()?)?),
            Long("without") => {
                for name in list(parser.value()?)? {
                    match name.split_once('/') {
                        Some((client, workload)) => pairs.push(pair(client, workload)?),
                        None => without.push(name),
                    }
                }
            }
            Long("json") => json = parser.value()?.into(),
            Long("markdown") => markdown = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Request::Help),
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let workloads = workloads(&names)?;
    if let Some(names) = &cell_names {
        let known = cell_names_of(&workloads, quick);
        refuse_unknown("cell", names, &known)?;
    }
    let rounds = match rounds {
        Some(0) => return Err("--rounds needs at least one".into()),
        Some(rounds) => rounds,
        None if quick => 1,
        None => 7,
    };
    Ok(Request::Run(Options {
        workloads,
        quick,
        rounds,
        clients: clients(client_names, &without)?,
        without: pairs,
        json,
        markdown,
        cells: cell_names,
    }))
}

/// What `--help` prints.
pub(crate) fn help() -> String {
    let clients = client_names();
    let line = |one: &Measurement| format!("  {:13}  {}\n", one.name, one.about);
    let measurements: String = MEASUREMENTS.iter().map(line).collect();
    let cells = |workload| cell_names_of(&[workload], false).join(", ");
    format!(
        "usage: bench/run WORKLOAD... [options], or bench/run MEASUREMENT [options]

workloads, and the cells of each:
  receive          {}    (payload)
  send             {}    (payload; -each: one write a message, else many share one)
  echo             {}    (connections)
  connect          {}    (connections under way)
  idle             {}    (connections)
  receive-tls      {}    (payload; -record: one TLS record a message)
  echo-tls         {}    (connections)
  connect-tls      {}    (connections under way; full handshakes, or resumed sessions)
  idle-tls         {}    (connections)
  receive-deflate  {}    (payload; -anew: no context is taken over)
  send-deflate     {}    (payload; -3, -6: that level in place of 1)
  idle-deflate     {}    (payload)
  all              all of them

options:
  --quick              the scale of a smoke test: does it work, not what does it cost
  --rounds N           runs of every client on every cell (default: 7; 1 with --quick)
  --cells A,B          only these cells
  --clients A,B        only these clients: {}
  --without A,B/C      not these: client A, client B in workload C
  --json FILE          where the rows go, the chart beside them (default: bench/results/latest.json)
  --markdown FILE      where a table in short goes: our cost on each cell, and that of the cheapest peer
  --count-allocations  count heap allocations too; the other figures then include the counting

other measurements, each with a --help of its own:
{measurements}",
        cells(Workload::Receive),
        cells(Workload::Send),
        cells(Workload::Echo),
        cells(Workload::Connect),
        cells(Workload::Idle),
        cells(Workload::ReceiveTls),
        cells(Workload::EchoTls),
        cells(Workload::ConnectTls),
        cells(Workload::IdleTls),
        cells(Workload::ReceiveDeflate),
        cells(Workload::SendDeflate),
        cells(Workload::IdleDeflate),
        clients.join(", ")
    )
}

fn workloads(names: &[String]) -> Result<Vec<Workload>> {
    let mut known = Workload::names();
    known.push("all");
    refuse_unknown("workload", names, &known)?;
    if names.is_empty() {
        return Err(format!("name a workload: {}", known.join(", ")).into());
    }
    let asked_for = |workload: &Workload| names.iter().any(|name| name == "all" || name == workload.name());
    Ok(Workload::ALL.into_iter().filter(asked_for).collect())
}

fn clients(names: Option<Vec<String>>, without: &[String]) -> Result<Vec<&'static Client>> {
    let known = client_names();
    refuse_unknown("client", names.as_deref().unwrap_or_default(), &known)?;
    refuse_unknown("client", without, &known)?;
    let in_list = |names: &[String], client: &Client| names.iter().any(|name| name == client.name);
    let chosen = |client: &&Client| {
        names.as_ref().is_none_or(|names| in_list(names, client)) && !in_list(without, client)
    };
    Ok(CLIENTS.iter().filter(chosen).collect())
}

/// A client and the workload that it is left out of.
fn pair(client: &str, workload: &str) -> Result<(String, Workload)> {
    let client = client.to_owned();
    refuse_unknown("client", std::slice::from_ref(&client), &client_names())?;
    let known = || unknown("workload", workload, &Workload::names());
    Ok((client, Workload::by_name(workload).ok_or_else(known)?))
}

fn client_names() -> Vec<&'static str> {
    CLIENTS.iter().map(|client| client.name).collect()
}

fn cell_names_of(workloads: &[Workload], quick: bool) -> Vec<&'static str> {
    workloads.iter().flat_map(|&workload| cells(workload, quick)).map(|cell| cell.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options> {
        match parse(line.split_whitespace().map(OsString::from))? {
            Request::Run(options) => Ok(options),
            Request::Help => Err("help".into()),
        }
    }

    fn cell_names(options: &Options, workload: Workload) -> Vec<&str> {
        options.cells(workload).map(|cell| cell.name).collect()
    }

    #[test]
    fn all_is_every_workload_with_every_cell_and_client() {
        let options = options("all").unwrap();
        assert_eq!(options.workloads, Workload::ALL);
        assert_eq!(options.clients.len(), CLIENTS.len());
        assert_eq!(options.rounds, 7);
        assert_eq!(cell_names(&options, Workload::Echo), ["1", "100", "1000", "9500"]);
        assert!(options.json.ends_with("bench/results/latest.json"));
    }

    #[test]
    fn options_choose() {
        let options =
            options("receive --rounds 3 --cells 32B,1KiB --clients tungstenite,min-ws --json out/x.json --markdown out/x.md")
                .unwrap();
        assert_eq!(options.workloads, [Workload::Receive]);
        assert_eq!(options.rounds, 3);
        assert_eq!(cell_names(&options, Workload::Receive), ["32B", "1KiB"]);
        let clients: Vec<&str> = options.clients.iter().map(|client| client.name).collect();
        assert_eq!(clients, ["min-ws", "tungstenite"]);
        assert_eq!(options.json, Path::new("out/x.json"));
        assert_eq!(options.markdown.as_deref(), Some(Path::new("out/x.md")));
    }

    #[test]
    fn workloads_run_in_their_order() {
        let options = options("echo receive").unwrap();
        assert_eq!(options.workloads, [Workload::Receive, Workload::Echo]);
    }

    #[test]
    fn clients_can_be_left_out() {
        let rest = options("all --without yawc --without raw").unwrap().clients;
        assert_eq!(rest.len() + 2, CLIENTS.len());
        assert!(rest.iter().all(|client| client.name != "yawc" && client.name != "raw"));
    }

    #[test]
    fn a_client_can_be_left_out_of_one_workload() {
        let options = options("all --without raw,nexus-web/receive-tls").unwrap();
        let runs = |workload| options.clients(workload).iter().any(|client| client.name == "nexus-web");
        assert!(runs(Workload::Receive) && !runs(Workload::ReceiveTls));
        assert!(options.clients(Workload::ReceiveTls).len() > 1);
    }

    #[test]
    fn quick_is_smaller() {
        let options = options("all --quick").unwrap();
        assert_eq!(options.rounds, 1);
        assert_eq!(cell_names(&options, Workload::Idle), ["1000"]);
        assert_eq!(cell_names(&options, Workload::Echo), ["1", "100", "1000"]);
    }

    #[test]
    fn unknown_names_are_refused_with_the_list() {
        let message = |line| options(line).unwrap_err().to_string();
        assert_eq!(
            message("recv"),
            format!("unknown workload 'recv'; known are: {}, all", Workload::names().join(", "))
        );
        assert_eq!(message(""), format!("name a workload: {}, all", Workload::names().join(", ")));
        assert_eq!(message("echo --cells 32B"), "unknown cell '32B'; known are: 1, 100, 1000, 9500");
        assert!(message("echo --clients curl").starts_with("unknown client 'curl'; known are: raw, min-ws"));
        assert!(message("echo --without curl/echo").starts_with("unknown client 'curl'; known are: "));
        assert!(message("echo --without raw/ech").starts_with("unknown workload 'ech'; known are: "));
        assert_eq!(message("echo --rounds 0"), "--rounds needs at least one");
        assert!(message("echo --fast").contains("--fast"));
    }

    #[test]
    fn help_lists_every_cell_and_client() {
        let help = help();
        assert!(CLIENTS.iter().all(|client| help.contains(client.name)));
        assert!(cell_names_of(&Workload::ALL, false).iter().all(|name| help.contains(name)));
        assert!(MEASUREMENTS.iter().all(|one| help.contains(one.name)));
    }
}
