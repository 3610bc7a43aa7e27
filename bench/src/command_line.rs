//! Command lines of options alone.

use std::ffi::OsString;

use lexopt::Parser;
use lexopt::prelude::*;

use crate::Result;

/// What a command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub enum Request<O> {
    /// The options that there are.
    Help,
    /// To measure with these.
    Run(O),
}

/// Reads a command line, without the name of the program. `set` changes `options` by the option of that name, whose value it takes from the
/// parser, and returns false where there is no such option.
///
/// # Errors
/// An option that is not known, or a value that is missing or that `set` refuses.
pub fn parse<O>(
    arguments: impl IntoIterator<Item = OsString>,
    mut options: O,
    mut set: impl FnMut(&mut O, &str, &mut Parser) -> Result<bool>,
) -> Result<Request<O>> {
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(Request::Help),
            Long(name) => {
                let name = name.to_owned();
                if !set(&mut options, &name, &mut parser)? {
                    return Err(Long(&name).unexpected().into());
                }
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Request::Run(options))
}

impl<O> Request<O> {
    /// The request with its options `checked`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn and_then<P>(self, checked: impl FnOnce(O) -> Result<P>) -> Result<Request<P>> {
        Ok(match self {
            Self::Help => Request::Help,
            Self::Run(options) => Request::Run(checked(options)?),
        })
    }

    /// Prints `help`, or does what is asked for; false where a limit was missed.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn answer(self, help: &str, run: impl FnOnce(&O) -> Result<bool>) -> Result<bool> {
        match self {
            Self::Help => {
                print!("{help}");
                Ok(true)
            }
            Self::Run(options) => run(&options),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request<usize>> {
        parse(line.split_whitespace().map(OsString::from), 1, |runs, name, parser| {
            match name {
                "runs" => *runs = parser.value()?.parse()?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    #[test]
    fn options_are_set_in_either_form_and_help_wins() {
        assert_eq!(request("").unwrap(), Request::Run(1));
        assert_eq!(request("--runs 3").unwrap(), Request::Run(3));
        assert_eq!(request("--runs=3").unwrap(), Request::Run(3));
        assert_eq!(request("--runs 3 -h").unwrap(), Request::Help);
        assert_eq!(request("--help").unwrap(), Request::Help);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--runs -1", "--runs many", "--runs", "--fast", "-x", "50"] {
            assert!(request(line).is_err(), "{line}");
        }
    }

    #[test]
    fn options_are_checked_only_where_there_are_any() {
        let refuse = |_| Err::<usize, _>("no".into());
        assert_eq!(Request::Help.and_then(refuse).unwrap(), Request::<usize>::Help);
        assert!(Request::Run(1).and_then(refuse).is_err());
    }
}
