//! Helper threads that look up names, and the questions that wait for them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::query::{Answer, Query};

/// The most threads that a resolver has at the same time.
pub(super) const MAX_THREADS: usize = 32;

/// How long a thread waits for the next question before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;
pub(super) type Job = Box<dyn FnOnce() + Send>;
type Start = dyn Fn(Job) -> io::Result<()> + Send + Sync;

/// What the resolver and its threads share.
pub(super) struct Pool {
    lookup: Box<Lookup>,
    /// Runs a job on a new thread.
    start: Box<Start>,
    idle: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The hosts that no thread has taken yet, in the order of their first questions.
    waiting: VecDeque<String>,
    /// What is asked about each host that waits or is being looked up.
    questions: HashMap<String, Vec<Question>>,
    threads: usize,
    idle_threads: usize,
    closed: bool,
}

struct Question {
    port: u16,
    answer: Answer,
}

impl Pool {
    pub(super) fn new(lookup: Box<Lookup>) -> Self {
        Self::with_threads(lookup, Box::new(start_thread), IDLE)
    }

    /// As [`new`](Self::new), with another way to start a thread, and another time after which an idle one ends.
    pub(super) fn with_threads(lookup: Box<Lookup>, start: Box<Start>, idle: Duration) -> Self {
        Self { lookup, start, idle, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Joins the look-up of the host if there is one, else queues it and sees to a thread for it.
    pub(super) fn ask(self: &Arc<Self>, query: Query, answer: Answer) {
        let question = Question { port: query.port, answer };
        let mut state = self.lock();
        let entry = match state.questions.entry(query.host) {
            Entry::Occupied(mut entry) => {
                let unwanted = join(entry.get_mut(), question);
                drop(state);
                return drop(unwanted);
            }
            Entry::Vacant(entry) => entry,
        };
        let host = entry.key().clone();
        entry.insert(vec![question]);
        state.waiting.push_back(host);
        if state.waiting.len() <= state.idle_threads || state.threads == MAX_THREADS {
            return self.changed.notify_one();
        }
        let worker = Arc::clone(self);
        match (self.start)(Box::new(move || worker.work())) {
            Ok(()) => state.threads += 1,
            // Threads end only when nothing waits: one of these will come to it.
            Err(error) if state.threads > 0 => {
                log::debug!(target: "websocket::resolve", "no further thread can be started: {error}");
            }
            Err(error) => {
                let unanswered = state.abandon();
                drop(state);
                let text = format!("no thread can be started to resolve names: {error}");
                let error = io::Error::new(error.kind(), text);
                unanswered.into_iter().for_each(|question| question.answer.send(Err(copy_of(&error))));
            }
        }
    }

    /// Ends the threads that are idle, the others after the look-up that they are at.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let unanswered = state.abandon();
        drop(state);
        self.changed.notify_all();
        drop(unanswered);
    }

    /// What a thread does.
    fn work(&self) {
        while let Some(host) = self.next_host() {
            log::debug!(target: "websocket::resolve", "resolving {host}");
            let lookup = AssertUnwindSafe(|| (self.lookup)(&host));
            let found = catch_unwind(lookup)
                .unwrap_or_else(|_| Err(io::Error::other("the look-up of the name panicked")));
            let found = found.map(without_duplicates);
            // From here on the same question is a new one.
            let questions = self.lock().questions.remove(&host).unwrap_or_default();
            for Question { port, answer } in questions {
                let addresses = match &found {
                    Ok(addresses) => Ok(addresses.iter().map(|address| with_port(*address, port)).collect()),
                    Err(error) => Err(copy_of(error)),
                };
                contain_panic(|| answer.send(addresses));
            }
        }
    }

    /// Waits for a host that is to be looked up; `None` when the thread is to end, which is then no longer counted.
    fn next_host(&self) -> Option<String> {
        let mut state = self.lock();
        loop {
            while let Some(host) = state.waiting.pop_front() {
                let questions = state.questions.get(&host);
                if questions
                    .is_some_and(|questions| questions.iter().any(|question| question.answer.is_wanted()))
                {
                    return Some(host);
                }
                let unwanted = state.questions.remove(&host);
                drop(state);
                contain_panic(|| drop(unwanted));
                state = self.lock();
            }
            if !state.closed {
                state.idle_threads += 1;
                let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
                let waited = self.changed.wait_timeout_while(state, self.idle, idle);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                state.idle_threads -= 1;
            }
            if state.waiting.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes what no thread has begun.
    fn abandon(&mut self) -> Vec<Question> {
        let hosts = mem::take(&mut self.waiting);
        hosts.iter().filter_map(|host| self.questions.remove(host)).flatten().collect()
    }
}

/// Adds a question about the same host. Whenever their number has doubled, returns those that are no longer wanted, so that a name that
/// never answers gathers no more of them than there are askers.
fn join(questions: &mut Vec<Question>, question: Question) -> Vec<Question> {
    let unwanted = if questions.len().is_power_of_two() {
        questions.extract_if(.., |question| !question.answer.is_wanted()).collect()
    } else {
        Vec::new()
    };
    questions.push(question);
    unwanted
}

fn start_thread(job: Job) -> io::Result<()> {
    thread::Builder::new().name("websocket-resolver".into()).spawn(job).map(drop)
}

fn without_duplicates(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(with_port(*address, 0)));
    addresses
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// An error of the same kind and text, with the same code of the system.
fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Calls what belongs to whoever asked. A panic there has been reported by the panic hook, and must not cost others their answers.
fn contain_panic(call: impl FnOnce()) {
    let _reported = catch_unwind(AssertUnwindSafe(call));
}
