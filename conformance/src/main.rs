//! Runs Autobahn's fuzzing server against the client and compares its verdicts with the expected ones.
#![forbid(unsafe_code)]

mod cases;
mod client;
mod container;
mod expected;
mod failure;
mod front;
mod options;
mod progress;
mod python;
mod report;
mod scratch;
mod server;
mod stream;
mod verdict;
mod worker;

use std::fs;
use std::process::ExitCode;

use cases::CaseId;
use client::Interface;
use expected::Expected;
use failure::Failure;
use options::{Options, Request};
use progress::Progress;
use scratch::Scratch;
use server::{Server, Suite};
use verdict::{ClientErrors, Verdict};
use websocket_app::{Reactor, RunOptions};
use worker::Worker;

fn main() -> ExitCode {
    let outcome = options::parse(lexopt::Parser::from_env()).and_then(|request| match request {
        Request::Help => {
            print!("{}", options::HELP);
            Ok(true)
        }
        Request::Run(options) => {
            let verdict = run(&options)?;
            println!("{verdict}");
            Ok(verdict.is_as_expected())
        }
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("conformance: {failure}");
            failure.exit_code().into()
        }
    }
}

fn run(options: &Options) -> Result<Verdict, Failure> {
    let expected = Expected::load().map_err(Failure::Broken)?;
    let chosen = match &options.cases {
        None => expected.core().to_vec(),
        Some(patterns) => cases::select(patterns, expected.all()).map_err(options::in_cases)?,
    };
    let is_chosen = |case: &&CaseId| chosen.contains(case) || (options.sample && expected.is_sample(case));
    let cases: Vec<_> = expected.all().iter().filter(is_chosen).cloned().collect();
    if let Some(directory) = &options.keep_report {
        let unusable = |error| Failure::Usage(format!("--keep-report: {}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(unusable)?;
    }

    let suite = Suite::find()?;
    let scratch = Scratch::new().map_err(Failure::while_doing("making a scratch directory"))?;
    let mut server = suite.serve(scratch.path(), &cases)?;
    let mut run = RunOptions::new();
    if options.tls {
        let trust =
            server.put_behind_tls().map_err(Failure::while_doing("putting TLS in front of the server"))?;
        run = run.tls(trust);
    }
    let (agent, interface) = if options.stream {
        let reactor = Reactor::spawn(Reactor::new)
            .map_err(|error| Failure::Broken(format!("starting a reactor: {error}")))?;
        ("websocket-stream".to_owned(), Interface::Stream(reactor))
    } else {
        (format!("websocket-app-{}", options.host.name), Interface::Callbacks(options.host))
    };
    let errors = drive(&mut server, &Worker::start(interface, run), &agent, &cases, &expected)?;
    if let Some(directory) = &options.keep_report {
        report::copy(&server.report(), directory).map_err(Failure::while_doing("keeping the report"))?;
    }
    let reports =
        report::read(&server.report(), &agent).map_err(Failure::while_doing("reading the report"))?;
    Ok(Verdict::new(&cases, &expected, &reports, &errors))
}

/// Has the client take every case and the server write its report; returns what the client complained of.
fn drive(
    server: &mut Server,
    worker: &Worker,
    agent: &str,
    cases: &[CaseId],
    expected: &Expected,
) -> Result<ClientErrors, Failure> {
    let count = worker
        .fetch(server.url("/getCaseCount"))?
        .map_err(|error| server.failure("counting the cases", &error))?;
    if count.trim() != cases.len().to_string() {
        return Err(Failure::Broken(format!("the server has {count} cases instead of {}", cases.len())));
    }
    let mut errors = ClientErrors::new();
    let progress = Progress::new(cases.len());
    for (index, case) in cases.iter().enumerate() {
        progress.begin(index + 1, case);
        let url = server.url(&format!("/runCase?casetuple={case}&agent={agent}"));
        if let Err(error) = worker.echo(url, expected.is_compressed(case))? {
            if server.has_ended() {
                return Err(server.failure(&format!("case {case}"), &error));
            }
            errors.insert(case.clone(), error);
        }
    }
    drop(progress);
    worker
        .echo(server.url(&format!("/updateReports?agent={agent}")), false)?
        .map_err(|error| server.failure("having the report written", &error))?;
    Ok(errors)
}
