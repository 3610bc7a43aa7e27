//! A WebSocket client for the command line. `wsdump --help` describes it.
#![forbid(unsafe_code)]

mod arguments;
mod certificate;
mod conditions;
mod connector;
mod ending;
mod exit;
mod handshake;
mod inflate;
mod input;
mod jsonrpc;
mod keyboard;
mod logger;
mod options;
mod output;
mod rtt;
mod sending;
mod session;

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::process::ExitCode;

use websocket_app::{Error, Reactor, WebSocketApp};

use crate::arguments::{Arguments, Command, wrong};
use crate::connector::ShownConnector;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::Session;

fn main() -> ExitCode {
    let (arguments, sends) = match arguments::parse(std::env::args_os()) {
        Ok(Command::Print(text)) => {
            // A reader that has seen enough is not a failure.
            let _printed = io::stdout().write_all(&text);
            return ExitCode::SUCCESS;
        }
        Ok(Command::Run(arguments)) => match sends(&arguments) {
            Ok(sends) => (*arguments, sends),
            Err(error) => return refuse(&error),
        },
        Err(error) => return refuse(&error),
    };
    if arguments.verbose >= 2 {
        logger::start();
    }
    let exit = run(arguments, sends).unwrap_or_else(|error| Exit::from(&error));
    if let Some(text) = exit.text() {
        eprintln!("wsdump: {text}");
    }
    exit.code().into()
}

/// Says what is wrong with the command line; clap's way to print the version is an error, too.
fn refuse(error: &clap::Error) -> ExitCode {
    let _printed = error.print();
    if error.use_stderr() {
        eprintln!("Try 'wsdump --help'.");
    }
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}

/// The messages of `--send`, with the contents of files; what `--jsonrpc` says is checked, too.
fn sends(arguments: &Arguments) -> Result<VecDeque<Vec<u8>>, clap::Error> {
    if let [_, params] = &*arguments.jsonrpc
        && serde_json::from_str::<serde_json::Value>(params).is_err()
    {
        return Err(wrong(format_args!("the parameters of --jsonrpc must be JSON, not {params:?}")));
    }
    let content = |message: &String| match message.strip_prefix('@') {
        None => Ok(message.clone().into_bytes()),
        Some(path) => std::fs::read(path).map_err(|error| wrong(format_args!("--send {message}: {error}"))),
    };
    arguments.send.iter().map(content).collect()
}

/// Connects, and returns when that has come to its end.
fn run(arguments: Arguments, sends: VecDeque<Vec<u8>>) -> Result<Exit, Error> {
    let output = Output::new(&arguments);
    let options = options::run_options(&arguments, &output);
    let connector = ShownConnector { output: output.clone(), is_shown: arguments.handshake };
    let (headers, timeout) = (arguments.header.clone(), arguments.timeout);
    let (url, subprotocols) = (arguments.url().to_owned(), arguments.subprotocols().to_owned());
    let session = Session::new(arguments, sends, output.clone());

    let mut reactor = Reactor::new()?.connector(connector);
    let app = WebSocketApp::with_handler(url, session.clone()).headers(headers).subprotocols(subprotocols);
    let id = app.run_on(&mut reactor, &options)?;
    if let Some(timeout) = timeout {
        let session = session.clone();
        reactor.apps().set_timeout(timeout, move |apps| {
            apps.with(id, |app| session.timed_out(app));
        });
    }
    let handle = reactor.handle();
    // Where signals cannot be handled, they end the program as they always do.
    let _unhandled = ctrlc::set_handler(move || keyboard::interrupt(&handle, id));
    let ran = reactor.run();
    let printer = output.lock().take_printer();
    if let Some(printer) = printer {
        keyboard::finish(printer);
    }
    ran?;
    Ok(session.take_exit().unwrap_or(Exit::Done))
}
