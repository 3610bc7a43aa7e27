//! What can be wrong with a server's answer.

use std::fmt;

/// What is wrong with the permessage-deflate that the server answered (RFC 7692 section 7.1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DeflateError {
    /// A parameter that RFC 7692 does not define.
    UnknownParameter(String),
    /// A parameter that stands there more than once.
    RepeatedParameter(&'static str),
    /// A value where the parameter has none.
    UnexpectedValue {
        /// The parameter.
        parameter: &'static str,
        /// The value.
        value: String,
    },
    /// Window bits that are not a number from 8 to 15, written without leading zeros.
    InvalidWindowBits {
        /// The parameter.
        parameter: &'static str,
        /// The value; `None` where there is none.
        value: Option<String>,
    },
    /// A parameter that may only answer an offer that has it.
    NotOffered(&'static str),
    /// A parameter of the offer that must be part of the answer.
    NotAccepted(&'static str),
    /// A window larger than the offer allows.
    WindowTooLarge {
        /// The parameter.
        parameter: &'static str,
        /// What was answered.
        bits: u8,
        /// What was offered.
        offered: u8,
    },
    /// The extension was accepted more than once.
    AcceptedTwice,
}

impl fmt::Display for DeflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownParameter(name) => write!(f, "unknown parameter {name:?}"),
            Self::RepeatedParameter(name) => write!(f, "{name} stands there more than once"),
            Self::UnexpectedValue { parameter, value } => {
                write!(f, "{parameter} has the value {value:?}, none is allowed")
            }
            Self::InvalidWindowBits { parameter, value: Some(value) } => {
                write!(f, "{parameter} is {value:?}, allowed are 8 to 15")
            }
            Self::InvalidWindowBits { parameter, value: None } => {
                write!(f, "{parameter} has no value, allowed are 8 to 15")
            }
            Self::NotOffered(name) => write!(f, "{name} was not offered"),
            Self::NotAccepted(name) => write!(f, "{name} was asked for, and is missing"),
            Self::WindowTooLarge { parameter, bits, offered } => {
                write!(f, "{parameter} is {bits}, at most {offered} was offered")
            }
            Self::AcceptedTwice => f.write_str("it was accepted more than once"),
        }
    }
}

impl std::error::Error for DeflateError {}
