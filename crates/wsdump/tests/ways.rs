//! The ways to a server that the command line knows.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/scratch.rs"]
mod scratch;
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
#[cfg(unix)]
use std::thread;

use websocket_testkit::deflate::Codec;
use websocket_testkit::server::ScriptedServer;
#[cfg(unix)]
use websocket_testkit::server::echo_on;

use certificates::{issue, root, tls_server};
use scratch::Scratch;
use support::{failed, printed, wsdump};

/// Puts `content` into a file of the directory and returns its path.
fn file(scratch: &Scratch, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = scratch.0.join(name);
    fs::write(&path, content).expect("a file");
    shown(&path)
}

fn shown(path: &Path) -> String {
    path.to_str().expect("a path of letters").to_owned()
}

#[test]
fn b222_a_certificate_must_be_trusted_or_explicitly_not_looked_at() {
    let (root, scratch) = (root(), Scratch::new("trust"));
    let url = tls_server(&root, false);
    let other = file(&scratch, "other.pem", self::root().pem());
    let (code, error) = failed(&["--ca", &other, &url]);
    assert!(code == Some(5) && error.contains("certificate was refused"), "{error}");

    assert_eq!(printed(&["-n", &url], b"hello"), "< hello\n");
    let file = file(&scratch, "root.pem", root.pem());
    assert_eq!(printed(&["--ca", &file, &url], b"hello"), "< hello\n");
    assert_eq!(printed(&["--ca", &shown(&scratch.0), &url], b"hello"), "< hello\n");
}

#[test]
fn a_url_without_tls_for_a_server_with_it_is_a_failure_that_says_so() {
    let (code, error) = failed(&[&tls_server(&root(), false).replacen("wss", "ws", 1)]);
    assert!(code == Some(1) && error.contains("TLS"), "{error}");
}

#[test]
fn b222_a_server_is_shown_the_clients_certificate() {
    let (root, scratch) = (root(), Scratch::new("client"));
    let url = tls_server(&root, true);
    let (certificate, key) = issue(&root, "client");
    let ca = file(&scratch, "root.pem", root.pem());
    let (code, error) = failed(&["--ca", &ca, "--eof-wait", "60", &url]);
    assert!(code == Some(5) && error.contains("refused the TLS session"), "{error}");

    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let both = file(&scratch, "both.pem", format!("{certificate}{key}"));
    assert_eq!(printed(&["--ca", &ca, "--cert", &both, &url], b"hello"), "< hello\n");
    let (certificate, key) = (file(&scratch, "client.pem", certificate), file(&scratch, "client.key", key));
    let arguments = ["--ca", &ca, "--cert", &certificate, "--key", &key, &url];
    assert_eq!(printed(&arguments, b"hello"), "< hello\n");
}

#[test]
fn b222_files_that_cannot_be_read_are_named_before_any_connection() {
    for option in ["--ca", "--cert"] {
        let (code, error) = failed(&[option, "no-such-file.pem", "wss://127.0.0.1:1/"]);
        assert!(code == Some(2) && error.contains("no-such-file.pem"), "{error}");
    }
}

#[test]
fn b222_the_proxy_is_asked_for_a_tunnel() {
    let proxy = ScriptedServer::start(|mut peer| {
        let request = peer.read_request();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("CONNECT", "server.example:80"));
        assert_eq!(request.header("Proxy-Authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        peer.write(b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(peer.read_request().header("Host"), Some("server.example"));
        peer.accept_upgrade();
        peer.send_text("through the tunnel");
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let url = format!("http://Aladdin:open%20sesame@{}", proxy.addr());
    let arguments = ["-p", &url, "--eof-wait", "60", "ws://server.example/"];
    assert_eq!(printed(&arguments, b""), "< through the tunnel\n");
    proxy.join();
}

#[test]
fn b222_a_proxy_that_refuses_is_named_without_its_password() {
    let proxy = ScriptedServer::start(|mut peer| {
        peer.read_request();
        peer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let (code, error) =
        failed(&["-p", &format!("http://user:secret@{}", proxy.addr()), "ws://server.example/"]);
    assert_eq!(code, Some(3));
    assert!(error.contains(&format!("proxy http://{}: it answered 403", proxy.addr())), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
#[cfg(unix)]
fn b222_a_unix_socket_is_reached_by_its_url() {
    let scratch = Scratch::new("unix");
    let path = scratch.0.join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || echo_on(listener.accept()?.0));
    assert_eq!(printed(&[&format!("ws+unix:{}:/chat", path.display())], b"hello"), "< hello\n");
    server.join().unwrap().unwrap();
}

#[test]
fn b222_after_a_loss_it_connects_again_and_lines_go_on() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        assert_eq!(peer.read_frame().text(), "subscribe");
        if peer.index() == 0 {
            peer.send_text("first");
            return;
        }
        peer.send_text("second");
        assert_eq!(peer.read_frame().text(), "a line for the second");
        assert_eq!(peer.read_close(), Some((1000, String::new())));
        peer.send_close(1000, "");
        peer.shutdown();
        peer.expect_eof();
    })
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsdump"))
        .args(["-t", "subscribe", "--reconnect", "0.01", &server.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The end of the input closes, so it comes after the second connection has opened.
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("< first"));
    assert_eq!(lines.next().as_deref(), Some("< second"));
    input.write_all(b"a line for the second\n").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("; connecting again in 10ms\n"), "{output:?}");
    server.join();
}

#[test]
fn b222_compressed_text_is_shown_and_raw_leaves_it_alone() {
    const GZIP: &[u8] =
        b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\0\x80\x88\xf9\xe5\x11\0\0\0";
    const ZLIB: &[u8] = b"\x78\x9c\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\0\x3a\x2e\x06\x7d";
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        for payload in [GZIP, ZLIB, &GZIP[..9]] {
            peer.send_binary(payload);
        }
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let url = server.url();
    assert_eq!(
        printed(&["--eof-wait", "60", &url], b""),
        "< [gzip] hello hello hello\n< [zlib] hello hello hello\n< 9 bytes: 1f 8b 08 00 00 00 00 00 02\n"
    );
    let raw = wsdump(&["--raw", "--eof-wait", "60", &url], b"");
    assert_eq!(raw.stdout, [GZIP, b"\n", ZLIB, b"\n", &GZIP[..9], b"\n"].concat());
}

#[test]
fn compression_is_offered_where_it_is_asked_for() {
    let server = ScriptedServer::start(|mut peer| {
        let answer = "permessage-deflate";
        let request = peer.accept_upgrade_with(&[&format!("Sec-WebSocket-Extensions: {answer}")]);
        let offer = request.header("Sec-WebSocket-Extensions").expect("an offer");
        assert!(offer.starts_with(answer), "{offer}");
        peer.send_frame(true, 4, 1, &Codec::new(answer).compress(b"inflated, inflated, inflated"));
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .expect("a server");
    let shown = printed(&["--compress", "--raw", &server.url()], b"");
    assert!(shown.contains("inflated, inflated, inflated"), "{shown}");
    server.join();
}
