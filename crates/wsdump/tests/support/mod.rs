//! Running the real binary.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::thread;

/// Runs wsdump with `input` on its standard input.
pub(crate) fn wsdump(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsdump"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wsdump starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        // It may have ended already, without reading anything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("wsdump ends");
    writer.join().expect("the input was written");
    output
}

/// What a run that must succeed prints.
pub(crate) fn printed(arguments: &[&str], input: &[u8]) -> String {
    let output = wsdump(arguments, input);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The status of a run and what it says on standard error.
pub(crate) fn failed(arguments: &[&str]) -> (Option<i32>, String) {
    let output = wsdump(arguments, b"");
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
