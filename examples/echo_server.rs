//! The echo server that the programs of the README and the guide talk to: it prints its URL and runs until Ctrl-C.

use std::process::ExitCode;
use std::thread;

use websocket_testkit::server::EchoServer;

/// Where the programs of the README and the guide connect to.
const ADDRESS: &str = "127.0.0.1:9001";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| ADDRESS.to_owned());
    let (Ok(address), None) = (address.parse(), arguments.next()) else {
        eprintln!("usage: echo_server [ADDRESS:PORT]   (default {ADDRESS}; port 0 takes a free one)");
        return ExitCode::from(2);
    };
    match EchoServer::bind(address) {
        Ok(server) => {
            println!("{}", server.url());
            // The server has its own thread.
            loop {
                thread::park();
            }
        }
        Err(error) => {
            eprintln!(
                "error: listening on {address} failed: {error}; the first argument may name another address"
            );
            ExitCode::FAILURE
        }
    }
}
