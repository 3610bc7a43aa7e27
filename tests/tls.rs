//! `wss` over real sockets: messages of every size, what is trusted and shown, sessions that are resumed, and streams of the user's own.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use websocket_app::dispatcher::Io;
use websocket_app::tls::rustls::{ClientConfig, ProtocolVersion};
use websocket_app::tls::{TlsOptions, TlsVersion};
use websocket_app::{CookieJar, Kind, Message, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_tests::{
    Authority, Log, Scratch, SecurePeer, Trust, reactor, run, run_forever, secure_echo, secure_server,
    serve_identity,
};

const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

fn url(server: &ScriptedServer) -> String {
    format!("wss://{}/", server.addr())
}

/// Runs an app that says hello, gets it back and closes.
#[track_caller]
fn is_echoed(app: impl FnOnce(&Log) -> WebSocketApp, options: &RunOptions) {
    let log = Log::new();
    let answered = log.clone();
    let mut app = app(&log).on_open(|app, _| app.send_text("hello")).on_message(move |app, message| {
        answered.message(message);
        app.close();
    });
    run_forever(&mut app, options).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["text hello", "close 1000, by client, clean"]);
}

#[track_caller]
fn url_is_echoed(url: &str, options: &RunOptions) {
    is_echoed(|log| log.app(url), options);
}

#[test]
fn messages_of_every_size_come_back_over_both_versions() {
    let trust = Trust::new();
    let server = secure_echo(&trust.server());
    // Around the limits of frame headers, records and the reactor's buffer, and far beyond them.
    let sizes = [0, 1, 125, 126, 16_383, 16_384, 65_535, 65_536, 131_072, 5_000_000];
    for version in VERSIONS {
        let left = Rc::new(RefCell::new(sizes.to_vec()));
        let (first, rest) = (left.clone(), left.clone());
        let payload = |size: usize| (0..size).map(|index| (index % 251) as u8).collect::<Vec<_>>();
        let mut app = WebSocketApp::new(url(&server))
            .on_open(move |app, _| app.send_bytes(payload(first.borrow()[0])))
            .on_message(move |app, message| {
                let size = rest.borrow_mut().remove(0);
                assert!(message.as_bytes() == payload(size), "{size} bytes are other ones");
                match rest.borrow().first() {
                    Some(size) => app.send_bytes(payload(*size)).unwrap(),
                    None => app.close(),
                }
            });
        let outcome = run_forever(&mut app, &trust.options_for(version)).unwrap();
        assert!(!outcome.is_error(), "{version:?}: {outcome:?}");
        assert_eq!(left.borrow()[..], []);
    }
}

#[test]
fn many_messages_at_once_and_in_fragments_keep_their_order() {
    let trust = Trust::new();
    let server = secure_echo(&trust.server());
    for version in VERSIONS {
        let next = Rc::new(Cell::new(0_usize));
        let count = next.clone();
        let text = |index: usize| format!("{index}:{}", "é".repeat(index * 37 % 5000));
        let mut app = WebSocketApp::new(url(&server))
            .on_open(move |app, _| {
                for index in 0..500 {
                    let text = text(index);
                    if index % 3 > 0 {
                        app.send_text(&text)?;
                        continue;
                    }
                    // Cut in the middle of a letter, too.
                    let (head, tail) = text.as_bytes().split_at(text.len() / 2);
                    app.send_fragment(Some(Kind::Text), head, false)?;
                    app.ping(b"between")?;
                    app.send_fragment(None, tail, true)?;
                }
                Ok::<_, websocket_app::SendError>(())
            })
            .on_message(move |app, message| {
                let index = count.get();
                assert!(matches!(message, Message::Text(it) if it == text(index)), "message {index}");
                count.set(index + 1);
                if index == 499 {
                    app.close();
                }
            });
        let outcome = run_forever(&mut app, &trust.options_for(version)).unwrap();
        assert!(!outcome.is_error(), "{version:?}: {outcome:?}");
        assert_eq!(next.get(), 500);
    }
}

