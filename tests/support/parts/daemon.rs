//! A program that runs as long as the test needs it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::place::Place;
use crate::Scratch;

const PAUSE: Duration = Duration::from_millis(10);
/// A safety net: it turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Becomes the program. What it leaves behind watches our end of its standard input: when that closes, since the program was
/// dropped or since the tests were killed, the program goes with all its children.
const SUPERVISED: &str = r#"exec 3<&0 </dev/null; (read -r _ <&3; kill -KILL 0) & exec 3<&-; exec "$0" "$@""#;

/// A running program with its directory; dropping it ends the one and removes the other.
#[derive(Debug)]
pub(super) struct Daemon {
    program: String,
    child: Child,
    scratch: Scratch,
}

impl Daemon {
    /// Starts a program that stays in the foreground, and waits until it listens in all `places`. `scratch` is its working directory and
    /// that of its temporary files.
    ///
    /// # Panics
    /// When it cannot be started, or ends, or does not listen.
    #[track_caller]
    pub(super) fn start<'a>(
        program: &Path,
        scratch: Scratch,
        places: &[Place],
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::start_with(program, scratch, places, arguments, |_| {})
    }

    /// [`start`](Self::start) with a command that `change` completes.
    #[track_caller]
    pub(super) fn start_with<'a>(
        program: &Path,
        scratch: Scratch,
        places: &[Place],
        arguments: impl IntoIterator<Item = &'a str>,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let log = File::create(scratch.path().join("log")).expect("the directory is writable");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISED]).arg(program).args(arguments);
        command.current_dir(scratch.path()).env("TMPDIR", scratch.path()).process_group(0);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        change(&mut command);
        let child = command.spawn().expect("the system starts processes");
        let mut daemon = Self { program: program.display().to_string(), child, scratch };
        daemon.wait_until_open(places);
        daemon
    }

    #[track_caller]
    fn wait_until_open(&mut self, places: &[Place]) {
        let deadline = Instant::now() + PATIENCE;
        // One after the other: a server that has many places would be kept busy with the looks at those that are open.
        for place in places {
            while !place.is_open() {
                if let Ok(Some(status)) = self.child.try_wait() {
                    panic!("{} ended before it listened: {status}", self.program);
                }
                assert!(Instant::now() < deadline, "{} does not listen", self.program);
                thread::sleep(PAUSE);
            }
        }
    }

    fn output(&self) -> String {
        let log = fs::read(self.scratch.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // A program that has ended already takes it not ill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("-- output of {}:\n{}", self.program, self.output());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::path::PathBuf;

    use super::super::place::ReservedPort;
    use super::*;

    fn shell(script: &str, places: &[Place], scratch: Scratch) -> Daemon {
        Daemon::start(Path::new("/bin/sh"), scratch, places, ["-c", script])
    }

    fn eventually(what: &str, such: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !such() {
            assert!(Instant::now() < deadline, "{what} never happens");
            thread::sleep(PAUSE);
        }
    }

    fn runs(pid: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    #[test]
    fn a_program_that_ends_at_once_fails_the_test() {
        let panic = catch_unwind(|| {
            shell("exit 7", &[Place::Port(ReservedPort::new())], Scratch::new());
        });
        let message = panic.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(*message, "/bin/sh ended before it listened: exit status: 7");
    }

    #[test]
    fn a_dropped_program_takes_its_children_and_its_directory_with_it() {
        let daemon = shell("sleep 1000 & echo $! > new; mv new pid; wait", &[], Scratch::new());
        let path: PathBuf = daemon.scratch.path().to_owned();
        eventually("the child", || path.join("pid").exists());
        let pid = fs::read_to_string(path.join("pid")).unwrap();
        assert!(runs(pid.trim()));
        drop(daemon);
        eventually("the end of the child", || !runs(pid.trim()));
        assert!(!path.exists());
    }

    #[test]
    fn a_program_without_its_test_ends() {
        let mut daemon = shell("sleep 1000", &[], Scratch::new());
        drop(daemon.child.stdin.take());
        eventually("the end", || !runs(&daemon.child.id().to_string()));
        assert!(!daemon.child.wait().unwrap().success());
    }
}
