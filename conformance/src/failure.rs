//! Why a run ends without a verdict, and which exit code tells so.

use std::fmt;
use std::io;

/// A run without a verdict. A verdict, good or bad, is not a failure.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong, or asks for what is not there.
    Usage(String),
    /// What the suite needs is not on this machine.
    Missing(String),
    /// The run began and broke off.
    Broken(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Missing(_) => 3,
            Self::Broken(_) => 4,
        }
    }

    /// Turns an I/O error into a broken run that says what was being done.
    pub(crate) fn while_doing(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Broken(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) => write!(f, "{why}"),
            Self::Missing(why) => write!(f, "cannot run here: {why}"),
            Self::Broken(why) => write!(f, "the run broke off: {why}"),
        }
    }
}
