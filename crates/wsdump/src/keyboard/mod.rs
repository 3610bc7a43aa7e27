//! The prompt of a terminal: lines are edited on a thread, and what is printed meanwhile does not touch the line that is being typed.

pub(crate) mod commands;
mod history;
mod terminal;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Behavior, Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    ExternalPrinter as _, KeyEvent, RepeatCount,
};
use websocket_app::{AppId, ReactorHandle};

use self::history::History;
use crate::output::Printer;
use crate::session::Session;

const PROMPT: &str = "> ";

/// Lines that are remembered for a host.
const HISTORY: usize = 1000;

/// Goes up a line and down again. The editor takes one thing to print at a time: when it has taken this one, it has all others.
const NOTHING: &str = "\x1b[A\n";

/// How long to wait for the editor before it is called again.
const PATIENCE: Duration = Duration::from_millis(10);

/// The run is over, and interrupts mean nothing any more.
static OVER: AtomicBool = AtomicBool::new(false);

/// The exit status of a program that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

type LineEditor = Editor<(), MemHistory>;

/// Starts to edit lines, and passes them to the session. Returns what prints while a line is being typed.
pub(crate) fn start(id: AppId, reactor: ReactorHandle, url: Option<&str>) -> io::Result<Printer> {
    terminal::save();
    let mut editor = editor().map_err(io::Error::other)?;
    let mut printer = editor.create_external_printer().map_err(io::Error::other)?;
    let ends = Arc::new(AtomicBool::new(false));
    let handler = EventHandler::Conditional(Box::new(EndOfInput(ends.clone())));
    editor.bind_sequence(KeyEvent::ctrl('D'), handler);
    let mut history = url.and_then(|url| History::of(url, HISTORY));
    for line in history.iter_mut().flat_map(History::take) {
        let _remembered = editor.add_history_entry(line);
    }
    let (editing, ended) = channel();
    thread::Builder::new().name("keyboard".into()).spawn(move || {
        let _editing: Sender<()> = editing;
        edit(&mut editor, &ends, history.as_mut(), &reactor, id);
    })?;
    let print = move |text| printer.print(text).map_err(io::Error::other);
    Ok(Printer { print: Box::new(print), ended })
}

fn editor() -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .behavior(Behavior::Stdio)
        .max_history_size(HISTORY)?
        // Of several lines that are pasted each is a message.
        .bracketed_paste(false)
        .build();
    let history = MemHistory::with_config(&config);
    Editor::with_history(config, history)
}

fn edit(
    editor: &mut LineEditor,
    ends: &AtomicBool,
    mut history: Option<&mut History>,
    reactor: &ReactorHandle,
    id: AppId,
) {
    while !OVER.load(Ordering::Relaxed) {
        match editor.readline(PROMPT) {
            Ok(line) => {
                let is_new = editor.add_history_entry(&line);
                if let (Ok(true), Some(history)) = (is_new, &mut history) {
                    history.add(&line);
                }
                typed(reactor, id, line + "\n");
                if ends.load(Ordering::Relaxed) {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) if OVER.load(Ordering::Relaxed) => terminal::remove_line(),
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
    if OVER.load(Ordering::Relaxed) {
        return;
    }
    if TIMES.fetch_add(1, Ordering::Relaxed) > 0 {
        terminal::restore();
        std::process::exit(INTERRUPTED);
    }
    reactor.run(move |apps| {
        apps.with(id, |app| {
            if let Some(session) = Session::of(app) {
                session.interrupted(app);
            }
        });
    });
}

/// The run is over: waits until all was printed, and until the editor has left the terminal as it was.
pub(crate) fn finish(Printer { mut print, ended }: Printer) {
    // An editor that has ended has printed everything.
    let is_typing = print(NOTHING.into()).is_ok() && ended.try_recv() == Err(TryRecvError::Empty);
    OVER.store(true, Ordering::Relaxed);
    if !is_typing {
        return;
    }
    while terminal::wake() && ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {}
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
