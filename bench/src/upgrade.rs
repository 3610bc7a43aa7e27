//! The upgrade of the floors, which need no more of it than that it succeeds.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::Result;
use crate::contract::Task;

/// The example of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// Connects to the load server and upgrades. What came behind the response is at the front of `buffer`; the
/// returned size tells how much.
///
/// # Errors
/// The server cannot be reached, or refuses.
pub fn connect(task: &Task, buffer: &mut [u8]) -> Result<(TcpStream, usize)> {
    let mut stream = TcpStream::connect(task.addr)?;
    stream.set_nodelay(true)?;
    stream.write_all(request(task).as_bytes())?;
    let mut filled = 0;
    let head = loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Err("the server ended before its response did".into()),
            more => filled += more,
        }
        if let Some(head) = response(&buffer[..filled])? {
            break head;
        }
    };
    buffer.copy_within(head..filled, 0);
    Ok((stream, filled - head))
}

/// The request.
pub fn request(task: &Task) -> String {
    let extensions = match task.workload.is_deflate() {
        true => format!("Sec-WebSocket-Extensions: {}\r\n", task.compression.takeover.extension()),
        false => String::new(),
    };
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{extensions}\r\n",
        task.target(),
        task.addr
    )
}

/// The length of the response that `bytes` begin with; `None` while it is not whole.
///
/// # Errors
/// The server refuses.
pub fn response(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    check(std::str::from_utf8(&bytes[..end + 4])?)?;
    Ok(Some(end + 4))
}

fn check(response: &str) -> Result<()> {
    if response.starts_with("HTTP/1.1 101 ") && response.contains(ACCEPT) {
        return Ok(());
    }
    Err(format!("the server refused the upgrade: {}", response.lines().next().unwrap_or_default()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_accepted_upgrade_passes() {
        let accepted =
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        check(accepted).unwrap();
        check(&accepted.replace("s3p", "xyz")).unwrap_err();
        let refused = check("HTTP/1.1 400 Bad Request\r\n\r\n").unwrap_err();
        assert_eq!(refused.to_string(), "the server refused the upgrade: HTTP/1.1 400 Bad Request");
    }
}
