//! What our apps cost on every host, host by host, round by round.

mod idle;
mod limits;
mod lines;
mod options;
mod results;
mod rounds;
mod table;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use websocket_bench::Result;
use websocket_bench::launch::Programs;
use websocket_bench::neighbours::{Neighbours, TOLERATED_SHARE};
use websocket_bench::system::Cores;

use crate::hosts::options::{Options, Request};

/// Does what the rest of the command line asks for; false where a limit was missed.
pub(crate) fn main(arguments: Vec<OsString>) -> Result<bool> {
    match options::parse(arguments)? {
        Request::Help => {
            print!("{}", options::help());
            Ok(true)
        }
        Request::Run(options) => run(&options),
    }
}

/// Measures, prints, writes, and tells whether that is good enough.
fn run(options: &Options) -> Result<bool> {
    let cores = Cores::choose();
    if cores.is_none() {
        println!("note: server and client are not pinned to a core each; the figures are worth less");
    }
    let neighbours = Neighbours::watch()?;
    let measured = rounds::run(options, &Programs::new(cores)?)?;
    let mut results = results::results(options, cores.is_some(), &measured)?;
    results.others_cpu_share = neighbours.share()?;
    print!("{}", table::render(&results));
    for limit in &results.limits {
        println!("{}", limit.line());
    }
    if results.others_cpu_share > TOLERATED_SHARE {
        let percent = 100.0 * results.others_cpu_share;
        println!(
            "note: {percent:.0} % of the machine's time went to other processes; the figures are worth less"
        );
    }
    save(&options.json, &(serde_json::to_string_pretty(&results)? + "\n"))?;
    if let Some(markdown) = &options.markdown {
        save(markdown, &table::page(&results))?;
    }
    let good = results.limits.iter().all(|limit| limit.kept);
    if !good && options.report_only {
        println!("a limit was missed, which is reported only");
    }
    Ok(good || options.report_only)
}

fn save(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let saved = directory.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    saved.map_err(|error| format!("{}: {error}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}
