//! Programs that users have, between our client and its server. Those that are not installed are skipped: `tests/install-parts` installs them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use websocket_app::link::proxy::{Proxy, ProxyFailure, ProxyPolicy};
use websocket_app::tls::{TlsError, TlsOptions, TlsVersion};
use websocket_app::{Error, Outcome, RunOptions};
use websocket_testkit::frame;
use websocket_testkit::server::EchoServer;
use websocket_tests::parts::{Dante, Microsocks, Nginx, PythonServer, Squid, Tinyproxy, find};
use websocket_tests::{Authority, Log, Scratch, run_forever};

/// A safety net: it turns a test that would hang into one that fails.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

const USER: &str = "alice";
const PASSWORD: &str = "wonder1and";
/// `alice:wonder1and`, as Basic.
const BASIC: &str = "Proxy-Authorization: Basic YWxpY2U6d29uZGVyMWFuZA==\r\n";
/// `alice:looking`, as Basic.
const WRONG_BASIC: &str = "Proxy-Authorization: Basic YWxpY2U6bG9va2luZw==\r\n";

fn echo_server() -> EchoServer {
    EchoServer::start().unwrap()
}

/// Runs our client: it says hello, gets it back and closes.
#[track_caller]
fn client_is_echoed(url: &str, options: &RunOptions) {
    let log = Log::new();
    let answered = log.clone();
    let mut app = log.app(url).on_open(|app, _| app.send_text("hello")).on_message(move |app, message| {
        answered.message(message);
        app.close();
    });
    run_forever(&mut app, options).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["text hello", "close 1000, by client, clean"]);
}

/// Runs our client, which is to be refused: the line of its error.
#[track_caller]
fn client_is_refused(url: &str, options: &RunOptions) -> String {
    let log = Log::new();
    run_forever(&mut log.app(url), options).unwrap().into_result().unwrap_err();
    let [error, _close] = &log.lines()[..] else { panic!("{:?}", log.lines()) };
    error.clone()
}

/// Trusts one authority and nothing of this machine's environment.
fn tls(authority: &Authority) -> TlsOptions {
    TlsOptions::new().environment(|_| None).roots_from_bytes(authority.pem())
}

fn trusting(authority: &Authority) -> RunOptions {
    RunOptions::new().tls(tls(authority))
}

/// The same by hand, on a stream that something else has opened.
#[track_caller]
fn stream_is_echoed(stream: &mut (impl Read + Write)) {
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .unwrap();
    stream.flush().unwrap();
    let head = head(stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    stream.write_all(&frame::masked(0x81, [1, 2, 3, 4], b"hello")).unwrap();
    stream.flush().unwrap();
    let expected = frame::text("hello");
    assert_eq!(bytes(stream, expected.len()), expected);
}

/// Status line and headers of a response.
fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(bytes(stream, 1));
    }
    String::from_utf8(head).unwrap()
}

#[track_caller]
fn bytes(stream: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(PATIENCE).unwrap();
    stream
}

/// Asks an HTTP proxy for a way to `target`, with further header lines, and tells its answer.
fn http_connect(proxy: &mut (impl Read + Write), target: &str, headers: &str) -> String {
    write!(proxy, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{headers}\r\n").unwrap();
    proxy.flush().unwrap();
    head(proxy)
}

#[track_caller]
fn http_tunnels(proxy: &mut (impl Read + Write), headers: &str) {
    let server = echo_server();
    let head = http_connect(proxy, &server.addr().to_string(), headers);
    assert!(head.contains(" 200 "), "{head}");
    stream_is_echoed(proxy);
}

#[track_caller]
fn http_refuses(proxy: SocketAddr, headers: &str, status: &str) -> String {
    let server = echo_server();
    let head = http_connect(&mut connect(proxy), &server.addr().to_string(), headers);
    assert_eq!(head.split(' ').nth(1), Some(status), "{head}");
    head
}

#[track_caller]
fn socks4_tunnels(proxy: SocketAddr) {
    let server = echo_server();
    let mut stream = connect(proxy);
    let [high, low] = server.addr().port().to_be_bytes();
    stream.write_all(&[4, 1, high, low, 127, 0, 0, 1, b'm', b'e', 0]).unwrap();
    assert_eq!(bytes(&mut stream, 8)[..2], [0, 90]);
    stream_is_echoed(&mut stream);
}

/// Agrees on a method with a SOCKS5 server, and offers the password if that is asked for. Tells the server's last two bytes.
fn socks5_greeting(stream: &mut TcpStream, method: u8, password: &str) -> [u8; 2] {
    stream.write_all(&[5, 1, method]).unwrap();
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).unwrap();
    if answer == [5, 2] {
        let (user, word) = (USER.as_bytes(), password.as_bytes());
        let request = [&[1, user.len() as u8], user, &[word.len() as u8], word].concat();
        stream.write_all(&request).unwrap();
        stream.read_exact(&mut answer).unwrap();
    }
    answer
}

