//! A WebSocket client for the command line: prints what a server sends, sends the lines that are typed.
#![forbid(unsafe_code)]

mod arguments;
mod console;
mod inflate;
mod input;
mod logger;
mod options;
mod session;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use websocket_app::{Outcome, WebSocketApp};

use crate::arguments::{Arguments, Command};
use crate::session::{Session, Trouble};

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os()) {
        Ok(Command::Run(arguments)) => arguments,
        Ok(Command::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("wsdump: {error}\nTry 'wsdump --help'.");
            return ExitCode::from(2);
        }
    };
    if arguments.verbose >= 2 {
        logger::start();
    }
    match run(*arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsdump: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Connects, and returns when that has come to its end.
fn run(arguments: Arguments) -> Result<(), String> {
    let options = options::run_options(&arguments);
    let (url, headers) = (arguments.url.clone(), arguments.headers.clone());
    let subprotocols = arguments.subprotocols.clone();
    let trouble: Trouble = Rc::new(RefCell::new(None));
    let outcome = WebSocketApp::with_handler(url, Session::new(arguments, trouble.clone()))
        .headers(headers)
        .subprotocols(subprotocols)
        .run_forever(&options)
        .and_then(Outcome::into_result);
    if let Some(trouble) = trouble.take() {
        return Err(trouble);
    }
    outcome.map_err(|error| error.to_string())
}
