use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::pool::{Job, MAX_THREADS, Pool};
use super::{Answer, Query, Resolver as _, SystemResolver};

type Addresses = io::Result<Vec<SocketAddr>>;

/// A look-up that waits for the test to answer it.
struct Call {
    host: String,
    reply: Sender<Addresses>,
}

impl Call {
    fn answer(self) {
        self.reply.send(Ok(addresses(&["192.0.2.1:0"]))).unwrap();
    }
}

/// A look-up that hands every call to the test.
fn scripted() -> (impl Fn(&str) -> Addresses + Send + Sync + 'static, Receiver<Call>) {
    let (calls, receiver) = mpsc::channel();
    let lookup = move |host: &str| {
        let (reply, answer) = mpsc::channel();
        calls.send(Call { host: host.to_owned(), reply }).map_err(io::Error::other)?;
        answer.recv().map_err(io::Error::other)?
    };
    (lookup, receiver)
}

/// Starts threads, counts them, and reports the end of each.
fn counted() -> (impl Fn(Job) -> io::Result<()> + Send + Sync + 'static, Arc<AtomicUsize>, Receiver<()>) {
    let started = Arc::new(AtomicUsize::new(0));
    let counter = started.clone();
    let (ended, ends) = mpsc::channel();
    let start = move |job: Job| {
        counter.fetch_add(1, Ordering::SeqCst);
        let ended = ended.clone();
        thread::spawn(move || {
            job();
            let _test_is_over = ended.send(());
        });
        Ok(())
    };
    (start, started, ends)
}

/// What comes next, or a failure where nothing ever would.
fn next<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn ask(resolver: &mut SystemResolver, host: &str, port: u16) -> Receiver<Addresses> {
    let (sender, receiver) = mpsc::channel();
    let answer = Answer::new(move |addresses| drop(sender.send(addresses)));
    resolver.resolve(Query::new(host, port), answer);
    receiver
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn localhost_resolves_to_loopback() {
    let found = next(&ask(&mut SystemResolver::default(), "localhost", 80)).unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
}

#[test]
fn b143_a_name_that_cannot_exist_is_an_error() {
    // RFC 6761: `.invalid` never resolves.
    assert!(next(&ask(&mut SystemResolver::default(), "nowhere.invalid", 80)).is_err());
}

#[test]
fn equal_questions_that_are_under_way_share_one_lookup() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    let first = ask(&mut resolver, "h.example", 80);
    let call = next(&calls);
    let others: Vec<_> = (1..2000).map(|_| ask(&mut resolver, "h.example", 80)).collect();
    call.reply.send(Ok(addresses(&["[2001:db8::2]:0", "192.0.2.1:0", "[2001:db8::1]:0"]))).unwrap();
    let expected = addresses(&["[2001:db8::2]:80", "192.0.2.1:80", "[2001:db8::1]:80"]);
    for receiver in [first].iter().chain(&others) {
        assert_eq!(next(receiver).unwrap(), expected);
    }
    drop(resolver);
    assert!(calls.recv().is_err(), "the look-up is gone, and no other call was made");
}

#[test]
fn questions_for_other_ports_share_the_lookup_and_get_their_port() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    let ports = [80, 443, 9];
    let receivers = ports.map(|port| ask(&mut resolver, "h.example", port));
    next(&calls).reply.send(Ok(addresses(&["192.0.2.1:7", "[2001:db8::1]:7"]))).unwrap();
    for (port, receiver) in ports.iter().zip(&receivers) {
        let expected = [format!("192.0.2.1:{port}"), format!("[2001:db8::1]:{port}")];
        assert_eq!(next(receiver).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn duplicates_are_removed_and_scopes_are_kept() {
    let given = ["[fe80::1%3]:0", "192.0.2.1:0", "[fe80::1%4]:0", "192.0.2.1:5", "[fe80::1%3]:0"];
    let mut resolver = SystemResolver::with_lookup(move |_| Ok(addresses(&given)));
    let found = next(&ask(&mut resolver, "h.example", 80)).unwrap();
    assert_eq!(found, addresses(&["[fe80::1%3]:80", "192.0.2.1:80", "[fe80::1%4]:80"]));
}

#[test]
fn a_question_after_the_answer_is_looked_up_again() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    for last in 1..=3 {
        let receiver = ask(&mut resolver, "h.example", 80);
        let found = addresses(&[&format!("192.0.2.{last}:80")]);
        next(&calls).reply.send(Ok(found.clone())).unwrap();
        assert_eq!(next(&receiver).unwrap(), found);
    }
}

#[test]
fn different_names_are_looked_up_at_the_same_time_up_to_the_bound() {
    let (scripted, calls) = scripted();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = most.clone();
    let lookup = move |host: &str| {
        peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let addresses = scripted(host);
        running.fetch_sub(1, Ordering::SeqCst);
        addresses
    };
    let (start, started, _ends) = counted();
    let mut resolver = SystemResolver::with_pool(Pool::with_threads(Box::new(lookup), Box::new(start), HOUR));
    let names: Vec<_> = (0..3 * MAX_THREADS).map(|number| format!("h{number}.example")).collect();
    let receivers: Vec<_> = names.iter().map(|name| ask(&mut resolver, name, 80)).collect();
    let mut seen = Vec::new();
    let mut under_way: Vec<_> = (0..MAX_THREADS).map(|_| next(&calls)).collect();
    for answered in 0..names.len() {
        let call = under_way.remove(0);
        seen.push(call.host.clone());
        call.answer();
        if answered + MAX_THREADS < names.len() {
            under_way.push(next(&calls));
        }
    }
    assert!(receivers.iter().all(|receiver| next(receiver).is_ok()));
    assert_eq!(started.load(Ordering::SeqCst), MAX_THREADS);
    assert_eq!(most.load(Ordering::SeqCst), MAX_THREADS);
    let mut expected = names;
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);
}

