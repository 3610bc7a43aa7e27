//! Compressed messages between our client and servers that people have: Python's `websockets`, npm's `ws`, and both behind nginx. Those
//! that are not installed are skipped: `tests/install-parts` installs them.
//!
//! All sessions of a test share one reactor, so one inflater and one compressor serve windows of every size in turns.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(unreachable_pub, reason = "modules of a test are not reached from elsewhere anyway")]

mod meter;
mod session;

use session::{Report, Session, Step};
use websocket_app::tls::TlsOptions;
use websocket_app::{Deflate, DeflateAgreed, DeflateOffer, Kind, RunOptions};
use websocket_tests::parts::{Compressing, Nginx};
use websocket_tests::{Authority, reactor, run};

const CLEAN: &str = "close 1000, by client, clean";

/// A message that does not compress by itself, and how often it is sent: what is beyond the first comes from the context.
const NOISE: usize = 2000;
const TIMES: usize = 10;

const LARGEST: usize = 16 << 20;

/// Which servers.
type Peer = fn(&[String]) -> Option<Compressing>;

/// A session to be: the server's options, ours, and what is said.
type Plan = (String, Deflate, Vec<Step>);

fn prose(len: usize) -> Vec<u8> {
    let line = "Größe: 12 €, symbol: ABC, price: 34.5, side: buy\n";
    let mut text = line.repeat(len / line.len());
    text.extend(std::iter::repeat_n('x', len - text.len()));
    text.into_bytes()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Compressible text and incompressible bytes of that length, from both sides.
fn both_ways(len: usize, fragments: usize) -> [Step; 4] {
    [
        Step::Ours(vec![(Kind::Text, prose(len))], fragments),
        Step::Theirs(Kind::Text, "prose", len, fragments),
        Step::Ours(vec![(Kind::Binary, noise(len))], fragments),
        Step::Theirs(Kind::Binary, "noise", len, fragments),
    ]
}

/// Messages of every kind, up to some 64 KiB, whole and in pieces; and many at once.
fn conversation() -> Vec<Step> {
    let mut steps = Vec::new();
    for len in [0, 1, 2, 125, 126, 127, 128, 129, 300, 1023, 1024, 4000, 65_535, 65_536] {
        steps.extend(both_ways(len, 1));
    }
    for (len, fragments) in [(0, 2), (1, 2), (10, 10), (300, 2), (5000, 7), (70_000, 3)] {
        steps.extend(both_ways(len, fragments));
    }
    steps.push(Step::Theirs(Kind::Text, "noise", 3000, 4));
    steps.push(Step::Theirs(Kind::Binary, "prose", 3000, 1));
    let many = (0..60)
        .map(|at| if at % 3 == 0 { (Kind::Binary, noise(at * 9)) } else { (Kind::Text, prose(at * 11)) });
    steps.push(Step::Ours(many.collect(), 1));
    steps
}

/// The same noise again and again: it becomes short where context is taken over and the window is large enough, and nowhere else.
fn repeated() -> Vec<Step> {
    vec![Step::Ours(vec![(Kind::Binary, noise(NOISE))], 1); TIMES]
}

/// Runs all sessions at once, with one server for all that ask for the same of it, and tells what came of them.
#[track_caller]
fn meet(peer: Peer, plans: &[Plan]) -> Option<Vec<Report>> {
    let mut kinds: Vec<_> = plans.iter().map(|(options, ..)| options.clone()).collect();
    kinds.sort();
    kinds.dedup();
    let servers = peer(&kinds)?;
    let mut reactor = reactor();
    let mut sessions = Vec::new();
    for (kind, deflate, steps) in plans {
        let addr = servers.addrs()[kinds.binary_search(kind).unwrap()];
        let options = RunOptions::new().compression(deflate.clone());
        sessions.push(Session::start(&mut reactor, &format!("ws://{addr}/"), addr, &options, steps.clone()));
    }
    run(&mut reactor);
    Some(sessions.iter().map(Session::report).collect())
}

/// [`meet`], where everything is to go well.
#[track_caller]
fn talk(peer: Peer, plans: &[Plan]) -> Vec<Report> {
    let Some(reports) = meet(peer, plans) else { return Vec::new() };
    for (report, (options, deflate, steps)) in reports.iter().zip(plans) {
        assert_eq!(report.end, [CLEAN], "{options} {deflate:?}: {report:?}");
        assert_eq!(report.done, steps.len(), "{options} {deflate:?}");
    }
    reports
}

/// What was agreed on, in the order of [`DeflateAgreed`]'s fields.
#[track_caller]
fn agreed(report: &Report) -> (bool, bool, u8, u8) {
    let DeflateAgreed {
        server_no_context_takeover,
        client_no_context_takeover,
        server_max_window_bits,
        client_max_window_bits,
        ..
    } = report.agreed.unwrap();
    (server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits)
}

/// Whether the bytes of [`repeated`] on the wire came from the context.
#[track_caller]
fn came_from_context(wire: usize) -> bool {
    let all = NOISE * TIMES;
    assert!(wire < NOISE * 2 || (all..all + NOISE).contains(&wire), "{wire}");
    wire < NOISE * 2
}

fn offer() -> DeflateOffer {
    DeflateOffer::new()
}

/// Messages of all lengths, in the four modes of context takeover; in the first, the largest.
#[track_caller]
fn all_lengths(peer: Peer) {
    let mut largest = conversation();
    largest.extend(both_ways(1 << 20, 5));
    largest.extend(both_ways(LARGEST, 1));
    largest.push(Step::Ours(vec![(Kind::Binary, prose(LARGEST))], 1));
    largest.push(Step::Theirs(Kind::Binary, "prose", 3 << 20, 3));
    let options = || "{}".to_owned();
    let plans = [
        (options(), Deflate::new(), largest),
        (options(), offer().server_no_context_takeover().into(), conversation()),
        (options(), offer().client_no_context_takeover().into(), conversation()),
        (
            options(),
            Deflate::from(offer().server_no_context_takeover().client_no_context_takeover()).level(9),
            conversation(),
        ),
        (options(), Deflate::new().threshold(0).level(6), conversation()),
        (options(), Deflate::new().level(0), conversation()),
    ];
    for report in talk(peer, &plans) {
        assert!(report.agreed.is_some());
    }
}

/// Text that compresses takes a fraction of its length on the wire.
#[track_caller]
fn text_becomes_short(peer: Peer) {
    let steps = [
        Step::Ours(vec![(Kind::Text, prose(100_000))], 1),
        Step::Ours(vec![(Kind::Text, prose(100_000))], 6),
        Step::Theirs(Kind::Text, "prose", 100_000, 1),
        Step::Theirs(Kind::Text, "prose", 100_000, 6),
    ];
    for report in talk(peer, &[("{}".to_owned(), Deflate::new(), steps.to_vec())]) {
        let (plain, wire) = (report.plain, report.wire);
        assert!(wire.0 < plain.0 / 20 && wire.1 < plain.1 / 20, "{wire:?} of {plain:?}");
    }
}

/// Context is taken over where that was agreed, whoever asks for it not to be.
#[track_caller]
fn takeover(peer: Peer) {
    let mut plans = Vec::new();
    for (server, client) in [(false, false), (false, true), (true, false), (true, true)] {
        let asked =
            format!(r#"{{"server_no_context_takeover": {server}, "client_no_context_takeover": {client}}}"#);
        // ws takes `false` for "never": the server's wish is left out then.
        let asked = asked.replace(r#""server_no_context_takeover": false, "#, "");
        plans.push((asked, Deflate::new(), repeated()));
        let ours = if server { offer().server_no_context_takeover() } else { offer() };
        let ours = if client { ours.client_no_context_takeover() } else { ours };
        plans.push(("{}".to_owned(), ours.into(), repeated()));
    }
    for (index, report) in talk(peer, &plans).iter().enumerate() {
        let (server, client) = (index / 2 >= 2, index / 2 % 2 == 1);
        let plan = &plans[index];
        assert_eq!(agreed(report), (server, client, 15, 15), "{plan:?}", plan = (&plan.0, &plan.1));
        assert_eq!(came_from_context(report.wire.0), !client, "ours: {:?}", (&plan.0, &plan.1));
        assert_eq!(came_from_context(report.wire.1), !server, "theirs: {:?}", (&plan.0, &plan.1));
    }
}

/// Windows of every size, as the server or the client wants them. `least` is the smallest that the server can deflate with.
#[track_caller]
fn windows(peer: Peer, least: u8) {
    let mut plans = Vec::new();
    let mut bits = Vec::new();
    for client in 8..=15 {
        // The windows of the two sides differ.
        let server = (23 - client).max(least);
        let asked = format!(r#"{{"server_max_window_bits": {server}, "client_max_window_bits": {client}}}"#);
        let ours = offer().server_max_window_bits(server).client_max_window_bits(client);
        let ours: Plan = ("{}".to_owned(), ours.into(), repeated());
        let theirs: Plan = (asked, Deflate::new(), repeated());
        let (options, deflate, _) = if client % 2 == 0 { ours.clone() } else { theirs.clone() };
        plans.extend([ours, theirs, (options, deflate, conversation())]);
        bits.extend([(server, client); 3]);
    }
    for (index, report) in talk(peer, &plans).iter().enumerate() {
        let (server, client) = bits[index];
        let plan = (&plans[index].0, &plans[index].1);
        assert_eq!(agreed(report), (false, false, server, client), "{plan:?}");
        if index % 3 < 2 {
            // NOISE and a little more has to lie in the window.
            assert_eq!(came_from_context(report.wire.0), client >= 12, "ours: {plan:?}");
            assert_eq!(came_from_context(report.wire.1), server >= 12, "theirs: {plan:?}");
        }
    }
}

/// The server compresses nothing, and what we offer changes nothing.
#[track_caller]
fn refused(peer: Peer, options: &str, deflate: Deflate) {
    let mut steps = conversation();
    steps.extend(repeated());
    for report in talk(peer, &[(options.to_owned(), deflate, steps)]) {
        assert_eq!(report.agreed, None);
        let (plain, wire) = (report.plain, report.wire);
        assert!(wire.0 > plain.0 && wire.1 > plain.1, "{wire:?} of {plain:?}");
    }
}

/// Both kinds of server behind nginx, in the clear and with TLS.
#[track_caller]
fn behind_nginx(peer: Peer) {
    let options = [r#"{"client_max_window_bits": 11, "server_max_window_bits": 13}"#.to_owned()];
    let Some(servers) = peer(&options) else { return };
    let authority = Authority::new();
    let Some(nginx) = Nginx::wss_proxy_to(servers.addrs()[0], &authority.server()) else { return };
    let tls = TlsOptions::new().environment(|_| None).roots_from_bytes(authority.pem());
    let options = RunOptions::new().compression(Deflate::new()).tls(tls);
    let mut steps = conversation();
    steps.extend(both_ways(300_000, 1));
    let largest = [steps.clone(), both_ways(LARGEST, 1).to_vec()].concat();
    let (plain, secure) = (nginx.plain_addr(), nginx.secure_addr());
    let plans = [
        (format!("ws://{plain}/"), plain, largest),
        (format!("wss://localhost:{}/", secure.port()), secure, steps),
    ];
    let mut reactor = reactor();
    let sessions: Vec<_> = plans
        .iter()
        .map(|(url, addr, steps)| Session::start(&mut reactor, url, *addr, &options, steps.clone()))
        .collect();
    run(&mut reactor);
    for (report, (url, _, steps)) in sessions.iter().map(Session::report).zip(&plans) {
        assert_eq!(report.end, [CLEAN], "{url}: {report:?}");
        assert_eq!((report.done, agreed(&report)), (steps.len(), (false, false, 13, 11)), "{url}");
        // Half of it is noise.
        let (plain, wire) = (report.plain, report.wire);
        assert!(wire.0 < plain.0 / 10 * 6 && wire.1 < plain.1 / 10 * 6, "{wire:?} of {plain:?}");
    }
}

#[test]
fn python_takes_messages_of_all_lengths() {
    all_lengths(Compressing::python);
}

#[test]
fn ws_takes_messages_of_all_lengths() {
    all_lengths(Compressing::node);
}

#[test]
fn text_becomes_short_on_the_wire() {
    text_becomes_short(Compressing::python);
    text_becomes_short(Compressing::node);
}

#[test]
fn python_takes_context_over_where_that_was_agreed() {
    takeover(Compressing::python);
}

#[test]
fn ws_takes_context_over_where_that_was_agreed() {
    takeover(Compressing::node);
}

#[test]
fn python_has_windows_of_every_size() {
    // It agrees to deflate with 8 bits, which its zlib then refuses.
    windows(Compressing::python, 9);
}

#[test]
fn ws_has_windows_of_every_size() {
    windows(Compressing::node, 8);
}

#[test]
fn nginx_passes_compressed_messages_on() {
    behind_nginx(Compressing::python);
    behind_nginx(Compressing::node);
}

#[test]
fn ws_takes_the_first_offer_that_suits_it() {
    let offers = || {
        Deflate::with_offers([
            offer().server_max_window_bits(10).without_client_max_window_bits(),
            offer().server_no_context_takeover().client_max_window_bits(9),
            offer().client_max_window_bits(12),
        ])
    };
    let cases = [
        // The answer fits the third offer too, whose limit then holds.
        ("{}", (false, false, 10, 12)),
        (r#"{"server_max_window_bits": false}"#, (true, false, 15, 9)),
        (r#"{"server_max_window_bits": false, "server_no_context_takeover": false}"#, (false, false, 15, 12)),
        (r#"{"client_max_window_bits": 11}"#, (false, false, 15, 11)),
    ];
    let plans = cases.map(|(options, _)| (options.to_owned(), offers(), conversation()));
    for (report, (options, expected)) in talk(Compressing::node, &plans).iter().zip(cases) {
        assert_eq!(agreed(report), expected, "{options}");
    }
}

#[test]
fn python_takes_the_first_offer_that_suits_it() {
    let offers = || {
        Deflate::with_offers([
            offer().server_max_window_bits(10).without_client_max_window_bits(),
            offer().client_no_context_takeover().client_max_window_bits(12),
        ])
    };
    let strict = r#"{"client_max_window_bits": 11, "require_client_max_window_bits": true}"#;
    // The first answer fits both offers, so what either announces of the client holds.
    let cases = [("{}", (false, true, 10, 12)), (strict, (false, true, 15, 11))];
    let plans = cases.map(|(options, _)| (options.to_owned(), offers(), conversation()));
    for (report, (options, expected)) in talk(Compressing::python, &plans).iter().zip(cases) {
        assert_eq!(agreed(report), expected, "{options}");
    }
}

#[test]
fn a_server_that_does_not_compress_is_spoken_to_as_ever() {
    refused(Compressing::python, "null", Deflate::new());
    refused(Compressing::node, "null", Deflate::new());
    let unlimited = || offer().without_client_max_window_bits().into();
    let strict = r#"{"client_max_window_bits": 11, "require_client_max_window_bits": true}"#;
    refused(Compressing::python, strict, unlimited());
    // ws compresses on no other terms than its own, and answers so.
    let strict = r#"{"client_max_window_bits": 11}"#.to_owned();
    let Some(reports) = meet(Compressing::node, &[(strict, unlimited(), Vec::new())]) else { return };
    assert_eq!(reports[0].end, ["error Upgrade(Status 400)", "close: Upgrade(Status 400)"]);
}
