//! The measurement of hosts works from end to end. How long anything takes is not asserted here.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn hosts(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench-runner")).arg("hosts").args(arguments).output().unwrap()
}

#[test]
fn it_prints_and_writes_a_row_for_each_host() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hosts");
    let (json, markdown) = (directory.join("hosts.json"), directory.join("hosts.md"));
    let paths = [&json, &markdown].map(|path| path.to_str().unwrap());
    let Output { status, stdout, stderr } = hosts(&[
        "--quick",
        "--report-only",
        "--hosts",
        "polling,tokio",
        "--json",
        paths[0],
        "--markdown",
        paths[1],
    ]);
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stderr}");
    let page = fs::read_to_string(markdown).unwrap();
    for host in ["mio", "polling", "tokio"] {
        assert_eq!(
            stdout.lines().filter(|line| line.starts_with(&format!("{host} "))).count(),
            2,
            "{stdout}"
        );
        assert_eq!(page.lines().filter(|line| line.starts_with(&format!("| {host} |"))).count(), 2, "{page}");
    }
    let results: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(results["hosts"].as_array().unwrap().len(), 3);
    assert_eq!(results["shared"].as_array().unwrap().len(), 4);
    assert!(results["hosts"][1]["many"]["cpu_ratio"].is_f64(), "{results}");
    assert!(stderr.contains("round 1 of 1, polling"), "{stderr}");
}

#[test]
fn a_bad_command_line_is_refused() {
    let Output { status, stdout, stderr } = hosts(&["--rounds", "0"]);
    assert!(!status.success() && stdout.is_empty());
    assert_eq!(String::from_utf8(stderr).unwrap(), "error: --rounds needs at least one\n");
}
