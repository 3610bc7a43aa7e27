//! The real binary against real servers.

mod support;

#[cfg(unix)]
use std::io::{BufRead as _, BufReader, Seek as _, Write as _};
#[cfg(unix)]
use std::process::{Command, Stdio};

use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, Peer, ScriptedServer};

use support::{failed, printed, wsdump};

/// Accepts, does as `script` says, closes, and waits for the client to go.
fn server(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> ScriptedServer {
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        script(&mut peer);
        peer.send_close(1000, "done");
        peer.shutdown();
        peer.read_to_end();
    });
    server.expect("a server")
}

#[test]
fn lines_are_sent_and_answers_are_printed() {
    let server = EchoServer::start().unwrap();
    assert_eq!(printed(&[&server.url()], b"hello\r\n\nlast"), "< hello\n< \n< last\n");
}

#[test]
fn b222_raw_prints_payloads_and_nothing_else() {
    let server = server(|peer| {
        peer.send_text("plain \u{1b}[1m");
        peer.send_ping(b"ping");
        peer.send_binary(&[0, 255]);
    });
    let output = wsdump(&["--raw", "-v", "--eof-wait", "60", &server.url()], b"");
    assert_eq!(output.stdout, b"plain \x1b[1m\n\x00\xff\n");
}

#[test]
fn a_terminal_is_safe_from_what_servers_send() {
    let server = server(|peer| {
        peer.send_text("\u{1b}[1m");
        peer.send_binary(&[0, 255]);
    });
    assert_eq!(printed(&["--eof-wait", "60", &server.url()], b""), "< \\u{1b}[1m\n< 2 bytes: 00 ff\n");
}

#[test]
fn b222_the_text_comes_first_and_the_request_carries_what_was_asked_for() {
    let server = ScriptedServer::start(|mut peer| {
        let request = peer.read_request();
        assert_eq!(request.path, "/p?q");
        assert_eq!(request.header("Origin"), Some("http://origin.example"));
        assert_eq!(request.header("Sec-WebSocket-Protocol"), Some("chat, superchat"));
        assert_eq!(request.header("X-One"), Some("1, 2"));
        assert_eq!(request.header("X-Two"), Some("3"));
        assert_eq!(request.header("X-Three"), Some("4"));
        peer.accept_upgrade_with(&["Sec-WebSocket-Protocol: superchat"]);
        assert_eq!(peer.read_frame().text(), "first");
        assert_eq!(peer.read_frame().text(), "second");
        assert_eq!(peer.read_close(), Some((1000, String::new())));
        peer.send_close(1000, "");
        peer.shutdown();
        peer.expect_eof();
    })
    .unwrap();
    let url = format!("{}p?q", server.url());
    let origin = ["-o", "http://origin.example"];
    let subprotocols = ["-s", "chat,superchat"];
    let headers = ["-H", "X-One: 1, 2", "--headers", "X-Two: 3, X-Three: 4"];
    let arguments = [&origin[..], &subprotocols, &headers, &["--text", "first", &url]].concat();
    assert_eq!(printed(&arguments, b"second\n"), "");
    server.join();
}

#[test]
fn verbose_shows_every_frame_in_both_directions_with_its_header() {
    let server = server(|peer| {
        assert_eq!(peer.read_frame().text(), "from here");
        peer.send_ping(b"are you there?");
        assert_eq!(peer.read_frame().payload, b"are you there?");
        peer.send_pong(b"unasked");
        peer.send_frame(false, 0, frame::TEXT, b"a");
        peer.send_frame(true, 0, frame::CONTINUATION, b"bc");
        peer.send_binary(&[7; 200]);
    });
    let output = printed(&["-v", "-t", "from here", "--eof-wait", "60", &server.url()], b"");
    let frames: Vec<&str> = output.lines().filter(|line| !line.starts_with(['*', ' '])).collect();
    let frames: Vec<&str> = frames.iter().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
    for expected in [
        "< ping fin=1 rsv1=0 14 bytes, 16 on the wire: are you there?",
        "> pong fin=1 rsv1=0 14 bytes, 20 on the wire: are you there?",
        "< pong fin=1 rsv1=0 7 bytes, 9 on the wire: unasked",
        "< text fin=0 rsv1=0 1 bytes, 3 on the wire: a",
        "< continuation fin=1 rsv1=0 2 bytes, 4 on the wire: bc",
        "> text fin=1 rsv1=0 9 bytes, 15 on the wire: from here",
        "< binary fin=1 rsv1=0 200 bytes, 204 on the wire: 200 bytes:",
        "< close fin=1 rsv1=0 6 bytes, 8 on the wire: 1000 done",
        "> close fin=1 rsv1=0 2 bytes, 8 on the wire: 1000",
    ] {
        assert!(frames.contains(&expected), "{expected}: {frames:#?}");
    }
    assert!(
        output.contains("\n  00000010  07 07 07 07 07 07 07 07  07 07 07 07 07 07 07 07  ................\n")
    );
    // Times are those of the day and since the start.
    let (time, since) = output.lines().find(|line| line.contains("< ping")).unwrap().split_once(' ').unwrap();
    assert!(time.len() == "15:49:27.042Z".len() && since.starts_with("+0."), "{output}");
    server.join();
}

