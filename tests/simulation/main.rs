//! Everything that can happen to an app, in virtual time: a seed draws the network's faults, the servers, the options and what users do; what
//! design.md promises of the life cycle is checked at every event and at the end.
//!
//! - `SIMULATION_SEEDS=1000000` runs that many seeds instead of the default.
//! - `SIMULATION_SEED=123 cargo test -p websocket-tests --test simulation -- --nocapture` runs one and prints what happens.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]
#![allow(unreachable_pub, reason = "modules of a test are not reached from elsewhere anyway")]

mod actions;
mod checks;
mod closing;
mod compression;
mod coverage;
mod deadlines;
mod dice;
mod feed;
mod life;
mod limits;
mod memory;
mod pace;
mod renewals;
mod seed;
mod sending;
mod server;
mod settings;
mod stops;
mod turn;
mod user;
mod wire;
mod world;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use coverage::{Coverage, WANTED};
use seed::Report;
use world::Record;

/// Seeds in CI, and those of apps that are renewed.
const SEEDS: u64 = 20_000;
const RENEWAL_SEEDS: u64 = 5_000;
/// Each has worlds of its own.
const THREADS: usize = 2;

fn number(variable: &str) -> Option<u64> {
    env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Runs one seed.
type RunSeed = fn(u64, Record) -> Result<Report, String>;

/// The line that runs a seed again, and what went wrong.
fn complaint(test: &str, seed: u64, breach: &str) -> String {
    format!(
        "SIMULATION_SEED={seed} cargo test -p websocket-tests --test simulation {test} -- --nocapture  # {breach}"
    )
}

/// Runs the seeds that are asked for, or the `default`. That many must have done what is `wanted`.
fn run_seeds(test: &str, run: RunSeed, default: u64, wanted: &[&str]) {
    if let Some(seed) = number("SIMULATION_SEED") {
        for warm_up in 0..seed::WARM_UP {
            drop(run(warm_up, Record::Nothing));
        }
        let report = run(seed, Record::Print);
        let report = report.unwrap_or_else(|breach| panic!("{}", complaint(test, seed, &breach)));
        return print!("{} turns\n{}", report.turns, report.coverage.lines());
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(default);
    let next = AtomicU64::new(0);
    let work = || {
        let mut coverage = Coverage::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return Ok(coverage);
            }
            match run(seed, Record::Nothing) {
                Ok(report) => coverage.add(report.coverage),
                Err(breach) => {
                    // The other threads finish theirs.
                    next.store(seeds, Ordering::Relaxed);
                    return Err(complaint(test, seed, &breach));
                }
            }
        }
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread lives")).collect()
    });
    let mut coverage = Coverage::default();
    for result in results {
        coverage.add(result.unwrap_or_else(|complaint| panic!("{complaint}")));
    }
    println!("{}", coverage.lines());
    if seeds >= default {
        assert_eq!(coverage.missing(wanted), [""; 0], "the simulation has become poorer");
    }
}

#[test]
fn every_seed_keeps_the_promises_of_the_life_cycle() {
    run_seeds("every_seed_keeps", seed::run, SEEDS, &WANTED);
}

#[test]
fn a_handover_to_a_successor_loses_nothing_whatever_the_seed() {
    run_seeds("a_handover", renewals::run, RENEWAL_SEEDS, &renewals::WANTED);
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for run in [seed::run as RunSeed, renewals::run] {
        for seed in 0..200 {
            let logs = [(); 2].map(|()| match run(seed, Record::Log) {
                Ok(report) => report.log.expect("it was recorded"),
                Err(breach) => panic!("{}", complaint("", seed, &breach)),
            });
            assert!(!logs[0].is_empty() && logs[0] == logs[1], "seed {seed}");
        }
    }
}
