//! Every example but the server ends by itself and says what it did, and the README has its sentence.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use websocket_app::{CallbackResult, Outcome, RunOptions, WebSocketApp};
use websocket_testkit::server::EchoServer;

const README: &str = include_str!("../../README.md");

fn command(name: &str) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    let directory: PathBuf = test.ancestors().nth(2).expect("PROFILE/deps/TEST").join("examples");
    let program = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{}: not there; `cargo test -p websocket-examples` builds the examples too",
        program.display()
    );
    Command::new(program)
}

fn example(name: &str, arguments: &[&str]) -> Output {
    command(name).args(arguments).output().expect("the example runs")
}

/// Runs an example that should succeed, and returns what it printed.
fn output(name: &str, arguments: &[&str]) -> String {
    let output = example(name, arguments);
    assert!(output.status.success(), "{name}: {output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("failed"), "{name}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The first sentence of the comment at the head of an example.
fn sentence(source: &str) -> &str {
    source.strip_prefix("//! ").and_then(|comment| comment.lines().next()).expect("a comment at the head")
}

#[test]
fn the_readme_has_the_sentence_of_every_example() {
    for source in [
        include_str!("../async_stream.rs"),
        include_str!("../ctrl_c.rs"),
        include_str!("../echo.rs"),
        include_str!("../echo_server.rs"),
        include_str!("../embed.rs"),
        include_str!("../feed.rs"),
        include_str!("../login.rs"),
        include_str!("../multiplex.rs"),
        include_str!("../native_tls.rs"),
        include_str!("../proxy.rs"),
        include_str!("../reconnect.rs"),
        include_str!("../recorder.rs"),
        include_str!("../rel_port.rs"),
        include_str!("../rpc.rs"),
        include_str!("../sources.rs"),
        include_str!("../stream.rs"),
        include_str!("../threads.rs"),
        include_str!("../tls.rs"),
        include_str!("../tungstenite_original.rs"),
        include_str!("../tungstenite_port.rs"),
        include_str!("../unix_socket.rs"),
        include_str!("../winit/src/main.rs"),
    ] {
        assert!(README.contains(sentence(source)), "{:?}", sentence(source));
    }
}

#[test]
fn the_first_commands_of_the_readme_run_multiplex_and_all_tests() {
    let fences = README.split("```").skip(1).step_by(2);
    let blocks = fences.map(|fence| fence.split_once('\n').unwrap().1);
    let mut commands = blocks.filter(|block| block.starts_with("cargo") || block.starts_with("./"));
    let expected = "cargo run --release --example multiplex -- --apps 1000\ncargo test\n";
    assert_eq!(commands.next(), Some(expected));
}

#[test]
fn echo_prints_the_answer() {
    let output = output("echo", &[]);
    assert!(
        output.contains(r#"received Text("Hello, WebSocket!")"#) && output.contains("cleanly: true"),
        "{output}"
    );
}

#[test]
fn async_streams_receive_everything_in_order_and_close() {
    let output = output("async_stream", &[]);
    for name in ["left", "right"] {
        let lines: Vec<_> =
            output.lines().filter(|line| line.starts_with(&format!("{name} received"))).collect();
        let expected =
            [1, 2, 3].map(|n| format!(r#"{name} received Text(Utf8Bytes(b"message {n} of {name}"))"#));
        assert_eq!(lines, expected, "{output}");
    }
    assert!(output.contains("left was closed by the Some(Client)"), "{output}");
}

/// Types lines into a program that talks to an echo server, and returns what it printed.
fn typed_into(name: &str) -> String {
    let server = EchoServer::start().unwrap();
    let mut child =
        command(name).arg(server.url()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\nthree\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_port_of_the_usual_tungstenite_program_does_the_same_in_fewer_lines() {
    let code = |source: &str| {
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        source.lines().filter(is_code).count()
    };
    let port = code(include_str!("../tungstenite_port.rs"));
    let original = code(include_str!("../tungstenite_original.rs"));
    assert!(port <= original, "the port has {port} lines, the original {original}");
    for program in ["tungstenite_port", "tungstenite_original"] {
        assert_eq!(typed_into(program), "one\ntwo\nthree\n", "{program}");
    }
}

#[test]
fn echo_server_prints_its_url_and_sends_back_what_it_gets() {
    let mut child = command("echo_server").arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let (answers, answer) = mpsc::channel();
    let outcome = WebSocketApp::new(url.trim())
        .on_open(|app, _| app.send_text("hello"))
        .on_message(move |app, message| -> CallbackResult {
            answers.send(format!("{message:?}"))?;
            app.close();
            Ok(())
        })
        .run_forever(&RunOptions::new())
        .and_then(Outcome::into_result);
    child.kill().unwrap();
    child.wait().unwrap();
    outcome.unwrap();
    assert_eq!(answer.recv().unwrap(), r#"Text("hello")"#);
}

#[test]
fn echo_server_says_why_it_cannot_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, code, reason) in [
        (&["here"][..], 2, "usage: echo_server"),
        (&["127.0.0.1:0", "more"], 2, "default 127.0.0.1:9001"),
        (&[address.as_str()], 1, &format!("error: listening on {address} failed: ")),
    ] {
        let output = example("echo_server", arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn embed_forwards_every_datagram() {
    let output = output("embed", &[]);
    assert_eq!(output.matches("came by datagram").count(), 5, "{output}");
    assert_eq!(output.matches("came back by WebSocket: measurement").count(), 5, "{output}");
}

#[test]
fn feed_prints_prices_and_round_trips_and_leaves_in_peace() {
    let output = output("feed", &[]);
    for name in ["ACME ", "INIT ", "ZORG "] {
        assert_eq!(output.lines().filter(|line| line.starts_with(name)).count(), 4, "{name}: {output}");
    }
    for expected in ["the server is alive", "closed by the Client; the last word was \"goodbye\""] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
}

#[test]
fn threads_lose_nothing_and_keep_their_order() {
    let output = output("threads", &[]);
    assert_eq!(output.matches("10000 messages came back, in order").count(), 4, "{output}");
    assert!(output.contains("Clean"), "{output}");
}

#[test]
fn reconnect_survives_everything_and_loses_nothing() {
    let output = output("reconnect", &[]);
    for tick in 1..=12 {
        assert_eq!(output.matches(&format!("  tick {tick}\n")).count(), 1, "{tick}: {output}");
    }
    for expected in [
        "attempt 1: over; 16777216 bytes wait for the next connection",
        "the server answered 503",
        "attempt 4: open, connection 2",
        "resumed at tick 4",
        "a report of 16777216 bytes has arrived",
        "attempt 5: over with 1012 \"restarting\"; the next attempt begins in",
        "attempt 6: over with 1000",
        "6 attempts, 4 connections",
    ] {
        assert_eq!(
            output.matches(expected).count(),
            if expected.contains("503") { 2 } else { 1 },
            "{output}"
        );
    }
}

#[test]
fn rpc_gets_each_response_to_its_call_and_gives_up_at_a_deadline() {
    let output = output("rpc", &[]);
    for number in 1..=4 {
        assert_eq!(output.matches(&format!("{number} + 1 = {}\n", number + 1)).count(), 1, "{output}");
    }
    for expected in ["divide: Err(\"there is no such method\")", "sleep: Err(Timeout)"] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
}

#[test]
fn tls_is_refused_for_strangers_and_works_with_the_right_root() {
    let output = output("tls", &[]);
    assert!(output.contains("its issuer is unknown; if you trust it, add its root certificate"), "{output}");
    assert_eq!(output.matches("Hello, privately!").count(), 2, "{output}");
    assert_eq!(output.matches("cleanly: true").count(), 2, "{output}");
}

#[test]
#[cfg(feature = "native-tls")]
fn native_tls_is_refused_for_strangers_and_carries_what_it_should() {
    let output = output("native_tls", &[]);
    assert!(output.contains("refused: connecting failed: "), "{output}");
    assert!(output.contains("100000 bytes came back") && output.ends_with("cleanly: true\n"), "{output}");
}

#[test]
#[cfg(unix)]
fn unix_socket_prints_the_answer() {
    let output = output("unix_socket", &[]);
    assert!(output.contains("Hello, neighbour!") && output.contains("cleanly: true"), "{output}");
}

#[test]
fn proxy_names_who_refused_and_makes_tunnels_for_who_may() {
    let output = output("proxy", &[]);
    assert_eq!(output.matches("Hello through the tunnel!").count(), 3, "{output}");
    assert_eq!(output.matches("tunnels that the proxy has made: 2").count(), 2, "{output}");
    assert!(output.contains("it wants credentials (407); it offers Basic"), "{output}");
    assert!(!output.contains("open sesame"), "{output}");
}

#[test]
fn login_is_asked_once_and_tells_strangers_nothing() {
    let output = output("login", &[]);
    assert_eq!(output.matches("asked: ").count(), 1, "{output}");
    for expected in ["welcome: here is a cookie", "the cookie was enough", "the stranger has got 0 secrets"] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
}

#[test]
fn stream_counts_the_bytes_of_the_handshake_the_frames_and_the_close() {
    let output = output("stream", &[]);
    let expected = "received a message of 1000 bytes\n1202 bytes sent, 1137 bytes received\n";
    assert_eq!(output, expected);
}

#[test]
fn ctrl_c_ends_by_itself_when_nobody_presses_it() {
    let output = output("ctrl_c", &[]);
    assert_eq!(output.matches("closed with 1000, cleanly: true").count(), 3, "{output}");
    assert!(!output.contains("Ctrl-C") && output.ends_with("all connections are closed\n"), "{output}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_closes_what_would_go_on_for_ever() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let mut child = command("ctrl_c").arg("--forever").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    // Later than any of them would stay of its own accord.
    assert!(lines.any(|line| line == "app 0.1: 6 messages"));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let rest: Vec<_> = lines.collect();
    assert_eq!(
        rest.iter().filter(|line| line.ends_with("closed with 1001, cleanly: true")).count(),
        3,
        "{rest:?}"
    );
    assert_eq!(rest.last().unwrap(), "all connections are closed");
    assert!(child.wait().unwrap().success());
}

#[test]
#[cfg(unix)]
fn rel_port_sends_every_datagram_until_it_is_interrupted() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let mut child = command("rel_port").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let datagram = format!("first: Binary({:?})", b"tick");
    let seen: Vec<_> = lines.by_ref().take_while(|line| *line != datagram).collect();
    assert!(seen.iter().any(|line| line == "first: Text(\"first\")"), "{seen:?}");
    assert!(lines.any(|line| line == datagram));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let rest: Vec<_> = lines.collect();
    for expected in ["first: closed, cleanly: true", "second: closed, cleanly: true"] {
        assert!(rest.iter().any(|line| line == expected), "{expected}: {rest:?}");
    }
    assert!(child.wait().unwrap().success());
}

#[test]
#[cfg(unix)]
fn sources_sends_what_is_typed_and_datagrams_and_tells_numbers() {
    let mut child =
        command("sources").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the example runs");
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut address = |what: &str| lines.next().unwrap().strip_prefix(what).unwrap().to_owned();
    let (datagrams, numbers) = (address("datagrams to "), address("numbers at "));
    // Each of both apps prints it, in any order.
    let mut both = |text: &str| {
        let mut seen: Vec<_> = lines.by_ref().take(2).collect();
        seen.sort();
        assert_eq!(seen, [format!("first: Text({text:?})"), format!("second: Text({text:?})")]);
    };
    // In two pieces, and two lines in one.
    stdin.write_all(b"hel").unwrap();
    stdin.write_all(b"lo\n").unwrap();
    both("hello");
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"tick", &datagrams).unwrap();
    both("tick");
    let mut answer = String::new();
    TcpStream::connect(numbers).unwrap().read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches(": 2 sent, 2 received\n").count(), 2, "{answer}");
    drop(stdin);
    let mut rest: Vec<_> = lines.collect();
    rest.sort();
    assert_eq!(rest, ["first: closed, cleanly: true", "second: closed, cleanly: true"]);
    assert!(child.wait().unwrap().success());
}

#[test]
#[cfg(unix)]
fn sources_says_that_a_regular_file_cannot_be_watched() {
    let file = fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let output = command("sources").stdin(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("stdin cannot be watched, as a regular file cannot: "), "{error}");
}

/// A file of the recorder that does not exist yet.
struct Recording(PathBuf);

impl Recording {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}.txt", std::process::id()));
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The feed and the number of each message.
    fn messages(&self) -> Vec<(usize, u32)> {
        let text = fs::read_to_string(&self.0).unwrap();
        assert!(text.ends_with('\n'));
        let message = |line: &str| {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap();
            let (feed, number, price) = (word().parse().unwrap(), word().parse().unwrap(), word());
            assert!(price.parse::<f64>().is_ok() && words.next().is_none(), "{line}");
            (feed, number)
        };
        text.lines().map(message).collect()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The last line of the recorder, which says that everything was written, and how often feeds have paused.
fn pauses<'a>(lines: impl Iterator<Item = &'a str>, messages: usize) -> u64 {
    let summary = lines.last().unwrap();
    let pauses = summary
        .strip_prefix(&format!("{messages} messages delivered, {messages} written, "))
        .unwrap_or_else(|| panic!("{messages} messages are in the file, and the recorder says: {summary}"));
    pauses.strip_suffix(" pauses").unwrap().parse().unwrap()
}

#[test]
fn recorder_ends_by_itself_appends_and_counts_what_is_in_the_file() {
    let file = Recording::new("recorder");
    let mut before = 0;
    for _ in 0..2 {
        let output = output("recorder", &[file.path(), "--seconds", "1", "--feeds", "2"]);
        let messages = file.messages();
        // A writer that is never behind for long: how far it may be depends on the machine.
        pauses(output.lines(), messages.len() - before);
        before = messages.len();
    }
}

#[test]
#[cfg(unix)]
fn recorder_reconnects_a_silent_feed_pauses_for_a_slow_writer_and_loses_nothing() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let file = Recording::new("recorder-slow");
    let mut child = command("recorder")
        .args([file.path(), "--seconds", "600", "--feeds", "3", "--write-delay", "3"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    // Then feed 0 has received something on its second connection.
    for expected in ["feed 0: connected again", " 3 paused, "] {
        loop {
            seen.push(lines.next().unwrap());
            if seen[seen.len() - 1].contains(expected) {
                break;
            }
        }
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    seen.extend(lines);
    assert!(child.wait().unwrap().success());

    let messages = file.messages();
    assert_ne!(pauses(seen.iter().map(String::as_str), messages.len()), 0);
    let connections = 1 + seen.iter().filter(|line| *line == "feed 0: connected again").count();
    assert_eq!(messages.iter().filter(|message| **message == (0, 0)).count(), connections);
    let mut next = [0; 3];
    for (feed, number) in messages {
        assert!(
            number == next[feed] || number == 0,
            "feed {feed}: {number} came when {} was due",
            next[feed]
        );
        next[feed] = number + 1;
    }
}

#[test]
fn recorder_refuses_bad_arguments_with_its_usage() {
    for arguments in [
        &["--feeds", "0"][..],
        &["--feeds", "101"],
        &["--feeds"],
        &["--seconds", "soon"],
        &["--write-delay", "-1"],
        &["--what"],
        &["one", "two"],
    ] {
        let output = example("recorder", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("error: ") && error.contains("usage: recorder"), "{error}");
    }
}

#[test]
fn recorder_says_which_file_it_cannot_write() {
    let mut files = vec![std::env::temp_dir()];
    if cfg!(target_os = "linux") {
        // It can be opened.
        files.push("/dev/full".into());
    }
    for file in files {
        let file = file.to_str().unwrap();
        let output = example("recorder", &[file, "--seconds", "600", "--feeds", "1"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&format!("error: recording to {file} failed: ")), "{error}");
    }
}

#[test]
fn multiplex_ends_with_its_table() {
    let output = output("multiplex", &["--apps", "50", "--messages", "20"]);
    for expected in
        ["apps                     50", "messages              1 000", "latency p99", "throughput", "time"]
    {
        assert!(output.contains(expected), "{expected}: {output}");
    }
}

#[test]
fn multiplex_refuses_bad_arguments_with_its_usage() {
    for arguments in [
        &["--apps", "0"][..],
        &["--apps", "many"],
        &["--apps"],
        &["--seconds", "-1"],
        &["--seconds", "1", "--messages", "1"],
        &["--what"],
        &["word"],
    ] {
        let output = example("multiplex", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("error: ") && error.contains("usage: multiplex"), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn multiplex_names_a_descriptor_limit_that_is_too_low() {
    use nix::sys::resource::{Resource, getrlimit};

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard >= 1_000_000 {
        return;
    }
    let output = example("multiplex", &["--apps", "1000000"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&format!("may hold {hard} at most")), "{error}");
}
