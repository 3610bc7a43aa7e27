//! Starts the load server and the programs that are measured.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use serde::de::DeserializeOwned;

use crate::Result;
use crate::arrivals::Arrivals;
use crate::system::Cores;

/// No run comes near this; a program that hangs must not hang the benchmark.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs of this package, on the cores that are theirs.
#[derive(Debug)]
pub struct Programs {
    cores: Option<Cores>,
    directory: PathBuf,
}

impl Programs {
    /// Those beside the program that runs; without `cores`, on whatever core they get.
    ///
    /// # Errors
    /// The system does not tell where the program is.
    pub fn new(cores: Option<Cores>) -> Result<Self> {
        let runner = env::current_exe()?;
        let directory = runner.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Self { cores, directory })
    }

    /// A program of this package, or else one on the search path.
    pub fn command(&self, program: &str) -> Command {
        let ours = self.directory.join(program);
        Command::new(if ours.is_file() { ours } else { program.into() })
    }

    /// Starts the load server; with TLS, behind a certificate of its own.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_server(&self, tls: bool) -> Result<Server> {
        match tls {
            true => self.start_tls_server(true),
            false => self.spawn_server(self.command("bench-server"), None),
        }
    }

    /// Starts the load server with TLS, behind a certificate of its own. Without `resumption`, every handshake is a full one.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_tls_server(&self, resumption: bool) -> Result<Server> {
        let mut command = self.command("bench-server");
        let root = env::temp_dir().join(format!("websocket-bench-{}.pem", process::id()));
        command.arg("--root").arg(&root);
        if !resumption {
            command.arg("--no-resumption");
        }
        self.spawn_server(command, Some(root))
    }

    /// Starts the load server on `addr`, with a listen queue of `backlog` connections; each upgrade keeps it
    /// busy for `work`.
    ///
    /// # Errors
    /// It does not start, or the address is not free.
    pub fn start_server_on(&self, addr: SocketAddr, backlog: u32, work: Duration) -> Result<Server> {
        let mut command = self.command("bench-server");
        command.arg("--listen").arg(addr.to_string());
        command.arg("--backlog").arg(backlog.to_string());
        command.arg("--work").arg(work.as_micros().to_string());
        self.spawn_server(command, None)
    }

    fn spawn_server(&self, mut command: Command, root: Option<PathBuf>) -> Result<Server> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match &self.cores {
            Some(cores) => cores.on_server(|| command.spawn())??,
            None => command.spawn()?,
        };
        let stdout = BufReader::new(child.stdout.take().ok_or("the server has no output")?);
        let mut server = Server { child, stdout, root, addr: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let port = server.line()?.parse().map_err(|_| "the server did not tell its port")?;
        server.addr.set_port(port);
        Ok(server)
    }

    /// Starts a program on the client's core.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_client(&self, command: &mut Command) -> Result<Child> {
        let spawned = match &self.cores {
            Some(cores) => cores.on_client(|| command.spawn())?,
            None => command.spawn(),
        };
        let program = command.get_program().to_string_lossy().into_owned();
        spawned.map_err(|error| format!("cannot start {program}: {error}").into())
    }

    /// Runs a program on the client's core to its end, and reads the report that it prints.
    ///
    /// # Errors
    /// It fails, hangs, or prints something else.
    pub fn run_client<R: DeserializeOwned>(&self, command: &mut Command) -> Result<R> {
        let mut child = self.start_client(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let stdout = child.stdout.take().ok_or("the client has no output")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(io::read_to_string(stdout)));
        let Ok(output) = receiver.recv_timeout(PATIENCE) else {
            child.kill()?;
            child.wait()?;
            return Err(format!("no end after {} s", PATIENCE.as_secs()).into());
        };
        let status = child.wait()?;
        if !status.success() {
            return Err(status.to_string().into());
        }
        let output = output?;
        serde_json::from_str(output.trim())
            .map_err(|error| format!("'{}' is no report: {error}", output.trim()).into())
    }
}

/// A load server, which ends when its standard input does.
#[derive(Debug)]
pub struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The file with its certificate.
    pub root: Option<PathBuf>,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl Server {
    /// How its connections have arrived so far.
    ///
    /// # Errors
    /// The server has ended.
    pub fn arrivals(&mut self) -> Result<Arrivals> {
        let stdin = self.child.stdin.as_mut().ok_or("the server has no input")?;
        stdin.write_all(b"arrivals\n")?;
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|error| format!("'{line}' is not a count: {error}").into())
    }

    /// Ends it as suddenly as the system can (SIGKILL on unix), and waits until it has ended.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
        if let Some(root) = &self.root {
            let _left_behind = fs::remove_file(root);
        }
    }
}
