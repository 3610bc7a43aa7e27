//! What the programs of the README and the guide get when they run as documentation tests, instead of the functions
//! after which these are named: `build.rs` replaces them.

use std::sync::OnceLock;

use websocket_app::{Handler, WebSocketApp};
use websocket_testkit::server::EchoServer;

/// Makes an app whose URL leads to an echo server in this process, if it would lead to the example `echo_server`.
pub fn new(url: impl Into<String>) -> WebSocketApp {
    WebSocketApp::new(at_free_port(&url.into()))
}

/// The same with a handler.
pub fn with_handler(url: impl Into<String>, handler: impl Handler + 'static) -> WebSocketApp {
    WebSocketApp::with_handler(at_free_port(&url.into()), handler)
}

fn at_free_port(url: &str) -> String {
    static SERVER: OnceLock<EchoServer> = OnceLock::new();
    let server = SERVER.get_or_init(|| EchoServer::start().expect("a port and a thread are free"));
    url.replace(":9001/", &format!(":{}/", server.addr().port()))
}

/// Prints a failure, and ends the program with one.
pub fn fail(failure: &str) {
    eprintln!("{failure}");
    std::process::exit(1)
}

/// Replaces `eprintln!`, by which programs report failures that do not end them.
#[macro_export]
macro_rules! fails {
    ($($failure:tt)*) => {
        $crate::guide::fail(&format!($($failure)*))
    };
}