#[test]
fn names_that_never_answer_delay_no_other() {
    for dead in [1, MAX_THREADS - 1] {
        let (calls, stuck) = mpsc::channel();
        let lookup = move |host: &str| {
            if host.starts_with("dead") {
                let (keep, never) = mpsc::channel::<()>();
                calls.send(keep).map_err(io::Error::other)?;
                let _end_of_test = never.recv();
            }
            Ok(addresses(&["192.0.2.1:0"]))
        };
        let mut resolver = SystemResolver::with_lookup(lookup);
        let unanswered: Vec<_> =
            (0..dead).map(|number| ask(&mut resolver, &format!("dead{number}.example"), 80)).collect();
        let _never: Vec<_> = (0..dead).map(|_| next(&stuck)).collect();
        // Further questions for a dead name join it, and hold no thread.
        let joined: Vec<_> = (0..100)
            .map(|number| ask(&mut resolver, &format!("dead{}.example", number % dead), 80))
            .collect();
        for number in 0..100 {
            assert!(next(&ask(&mut resolver, &format!("h{number}.example"), 80)).is_ok());
        }
        assert!(unanswered.iter().chain(&joined).all(|receiver| receiver.try_recv().is_err()));
    }
}

#[test]
fn a_query_that_nobody_waits_for_is_not_asked() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    let (sender, receiver) = mpsc::channel();
    let (answer, asker) = Answer::with_asker(move |addresses| drop(sender.send(addresses)));
    assert!(answer.is_wanted());
    drop(asker);
    assert!(!answer.is_wanted());
    resolver.resolve(Query::new("unwanted.example", 80), answer);
    assert_eq!(next(&receiver).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let wanted = ask(&mut resolver, "wanted.example", 80);
    let call = next(&calls);
    assert_eq!(call.host, "wanted.example");
    call.answer();
    next(&wanted).unwrap();
}

#[test]
fn a_lookup_whose_askers_have_gone_answers_those_who_join_it() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    let (answer, asker) = Answer::with_asker(|_| {});
    resolver.resolve(Query::new("h.example", 80), answer);
    let call = next(&calls);
    drop(asker);
    let joined = ask(&mut resolver, "h.example", 81);
    call.answer();
    assert_eq!(next(&joined).unwrap(), addresses(&["192.0.2.1:81"]));
    assert!(calls.try_recv().is_err());
}

#[test]
fn askers_that_have_gone_do_not_gather_at_a_name_that_never_answers() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    let held = Arc::new(());
    let waiting = ask(&mut resolver, "h.example", 80);
    let call = next(&calls);
    for _ in 0..1000 {
        let captured = held.clone();
        let (answer, _gone_at_once) = Answer::with_asker(move |_| drop(captured));
        resolver.resolve(Query::new("h.example", 80), answer);
        assert!(Arc::strong_count(&held) <= 4, "{}", Arc::strong_count(&held));
    }
    call.answer();
    next(&waiting).unwrap();
}

#[test]
fn an_error_is_handed_to_every_asker() {
    let errors: [fn() -> io::Error; 3] = [
        || io::Error::from_raw_os_error(2),
        || io::Error::new(io::ErrorKind::NotFound, "no such name"),
        || io::ErrorKind::TimedOut.into(),
    ];
    for error in errors {
        let (lookup, calls) = scripted();
        let mut resolver = SystemResolver::with_lookup(lookup);
        let receivers = [80, 80, 81].map(|port| ask(&mut resolver, "h.example", port));
        next(&calls).reply.send(Err(error())).unwrap();
        for receiver in receivers {
            let (got, expected) = (next(&receiver).unwrap_err(), error());
            assert_eq!(got.kind(), expected.kind());
            assert_eq!(got.raw_os_error(), expected.raw_os_error());
            assert_eq!(got.to_string(), expected.to_string());
        }
    }
}

