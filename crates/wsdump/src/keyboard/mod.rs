//! The prompt of a terminal: lines are edited on a thread, and what is printed meanwhile does not touch the line that is being typed.

pub(crate) mod commands;
mod history;
mod terminal;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{
    Behavior, Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    ExternalPrinter as _, KeyEvent, RepeatCount,
};
use websocket_app::{AppId, ReactorHandle};

use crate::output::Printer;
use crate::session::Session;

const PROMPT: &str = "> ";

/// Lines that are remembered for a host.
const HISTORY: usize = 1000;

/// Goes up a line and down again. The editor takes one thing to print at a time, and has printed the one before when it takes the next.
const NOTHING: &str = "\x1b[A\n";

/// The exit status of a program that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

type LineEditor = Editor<(), FileHistory>;

/// Starts to edit lines, and passes them to the session. Returns what prints while a line is being typed.
pub(crate) fn start(id: AppId, reactor: ReactorHandle, url: Option<&str>) -> io::Result<Printer> {
    terminal::save();
    let mut editor = editor().map_err(io::Error::other)?;
    let mut printer = editor.create_external_printer().map_err(io::Error::other)?;
    let ends = Arc::new(AtomicBool::new(false));
    let handler = EventHandler::Conditional(Box::new(EndOfInput(ends.clone())));
    editor.bind_sequence(KeyEvent::ctrl('D'), handler);
    let history = url.and_then(history::file);
    thread::Builder::new().name("keyboard".into()).spawn(move || {
        if let Some(history) = &history {
            // There is none yet, or it cannot be read: typing goes on without.
            let _without = editor.load_history(history);
        }
        edit(&mut editor, &ends, history.as_deref(), &reactor, id);
    })?;
    Ok(Box::new(move |text| printer.print(text).map_err(io::Error::other)))
}

fn editor() -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .behavior(Behavior::Stdio)
        .max_history_size(HISTORY)?
        // Of several lines that are pasted each is a message.
        .bracketed_paste(false)
        .build();
    Editor::with_config(config)
}

fn edit(
    editor: &mut LineEditor,
    ends: &AtomicBool,
    history: Option<&std::path::Path>,
    reactor: &ReactorHandle,
    id: AppId,
) {
    loop {
        match editor.readline(PROMPT) {
            Ok(line) => {
                // A history that cannot be written is no reason not to send.
                let _remembered = editor.add_history_entry(&line);
                let _written = history.map(|history| editor.append_history(history));
                typed(reactor, id, line + "\n");
                if ends.load(Ordering::Relaxed) {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => interrupt(reactor, id),
            Err(ReadlineError::Signal(_)) => {}
            Err(_) => break,
        }
    }
    typed(reactor, id, String::new());
}

/// Passes what was typed to the session; nothing is the end of the input.
fn typed(reactor: &ReactorHandle, id: AppId, text: String) {
    reactor.run(move |apps| {
        apps.with(id, |app| Session::of(app)?.read(app, text.as_bytes(), None));
    });
}

/// Ctrl-C: the first closes the connection, the second ends the program at once.
pub(crate) fn interrupt(reactor: &ReactorHandle, id: AppId) {
    static TIMES: AtomicU32 = AtomicU32::new(0);
    if TIMES.fetch_add(1, Ordering::Relaxed) > 0 {
        terminal::restore();
        std::process::exit(INTERRUPTED);
    }
    reactor.run(move |apps| {
        apps.with(id, |app| Some(Session::of(app)?.interrupted(app)));
    });
}

/// The run is over: waits until all was printed, and leaves the terminal as it was.
pub(crate) fn finish(mut printer: Printer) {
    // A printer without an editor has nothing to wait for.
    let _printed = printer(NOTHING.into()).and_then(|()| printer(NOTHING.into()));
    terminal::restore();
}

/// Ctrl-D: the end of the input. What was typed before it is sent.
struct EndOfInput(Arc<AtomicBool>);

impl ConditionalEventHandler for EndOfInput {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        if context.line().is_empty() {
            return Some(Cmd::EndOfFile);
        }
        self.0.store(true, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}
