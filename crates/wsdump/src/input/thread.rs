//! Standard input on its own thread, where the loop cannot watch it: a file, or another system than unix.

use std::io::{self, BufRead as _};
use std::thread;

use websocket_app::Sender;

use super::lines::Wanted;
use super::{Input, Lines, PAUSE};

/// Sends every line through `sender`, and closes after the last.
pub(super) fn start(input: Input, sender: Sender) -> io::Result<()> {
    thread::Builder::new().name("input".into()).spawn(move || {
        if let Err(error) = send_lines(&sender, input.is_patient) {
            eprintln!("wsdump: reading standard input failed: {error}");
        }
        thread::sleep(input.eof_wait);
        sender.close();
    })?;
    Ok(())
}

fn send_lines(sender: &Sender, is_patient: bool) -> io::Result<()> {
    let (mut input, mut lines) = (io::stdin().lock(), Lines::default());
    loop {
        match lines.send(sender, is_patient) {
            Wanted::More => {
                let bytes = match input.fill_buf() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    bytes => bytes?,
                };
                lines.push(bytes);
                let len = bytes.len();
                input.consume(len);
            }
            Wanted::Later => thread::sleep(PAUSE),
            Wanted::Nothing => return Ok(()),
        }
    }
}
