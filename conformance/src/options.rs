//! The command line.

use std::path::PathBuf;

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short};
use websocket_hosts::{HOSTS, Host};

use crate::cases::Pattern;
use crate::failure::Failure;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Runs Autobahn's fuzzing server against the client and compares its verdicts with expected.json.

Usage: conformance/run [OPTIONS]

  --cases PATTERNS     the cases to run, such as '1.* 2.* 7.1.1-6', or 'all'; default: sections 1 to 10
  --sample             run a sample of sections 12 and 13 (compression) too
  --dispatcher NAME    the event loop under the client; default: mio
  --stream             run the client as a stream, on a reactor with its own thread and mio
  --tls                run over TLS, with a certificate made for the run
  --keep-report DIR    copy the suite's report (index.html, index.json, a page for each case) into DIR
  --help               print this

Environment:
  PYTHON27             the Python 2.7 to use; default: python2.7 on PATH, then pyenv's, then docker or podman
  CONFORMANCE_CACHE    where the suite is installed once; default: websocket-conformance in the user's cache

Exit: 0 all as expected, 1 some cases differ, 2 wrong usage, 3 the suite cannot run here, 4 the run broke off
";

/// One run, as it was asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// `None`: the core sections.
    pub(crate) cases: Option<Vec<Pattern>>,
    pub(crate) host: &'static Host,
    /// And a sample of sections 12 and 13.
    pub(crate) sample: bool,
    /// The client is a stream, not callbacks.
    pub(crate) stream: bool,
    pub(crate) tls: bool,
    pub(crate) keep_report: Option<PathBuf>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Run(Options),
    Help,
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Request, Failure> {
    let mut options =
        Options { cases: None, host: &HOSTS[0], sample: false, stream: false, tls: false, keep_report: None };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("cases") => options.cases = Some(patterns(&parser.value()?.string()?)?),
            Long("dispatcher") => options.host = host(&parser.value()?.string()?)?,
            Long("keep-report") => options.keep_report = Some(parser.value()?.into()),
            Long("sample") => options.sample = true,
            Long("stream") => options.stream = true,
            Long("tls") => options.tls = true,
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.stream && *options.host != HOSTS[0] {
        return Err(Failure::Usage("--stream has a reactor on mio: leave --dispatcher out".to_owned()));
    }
    Ok(Request::Run(options))
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(format!("{error} (--help lists the options)"))
    }
}

fn patterns(text: &str) -> Result<Vec<Pattern>, Failure> {
    let words = if text == "all" { "*" } else { text };
    let patterns: Vec<_> =
        words.split_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(in_cases)?;
    if patterns.is_empty() { Err(in_cases("no pattern given".to_owned())) } else { Ok(patterns) }
}

pub(crate) fn in_cases(why: String) -> Failure {
    Failure::Usage(format!("--cases: {why}"))
}

fn host(name: &str) -> Result<&'static Host, Failure> {
    Host::by_name(name).ok_or_else(|| {
        let known: Vec<_> = HOSTS.iter().map(|host| host.name).collect();
        Failure::Usage(format!("--dispatcher: '{name}' is unknown; known: {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Request, String> {
        parse(lexopt::Parser::from_args(arguments)).map_err(|failure| {
            assert!(matches!(failure, Failure::Usage(_)));
            failure.to_string()
        })
    }

    fn run(arguments: &[&str]) -> Options {
        match parsed(arguments) {
            Ok(Request::Run(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_the_core_sections_on_the_first_dispatcher() {
        let options = Options {
            cases: None,
            host: &HOSTS[0],
            sample: false,
            stream: false,
            tls: false,
            keep_report: None,
        };
        assert_eq!(run(&[]), options);
    }

    #[test]
    fn every_option_takes_its_value_in_both_forms() {
        let apart = run(&["--cases", "1.* 2.5", "--dispatcher", "mio", "--keep-report", "kept"]);
        let joined = run(&["--cases=1.* 2.5", "--dispatcher=mio", "--keep-report=kept"]);
        assert_eq!(apart, joined);
        assert_eq!(apart.cases.unwrap(), ["1.*".parse().unwrap(), "2.5".parse().unwrap()]);
        assert_eq!(apart.keep_report, Some("kept".into()));
    }

    #[test]
    fn tls_is_asked_for() {
        assert!(run(&["--tls", "--cases", "1.*"]).tls);
    }

    #[test]
    fn a_stream_is_asked_for() {
        assert!(run(&["--stream", "--dispatcher", "mio"]).stream);
    }

    #[test]
    fn the_sample_is_asked_for() {
        assert!(run(&["--sample"]).sample);
    }

    #[test]
    fn all_stands_for_a_star() {
        assert_eq!(run(&["--cases", "all"]), run(&["--cases", "*"]));
    }

    #[test]
    fn help_is_asked_for_in_both_forms() {
        assert_eq!(parsed(&["--help"]), Ok(Request::Help));
        assert_eq!(parsed(&["-h"]), Ok(Request::Help));
    }

    #[test]
    fn what_is_wrong_is_refused_by_name() {
        for (arguments, named) in [
            (&["--cases", "1.x"][..], "'1.x'"),
            (&["--cases", " "], "--cases: no pattern given"),
            (&["--cases"], "--cases"),
            (&["--dispatcher", "rel"], "'rel' is unknown; known: mio"),
            (&["--tls=no"], "--tls"),
            #[cfg(unix)]
            (&["--stream", "--dispatcher", "tokio"], "leave --dispatcher out"),
            (&["2.*"], "2.*"),
            (&["--verbose"], "--verbose"),
        ] {
            let refusal = parsed(arguments).unwrap_err();
            assert!(refusal.contains(named), "{arguments:?}: {refusal}");
        }
    }
}