#[test]
fn floods_in_both_directions_at_once_do_not_get_stuck() {
    const MESSAGE: usize = 256 << 10;
    const MESSAGES: usize = 16;
    let trust = Trust::new();
    // The server says all it has to say before it listens: the client must read while it cannot write.
    let server = secure_server(&trust.server(), |peer, _| {
        peer.accept_upgrade();
        for _ in 0..MESSAGES {
            peer.write(&frame::binary(&[1; MESSAGE]));
        }
        for _ in 0..MESSAGES {
            assert!(peer.read_frame().payload == [2; MESSAGE]);
        }
        assert!(peer.close(1000, ""));
    });
    let log = Log::new();
    let mut app =
        log.app(url(&server)).on_open(|app, _| (0..MESSAGES).try_for_each(|_| app.send_bytes([2; MESSAGE])));
    run_forever(&mut app, &trust.options()).unwrap().into_result().unwrap();
    assert_eq!(log.count(|line| line == format!("binary {MESSAGE} bytes")), MESSAGES);
    assert!(log.has("close 1000, by server, clean"));
    server.join();
}

#[test]
fn b209_five_frames_in_one_record_are_delivered_before_another_packet_comes() {
    let trust = Trust::new();
    let server = secure_server(&trust.server(), |peer, _| {
        peer.accept_upgrade();
        let frames: Vec<u8> = (1..=5).flat_map(|number| frame::text(&number.to_string())).collect();
        peer.write(&frames);
        // Nothing more comes before the client has answered the last of them.
        assert_eq!(peer.read_frame().text(), "all five");
        assert!(peer.close(1000, ""));
    });
    let log = Log::new();
    let heard = log.clone();
    let mut app = log.app(url(&server)).on_message(move |app, message| {
        heard.message(message);
        if message.as_bytes() == b"5" { app.send_text("all five") } else { Ok(()) }
    });
    run_forever(&mut app, &trust.options()).unwrap().into_result().unwrap();
    let expected = ["open", "text 1", "text 2", "text 3", "text 4", "text 5", "close 1000, by server, clean"];
    assert_eq!(log.lines(), expected);
    server.join();
}

#[test]
fn b220_on_open_tells_how_secure_the_connection_is() {
    let trust = Trust::new();
    let server = secure_echo(&trust.server());
    let told = |url: String, options: &RunOptions| {
        let seen = Rc::new(RefCell::new(None));
        let info = seen.clone();
        let mut app = WebSocketApp::new(url).cookie_jar(CookieJar::new()).on_open(move |app, open| {
            *info.borrow_mut() = Some(open.tls.cloned());
            app.close();
        });
        run_forever(&mut app, options).unwrap().into_result().unwrap();
        seen.take().unwrap()
    };
    let versions = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3];
    for (allowed, version) in VERSIONS.into_iter().zip(versions) {
        let options = trust.options_for(allowed);
        let first = told(url(&server), &options).unwrap();
        assert_eq!((first.version, first.alpn, first.resumed), (version, Some(b"http/1.1".to_vec()), false));
        assert_eq!(first.certificates.len(), 1, "{:?}", first.certificates);
        assert!(told(url(&server), &options).unwrap().resumed);
    }
    let plain = EchoServer::start().unwrap();
    assert_eq!(told(plain.url(), &RunOptions::new()), None);
}

#[test]
fn b204_the_server_is_asked_for_the_host_of_the_url_or_for_another_name() {
    let trust = Trust::new();
    let config = serve_identity(&trust.0.server_for(&["localhost", "other.example"]), None);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let names = asked.clone();
    let server = secure_server(&Arc::new(config), move |peer, _| {
        peer.accept_upgrade();
        names.lock().unwrap().push(peer.side.session().server_name().map(str::to_owned));
        peer.echo();
    });
    url_is_echoed(&format!("wss://localhost:{}/", server.addr().port()), &trust.options());
    let other = RunOptions::new().tls(trust.tls().server_name("other.example"));
    url_is_echoed(&url(&server), &other);
    server.join();
    let names = ["localhost", "other.example"].map(|name| Some(name.to_owned()));
    assert_eq!(*asked.lock().unwrap(), names);
}

#[test]
fn b204_for_an_address_no_name_is_asked_and_the_certificate_must_hold_it() {
    let trust = Trust::new();
    let server = secure_server(&trust.server(), |peer, _| {
        peer.accept_upgrade();
        assert_eq!(peer.side.session().server_name(), None);
        assert_eq!(peer.side.session().alpn_protocol(), Some(&b"http/1.1"[..]));
        peer.echo();
    });
    url_is_echoed(&url(&server), &trust.options());
    server.join();
}

