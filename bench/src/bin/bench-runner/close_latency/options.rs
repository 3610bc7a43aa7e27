//! The command line.

use std::ffi::OsString;

use lexopt::prelude::*;
use websocket_bench::Result;

/// What `--help` prints.
pub(crate) const HELP: &str = "usage: bench/run close-latency [options]

options:
  --runs N         connections to a server that answers the close (default: 1000)
  --mute-runs N    connections to a server that never does (default: a twentieth of --runs)
  --report-only    print, and succeed also when runs ended late: for machines that are busy with something else
";

/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Help,
    Run(Options),
}

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) runs: usize,
    pub(crate) mute_runs: usize,
    pub(crate) report_only: bool,
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut runs, mut mute_runs, mut report_only) = (1000, None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("runs") => runs = parser.value()?.parse()?,
            Long("mute-runs") => mute_runs = Some(parser.value()?.parse()?),
            Long("report-only") => report_only = true,
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let mute_runs: usize = mute_runs.unwrap_or(runs / 20).max(1);
    if runs == 0 {
        return Err("--runs needs at least one".into());
    }
    Ok(Request::Run(Options { runs, mute_runs, report_only }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_options_there_are_a_thousand_runs_and_fifty_mute_ones() {
        let expected = Options { runs: 1000, mute_runs: 50, report_only: false };
        assert_eq!(request("").unwrap(), Request::Run(expected));
    }

    #[test]
    fn options_choose() {
        let expected = Options { runs: 10, mute_runs: 1, report_only: true };
        assert_eq!(request("--report-only --runs 10").unwrap(), Request::Run(expected));
        let expected = Options { runs: 10, mute_runs: 3, report_only: false };
        assert_eq!(request("--mute-runs=3 --runs=10").unwrap(), Request::Run(expected));
        assert_eq!(request("--runs 3 -h").unwrap(), Request::Help);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--runs 0", "--runs -1", "--runs many", "--runs", "--fast", "50"] {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
