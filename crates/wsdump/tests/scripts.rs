//! wsdump in scripts: what it sends, what it waits for, and its exit status.

#[path = "support/scratch.rs"]
mod scratch;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::fs;
use std::sync::mpsc;

use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};

use scratch::Scratch;
use scripted::server;
use support::{failed, printed, wsdump};

/// Sends these messages, and waits for the client's close.
fn feed(messages: &'static [&'static str]) -> ScriptedServer {
    server(|peer| messages.iter().for_each(|message| peer.send_text(message)))
}

#[test]
fn the_answer_to_a_line_is_printed_and_ends_the_run() {
    let server = server(|peer| {
        assert_eq!(peer.read_frame().text(), "question");
        // The end of the input has been there for long.
        peer.send_ping(b"");
        assert_eq!(peer.read_frame().opcode, frame::PONG);
        peer.send_text("answer");
    });
    assert_eq!(printed(&[&server.url()], b"question\n"), "< answer\n");
    server.join();
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_no_longer_than_it_is_silent() {
    let server = server(|peer| assert_eq!(peer.read_frame().text(), "question"));
    assert_eq!(printed(&[&server.url()], b"question\n"), "");
    server.join();
}

#[test]
fn messages_and_files_are_sent_instead_of_the_input_with_an_interval_between_them() {
    let scratch = Scratch::new("send");
    let path = scratch.0.join("message");
    fs::write(&path, "from a file\n").unwrap();
    let server = EchoServer::start().unwrap();
    let file = format!("@{}", path.display());
    let arguments = ["--send", "one", "--send", &file, "--interval", "0.2", "--timings", &server.url()];
    let output = printed(&arguments, b"not read\n");
    let lines: Vec<(&str, &str)> = output.lines().filter_map(|line| line.split_once(" < ")).collect();
    let [(first, "one"), (second, "from a file")] = lines[..] else { panic!("{output}") };
    let [first, second] = [first, second].map(|seconds| seconds.parse::<f64>().unwrap());
    assert!(second - first > 0.1, "{output}");
}

#[test]
fn messages_are_binary_where_that_is_asked_for() {
    let server = server(|peer| {
        let frame = peer.read_frame();
        assert_eq!((frame.opcode, &*frame.payload), (frame::BINARY, &b"\xff\xfe"[..]));
        peer.send_text("ok");
    });
    assert_eq!(printed(&["--binary", &server.url()], b"\xff\xfe\n"), "< ok\n");
    server.join();
}

#[test]
fn a_number_of_messages_ends_the_run_and_too_few_are_a_loss() {
    let many = feed(&["1", "2", "3"]);
    assert_eq!(printed(&["--count", "2", &many.url()], b""), "< 1\n< 2\n< 3\n".split_at(8).0);
    let few = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_text("1");
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let output = wsdump(&["--count", "2", &few.url()], b"");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("1 of 2 messages"), "{output:?}");
}

#[test]
fn an_expectation_ends_the_run_when_it_is_met_and_fails_it_when_it_is_not() {
    let met = feed(&["tick", r#"{"id":7,"ok":true}"#]);
    for expectation in
        [&["--expect", "^\\{.*ok"][..], &["--expect-json", "/id=7", "--expect-json", "/ok=true"]]
    {
        let url = met.url();
        printed(&[expectation, &[&url]].concat(), b"");
    }
    for ending in [&["--count", "2"][..], &["--until-silent", "0.05"]] {
        let url = met.url();
        let output = wsdump(&[ending, &["--expect", "never", &url]].concat(), b"");
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("none of 2 messages"), "{output:?}");
    }
}

#[test]
fn a_timeout_ends_the_run_also_before_the_connection_is_open() {
    let silent = server(|_| {});
    let mute = ScriptedServer::start(|mut peer| {
        peer.read_request();
        peer.read_to_end();
    })
    .unwrap();
    for url in [silent.url(), mute.url()] {
        let (code, error) = failed(&["--timeout", "0.05", &url]);
        assert!(code == Some(4) && error.contains("--timeout"), "{error}");
    }
    let (code, error) = failed(&["--connect-timeout", "0.05", &mute.url()]);
    assert!(code == Some(4) && error.contains("--connect-timeout"), "{error}");
}

#[test]
fn the_close_of_the_server_is_waited_for() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_text("last words");
        peer.send_close(4001, "enough");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let url = server.url();
    assert_eq!(printed(&["--until-close", &url], b""), "< last words\n");
    // A code that does not say that all is well is a failure to everyone else.
    let output = wsdump(&["--count", "2", &url], b"");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stderr, b"wsdump: the server closed with 4001: enough\n");
}

#[test]
fn silence_ends_the_run() {
    let server = feed(&["1", "2"]);
    assert_eq!(printed(&["--until-silent", "0.1", &server.url()], b""), "< 1\n< 2\n");
}

