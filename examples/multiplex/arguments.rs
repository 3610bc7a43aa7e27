//! The command line.

use std::time::Duration;

use lexopt::prelude::*;

pub(crate) const USAGE: &str = "usage: multiplex [--apps N] [--seconds S | --messages M]

  --apps N       so many apps on one reactor (default 1000)
  --seconds S    exchange messages for so long (default 5)
  --messages M   or: so many messages for each app";

/// Makes this program the server of another one; not for users.
pub(crate) const SERVE: &str = "serve";

pub(crate) enum Command {
    Run(Run),
    Serve(u64),
    Help,
}

#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) apps: usize,
    pub(crate) length: Length,
}

/// How long messages are exchanged.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Time(Duration),
    /// For each app.
    Messages(u64),
}

impl Length {
    /// Messages for each app.
    pub(crate) const fn messages(self) -> u64 {
        match self {
            Self::Messages(messages) => messages,
            Self::Time(_) => u64::MAX,
        }
    }

    pub(crate) fn is_over(self, elapsed: Duration) -> bool {
        matches!(self, Self::Time(time) if elapsed >= time)
    }

    /// The part that is done after `elapsed` and `count` messages of `apps`.
    pub(crate) fn progress(self, elapsed: Duration, count: u64, apps: usize) -> f64 {
        match self {
            Self::Time(time) => elapsed.as_secs_f64() / time.as_secs_f64(),
            Self::Messages(messages) => count as f64 / (messages as f64 * apps as f64),
        }
    }
}

pub(crate) fn parse() -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let mut run = Run { apps: 1000, length: Length::Time(Duration::from_secs(5)) };
    let mut lengths = 0;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("apps") => run.apps = positive(&mut parser, "--apps", 1_000_000)? as usize,
            Long("seconds") => {
                lengths += 1;
                run.length = Length::Time(Duration::from_secs(positive(&mut parser, "--seconds", 86_400)?));
            }
            Long("messages") => {
                lengths += 1;
                run.length = Length::Messages(positive(&mut parser, "--messages", u64::MAX)?);
            }
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(word) if word == SERVE => {
                return Ok(Command::Serve(positive(&mut parser, SERVE, u64::MAX)?));
            }
            argument => return Err(argument.unexpected()),
        }
    }
    if lengths > 1 {
        return Err("--seconds and --messages exclude each other, and each is given once".into());
    }
    Ok(Command::Run(run))
}

fn positive(parser: &mut lexopt::Parser, name: &str, most: u64) -> Result<u64, lexopt::Error> {
    let value = parser.value()?.string()?;
    value.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
        let limit = if most == u64::MAX { String::new() } else { format!(" and at most {most}") };
        format!("{name} must be a whole number, at least 1{limit}, not {value:?}").into()
    })
}