#[test]
fn a_lookup_that_panics_is_an_error_and_costs_no_thread() {
    let lookup = |host: &str| match host.strip_prefix("panic") {
        Some(_) => panic!("this panic belongs to the test"),
        None => Ok(addresses(&["192.0.2.1:0"])),
    };
    let mut resolver = SystemResolver::with_lookup(lookup);
    for number in 0..2 * MAX_THREADS {
        let error = next(&ask(&mut resolver, &format!("panic{number}.example"), 80)).unwrap_err();
        assert_eq!(error.to_string(), "the look-up of the name panicked");
    }
    next(&ask(&mut resolver, "h.example", 80)).unwrap();
}

#[test]
fn an_asker_that_panics_costs_no_other_its_answer() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    resolver.resolve(Query::new("h.example", 80), Answer::new(|_| panic!("this panic belongs to the test")));
    let receiver = ask(&mut resolver, "h.example", 80);
    next(&calls).answer();
    next(&receiver).unwrap();
}

#[test]
fn threads_end_after_the_resolver_is_dropped() {
    let (lookup, calls) = scripted();
    let (start, _, ends) = counted();
    let mut resolver = SystemResolver::with_pool(Pool::with_threads(Box::new(lookup), Box::new(start), HOUR));
    let receivers = ["a.example", "b.example", "c.example"].map(|host| ask(&mut resolver, host, 80));
    let (first, second, last) = (next(&calls), next(&calls), next(&calls));
    first.answer();
    second.answer();
    drop(resolver);
    next(&ends);
    next(&ends);
    last.answer();
    next(&ends);
    assert!(receivers.iter().all(|receiver| next(receiver).is_ok()));
}

#[test]
fn a_dropped_resolver_answers_what_no_thread_has_begun() {
    let (lookup, calls) = scripted();
    let mut resolver = SystemResolver::with_lookup(lookup);
    let busy: Vec<_> =
        (0..MAX_THREADS).map(|number| ask(&mut resolver, &format!("h{number}.example"), 80)).collect();
    let under_way: Vec<_> = (0..MAX_THREADS).map(|_| next(&calls)).collect();
    let waiting = ask(&mut resolver, "waiting.example", 80);
    drop(resolver);
    assert_eq!(next(&waiting).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    under_way.into_iter().for_each(Call::answer);
    assert!(busy.iter().all(|receiver| next(receiver).is_ok()));
}

#[test]
fn an_idle_thread_ends_and_the_next_question_starts_another() {
    let (start, started, ends) = counted();
    let lookup = |_: &str| Ok(addresses(&["192.0.2.1:0"]));
    let pool = Pool::with_threads(Box::new(lookup), Box::new(start), Duration::ZERO);
    let mut resolver = SystemResolver::with_pool(pool);
    for round in 1..=3 {
        next(&ask(&mut resolver, "h.example", 80)).unwrap();
        next(&ends);
        assert_eq!(started.load(Ordering::SeqCst), round);
    }
}

#[test]
fn a_question_waits_for_a_running_thread_where_no_other_can_be_started() {
    let (lookup, calls) = scripted();
    let (start, started, _ends) = counted();
    let exhausted = Arc::new(AtomicBool::new(true));
    let refuses = exhausted.clone();
    let start = move |job: Job| {
        if refuses.load(Ordering::SeqCst) { Err(io::ErrorKind::WouldBlock.into()) } else { start(job) }
    };
    let mut resolver = SystemResolver::with_pool(Pool::with_threads(Box::new(lookup), Box::new(start), HOUR));
    let error = next(&ask(&mut resolver, "none.example", 80)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(error.to_string().starts_with("no thread can be started to resolve names: "), "{error}");

    exhausted.store(false, Ordering::SeqCst);
    let first = ask(&mut resolver, "a.example", 80);
    let call = next(&calls);
    exhausted.store(true, Ordering::SeqCst);
    let second = ask(&mut resolver, "b.example", 80);
    call.answer();
    next(&first).unwrap();
    next(&calls).answer();
    next(&second).unwrap();
    assert_eq!(started.load(Ordering::SeqCst), 1);
}

#[test]
fn resolvers_of_several_threads_do_not_share_their_lookups() {
    let together = Arc::new(Barrier::new(2));
    let threads = [(); 2].map(|()| {
        let together = together.clone();
        thread::spawn(move || {
            let mut resolver = SystemResolver::with_lookup(move |_| {
                together.wait();
                Ok(addresses(&["192.0.2.1:0"]))
            });
            next(&ask(&mut resolver, "h.example", 80)).unwrap()
        })
    });
    for thread in threads {
        assert_eq!(thread.join().unwrap(), addresses(&["192.0.2.1:80"]));
    }
}

#[test]
fn a_dropped_query_is_answered_with_an_error() {
    let (sender, receiver) = mpsc::channel();
    drop(Answer::new(move |addresses| sender.send(addresses).unwrap()));
    assert_eq!(next(&receiver).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
