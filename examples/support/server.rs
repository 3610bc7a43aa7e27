//! An echo server on a thread, or in a process of its own.

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use websocket_testkit::server::EchoServer;

use crate::descriptors;

/// From so many connections on the server gets a process of its own: here its descriptors would be counted with the clients'.
pub const MOST_IN_ONE_PROCESS: usize = 5000;

/// Descriptors that a process needs for anything but connections.
pub const OTHER_DESCRIPTORS: u64 = 64;

/// An echo server that ends when it is dropped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Server {
    /// On a thread of this process.
    Thread(EchoServer),
    /// In a process of its own.
    Process {
        /// The process. It also ends when its standard input does, so it does not outlive a parent that was killed.
        child: Child,
        /// Where it listens.
        url: String,
    },
}

impl Server {
    /// Starts a server for `connections`. If these are too many for one process, `command` is the word that makes another process
    /// of this program call [`serve`].
    ///
    /// # Errors
    /// When the server cannot be started; the text says why.
    pub fn start(connections: usize, command: &str) -> io::Result<Self> {
        if connections <= MOST_IN_ONE_PROCESS {
            return EchoServer::start().map(Self::Thread);
        }
        let mut child = Command::new(env::current_exe()?)
            .args([command, &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        if url.is_empty() {
            return Err(io::Error::other(format!("the server's process ended: {}", child.wait()?)));
        }
        Ok(Self::Process { child, url: url.trim().to_owned() })
    }

    /// Where to connect to.
    pub fn url(&self) -> String {
        match self {
            Self::Thread(server) => server.url(),
            Self::Process { url, .. } => url.clone(),
        }
    }

    /// Whether the server shares this process.
    pub const fn is_here(&self) -> bool {
        matches!(self, Self::Thread(_))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Process { child, .. } = self {
            // It has nothing to lose, and might not listen any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Is the server of another process: says on standard output where it listens, and serves until standard input ends.
///
/// # Errors
/// When the server cannot be started.
pub fn serve(connections: u64) -> io::Result<()> {
    descriptors::reserve(connections + OTHER_DESCRIPTORS)?;
    let server = EchoServer::start()?;
    writeln!(io::stdout(), "{}", server.url())?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
