//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;
use websocket_bench::Result;
use websocket_bench::contract::{list, refuse_unknown};
use websocket_bench::sizing::Scale;
use websocket_hosts::{HOSTS, Host};

/// The host that the others are compared with.
pub(crate) const BASE: &str = "mio";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Run(Options),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) hosts: Vec<&'static Host>,
    pub(crate) rounds: usize,
    pub(crate) size: &'static Size,
    pub(crate) report_only: bool,
    pub(crate) json: PathBuf,
    pub(crate) markdown: Option<PathBuf>,
}

/// How much is done.
#[derive(Debug)]
pub(crate) struct Size {
    pub(crate) quick: bool,
    /// Connections where there are many.
    pub(crate) many: usize,
    /// Connections with which nothing happens.
    pub(crate) idle: usize,
    /// How long a run takes that echoes.
    pub(crate) echo: Scale,
    /// The same beside a task of the host's own.
    pub(crate) beside: Scale,
    /// Timers in a run.
    pub(crate) timers: u64,
    /// What is waited until nothing happens any more, and how long system calls are counted then.
    pub(crate) settle: Duration,
    pub(crate) watch: Duration,
}

const MS: Duration = Duration::from_millis(1);

impl Size {
    const FULL: Self = Self {
        quick: false,
        many: 1000,
        idle: 100,
        echo: Scale { probe: Duration::from_millis(50), run: Duration::from_millis(400) },
        beside: Scale { probe: Duration::from_millis(50), run: Duration::from_millis(1000) },
        timers: 200,
        settle: Duration::from_millis(500),
        watch: Duration::from_millis(1000),
    };
    const QUICK: Self = Self {
        quick: true,
        many: 100,
        idle: 10,
        echo: Scale { probe: MS, run: Duration::from_millis(20) },
        beside: Scale { probe: MS, run: Duration::from_millis(100) },
        timers: 20,
        settle: Duration::from_millis(200),
        watch: Duration::from_millis(200),
    };
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut quick, mut report_only) = (false, false);
    let (mut rounds, mut names, mut markdown) = (None, None, None);
    let mut json = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/hosts.json");
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => quick = true,
            Long("report-only") => report_only = true,
            Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Long("hosts") => names = Some(list(parser.value()?)?),
            Long("json") => json = parser.value()?.into(),
            Long("markdown") => markdown = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let rounds = match rounds {
        Some(0) => return Err("--rounds needs at least one".into()),
        _ if quick => 1,
        Some(rounds) => rounds,
        None => 7,
    };
    let size = if quick { &Size::QUICK } else { &Size::FULL };
    Ok(Request::Run(Options { hosts: hosts(names)?, rounds, size, report_only, json, markdown }))
}

/// What `--help` prints.
pub(crate) fn help() -> String {
    format!(
        "usage: bench/run hosts [options]

options:
  --rounds N        runs of everything on every host (default: 7)
  --hosts A,B       only these hosts, and {BASE}, which they are compared with: {}
  --quick           one round at the scale of a smoke test: does it work, not what does it cost
  --report-only     print, and succeed also where a limit was missed: for machines that are busy with something else
  --json FILE       where the figures go (default: bench/results/hosts.json)
  --markdown FILE   writes the tables in Markdown too
  --system          builds the hosts that need a system library as well
",
        host_names().join(", ")
    )
}

fn hosts(names: Option<Vec<String>>) -> Result<Vec<&'static Host>> {
    let Some(names) = names else { return Ok(HOSTS.iter().collect()) };
    refuse_unknown("host", &names, &host_names())?;
    let chosen = |host: &&Host| host.name == BASE || names.iter().any(|name| name == host.name);
    Ok(HOSTS.iter().filter(chosen).collect())
}

fn host_names() -> Vec<&'static str> {
    HOSTS.iter().map(|host| host.name).collect()
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

    #[test]
    fn without_options_all_hosts_are_measured() {
        let options = options("").unwrap();
        assert_eq!((options.hosts.len(), options.rounds), (HOSTS.len(), 7));
        assert_eq!((options.size.many, options.report_only), (1000, false));
        assert!(options.json.ends_with("bench/results/hosts.json") && options.markdown.is_none());
    }

    #[test]
    fn options_choose() {
        let options = options("--hosts tokio,polling --rounds 3 --report-only --markdown out/x.md").unwrap();
        let names: Vec<&str> = options.hosts.iter().map(|host| host.name).collect();
        assert_eq!(names, ["mio", "polling", "tokio"]);
        assert_eq!((options.rounds, options.report_only), (3, true));
        assert_eq!(options.markdown.as_deref(), Some(Path::new("out/x.md")));
    }

    #[test]
    fn quick_is_smaller_and_one_round() {
        let options = options("--quick --rounds 3").unwrap();
        assert!(options.rounds == 1 && options.size.quick);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--rounds 0", "--rounds", "--fast", "mio"] {
            assert!(options(line).is_err(), "{line}");
        }
        let message = options("--hosts poll").unwrap_err().to_string();
        assert!(message.starts_with("unknown host 'poll'; known are: mio, "), "{message}");
        assert!(help().contains("io-uring"));
    }
}
