//! wsdump on a terminal: what is typed, and what is on the screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

/// Nothing that is waited for takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };

/// wsdump on a terminal of its own.
pub(crate) struct Terminal {
    child: Child,
    /// The end of the pty at which a person would sit.
    person: File,
    /// The program's end, to look at its settings.
    program: File,
    output: Receiver<Vec<u8>>,
    pub(crate) screen: vt100::Parser,
}

impl Terminal {
    /// Starts wsdump, with its state in `state`.
    pub(crate) fn start(arguments: &[&str], state: &Path) -> Self {
        let pty = openpty(&SIZE, None).expect("the system has terminals");
        let (person, program) = (File::from(pty.master), File::from(pty.slave));
        let end = || program.try_clone().expect("a descriptor");
        let child = Command::new(env!("CARGO_BIN_EXE_wsdump"))
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env("XDG_STATE_HOME", state)
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("wsdump starts");
        let (send, output) = channel();
        let mut reader = person.try_clone().expect("a descriptor");
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It fails once no program has the other end.
            while let Ok(len @ 1..) = reader.read(&mut bytes) {
                if send.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(SIZE.ws_row, SIZE.ws_col, 0);
        Self { child, person, program, output, screen }
    }

    /// Types.
    pub(crate) fn send(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// The rows of the screen that are not empty.
    pub(crate) fn rows(&self) -> Vec<String> {
        let rows = self.screen.screen().rows(0, SIZE.ws_col).map(|row| row.trim_end().to_owned());
        rows.filter(|row| !row.is_empty()).collect()
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, is_there: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(&self.rows()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => panic!("waited for {what:?}; on the screen: {:#?}", self.rows()),
            }
        }
    }

    /// Waits for the prompt, with what is typed so far, as the last row.
    #[track_caller]
    pub(crate) fn prompt(&mut self, typed: &str) {
        let row = format!("> {typed}");
        self.wait(&row, |rows| rows.last().is_some_and(|last| last == row.trim_end()));
    }

    /// Waits for the end of wsdump, after which the terminal must be as it was.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                let flags = tcgetattr(&self.program).expect("a terminal").local_flags;
                assert!(flags.contains(LocalFlags::ICANON | LocalFlags::ECHO), "{flags:?}");
                while let Ok(bytes) = self.output.try_recv() {
                    self.screen.process(&bytes);
                }
                return status;
            }
            assert!(Instant::now() < deadline, "it goes on; on the screen: {:#?}", self.rows());
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(10)) {
                self.screen.process(&bytes);
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
