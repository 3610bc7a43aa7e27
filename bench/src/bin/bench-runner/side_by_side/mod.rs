//! The runner: interleaves the clients round by round, and prints and writes what they cost.

mod cells;
mod chart;
mod clients;
mod launch;
mod options;
mod results;
mod summary;
mod table;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use websocket_bench::Result;
use websocket_bench::contract::Workload;
use websocket_bench::launch::Programs;
use websocket_bench::neighbours::{Neighbours, TOLERATED_SHARE};
use websocket_bench::progress::Progress;
use websocket_bench::sizing;
use websocket_bench::system::{Cores, raise_descriptor_limit};

use crate::side_by_side::cells::Cell;
use crate::side_by_side::clients::Client;
use crate::side_by_side::launch::Run;
use crate::side_by_side::options::{Options, Request};
use crate::side_by_side::results::{Results, Series, rows};

/// Descriptors that a client and the server need besides those of the connections.
const DESCRIPTORS: usize = 100;

/// The most connections of a run of `connect*`: each keeps its port for a minute after its end, and there are 28 000 to one server.
const MOST_CONNECTIONS: u64 = 20_000;

/// Does what the rest of the command line asks for; false where a limit was missed.
pub(crate) fn main(arguments: Vec<OsString>) -> Result<bool> {
    match options::parse(arguments)? {
        Request::Help => {
            print!("{}", options::help());
            Ok(true)
        }
        Request::Run(options) => run(&options).map(|()| true),
    }
}

fn run(options: &Options) -> Result<()> {
    let descriptors = raise_descriptor_limit()?;
    let cores = Cores::choose();
    if cores.is_none() {
        println!("note: server and client are not pinned to a core each; the figures are worth less");
    }
    let neighbours = Neighbours::watch()?;
    let programs = Programs::new(cores)?;
    let mut results = Results::new(options, cores.is_some());
    for &workload in &options.workloads {
        let mut rows = Vec::new();
        for cell in options.cells(workload) {
            if descriptors < (cell.connections + DESCRIPTORS) as u64 {
                println!(
                    "left out: {} {}: it needs more than the {descriptors} descriptors that are allowed",
                    workload.name(),
                    cell.name
                );
                continue;
            }
            rows.extend(run_cell(options, &programs, cell)?);
        }
        print!("{}", table::render(workload, &rows));
        results.rows.extend(rows);
    }
    results.others_cpu_share = neighbours.share()?;
    if results.others_cpu_share > TOLERATED_SHARE {
        let percent = 100.0 * results.others_cpu_share;
        println!(
            "note: {percent:.0} % of the machine's time went to other processes; the figures are worth less"
        );
    }
    write(options, &results)
}

/// Runs every client on one cell: first each alone to find out how many messages fill a run, then round by round.
fn run_cell(options: &Options, programs: &Programs, cell: &Cell) -> Result<Vec<results::Row>> {
    let clients: Vec<&Client> = options.clients(cell.workload);
    let mut progress = Progress::new(format!("{} {}", cell.workload.name(), cell.name));
    let mut sizes = Vec::with_capacity(clients.len());
    for client in &clients {
        progress.show(client.name, "sizing");
        sizes.push(match cell.workload.is_idle() {
            true => 0,
            false => sizing::messages(cell.connections, options.scale(), |messages| {
                launch::run(programs, client, cell, messages).map(|run| run.report)
            })?
            .min(if cell.workload.is_connect() { MOST_CONNECTIONS } else { u64::MAX }),
        });
    }
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); clients.len()];
    for round in 1..=options.rounds {
        for (index, client) in clients.iter().enumerate() {
            progress.show(client.name, &format!("round {round} of {}", options.rounds));
            runs[index].push(launch::run(programs, client, cell, sizes[index])?);
        }
    }
    progress.clear();
    let series = clients.into_iter().zip(runs).map(|(client, runs)| Series { client, runs });
    Ok(rows(cell, &series.collect::<Vec<_>>()))
}

fn write(options: &Options, results: &Results) -> Result<()> {
    if let Some(directory) = options.json.parent() {
        fs::create_dir_all(directory)?;
    }
    let chart = options.json.with_extension("svg");
    save(&options.json, &(serde_json::to_string_pretty(results)? + "\n"))?;
    save(&chart, &chart::render(&Workload::ALL, &results.rows))?;
    println!("written: {} and {}", options.json.display(), chart.display());
    match &options.markdown {
        Some(path) => save(path, &summary::render(&results.rows)),
        None => Ok(()),
    }
}

fn save(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}