#[test]
fn b200_roots_come_from_a_file_a_directory_and_the_environment() {
    let trust = Trust::new();
    let server = secure_echo(&trust.server());
    let scratch = Scratch::new();
    let file = scratch.file("roots.pem", trust.0.pem());
    let directory = scratch.path().to_owned();
    let alone = || TlsOptions::new().environment(|_| None);
    let variable = |wanted: &'static str| {
        let file = file.clone();
        TlsOptions::new().environment(move |name| (name == wanted).then(|| file.clone().into()))
    };
    let ways = [
        alone().roots_from_file(&file),
        alone().roots_from_directory(directory),
        alone().roots_from_bytes(trust.0.pem()),
        variable("WEBSOCKET_CLIENT_CA_BUNDLE"),
        variable("SSL_CERT_FILE"),
    ];
    for way in ways {
        url_is_echoed(&url(&server), &RunOptions::new().tls(way));
    }
}

#[test]
fn b198_without_verification_everybody_is_spoken_with() {
    let stranger = Authority::new();
    let unchecked = TlsOptions::new().environment(|_| None).danger_accept_invalid_certificates(true);
    for identity in [stranger.server(), stranger.expired_server(), stranger.server_for(&["other.example"])] {
        let server = secure_echo(&Arc::new(serve_identity(&identity, None)));
        url_is_echoed(&url(&server), &RunOptions::new().tls(unchecked.clone()));
    }
}

#[test]
fn b198_the_name_alone_can_be_left_unchecked() {
    let trust = Trust::new();
    let elsewhere = serve_identity(&trust.0.server_for(&["other.example"]), None);
    let server = secure_echo(&Arc::new(elsewhere));
    let options = RunOptions::new().tls(trust.tls().danger_accept_invalid_names(true));
    url_is_echoed(&url(&server), &options);
}

#[test]
fn b201_a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let (trust, clients) = (Trust::new(), Authority::new());
    let config = serve_identity(&trust.0.server(), Some(&clients));
    let server = secure_server(&Arc::new(config), |peer, _| {
        peer.accept_upgrade();
        assert_eq!(peer.side.session().peer_certificates().map(<[_]>::len), Some(1));
        peer.echo();
    });
    let (scratch, identity) = (Scratch::new(), clients.client());
    let certificate = scratch.file("client.pem", &identity.certificate);
    let key = scratch.file("client.key", &identity.key);
    let from_bytes = trust.tls().client_certificate_from_bytes(&identity.certificate, &identity.key);
    let from_files = trust.tls().client_certificate_from_files(certificate, key);
    for version in VERSIONS {
        for options in [&from_bytes, &from_files] {
            url_is_echoed(&url(&server), &RunOptions::new().tls(options.clone().versions([version])));
        }
    }
    server.join();
}

#[test]
fn b203_a_ready_made_configuration_is_used_as_it_is() {
    let trust = Trust::new();
    let server = secure_server(&trust.server(), |peer, _| {
        peer.accept_upgrade();
        assert_eq!(peer.side.session().alpn_protocol(), None);
        peer.echo();
    });
    let ours = trust.tls().alpn::<Vec<u8>>([]).build().unwrap();
    let ready_made: Arc<ClientConfig> = Arc::new((*ours).clone());
    url_is_echoed(&url(&server), &RunOptions::new().tls(ready_made));
    server.join();
}

/// Counts the handshakes that were full, and those that took up an earlier session.
fn counting_server(trust: &Trust, counts: &Arc<Mutex<(usize, usize)>>) -> ScriptedServer {
    let counts = counts.clone();
    secure_server(&trust.server(), move |peer, _| {
        peer.accept_upgrade();
        let mut counts = counts.lock().unwrap();
        match peer.side.resumed() {
            Some(true) => counts.1 += 1,
            _ => counts.0 += 1,
        }
        drop(counts);
        // Its tickets came before, and the client reads them before this.
        assert!(peer.close(1012, "again"));
    })
}

