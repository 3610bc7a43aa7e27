//! The command line.

use std::ffi::OsString;

use lexopt::ValueExt as _;
use websocket_bench::Result;
use websocket_bench::command_line::{self, Request};

/// What `--help` prints.
pub(crate) const HELP: &str = "usage: bench/run close-latency [options]

options:
  --runs N         connections to a server that answers the close (default: 1000)
  --mute-runs N    connections to a server that never does (default: a twentieth of --runs)
  --report-only    print, and succeed also when runs ended late: for machines that are busy with something else
";

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) runs: usize,
    pub(crate) mute_runs: usize,
    pub(crate) report_only: bool,
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request<Options>> {
    let options = (Options { runs: 1000, mute_runs: 0, report_only: false }, None);
    let request = command_line::parse(arguments, options, |(options, mute_runs), name, parser| {
        match name {
            "runs" => options.runs = parser.value()?.parse()?,
            "mute-runs" => *mute_runs = Some(parser.value()?.parse()?),
            "report-only" => options.report_only = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    request?.and_then(|(options, mute_runs)| match options.runs {
        0 => Err("--runs needs at least one".into()),
        runs => Ok(Options { mute_runs: mute_runs.unwrap_or(runs / 20).max(1), ..options }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request<Options>> {
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
        for line in ["--runs 0", "--runs many", "--mute-runs", "--fast"] {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
