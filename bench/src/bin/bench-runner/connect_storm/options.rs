//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::ValueExt as _;
use websocket_bench::Result;
use websocket_bench::command_line::{self, Request};

/// What `--help` prints.
pub(crate) const HELP: &str = "usage: bench/run connect-storm [options]

options:
  --apps N              apps on the reactor (default: 5000)
  --backlog N           connections that the server's listen queue holds (default: 128)
  --work MICROSECONDS   time that each upgrade keeps the server busy (default: 0)
  --fixed-delay SECONDS reconnect after this time each, all at once, instead of by the default back-off
  --quick               500 apps, unless --apps says otherwise
";

const QUICK_APPS: usize = 500;

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) apps: usize,
    pub(crate) backlog: u32,
    /// How long each upgrade keeps the server busy.
    pub(crate) work: Duration,
    /// The delay before each attempt to reconnect; `None` for the default back-off.
    pub(crate) fixed_delay: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { apps: 5000, backlog: 128, work: Duration::ZERO, fixed_delay: None }
    }
}

/// Reads the command line, without the name of the program.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request<Options>> {
    let options = (Options::default(), None, false);
    let request = command_line::parse(arguments, options, |(options, apps, quick), name, parser| {
        match name {
            "apps" => *apps = Some(parser.value()?.parse()?),
            "backlog" => options.backlog = parser.value()?.parse()?,
            "work" => options.work = Duration::from_micros(parser.value()?.parse()?),
            "fixed-delay" => options.fixed_delay = Some(delay(parser.value()?.parse()?)?),
            "quick" => *quick = true,
            _ => return Ok(false),
        }
        Ok(true)
    });
    request?.and_then(|(options, apps, quick)| {
        let apps = apps.unwrap_or(if quick { QUICK_APPS } else { options.apps });
        match (apps, options.backlog) {
            (0, _) | (_, 0) => Err("--apps and --backlog need at least one".into()),
            _ => Ok(Options { apps, ..options }),
        }
    })
}

fn delay(seconds: f64) -> Result<Duration> {
    let delay = Duration::try_from_secs_f64(seconds).ok().filter(|delay| !delay.is_zero());
    delay.ok_or_else(|| format!("--fixed-delay {seconds} is not a time above zero").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request<Options>> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_options_there_are_five_thousand_apps() {
        let Request::Run(options) = request("").unwrap() else { panic!("help") };
        assert_eq!(options.apps, 5000);
        assert_eq!(options, Options::default());
    }

    #[test]
    fn options_choose() {
        assert_eq!(request("--quick").unwrap(), Request::Run(Options { apps: 500, ..Options::default() }));
        let (work, fixed_delay) = (Duration::from_millis(1), Some(Duration::from_millis(500)));
        let expected = Options { apps: 50, backlog: 4096, work, fixed_delay };
        let line = "--quick --apps 50 --backlog=4096 --work 1000 --fixed-delay 0.5";
        assert_eq!(request(line).unwrap(), Request::Run(expected));
        assert_eq!(request("--apps 50 -h").unwrap(), Request::Help);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in
            ["--apps 0", "--apps many", "--backlog 0", "--fixed-delay 0", "--fixed-delay -1", "--fast"]
        {
            assert!(request(line).is_err(), "{line}");
        }
    }
}