#[test]
fn b208_sessions_are_resumed_across_reconnects() {
    for version in VERSIONS {
        let (trust, counts) = (Trust::new(), Arc::default());
        let server = counting_server(&trust, &counts);
        let opened = Rc::new(Cell::new(0));
        let seen = opened.clone();
        let mut reactor = reactor();
        let options = trust.options_for(version).reconnect(Duration::from_millis(1));
        WebSocketApp::new(url(&server))
            .on_open(move |_, _| seen.set(seen.get() + 1))
            .on_close(move |app, _| {
                if app.attempts().opened == 4 {
                    app.close();
                }
            })
            .run_on(&mut reactor, &options)
            .unwrap();
        run(&mut reactor);
        assert_eq!(opened.get(), 4);
        server.join();
        assert_eq!(*counts.lock().unwrap(), (1, 3), "{version:?}");
    }
}

#[test]
fn b208_sessions_are_resumed_across_apps_that_share_options_and_by_no_others() {
    let (trust, counts) = (Trust::new(), Arc::default());
    let server = counting_server(&trust, &counts);
    let shared = trust.options();
    let mut reactor = reactor();
    for options in
        [shared.clone(), shared, trust.options(), RunOptions::new().tls(trust.tls().resumption(false))]
    {
        WebSocketApp::new(url(&server)).run_on(&mut reactor, &options).unwrap();
        run(&mut reactor);
    }
    server.join();
    assert_eq!(*counts.lock().unwrap(), (3, 1));
}

/// An echo server on a stream that is connected already.
fn serve_stream<S: io::Read + io::Write + Send + 'static>(
    stream: S,
    trust: &Trust,
) -> thread::JoinHandle<()> {
    let mut peer = SecurePeer::new(stream, &trust.server());
    thread::spawn(move || {
        peer.accept_upgrade();
        peer.echo();
    })
}

#[test]
fn b018_tls_is_spoken_over_a_socket_that_is_given() {
    let trust = Trust::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = serve_stream(listener.accept().unwrap().0, &trust);
    // Host and name come from the URL, wherever the stream leads.
    is_echoed(|log| log.app("wss://localhost:1/").socket(Io::tcp(stream).unwrap()), &trust.options());
    server.join().unwrap();
}

#[cfg(unix)]
#[test]
fn b018_tls_is_spoken_over_streams_that_are_made_for_each_attempt() {
    use std::os::unix::net::UnixStream;
    let trust = Trust::new();
    let server = trust.server();
    let servers = Rc::new(RefCell::new(Vec::new()));
    let started = servers.clone();
    let log = Log::new();
    let heard = log.clone();
    let mut reactor = reactor();
    log.app("wss://localhost/")
        .socket_with(move || {
            let (ours, theirs) = UnixStream::pair()?;
            let mut peer = SecurePeer::new(theirs, &server);
            let first = started.borrow().is_empty();
            started.borrow_mut().push(thread::spawn(move || {
                peer.accept_upgrade();
                assert_eq!(peer.read_frame().text(), "hello");
                if !first {
                    peer.write(&frame::text("welcome"));
                    peer.echo();
                }
            }));
            Io::unix(ours)
        })
        .on_open(|app, _| app.send_text("hello"))
        .on_message(move |app, message| {
            heard.message(message);
            app.close();
        })
        .run_on(&mut reactor, &trust.options().reconnect(Duration::from_millis(1)))
        .unwrap();
    run(&mut reactor);
    let lost = ["error EndOfStream", "close: EndOfStream, retry in 1ms"];
    let kept = ["reconnect", "text welcome", "close 1000, by client, clean"];
    assert_eq!(log.lines(), [&lost[..], &kept].concat());
    for server in servers.take() {
        server.join().unwrap();
    }
}

#[cfg(unix)]
#[test]
fn tls_is_spoken_over_a_unix_socket_of_the_url() {
    let trust = Trust::new();
    let scratch = Scratch::new();
    let path = scratch.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut config = Some(trust.server());
    let server = thread::spawn(move || {
        let mut peer = SecurePeer::new(listener.accept().unwrap().0, &config.take().unwrap());
        assert_eq!(peer.accept_upgrade().path, "/chat?room=1");
        peer.echo();
    });
    url_is_echoed(&format!("wss+unix:{}:/chat?room=1", path.display()), &trust.options());
    server.join().unwrap();
}