/// Has the SOCKS5 server connect by address, then by name.
#[track_caller]
fn socks5_tunnels(proxy: SocketAddr, method: u8, agreed: [u8; 2]) {
    let server = echo_server();
    let addresses = [&[1, 127, 0, 0, 1][..], &[&[3, 9], b"localhost".as_slice()].concat()];
    for address in addresses {
        let mut stream = connect(proxy);
        assert_eq!(socks5_greeting(&mut stream, method, PASSWORD), agreed);
        let request = [&[5, 1, 0], address, &server.addr().port().to_be_bytes()].concat();
        stream.write_all(&request).unwrap();
        let answer = bytes(&mut stream, 10);
        assert_eq!(answer[..4], [5, 0, 0, 1], "{answer:?}");
        stream_is_echoed(&mut stream);
    }
}

/// TLS by the `openssl` command, which trusts one authority and checks the name.
struct OpenSsl {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl OpenSsl {
    fn connect(addr: SocketAddr, name: &str, authority: &Path, arguments: &[&str]) -> Option<Self> {
        let mut child = Command::new(find("openssl")?)
            .args([
                "s_client",
                "-quiet",
                "-verify_return_error",
                "-verify_hostname",
                name,
                "-servername",
                name,
            ])
            .args(["-connect", &addr.to_string(), "-CAfile"])
            .arg(authority)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, input, output })
    }
}

