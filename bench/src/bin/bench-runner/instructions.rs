//! How many instructions our client spends per message, counted by valgrind's callgrind, against the budget in `bench/instructions.json`.
//!
//! Counts repeat almost exactly where times do not, so they are what can fail a build.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use serde::Deserialize;
use websocket_bench::Result;
use websocket_bench::contract::{Compression, Records, Task, Workload};
use websocket_bench::launch::Programs;

const HELP: &str = "usage: bench/run instructions

It counts our client's instructions per message with valgrind, and fails where that is above the budget in bench/instructions.json.
";

const BUDGET: &str = include_str!("../../../instructions.json");

/// What one message may cost.
#[derive(Deserialize)]
struct Row {
    workload: String,
    payload: usize,
    connections: usize,
    /// Messages in the shorter one of two runs. The longer one has three times as many, and what both do once cancels out.
    messages: u64,
    /// Instructions per message, at most.
    most: u64,
}

/// Does what the rest of the command line asks for; false where something is above its budget.
pub(crate) fn main(arguments: Vec<OsString>) -> Result<bool> {
    match arguments.first() {
        None => run(),
        Some(option) if option == "--help" || option == "-h" => {
            print!("{HELP}");
            Ok(true)
        }
        Some(option) => {
            Err(format!("unexpected argument {option:?}: there are no options but --help").into())
        }
    }
}

/// Counts and prints each row. Returns whether all are within their budget.
fn run() -> Result<bool> {
    if let Err(error) = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status() {
        if error.kind() == ErrorKind::NotFound {
            println!("skipped: valgrind is not installed, and nothing else counts instructions as exactly");
            return Ok(true);
        }
        return Err(error.into());
    }
    let rows: Vec<Row> = serde_json::from_str(BUDGET)?;
    let programs = Programs::new(None)?;
    println!(
        "{:8} {:>8} {:>11} {:>21} {:>6}",
        "workload", "payload", "connections", "instructions/message", "most"
    );
    let mut is_within = true;
    for row in &rows {
        let (short, long) = (count(&programs, row, 1)?, count(&programs, row, 3)?);
        let each = (long.saturating_sub(short) + row.messages) / (2 * row.messages);
        is_within &= each <= row.most;
        let verdict = if each <= row.most { "" } else { "  above the budget" };
        let Row { workload, payload, connections, most, .. } = row;
        println!("{workload:8} {payload:>8} {connections:>11} {each:>21} {most:>6}{verdict}");
    }
    if !is_within {
        println!(
            "find out why, or raise the budget in bench/instructions.json in a commit that says what it is spent on"
        );
    }
    Ok(is_within)
}

/// Runs our client under callgrind with so many times the messages of a row. Returns the instructions that it has executed.
fn count(programs: &Programs, row: &Row, times: u64) -> Result<u64> {
    let workload =
        Workload::by_name(&row.workload).ok_or_else(|| format!("no workload '{}'", row.workload))?;
    let server = programs.start_server(workload.is_tls())?;
    let task = Task {
        workload,
        addr: server.addr,
        payload: row.payload,
        messages: times * row.messages,
        warm_up: row.messages / 10,
        connections: row.connections,
        records: Records::default(),
        compression: Compression::DEFAULT,
        each: false,
        root: server.root.clone(),
        texts: None,
    };
    let client = programs.command("bench-client-ours");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let output = command.arg(client.get_program()).args(task.arguments()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: {errors}", output.status).into());
    }
    let collected =
        errors.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    let count = collected.ok_or_else(|| format!("valgrind printed no count: {errors}"))?;
    count.parse().map_err(|error| format!("'{count}' is not a count: {error}").into())
}
