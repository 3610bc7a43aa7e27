//! The suite's server as a child process that never outlives us.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use websocket_app::tls::TlsOptions;

use crate::cases::CaseId;
use crate::container::Container;
use crate::failure::Failure;
use crate::front::Front;
use crate::python::Python;

const PAUSE: Duration = Duration::from_millis(20);
const TIME_TO_START: Duration = Duration::from_secs(60);
const TIME_TO_STOP: Duration = Duration::from_secs(10);
const LOG_LINES: usize = 15;

/// Where the suite runs.
pub(crate) enum Suite {
    Python(Python),
    Container(Container),
}

impl Suite {
    /// A Python 2.7 if there is one, else a container engine.
    pub(crate) fn find() -> Result<Self, Failure> {
        let faults = match Python::find() {
            Ok(python) => return Ok(Self::Python(python)),
            Err(faults) => faults,
        };
        Container::find().map(Self::Container).map_err(|more| {
            let faults = [faults, more].concat().join("\n  ");
            Failure::Missing(format!(
                "the suite needs a Python 2.7 with pip (name it in PYTHON27), or docker or podman\n  {faults}"
            ))
        })
    }

    /// Starts the server for these cases; it listens when this returns. Its report goes to
    /// [`Server::report`] in `scratch`.
    pub(crate) fn serve(&self, scratch: &Path, cases: &[CaseId]) -> Result<Server, Failure> {
        let started = Failure::while_doing("starting the suite's server");
        let start = || match self {
            Self::Python(python) => {
                specify(scratch, scratch, 0, cases)?;
                let mut server = Server::spawn(python.server(scratch), scratch)?;
                server.port = server.announced_port()?;
                Ok(server)
            }
            Self::Container(container) => {
                let port = free_port()?;
                specify(scratch, Path::new(Container::SCRATCH), port, cases)?;
                let mut server = Server::spawn(container.server(scratch, port), scratch)?;
                server.port = port;
                server.wait_until_it_answers()?;
                Ok(server)
            }
        };
        start().map_err(started)
    }
}

/// Writes the server's specification into `scratch`, which the server knows as `seen_as`.
fn specify(scratch: &Path, seen_as: &Path, port: u16, cases: &[CaseId]) -> io::Result<()> {
    let spec = json!({
        "url": format!("ws://127.0.0.1:{port}"),
        "outdir": seen_as.join("report"),
        "cases": cases.iter().map(CaseId::to_string).collect::<Vec<_>>(),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    // Made by us, so that we may empty it whoever fills it.
    fs::create_dir(scratch.join("report"))?;
    fs::write(scratch.join("spec.json"), spec.to_string())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A running server; dropping it stops it.
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// Through which clients come, if they are to speak TLS.
    front: Option<Front>,
    scratch: PathBuf,
}

impl Server {
    fn spawn(mut command: Command, scratch: &Path) -> io::Result<Self> {
        let log = File::create(scratch.join("log"))?;
        // A group of its own: an interrupt from the keyboard ends us, and our end closes its standard input.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        Ok(Self { child: command.spawn()?, port: 0, front: None, scratch: scratch.to_owned() })
    }

    /// `path` on the server, as a URL.
    pub(crate) fn url(&self, path: &str) -> String {
        match &self.front {
            None => format!("ws://127.0.0.1:{}{path}", self.port),
            Some(front) => format!("wss://127.0.0.1:{}{path}", front.port()),
        }
    }

    /// From now on clients come with TLS; returns what they need for that.
    pub(crate) fn put_behind_tls(&mut self) -> io::Result<TlsOptions> {
        let front = self.front.insert(Front::of(self.port)?);
        Ok(front.trust())
    }

    /// The directory of the report, complete once `/updateReports` was answered.
    pub(crate) fn report(&self) -> PathBuf {
        self.scratch.join("report")
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// A run that broke off because the client could not go on, or rather because the server is gone.
    pub(crate) fn failure(&mut self, doing: &str, error: &str) -> Failure {
        let why = if self.has_ended() { self.last_words() } else { error.to_owned() };
        Failure::Broken(format!("{doing}: {why}"))
    }

    fn last_words(&self) -> String {
        let log = fs::read(self.scratch.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        format!(
            "the server has ended; its last words were\n{}",
            lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
        )
    }

    fn announced_port(&mut self) -> io::Result<u16> {
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        // Its standard output ends before the port came only if it ends itself.
        line.trim_end().parse().map_err(|_| io::Error::other(self.last_words()))
    }

    /// The engine's proxy accepts connections before the server does, so only an answer tells.
    fn wait_until_it_answers(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + TIME_TO_START;
        while !self.answers() {
            if self.has_ended() {
                return Err(io::Error::other(self.last_words()));
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
            stream.read(&mut [0])
        };
        matches!(ask(), Ok(1))
    }

    fn stop(&mut self) -> io::Result<()> {
        if let (None, Ok(pid)) = (self.child.try_wait()?, i32::try_from(self.child.id())) {
            kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        }
        let deadline = Instant::now() + TIME_TO_STOP;
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where asking did not help, force does; a child that has ended already takes neither ill.
        let _ = self.stop();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::scratch::Scratch;

    /// A shell script that stands in for the suite's server.
    fn server(scratch: &Scratch, script: &str) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Server::spawn(command, scratch.path()).unwrap()
    }

    #[test]
    fn the_port_is_what_the_server_announces() {
        let scratch = Scratch::new().unwrap();
        assert_eq!(server(&scratch, "echo 4711; exec cat").announced_port().unwrap(), 4711);
    }

    #[test]
    fn a_server_that_ends_before_it_listens_is_quoted() {
        let scratch = Scratch::new().unwrap();
        let error = server(&scratch, "echo 'no such module' >&2").announced_port().unwrap_err();
        assert!(error.to_string().ends_with("no such module"), "{error}");
    }

    #[test]
    fn a_dropped_server_has_ended_after_it_was_asked_to() {
        let scratch = Scratch::new().unwrap();
        let told = scratch.path().join("told");
        let trap =
            format!("trap 'echo asked > {}; exit' TERM; echo 1; while read line; do :; done", told.display());
        let mut server = server(&scratch, &trap);
        server.announced_port().unwrap();
        let pid = Pid::from_raw(server.child.id().try_into().unwrap());
        drop(server);
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
        assert_eq!(fs::read_to_string(told).unwrap(), "asked\n");
    }
}
