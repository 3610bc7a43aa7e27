//! What several whole-system tests share.
#![forbid(unsafe_code)]

mod support;

pub use support::*;