#[test]
fn headers_never_look_like_messages() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade_with(&["X-Evil: < a message"]);
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let output = printed(&["-v", "--handshake", "--eof-wait", "60", &server.url()], b"");
    let mut heads = output.lines().filter(|line| line.contains("X-Evil"));
    assert_eq!(heads.next(), Some("* < X-Evil: < a message"));
    assert_eq!(heads.next(), None);
}

#[test]
fn b222_verbose_twice_shows_sizes_and_the_log() {
    let server = server(|peer| peer.send_text("whole"));
    let output = wsdump(&["-vv", "--eof-wait", "60", &server.url()], b"");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("< text fin=1 rsv1=0 5 bytes, 7 on the wire: whole\n"), "{shown}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("websocket::connect"), "{output:?}");
}

#[test]
fn pings_are_sent_as_often_as_asked_and_their_round_trips_are_shown() {
    let server = server(|peer| {
        let ping = peer.read_frame();
        assert_eq!(ping.opcode, frame::PING);
        peer.send_pong(&ping.payload);
    });
    let output = printed(&["-v", "--ping-interval", "0.05", "--eof-wait", "60", &server.url()], b"");
    assert!(output.contains("< pong fin=1 ") && output.contains("* round trip: "), "{output}");
    server.join();
}

#[test]
fn b222_timings_come_before_messages() {
    let server = EchoServer::start().unwrap();
    let output = printed(&["--timings", &server.url()], b"hello\n");
    let (seconds, rest) = output.split_once(' ').unwrap();
    assert!(seconds.parse::<f64>().is_ok() && rest == "< hello\n", "{output}");
}

#[test]
fn b222_the_connection_outlives_the_input_by_eof_wait() {
    let server = server(|peer| {
        assert_eq!(peer.read_frame().text(), "only line");
        // Had the end of the input closed the connection, a close frame would come before this pong.
        peer.send_ping(b"");
        assert_eq!(peer.read_frame().opcode, frame::PONG);
        peer.send_text("late answer");
    });
    assert_eq!(printed(&["--eof-wait", "60", &server.url()], b"only line"), "< late answer\n");
    server.join();
}

#[test]
fn a_line_that_is_not_utf_8_is_named_and_the_others_are_sent() {
    let server = EchoServer::start().unwrap();
    let output = wsdump(&[&server.url()], b"one\n\xff\nthree\n");
    assert_eq!(output.stdout, b"< one\n< three\n");
    assert_eq!(output.stderr, b"wsdump: line 2 was not sent: it is not UTF-8\n");
}

#[test]
fn more_input_than_fits_into_the_queue_arrives_complete() {
    let server = EchoServer::start().unwrap();
    let line = [b'x'; 1 << 16];
    let input = [&line[..], b"\n"].concat().repeat(160);
    let output = wsdump(&["--raw", &server.url()], &input);
    assert!(output.stdout == input, "{} of {} bytes", output.stdout.len(), input.len());
}

#[test]
fn a_refused_connection_and_a_lost_one_are_failures() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, error) = failed(&[&format!("ws://{closed}/")]);
    assert_eq!(code, Some(1));
    assert!(error.starts_with(&format!("wsdump: connecting to {closed} failed: ")), "{error}");

    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
    })
    .unwrap();
    let (code, error) = failed(&["--eof-wait", "60", &server.url()]);
    assert_eq!((code, error.starts_with("wsdump: ")), (Some(1), true), "{error}");
}

