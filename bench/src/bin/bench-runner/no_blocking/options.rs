//! The command line.

use std::ffi::OsString;

use lexopt::ValueExt as _;
use websocket_bench::Result;
use websocket_bench::command_line::{self, Request};

/// What `--help` prints.
pub(crate) const HELP: &str = "usage: bench/run no-blocking [options]

options:
  --rounds N       rounds, of a run with and a run without those who stall, at the least (default: 21); up to four times as
                   many are made until chance can hardly have decided on which side of the limit the ratio is
  --messages N     messages in a run, one a millisecond (default: 500)
  --report-only    print, and succeed whatever the ratio is: for machines that are busy with something else
";

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) messages: usize,
    pub(crate) report_only: bool,
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request<Options>> {
    let options = Options { rounds: 21, messages: 500, report_only: false };
    let request = command_line::parse(arguments, options, |options, name, parser| {
        match name {
            "rounds" => options.rounds = parser.value()?.parse()?,
            "messages" => options.messages = parser.value()?.parse()?,
            "report-only" => options.report_only = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    request?.and_then(|options| match (options.rounds, options.messages) {
        (0, _) | (_, 0) => Err("--rounds and --messages need at least one".into()),
        _ => Ok(options),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request<Options>> {
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
        for line in ["--rounds 0", "--messages 0", "--messages", "--fast"] {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