#[test]
fn a_method_is_called_and_its_result_is_printed() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        let request = peer.read_frame().text().to_owned();
        assert!(request.contains(r#""method":"add""#), "{request}");
        peer.send_text(r#"{"jsonrpc":"2.0","method":"a notification"}"#);
        let answer = match request.contains("[1,2]") {
            true => r#"{"jsonrpc":"2.0","id":1,"result":{"sum":3}}"#,
            false => r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#,
        };
        peer.send_text(answer);
        peer.read_close();
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let url = server.url();
    assert_eq!(printed(&[&url, "--jsonrpc", "add", "[1, 2]"], b""), "{\n  \"sum\": 3\n}\n");
    let (code, error) = failed(&[&url, "--jsonrpc", "add"]);
    assert!(code == Some(6) && error.contains("-32602"), "{error}");
}

#[test]
fn every_frame_and_event_is_a_line_of_json_which_is_input_again() {
    let (sender, received) = mpsc::channel();
    let server = server(move |peer| {
        for _ in 0..2 {
            let frame = peer.read_frame();
            sender.send((frame.opcode, frame.payload.clone())).unwrap();
        }
        peer.send_text("grüße");
        peer.send_binary(b"\0\xff");
    });
    let arguments = ["--output", "json", "--count", "2", &server.url()];
    let output = printed(
        &[&arguments[..], &["--input", "json"]].concat(),
        br#"
{"op":"text","text":"first"}
{"op":"binary","base64":"AP8="}
"#
        .trim_ascii(),
    );
    let lines: Vec<serde_json::Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events, ["request", "response", "open", "closed"]);
    let frames: Vec<_> = lines.iter().filter(|line| line["op"].is_string()).collect();
    let shown: Vec<_> = frames
        .iter()
        .map(|line| [&line["dir"], &line["op"]].map(|value| value.as_str().unwrap()).join(" "))
        .collect();
    let expected = ["out text", "out binary", "in text", "in binary", "out close", "in close"];
    assert_eq!(shown, expected);
    assert_eq!((frames[2]["text"].as_str(), frames[2]["len"].as_u64()), (Some("grüße"), Some(7)));
    assert_eq!((frames[3]["base64"].as_str(), frames[3]["wire"].as_u64()), (Some("AP8="), Some(4)));
    assert_eq!(frames[4]["code"], 1000);
    assert!(lines.windows(2).all(|pair| pair[0]["t"].as_f64() <= pair[1]["t"].as_f64()), "{output}");
    for expected in [(frame::TEXT, b"first".to_vec()), (frame::BINARY, b"\0\xff".to_vec())] {
        assert_eq!(received.recv().unwrap(), expected);
    }

    // What was printed is sent again: the same two messages.
    let again = printed(&[&arguments[..], &["--input", "json"]].concat(), output.as_bytes());
    assert!(again.contains("grüße"));
    for expected in [(frame::TEXT, b"first".to_vec()), (frame::BINARY, b"\0\xff".to_vec())] {
        assert_eq!(received.recv().unwrap(), expected);
    }
}

#[test]
fn a_line_that_is_no_record_is_named_and_the_others_are_sent() {
    let server = EchoServer::start().unwrap();
    let input = b"{\"op\":\"text\",\"text\":\"one\"}\nnonsense\n{\"op\":\"text\",\"text\":\"three\"}\n";
    let output = wsdump(&["--input", "json", &server.url()], input);
    assert_eq!(output.stdout, b"< one\n< three\n", "{output:?}");
    assert!(output.stderr.starts_with(b"wsdump: line 2 was not sent: it is not a record: "), "{output:?}");
}

#[test]
fn round_trips_are_shown_in_the_manner_of_ping() {
    let server = server(|peer| {
        for _ in 0..3 {
            let ping = peer.read_frame();
            assert_eq!(ping.opcode, frame::PING);
            peer.send_pong(&ping.payload);
        }
    });
    let arguments = ["--rtt", "--ping-interval", "0.02", "--count", "3", &server.url()];
    let output = printed(&arguments, b"");
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].starts_with("* pong 1: time=") && lines[2].starts_with("* pong 3: time="), "{output}");
    assert_eq!(lines[3], "* 3 pings sent, 3 pongs received, 0 % lost");
    assert!(lines[4].starts_with("* round trip min/avg/p50/p99/max = "), "{output}");
}

#[test]
fn completions_manual_and_topics_come_from_one_definition() {
    for (arguments, expected) in [
        (&["--completions", "bash"][..], "--expect-json"),
        (&["--completions", "zsh"], "--expect-json"),
        (&["--completions", "fish"], "expect-json"),
        (&["--completions", "powershell"], "--expect-json"),
        (&["--man"], ".TH wsdump 1"),
        (&["--help"], "Exit status:"),
        (&["-h", "ending"], "--expect-json"),
    ] {
        let shown = printed(arguments, b"");
        assert!(shown.contains(expected), "{arguments:?}: {shown}");
    }
    let ending = printed(&["--help", "tls"], b"");
    assert!(
        ending.contains("--nocert") && !ending.contains("--expect") && !ending.contains("Exit"),
        "{ending}"
    );
}
