//! Two servers for the example about logging in: one with redirects, a challenge and a cookie, and a stranger.

use std::io;

use websocket_testkit::server::{Peer, ScriptedServer};

/// Starts the server: `/old` redirects to `/chat`, `/away` to `stranger`, and `/chat` opens for who has the cookie or the token.
///
/// # Errors
/// When the system refuses a socket or a thread.
pub fn start(stranger: String) -> io::Result<ScriptedServer> {
    ScriptedServer::start(move |mut peer| {
        let request = peer.read_request();
        let session = request.header("Cookie") == Some("session=31d4");
        let token = request.header("Authorization") == Some("Bearer fresh-token");
        match request.path.as_str() {
            "/old" => refuse(&mut peer, "302 Found", "Location: /chat"),
            "/away" => refuse(&mut peer, "307 Temporary Redirect", &format!("Location: {stranger}")),
            _ if session => open(&mut peer, "welcome back: the cookie was enough", &[]),
            _ if token => {
                let cookie = "Set-Cookie: session=31d4; Path=/; HttpOnly";
                open(&mut peer, "welcome: here is a cookie", &[cookie]);
            }
            _ => refuse(&mut peer, "401 Unauthorized", "WWW-Authenticate: Bearer realm=\"chat\""),
        }
    })
}

/// Starts the stranger, who tells which secrets have come along.
///
/// # Errors
/// When the system refuses a socket or a thread.
pub fn stranger() -> io::Result<ScriptedServer> {
    ScriptedServer::start(|mut peer| {
        let request = peer.read_request();
        let secrets = ["Authorization", "Cookie", "X-Api-Key"];
        let came = secrets.iter().filter(|name| request.header(name).is_some()).count();
        open(&mut peer, &format!("the stranger has got {came} secrets"), &[]);
    })
}

fn open(peer: &mut Peer, greeting: &str, extra: &[&str]) {
    peer.accept_upgrade_with(extra);
    peer.send_text(greeting);
    if let Some((code, reason)) = peer.read_close() {
        peer.send_close(code, &reason);
    }
    peer.shutdown();
    peer.read_to_end();
}

fn refuse(peer: &mut Peer, status: &str, header: &str) {
    peer.write(format!("HTTP/1.1 {status}\r\n{header}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    peer.shutdown();
    peer.read_to_end();
}