impl Read for OpenSsl {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Write for OpenSsl {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.input.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.input.flush()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Says hello through TLS to a server whose certificate is for `localhost`, and to nobody under another name.
#[track_caller]
fn tls_is_echoed(addr: SocketAddr, authority: &Authority) {
    let scratch = Scratch::new();
    let trusted = scratch.file("authority.pem", authority.pem());
    let Some(mut stream) = OpenSsl::connect(addr, "localhost", &trusted, &[]) else { return };
    stream_is_echoed(&mut stream);
    let Some(mut stream) = OpenSsl::connect(addr, "other.example", &trusted, &[]) else { return };
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn nginx_passes_on_what_comes_in_the_clear() {
    let (server, authority) = (echo_server(), Authority::new());
    let Some(nginx) = Nginx::wss_proxy_to(server.addr(), &authority.server()) else { return };
    client_is_echoed(&format!("ws://{}/", nginx.plain_addr()), &RunOptions::new());
}

#[test]
fn nginx_passes_on_what_comes_with_tls() {
    let (server, authority) = (echo_server(), Authority::new());
    let Some(nginx) = Nginx::wss_proxy_to(server.addr(), &authority.server()) else { return };
    tls_is_echoed(nginx.secure_addr(), &authority);
    let url = format!("wss://localhost:{}/", nginx.secure_addr().port());
    client_is_echoed(&url, &trusting(&authority));
    // Under a name that is not in the certificate.
    let strict = RunOptions::new().tls(tls(&authority).server_name("other.example"));
    assert!(client_is_refused(&url, &strict).starts_with("error Tls(Certificate(NotValidForName"));
}

#[test]
fn b208_nginx_resumes_sessions() {
    let (server, authority) = (echo_server(), Authority::new());
    let Some(nginx) = Nginx::wss_proxy_to(server.addr(), &authority.server()) else { return };
    let url = format!("wss://localhost:{}/", nginx.secure_addr().port());
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let options = RunOptions::new().tls(tls(&authority).versions([version]));
        for _ in 0..3 {
            client_is_echoed(&url, &options);
        }
    }
}

#[test]
fn nginx_says_in_the_clear_that_a_port_wants_tls_and_the_reverse() {
    let (server, authority) = (echo_server(), Authority::new());
    let Some(nginx) = Nginx::wss_proxy_to(server.addr(), &authority.server()) else { return };
    let plain = client_is_refused(&format!("ws://{}/", nginx.secure_addr()), &RunOptions::new());
    assert_eq!(plain, "error Upgrade(Status 400)");
    let secure = client_is_refused(&format!("wss://{}/", nginx.plain_addr()), &trusting(&authority));
    assert_eq!(secure, "error Tls(NotTls { http: true })");
}

#[test]
fn nginx_asks_for_a_certificate_of_the_client() {
    let (server, authority, clients) = (echo_server(), Authority::new(), Authority::new());
    let nginx = Nginx::asking_for_certificates(server.addr(), &authority.server(), &clients);
    let Some(nginx) = nginx else { return };
    let (scratch, client) = (Scratch::new(), clients.client());
    let trusted = scratch.file("authority.pem", authority.pem());
    let certificate = scratch.file("client.pem", client.certificate);
    let key = scratch.file("client.key", client.key);
    let shown = ["-cert", certificate.to_str().unwrap(), "-key", key.to_str().unwrap()];
    let Some(mut stream) = OpenSsl::connect(nginx.secure_addr(), "localhost", &trusted, &shown) else {
        return;
    };
    stream_is_echoed(&mut stream);
    let Some(mut stream) = OpenSsl::connect(nginx.secure_addr(), "localhost", &trusted, &[]) else { return };
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(head(&mut stream).starts_with("HTTP/1.1 400 "));
    // The same with our client.
    let url = format!("wss://localhost:{}/", nginx.secure_addr().port());
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let without = tls(&authority).versions([version]);
        let with = without.clone().client_certificate_from_files(&certificate, &key);
        client_is_echoed(&url, &RunOptions::new().tls(with));
        assert_eq!(client_is_refused(&url, &RunOptions::new().tls(without)), "error Upgrade(Status 400)");
    }
}

#[test]
fn python_answers_over_tcp() {
    let Some(server) = PythonServer::tcp() else { return };
    client_is_echoed(&format!("ws://{}/", server.addr()), &RunOptions::new());
}

#[test]
fn python_answers_over_tls() {
    let authority = Authority::new();
    let Some(server) = PythonServer::tls(&authority.server()) else { return };
    tls_is_echoed(server.addr(), &authority);
    let url = format!("wss://localhost:{}/", server.addr().port());
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        client_is_echoed(&url, &RunOptions::new().tls(tls(&authority).versions([version])));
    }
    assert_eq!(
        client_is_refused(&url, &trusting(&Authority::new())),
        "error Tls(Certificate(UnknownIssuer))"
    );
}

#[test]
fn python_answers_over_a_unix_socket() {
    let Some(server) = PythonServer::unix() else { return };
    let mut stream = UnixStream::connect(server.path()).unwrap();
    stream.set_read_timeout(PATIENCE).unwrap();
    stream_is_echoed(&mut stream);
}

#[test]
fn squid_tunnels_for_everybody() {
    let Some(squid) = Squid::open() else { return };
    http_tunnels(&mut connect(squid.addr()), "");
}

