//! wsdump at a terminal.
#![cfg(unix)]

#[path = "support/pty.rs"]
mod pty;
#[path = "support/scratch.rs"]
mod scratch;
#[path = "support/scripted.rs"]
mod scripted;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;

use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};

use pty::Terminal;
use scratch::Scratch;
use scripted::server;

const CTRL_A: &str = "\x01";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_W: &str = "\x17";
const UP: &str = "\x1b[A";
const ENTER: &str = "\r";

/// Waits for a row.
#[track_caller]
fn see(terminal: &mut Terminal, row: &str) {
    terminal.wait(row, |rows| rows.iter().any(|there| there == row));
}

/// Whether a cell of the row that is `row` has a color.
fn is_colored(terminal: &Terminal, row: &str) -> bool {
    let screen = terminal.screen.screen();
    let (_, columns) = screen.size();
    let at = screen.rows(0, columns).position(|there| there.trim_end() == row).expect("the row");
    let cells = (0..columns).filter_map(|column| screen.cell(at as u16, column));
    cells.into_iter().any(|cell| cell.fgcolor() != vt100::Color::Default)
}

#[test]
fn lines_are_edited_kept_for_the_host_and_brought_back() {
    let state = Scratch::new("history");
    let server = EchoServer::start().unwrap();
    let url = format!("{}path?token=s3cret", server.url().replacen("ws://", "ws://user:s3cret@", 1));
    let mut first = Terminal::start(&[&url], &state.0);
    first.prompt("");
    first.send("world, wrong");
    first.send(CTRL_W);
    first.send(CTRL_A);
    first.send("hello ");
    first.prompt("hello world,");
    first.send(ENTER);
    see(&mut first, "< hello world,");
    first.prompt("");
    first.send(CTRL_D);
    assert_eq!(first.end().code(), Some(0));

    let mut second = Terminal::start(&[&url], &state.0);
    second.prompt("");
    second.send(UP);
    second.prompt("hello world,");
    second.send(CTRL_C);
    assert_eq!(second.end().code(), Some(0));

    let kept: Vec<_> = fs::read_dir(state.0.join("wsdump/history")).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept.len(), 1);
    let name = kept[0].file_name().into_string().unwrap();
    assert_eq!(name, format!("host-127.0.0.1_{}", server.addr().port()));
    assert_eq!(kept[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn without_a_history_nothing_is_kept() {
    let state = Scratch::new("no-history");
    let server = EchoServer::start().unwrap();
    let mut terminal = Terminal::start(&["--no-history", &server.url()], &state.0);
    terminal.prompt("");
    terminal.send("forget me\r");
    see(&mut terminal, "< forget me");
    terminal.prompt("");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().code(), Some(0));
    assert_eq!(fs::read_dir(&state.0).unwrap().count(), 0);
}

#[test]
fn the_line_that_is_typed_survives_a_message() {
    let state = Scratch::new("survives");
    let (now, when) = mpsc::channel();
    let when = std::sync::Mutex::new(when);
    let server = server(move |peer| {
        when.lock().unwrap().recv().unwrap();
        peer.send_text("in between");
        assert_eq!(peer.read_frame().text(), "half a line and the rest");
    });
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    terminal.prompt("");
    terminal.send("half a line");
    terminal.prompt("half a line");
    now.send(()).unwrap();
    see(&mut terminal, "< in between");
    terminal.prompt("half a line");
    terminal.send(" and the rest\r");
    terminal.prompt("");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().code(), Some(0));
    server.join();
}

#[test]
fn ctrl_c_closes_cleanly() {
    let state = Scratch::new("ctrl-c");
    let server = server(|_| {});
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    terminal.prompt("");
    terminal.send("not sent");
    terminal.prompt("not sent");
    terminal.send(CTRL_C);
    assert_eq!(terminal.end().code(), Some(0));
    see(&mut terminal, "* closed by this side with 1000");
    server.join();
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let state = Scratch::new("ctrl-c-twice");
    let (closing, closed) = mpsc::channel();
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        closing.send(peer.read_close()).unwrap();
        // It never answers, and the close would time out after 3 s.
        peer.read_to_end();
    })
    .unwrap();
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    terminal.prompt("");
    terminal.send(CTRL_C);
    assert_eq!(closed.recv().unwrap(), Some((1000, String::new())));
    terminal.wait("another prompt", |rows| rows.iter().filter(|row| *row == ">").count() == 2);
    terminal.send(CTRL_C);
    assert_eq!(terminal.end().code(), Some(130));
}

#[test]
fn ctrl_d_in_the_middle_of_a_line_sends_it_and_ends_the_input() {
    let state = Scratch::new("ctrl-d");
    let server = server(|peer| assert_eq!(peer.read_frame().text(), "no line end"));
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    terminal.prompt("");
    terminal.send("no line end");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().code(), Some(0));
    server.join();
}

