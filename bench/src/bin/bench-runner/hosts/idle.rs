//! What a process calls the system for that has nothing to do, as strace sees it.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use websocket_bench::Result;
use websocket_bench::launch::Programs;

use crate::hosts::options::Size;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Idle {
    pub(crate) calls_per_second: f64,
    /// How often which.
    pub(crate) calls: BTreeMap<String, u64>,
}

/// Whether strace is here and may look at what it starts.
pub(crate) fn can_measure() -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-f", "-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// Starts `command` under strace, which prints a line when it has nothing to do any more and ends with its standard input, and counts.
pub(crate) fn measure(programs: &Programs, size: &Size, command: &Command) -> Result<Idle> {
    let log = env::temp_dir().join(format!("websocket-bench-{}.strace", process::id()));
    let mut traced = Command::new("strace");
    // Started rather than attached to: to attach ends the wait that a thread is in, and so makes it call again.
    traced.args(["-f", "-ttt", "-o"]).arg(&log).arg(command.get_program()).args(command.get_args());
    let traced =
        Traced { child: programs.start_client(traced.stdin(Stdio::piped()).stdout(Stdio::piped()))?, log };
    traced.watch(size)
}

struct Traced {
    child: Child,
    log: PathBuf,
}

impl Traced {
    fn watch(mut self, size: &Size) -> Result<Idle> {
        let stdout = self.child.stdout.take().ok_or("the client has no output")?;
        if BufReader::new(stdout).read_line(&mut String::new())? == 0 {
            return Err("the connections were not opened".into());
        }
        thread::sleep(size.settle);
        let from = since_epoch()?;
        thread::sleep(size.watch);
        let to = since_epoch()?;
        drop(self.child.stdin.take());
        self.child.wait()?;
        let log = read(&self.log)?;
        if count(&log, Duration::ZERO, from).is_empty() {
            return Err("strace's log is not understood".into());
        }
        let calls = count(&log, from, to);
        let calls_per_second = calls.values().sum::<u64>() as f64 / (to - from).as_secs_f64();
        Ok(Idle { calls_per_second, calls })
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
        let _left_behind = fs::remove_file(&self.log);
    }
}

fn since_epoch() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

fn read(log: &Path) -> Result<String> {
    fs::read_to_string(log).map_err(|error| format!("{}: {error}", log.display()).into())
}

/// The calls that began in that time; the log is that of `strace -f -ttt -o`.
fn count(log: &str, from: Duration, to: Duration) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for (at, name) in log.lines().filter_map(call) {
        if (from..to).contains(&at) {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

/// When a line's call began, and its name. Signals, ends, and the second halves of calls that were interrupted in the log are none.
fn call(line: &str) -> Option<(Duration, &str)> {
    let (_process, line) = line.split_once(' ')?;
    let (at, call) = line.trim_start().split_once(' ')?;
    let (seconds, micros) = at.split_once('.')?;
    let at = Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?);
    let (name, _arguments) = call.split_once('(')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (is_name && !name.is_empty()).then_some((at, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"101   1700000000.100000 connect(3, {sa_family=AF_INET}, 16) = 0
101   1700000000.200000 epoll_wait(4,  <unfinished ...>
102   1700000001.000000 futex(0x7f, FUTEX_WAIT, 2, NULL <unfinished ...>
101   1700000001.500000 <... epoll_wait resumed>[], 1024, 1300) = 0
101   1700000001.500001 epoll_wait(4, [], 1024, 0) = 0
101   1700000001.500002 write(1, "(x) 1.5 read(", 13) = 13
101   1700000001.600000 --- SIGCHLD {si_signo=SIGCHLD} ---
101   1700000002.000000 epoll_wait(4, [], 1024, 0) = 0
102   1700000002.100000 +++ exited with 0 +++
"#;

    #[test]
    fn calls_count_that_began_in_the_time() {
        let seconds = |tenths: u64| Duration::from_millis(1_700_000_000_000 + 100 * tenths);
        let names = |from, to| count(LOG, seconds(from), seconds(to)).into_iter().collect::<Vec<_>>();
        let one = |name: &str| (name.to_owned(), 1);
        assert_eq!(names(10, 20), [one("epoll_wait"), one("futex"), one("write")]);
        assert_eq!(names(0, 3), [one("connect"), one("epoll_wait")]);
        assert_eq!(names(0, 21)[1], ("epoll_wait".to_owned(), 3));
        assert_eq!(names(30, 40), []);
        assert!(
            count(
                "strace: Process 101 attached\nepoll_wait(4, [], 1024, 0) = 0\n",
                Duration::ZERO,
                Duration::MAX
            )
            .is_empty()
        );
    }
}