#[test]
fn squid_cannot_reach_what_is_not_there() {
    let Some(squid) = Squid::open() else { return };
    let server = echo_server();
    // The server's port, at an address of loopback at which nobody listens.
    let target = format!("127.0.0.9:{}", server.addr().port());
    let head = http_connect(&mut connect(squid.addr()), &target, "");
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

#[test]
fn squid_tunnels_behind_tls() {
    let (scratch, authority) = (Scratch::new(), Authority::new());
    let Some(squid) = Squid::over_tls(&authority.server()) else { return };
    let trusted = scratch.file("authority.pem", authority.pem());
    let Some(mut stream) = OpenSsl::connect(squid.addr(), "localhost", &trusted, &[]) else { return };
    http_tunnels(&mut stream, "");
}

#[test]
fn squid_tunnels_for_those_who_know_the_password() {
    let Some(squid) = Squid::with_basic(USER, PASSWORD) else { return };
    let head = http_refuses(squid.addr(), "", "407");
    assert!(head.contains("Proxy-Authenticate: Basic "), "{head}");
    http_refuses(squid.addr(), WRONG_BASIC, "407");
    http_tunnels(&mut connect(squid.addr()), BASIC);
}

#[test]
fn squid_knows_passwords_of_any_letters() {
    let Some(squid) = Squid::with_basic("al ice", "p@ss:w%rd/\"é") else { return };
    let known = "Proxy-Authorization: Basic YWwgaWNlOnBAc3M6dyVyZC8iw6k=\r\n";
    http_tunnels(&mut connect(squid.addr()), known);
}

#[test]
fn squid_tunnels_for_those_who_tell_the_password_as_digest() {
    let Some(squid) = Squid::with_digest(USER, PASSWORD) else { return };
    let head = http_refuses(squid.addr(), BASIC, "407");
    assert!(head.contains("Proxy-Authenticate: Digest "), "{head}");
    let (Some(curl), server) = (find("curl"), echo_server()) else { return };
    let status = |password: &str| {
        let output = Command::new(&curl)
            .args(["-q", "--silent", "--max-time", "30", "--noproxy", "", "--proxytunnel", "--proxy-digest"])
            .args(["--proxy-user", &format!("{USER}:{password}"), "--write-out", "%{http_connect}"])
            .args(["--proxy", &format!("http://{}", squid.addr()), &format!("http://{}/", server.addr())])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(status("looking"), "407");
    assert_eq!(status(PASSWORD), "200");
}

#[test]
fn tinyproxy_tunnels_for_everybody() {
    let Some(tinyproxy) = Tinyproxy::open() else { return };
    http_tunnels(&mut connect(tinyproxy.addr()), "");
}

#[test]
fn tinyproxy_tunnels_for_those_who_know_the_password() {
    let Some(tinyproxy) = Tinyproxy::with_basic(USER, PASSWORD) else { return };
    http_refuses(tinyproxy.addr(), "", "407");
    http_refuses(tinyproxy.addr(), WRONG_BASIC, "401");
    http_tunnels(&mut connect(tinyproxy.addr()), BASIC);
}

#[test]
fn dante_tunnels_for_everybody() {
    let Some(dante) = Dante::open() else { return };
    socks4_tunnels(dante.addr());
    socks5_tunnels(dante.addr(), 0, [5, 0]);
}

#[test]
fn dante_refuses_who_is_no_user_of_the_system() {
    let Some(dante) = Dante::refusing() else { return };
    assert_eq!(socks5_greeting(&mut connect(dante.addr()), 0, ""), [5, 0xFF]);
    let answer = socks5_greeting(&mut connect(dante.addr()), 2, PASSWORD);
    assert!(answer[0] == 1 && answer[1] != 0, "{answer:?}");
}

#[test]
fn microsocks_tunnels_for_everybody() {
    let Some(microsocks) = Microsocks::open() else { return };
    socks5_tunnels(microsocks.addr(), 0, [5, 0]);
}

#[test]
fn microsocks_tunnels_for_those_who_know_the_password() {
    let Some(microsocks) = Microsocks::with_password(USER, PASSWORD) else { return };
    assert_eq!(socks5_greeting(&mut connect(microsocks.addr()), 0, ""), [5, 0xFF]);
    let answer = socks5_greeting(&mut connect(microsocks.addr()), 2, "looking");
    assert!(answer[0] == 1 && answer[1] != 0, "{answer:?}");
    socks5_tunnels(microsocks.addr(), 2, [1, 0]);
}

/// Through this proxy, whatever the environment says.
fn through(proxy: &str) -> RunOptions {
    RunOptions::new().proxy(ProxyPolicy::direct().proxy(Proxy::parse(proxy).unwrap()))
}

/// How the run of an app that cannot get through ends.
fn failure_through(proxy: &str, url: &str) -> Error {
    match run_forever(&mut Log::new().app(url), &through(proxy)).unwrap() {
        Outcome::Lost(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn b178_b181_our_client_goes_through_squid_and_tinyproxy() {
    let echo = echo_server();
    if let Some(squid) = Squid::open() {
        client_is_echoed(&echo.url(), &through(&format!("http://{}", squid.addr())));
    }
    if let Some(squid) = Squid::with_basic(USER, PASSWORD) {
        client_is_echoed(&echo.url(), &through(&format!("http://{USER}:{PASSWORD}@{}", squid.addr())));
        let refused = failure_through(&format!("http://{USER}:looking@{}", squid.addr()), &echo.url());
        let Error::Proxy(error) = refused else { panic!("{refused:?}") };
        assert!(matches!(error.failure, ProxyFailure::AuthenticationRequired { sent: true, .. }), "{error}");
        assert!(!error.to_string().contains("looking"), "{error}");
    }
    if let Some(tinyproxy) = Tinyproxy::open() {
        client_is_echoed(&echo.url(), &through(&format!("http://{}", tinyproxy.addr())));
    }
    if let Some(tinyproxy) = Tinyproxy::with_basic(USER, PASSWORD) {
        client_is_echoed(&echo.url(), &through(&format!("http://{USER}:{PASSWORD}@{}", tinyproxy.addr())));
    }
}

#[test]
fn b164_a_407_is_answered_by_whoever_knows_how() {
    let echo = echo_server();
    let Some(squid) = Squid::with_basic(USER, PASSWORD) else { return };
    let log = Log::new();
    let answered = log.clone();
    let mut app = log
        .app(echo.url())
        .authorize_with(move |challenge| {
            answered.push(format!("{} {:?}", challenge.proxy.is_some(), challenge.challenges.len()));
            Some("Basic YWxpY2U6d29uZGVyMWFuZA==".to_owned())
        })
        .on_open(|app, _| app.close());
    run_forever(&mut app, &through(&format!("http://{}", squid.addr()))).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["true 1", "close 1000, by client, clean"]);
}

#[test]
fn b178_b181_our_client_goes_through_dante_and_microsocks() {
    let echo = echo_server();
    let by_name = echo.url().replace("127.0.0.1", "localhost");
    if let Some(dante) = Dante::open() {
        for scheme in ["socks4", "socks5", "socks5h"] {
            client_is_echoed(&echo.url(), &through(&format!("{scheme}://{}", dante.addr())));
        }
    }
    if let Some(microsocks) = Microsocks::open() {
        client_is_echoed(&echo.url(), &through(&format!("socks5://{}", microsocks.addr())));
        client_is_echoed(&by_name, &through(&format!("socks5h://{}", microsocks.addr())));
    }
    if let Some(microsocks) = Microsocks::with_password(USER, PASSWORD) {
        client_is_echoed(&echo.url(), &through(&format!("socks5://{USER}:{PASSWORD}@{}", microsocks.addr())));
        let refused = failure_through(&format!("socks5://{USER}:looking@{}", microsocks.addr()), &echo.url());
        assert!(matches!(refused, Error::Proxy(_)), "{refused:?}");
    }
}

#[test]
fn b182_wss_goes_through_an_http_proxy_and_through_one_that_speaks_tls() {
    let authority = Authority::new();
    let server = authority.server();
    let Some(python) = PythonServer::tls(&server) else { return };
    let url = format!("wss://localhost:{}/", python.addr().port());
    let tls = TlsOptions::new().roots_from_bytes(authority.pem());
    client_is_echoed(&url, &RunOptions::new().tls(tls.clone()));
    if let Some(squid) = Squid::open() {
        client_is_echoed(&url, &through(&format!("http://{}", squid.addr())).tls(tls.clone()));
    }
    if let Some(squid) = Squid::over_tls(&server) {
        let proxy = format!("https://localhost:{}", squid.addr().port());
        client_is_echoed(&url, &through(&proxy).tls(tls.clone()));
        client_is_echoed(&echo_server().url(), &through(&proxy).tls(tls));
    }
}

#[test]
fn b196_a_python_server_on_a_unix_socket() {
    let Some(python) = PythonServer::unix() else { return };
    client_is_echoed(&format!("ws+unix:{}:/", python.path().display()), &RunOptions::new());
}

#[test]
fn b197_our_client_reaches_nginx_over_tls() {
    let echo = echo_server();
    let authority = Authority::new();
    let upstream = echo.url().trim_start_matches("ws://").trim_end_matches('/').parse().unwrap();
    let Some(nginx) = Nginx::wss_proxy_to(upstream, &authority.server()) else { return };
    let url = format!("wss://localhost:{}/", nginx.secure_addr().port());
    let trusting = RunOptions::new().tls(TlsOptions::new().roots_from_bytes(authority.pem()));
    client_is_echoed(&url, &trusting);
    let stranger = RunOptions::new().tls(TlsOptions::new().roots_from_bytes(Authority::new().pem()));
    let outcome = run_forever(&mut Log::new().app(&url), &stranger).unwrap();
    assert!(matches!(outcome, Outcome::Lost(Error::Tls(TlsError::Certificate(_)))), "{outcome:?}");
}
