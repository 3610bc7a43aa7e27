//! The connect storm works from end to end. How long anything takes is not asserted here.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};

fn connect_storm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-runner")).arg("connect-storm").args(arguments).output().unwrap()
}

#[test]
fn it_prints_a_row_for_each_phase_and_what_failed_while_the_server_was_down() {
    let Output { status, stdout, stderr } = connect_storm(&["--apps", "50", "--fixed-delay", "0.1"]);
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stdout}{stderr}");
    let row = |phase| -> Vec<&str> {
        let row = stdout.lines().find(|line| line.starts_with(phase));
        row.unwrap_or_else(|| panic!("{phase}: {stdout}")).split_whitespace().collect()
    };
    let (connect, reconnect) = (row("connect "), row("reconnect "));
    assert_eq!(connect[1..4], ["50", "of", "50"]);
    assert_eq!(connect[5..8], ["50", "0", "0"], "attempts, failed, lost");
    assert_eq!(reconnect[1..4], ["50", "of", "50"]);
    let [attempts, failed, lost] = [5, 6, 7].map(|column| reconnect[column].parse::<usize>().unwrap());
    assert_eq!((attempts, lost), (failed + 50, 50));
    assert!(stdout.contains("\nreconnect, lost connections\n"), "{stdout}");
    assert!(stdout.ends_with("\nevery app opened, and opened again\n"), "{stdout}");
    assert_eq!(stderr, "50 apps connect\nthe server is killed\nthe server listens again\n");
}

#[test]
fn more_apps_than_descriptors_are_refused_with_the_limit() {
    let Output { status, stdout, stderr } = connect_storm(&["--apps", "99999999999"]);
    assert!(!status.success() && stdout.is_empty());
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(
        stderr.starts_with(
            "error: 99999999999 apps need 100000000031 open descriptors, and the hard limit is "
        ),
        "{stderr}"
    );
}

#[test]
fn a_bad_command_line_is_refused() {
    let Output { status, stdout, stderr } = connect_storm(&["--apps", "0"]);
    assert!(!status.success() && stdout.is_empty());
    assert_eq!(String::from_utf8(stderr).unwrap(), "error: --apps and --backlog need at least one\n");
}
