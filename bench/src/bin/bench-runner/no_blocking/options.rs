//! The command line.

use std::ffi::OsString;

use lexopt::prelude::*;
use websocket_bench::Result;

/// What `--help` prints.
pub(crate) const HELP: &str = "usage: bench/run no-blocking [options]

options:
  --rounds N       rounds, of a run with and a run without those who stall, at the least (default: 21); up to four times as
                   many are made until chance can hardly have decided on which side of the limit the ratio is
  --messages N     messages in a run, one a millisecond (default: 500)
  --report-only    print, and succeed whatever the ratio is: for machines that are busy with something else
";

/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Help,
    Run(Options),
}

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) messages: usize,
    pub(crate) report_only: bool,
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut rounds, mut messages, mut report_only) = (21, 500, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => rounds = parser.value()?.parse()?,
            Long("messages") => messages = parser.value()?.parse()?,
            Long("report-only") => report_only = true,
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    if rounds == 0 || messages == 0 {
        return Err("--rounds and --messages need at least one".into());
    }
    Ok(Request::Run(Options { rounds, messages, report_only }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_choose() {
        let expected = Options { rounds: 21, messages: 500, report_only: false };
        assert_eq!(request("").unwrap(), Request::Run(expected));
        let expected = Options { rounds: 2, messages: 10, report_only: true };
        assert_eq!(request("--report-only --messages 10 --rounds=2").unwrap(), Request::Run(expected));
        assert_eq!(request("--rounds 3 -h").unwrap(), Request::Help);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--rounds 0", "--messages 0", "--rounds -1", "--rounds", "--fast", "50"] {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
