//! Apps with which nothing happens.

use std::io::{self, Write};
use std::process;
use std::thread;

use websocket_bench::Result;
use websocket_bench::contract::Task;
use websocket_bench::hosts::HostReport;
use websocket_hosts::Host;

/// Opens the connections and prints an empty line; the process ends when its standard input does.
pub(crate) fn run(host: &Host, task: &Task) -> Result<HostReport> {
    thread::spawn(|| {
        let _ended = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
    crate::apps::run(
        host,
        task,
        |_, app| app,
        |_, _| {
            println!();
            Ok(io::stdout().flush()?)
        },
    )?;
    Err("the apps have ended".into())
}