#[test]
fn a_breach_of_the_protocol_is_named() {
    let server = server(|peer| peer.write(b"\x83\x00"));
    let (code, error) = failed(&["--eof-wait", "60", &server.url()]);
    assert_eq!(code, Some(1));
    assert!(error.contains("unknown opcode 3"), "{error}");
}

#[test]
fn a_refused_upgrade_is_a_failure_and_verbose_shows_why() {
    let server = ScriptedServer::start(|mut peer| {
        peer.read_request();
        peer.write(b"HTTP/1.1 403 Forbidden\r\nX-Why: members\r\nContent-Length: 12\r\n\r\nmembers only");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let output = wsdump(&["-v", &server.url()], b"");
    assert_eq!(output.status.code(), Some(3));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("* < X-Why: members\n") && shown.contains("* members only\n"), "{shown}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the server answered 403 Forbidden"));
}

#[test]
fn a_url_or_header_that_cannot_work_is_refused_before_any_connection() {
    for (arguments, expected) in [
        (&["http://127.0.0.1/"][..], "scheme must be ws or wss"),
        (&["ws://127.0.0.1/", "-H", "no colon"], "Name: value"),
    ] {
        let (code, error) = failed(arguments);
        assert!(code == Some(2) && error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn a_wrong_command_line_is_refused_with_a_hint() {
    for arguments in [
        &[][..],
        &["--what", "ws://127.0.0.1/"],
        &["ws://127.0.0.1/", "ws://127.0.0.1/"],
        &["--eof-wait", "-1", "ws://127.0.0.1/"],
        &["--ping-interval", "often", "ws://127.0.0.1/"],
        &["-t"],
        &["-p", "ftp://127.0.0.1", "ws://127.0.0.1/"],
        &["--reconnect", "-1", "ws://127.0.0.1/"],
        &["--key", "key.pem", "wss://127.0.0.1/"],
        &["--expect", "(", "ws://127.0.0.1/"],
        &["--expect-json", "id=7", "ws://127.0.0.1/"],
        &["--count", "0", "ws://127.0.0.1/"],
        &["--jsonrpc", "add", "{", "--", "ws://127.0.0.1/"],
        &["--send", "@no-such-file", "ws://127.0.0.1/"],
        &["--ping-timeout", "1", "ws://127.0.0.1/"],
        &["--help", "cooking"],
    ] {
        let (code, error) = failed(arguments);
        assert!(code == Some(2) && error.contains("--help"), "{arguments:?}: {error}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    assert!(printed(&["--help"], b"").contains("Usage: wsdump"));
    assert_eq!(printed(&["-V"], b""), format!("wsdump {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
#[cfg(unix)]
fn a_reader_that_has_seen_enough_ends_it_in_peace() {
    let server = EchoServer::start().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsdump"))
        .arg(server.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // What is printed before the pipe breaks goes unnoticed, so there is always more.
    let mut input = child.stdin.take().unwrap();
    while input.write_all(b"hello\n").is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_pipe_is_read_without_a_thread_and_lines_arrive_while_it_stays_open() {
    let server = EchoServer::start().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsdump"))
        .args(["--raw", &server.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in ["first", "second"] {
        writeln!(input, "{line}").unwrap();
        assert_eq!(output.next().unwrap().unwrap(), line);
    }
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let names: Vec<_> =
        tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap()).collect();
    assert!(names.iter().all(|name| name.trim() != "input"), "{names:?}");
    drop(input);
    assert_eq!(output.next().transpose().unwrap(), None);
    assert!(child.wait().unwrap().success());
}

#[test]
#[cfg(unix)]
fn a_file_which_loops_may_refuse_to_watch_is_sent_as_well() {
    let server = EchoServer::start().unwrap();
    let path = std::env::temp_dir().join(format!("wsdump-input-{}", std::process::id()));
    let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(b"one\ntwo\nthree").unwrap();
    file.rewind().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wsdump"))
        .args(["--raw", &server.url()])
        .stdin(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"one\ntwo\nthree\n", "{output:?}");
}