#[test]
fn commands_send_what_they_say() {
    let state = Scratch::new("commands");
    fs::write(state.0.join("file"), b"\0content").unwrap();
    let server = server(|peer| {
        let frames: Vec<_> = (0..8).map(|_| peer.read_any_frame()).collect();
        let frames: Vec<_> = frames.iter().map(|frame| (frame.opcode, frame.fin, &*frame.payload)).collect();
        let expected: [(u8, bool, &[u8]); 8] = [
            (frame::PING, true, b"are you there?"),
            (frame::PONG, true, b"unasked"),
            (frame::BINARY, true, b"\0content"),
            (frame::TEXT, false, b"abc"),
            (frame::CONTINUATION, false, b"def"),
            (frame::CONTINUATION, true, b"g"),
            (frame::TEXT, true, b"/help"),
            (frame::TEXT, true, b"raw"),
        ];
        assert_eq!(frames, expected);
        peer.send_text("all eight");
    });
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    terminal.prompt("");
    terminal.send("/ping are you there?\r");
    terminal.send("/pong unasked\r");
    terminal.send(&format!("/binary {}/file\r", state.0.display()));
    terminal.send("/fragment 3\rabcdefg\r/fragment 0\r");
    see(&mut terminal, "* messages are sent whole");
    terminal.send("//help\r");
    terminal.send("/raw 8183 00000000 726177\r");
    see(&mut terminal, "< all eight");
    terminal.send("/stats\r/what\r");
    see(&mut terminal, "* there is no /what; /help shows what there is, and //what sends it");
    terminal
        .wait("numbers", |rows| rows.iter().any(|row| row.starts_with("* received: 1 messages, 9 bytes, ")));
    terminal.send("/close 4000 so long\r");
    assert_eq!(terminal.end().code(), Some(0));
    see(&mut terminal, "* closed by this side with 4000: so long");
}

#[test]
fn reading_pauses_and_goes_on() {
    let state = Scratch::new("pause");
    let server = server(|peer| {
        assert_eq!(peer.read_frame().text(), "now");
        peer.send_text("later");
    });
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    terminal.prompt("");
    terminal.send("/pause\r");
    see(&mut terminal, "* reading is paused");
    terminal.send("now\r/pause\r");
    see(&mut terminal, "* reading continues");
    see(&mut terminal, "< later");
    let rows = terminal.rows();
    let place = |wanted: &str| rows.iter().position(|row| row == wanted);
    assert!(place("* reading continues") < place("< later"), "{rows:#?}");
    terminal.prompt("");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().code(), Some(0));
}

#[test]
fn json_is_indented_and_colored_at_a_terminal_and_bytes_are_a_table() {
    let state = Scratch::new("json");
    let server = server(|peer| {
        peer.send_text(r#"{"price":1.10,"tags":["a"]}"#);
        peer.send_binary(&[b'A'; 20]);
    });
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    see(&mut terminal, "  00000010  41 41 41 41                                       AAAA");
    let rows = terminal.rows();
    let json = rows.iter().position(|row| row == "< {").expect("JSON");
    let expected = ["< {", "  \"price\": 1.10,", "  \"tags\": [", "    \"a\"", "  ]", "}", "< 20 bytes:"];
    assert_eq!(rows[json..json + 7], expected);
    assert!(is_colored(&terminal, "  \"price\": 1.10,"));
    terminal.prompt("");
    terminal.send(CTRL_D);
    assert_eq!(terminal.end().code(), Some(0));

    let mut plain = Terminal::start(&["--color", "never", &server.url()], &state.0);
    see(&mut plain, r#"< {"price":1.10,"tags":["a"]}"#);
    plain.prompt("");
    plain.send(CTRL_D);
    assert_eq!(plain.end().code(), Some(0));
}

#[test]
fn what_came_before_the_end_is_on_the_screen_when_the_server_closes() {
    let state = Scratch::new("end");
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        for number in 1..=20 {
            peer.send_text(&format!("message {number}"));
        }
        peer.send_close(1011, "broken");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let mut terminal = Terminal::start(&[&server.url()], &state.0);
    assert_eq!(terminal.end().code(), Some(1));
    see(&mut terminal, "* closed by the server with 1011: broken");
    see(&mut terminal, "wsdump: the server closed with 1011: broken");
    let rows = terminal.rows();
    let messages = rows.iter().filter(|row| row.starts_with("< message ")).count();
    assert_eq!(messages, 20, "{rows:#?}");
    assert!(!rows.last().unwrap().starts_with('>'), "{rows:#?}");
}
