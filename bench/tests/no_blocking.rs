//! The measurement of those who never answer works from end to end. How long anything takes is not asserted here.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};

fn no_blocking(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-runner")).arg("no-blocking").args(arguments).output().unwrap()
}

#[test]
fn it_prints_both_distributions_and_the_ratio() {
    let Output { status, stdout, stderr } =
        no_blocking(&["--rounds", "1", "--messages", "100", "--report-only"]);
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stderr}");
    for beginning in ["without those who stall  ", "with them  ", "p99 beside those who stall: "] {
        assert!(stdout.lines().any(|line| line.starts_with(beginning)), "{beginning}: {stdout}");
    }
    assert!(stderr.starts_with("round 1: p99 "), "{stderr}");
}

#[test]
fn a_bad_command_line_is_refused() {
    let Output { status, stdout, stderr } = no_blocking(&["--rounds", "0"]);
    assert!(!status.success() && stdout.is_empty());
    assert_eq!(String::from_utf8(stderr).unwrap(), "error: --rounds and --messages need at least one\n");
}
