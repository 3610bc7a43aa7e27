//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;
use websocket_app::BoxError;

const USAGE: &str = "usage: recorder [FILE] [--seconds S] [--feeds N] [--write-delay MS]

  FILE               append the messages here (default: recording.txt in the directory for temporary files)
  --seconds S        record for so long (default 5)
  --feeds N          so many feeds (default 20)
  --write-delay MS   wait so many milliseconds after each message that was written, as a slow disk would (default 0)";

pub(crate) struct Recording {
    pub(crate) file: PathBuf,
    pub(crate) time: Duration,
    pub(crate) feeds: usize,
    pub(crate) write_delay: Duration,
}

/// Does with `record` what the command line asks for, and says what went wrong.
pub(crate) fn run(record: impl FnOnce(&Recording) -> Result<(), BoxError>) -> ExitCode {
    let recording = match parse() {
        Ok(Some(recording)) => recording,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match record(&recording) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: recording to {} failed: {error}", recording.file.display());
            ExitCode::FAILURE
        }
    }
}

/// Returns `None` where the usage is asked for.
fn parse() -> Result<Option<Recording>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut file, mut seconds, mut feeds, mut delay) = (None, 5, 20, 0);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => seconds = number(&mut parser, "--seconds", 1, 86_400)?,
            Long("feeds") => feeds = number(&mut parser, "--feeds", 1, 100)?,
            Long("write-delay") => delay = number(&mut parser, "--write-delay", 0, 1000)?,
            Short('h') | Long("help") => return Ok(None),
            Value(path) if file.is_none() => file = Some(path.into()),
            argument => return Err(argument.unexpected()),
        }
    }
    Ok(Some(Recording {
        file: file.unwrap_or_else(|| std::env::temp_dir().join("recording.txt")),
        time: Duration::from_secs(seconds),
        feeds: feeds as usize,
        write_delay: Duration::from_millis(delay),
    }))
}

fn number(parser: &mut lexopt::Parser, name: &str, least: u64, most: u64) -> Result<u64, lexopt::Error> {
    let value = parser.value()?.string()?;
    value.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        format!("{name} must be a whole number, at least {least} and at most {most}, not {value:?}").into()
    })
}
