//! The measurement of closing works from end to end. How long anything takes is not asserted here.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};

fn close_latency(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-runner")).arg("close-latency").args(arguments).output().unwrap()
}

#[test]
fn it_prints_a_row_for_each_server_and_says_how_far_it_has_come() {
    let Output { status, stdout, stderr } =
        close_latency(&["--runs", "20", "--mute-runs", "2", "--report-only"]);
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stderr}");
    for beginning in
        ["server ", "answers    20 ", "is mute     2 ", "the server answers", "the server is mute"]
    {
        assert!(stdout.lines().any(|line| line.starts_with(beginning)), "{beginning}: {stdout}");
    }
    assert!(
        stderr.contains("answering server: 10 of 20") && stderr.ends_with("mute server: 2 of 2\n"),
        "{stderr}"
    );
}

#[test]
fn a_bad_command_line_is_refused() {
    let Output { status, stdout, stderr } = close_latency(&["--runs", "0"]);
    assert!(!status.success() && stdout.is_empty());
    assert_eq!(String::from_utf8(stderr).unwrap(), "error: --runs needs at least one\n");
}
