//! The guide's page is true: its examples are run, its session is typed, and no option is missing.
#![cfg(unix)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/pty.rs"]
mod pty;
#[path = "support/scratch.rs"]
mod scratch;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use regex_lite::Regex;
use websocket_testkit::frame;
use websocket_testkit::server::{Peer, ScriptedServer};

use certificates::{issue, root, tls_server};
use pty::Terminal;
use scratch::Scratch;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/wsdump.md");
    fs::read_to_string(path).expect("the page")
}

/// The fenced blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(&*fence).skip(1).map(|block| block.split("```").next().expect("a block")).collect()
}

/// Echoes messages, answers calls, closes when it is asked to.
fn serve(peer: &mut Peer) {
    loop {
        let frame = peer.read_any_frame();
        let text = String::from_utf8_lossy(&frame.payload);
        match frame.opcode {
            frame::PING => peer.send_pong(&frame.payload),
            frame::CLOSE => {
                peer.write(&frame::encode(true, 0, frame::CLOSE, &frame.payload));
                peer.shutdown();
                peer.read_to_end();
                return;
            }
            frame::TEXT if text == "please close" => {
                peer.send_close(4000, "as you wish");
                peer.shutdown();
                peer.read_to_end();
                return;
            }
            frame::TEXT if text.contains("\"method\"") => {
                peer.send_text(r#"{"jsonrpc":"2.0","id":1,"result":3}"#);
            }
            opcode => peer.send_frame(frame.fin, 0, opcode, &frame.payload),
        }
    }
}

fn server() -> ScriptedServer {
    let server = ScriptedServer::start(|mut peer| {
        // It knows no subprotocol, and the client leaves.
        if peer.accept_upgrade().header("Sec-WebSocket-Protocol").is_some() {
            peer.read_to_end();
        } else {
            serve(&mut peer);
        }
    });
    server.expect("a server")
}

/// A proxy that is itself the server at the end of its tunnels.
fn proxy() -> ScriptedServer {
    let server = ScriptedServer::start(|mut peer| {
        assert_eq!(peer.read_request().method, "CONNECT");
        peer.write(b"HTTP/1.1 200 OK\r\n\r\n");
        peer.read_request();
        peer.accept_upgrade();
        serve(&mut peer);
    });
    server.expect("a proxy")
}

/// What differs from run to run, made equal.
fn alike(output: &str) -> String {
    let keys = Regex::new("(Sec-WebSocket-(Key|Accept)): .*").expect("a pattern");
    let digits = Regex::new("[0-9]+").expect("a pattern");
    digits.replace_all(&keys.replace_all(output, "$1: *"), "0").into_owned()
}

#[test]
fn the_examples_print_what_the_page_says() {
    let scratch = Scratch::new("guide");
    let (server, proxy, root) = (server(), proxy(), root());
    let tls = tls_server(&root, false);
    fs::write(scratch.0.join("ca.pem"), root.pem()).unwrap();
    let (certificate, key) = issue(&root, "client");
    fs::write(scratch.0.join("client.pem"), certificate.pem()).unwrap();
    fs::write(scratch.0.join("client.key"), key.serialize_pem()).unwrap();
    let real = |text: &str| {
        text.replace("127.0.0.1:9001", &server.addr().to_string())
            .replace("127.0.0.1:3128", &proxy.addr().to_string())
            .replace("127.0.0.1:9443", &tls.replace("wss://localhost", "127.0.0.1").replace('/', ""))
    };
    let program = Path::new(env!("CARGO_BIN_EXE_wsdump")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), env::var("PATH").expect("a path"));
    let page = page();
    let mut run = 0;
    for block in blocks(&page, "console") {
        for example in block.split("$ ").skip(1) {
            let (command, expected) = example.split_once('\n').expect("a line");
            let output = Command::new("sh")
                .args(["-c", &format!("{{ {}\n}} 2>&1", real(command))])
                .current_dir(&scratch.0)
                .env("PATH", &path)
                .stdin(Stdio::null())
                .output()
                .expect("a shell");
            let output = String::from_utf8(output.stdout).expect("text");
            assert_eq!(alike(&output), alike(&real(expected)), "{command}");
            run += 1;
        }
    }
    assert!(run > 20, "{run} examples");
}

#[test]
fn every_option_is_in_an_example() {
    let help = Command::new(env!("CARGO_BIN_EXE_wsdump")).arg("--help").output().expect("help");
    let help = String::from_utf8(help.stdout).expect("text");
    let page = page();
    let examples = blocks(&page, "console").concat();
    let mut seen = 0;
    for option in help.lines().map(str::trim_start).filter(|line| line.starts_with('-')) {
        let names: Vec<&str> = option.split([' ', ',', '=']).take_while(|part| !part.contains('<')).collect();
        let names = names.into_iter().filter(|name| name.starts_with('-') && name.len() > 1);
        let names: Vec<&str> = names.take(2).collect();
        let is_there = |name: &&str| examples.split([' ', '\n']).any(|word| word == *name);
        let needs_none = names.contains(&"--version");
        assert!(needs_none || names.iter().any(is_there), "{names:?} of {option:?} is in no example");
        seen += 1;
    }
    assert!(seen > 30, "{seen} options");
}

#[test]
fn the_session_on_the_page_is_what_is_on_the_screen() {
    let state = Scratch::new("session");
    let server = server();
    let page = page();
    let session = blocks(&page, "text")[0];
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    for line in session.lines().filter_map(|line| line.strip_prefix("> ")) {
        terminal.prompt("");
        terminal.send(line);
        terminal.prompt(line);
        terminal.send("\r");
        // What follows the line on the page is awaited before the next one is typed.
        let behind = session.split(&format!("> {line}\n")).nth(1).expect("the line");
        let answer = behind.lines().next().filter(|next| !next.starts_with("> "));
        terminal.wait(line, |rows| {
            let at = rows.iter().rposition(|row| row.strip_prefix("> ") == Some(line));
            at.is_some_and(|at| {
                answer.is_none_or(|answer| rows[at..].iter().any(|row| alike(row) == alike(answer)))
            })
        });
    }
    assert_eq!(terminal.end().code(), Some(0));
    let session = alike(session.trim_end());
    terminal.wait(&session, |rows| alike(&rows.join("\n")) == session);
}
