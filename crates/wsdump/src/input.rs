//! Standard input, on a thread of its own.

use std::io::{self, BufRead as _};
use std::thread;
use std::time::Duration;

use websocket_app::{SendError, Sender};

/// No more than this is read ahead of a connection that does not keep up.
const AHEAD: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Sends every line through `sender`, and closes `eof_wait` after the last. Where another connection follows a loss (`patient`), lines wait
/// for it.
pub(crate) fn start(sender: Sender, eof_wait: Duration, patient: bool) -> io::Result<()> {
    thread::Builder::new().name("input".into()).spawn(move || {
        if let Err(error) = send_lines(&sender, patient) {
            eprintln!("wsdump: reading standard input failed: {error}");
        }
        thread::sleep(eof_wait);
        sender.close();
    })?;
    Ok(())
}

/// Sends lines until there are no more, or nobody to send them to.
fn send_lines(sender: &Sender, patient: bool) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let ending = if line.ends_with(b"\r\n") { 2 } else { usize::from(line.ends_with(b"\n")) };
        let Ok(text) = str::from_utf8(&line[..line.len() - ending]) else {
            eprintln!("wsdump: line {number} was not sent: it is not UTF-8");
            continue;
        };
        if !send_line(sender, text, number, patient) {
            break;
        }
    }
    Ok(())
}

/// Sends a line when there is room for it; returns whether another one may be sent.
fn send_line(sender: &Sender, text: &str, number: u64, patient: bool) -> bool {
    loop {
        if sender.queued_bytes() > AHEAD && (patient || sender.is_open()) {
            thread::sleep(PAUSE);
            continue;
        }
        match sender.send_text(text) {
            Ok(()) => return true,
            Err(refused)
                if matches!(refused.reason, SendError::NotOpen(_) | SendError::WaitingToReconnect) =>
            {
                if !patient {
                    return false;
                }
                thread::sleep(PAUSE);
            }
            Err(refused) => {
                eprintln!("wsdump: line {number} was not sent: {refused}");
                return true;
            }
        }
    }
}
