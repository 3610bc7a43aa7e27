//! The bodies of the fuzz targets, on their seeds and on random inputs.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::fuzzing::{commands, server_frames, upgrade_response};

const ROUNDS: usize = 1000;

/// Runs `body` on the seeds of `target`, on damaged ones and on noise.
fn run(target: &str, body: fn(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        body(seed);
    }
    let mut random = StdRng::seed_from_u64(6455);
    let mut below = |bound: usize| random.next_u64() as usize % bound;
    for _ in 0..ROUNDS {
        let noise: Vec<u8> = (0..below(120)).map(|_| below(256) as u8).collect();
        body(&noise);
        let Some(seed) = seeds.get(below(seeds.len().max(1))) else { continue };
        let mut damaged = seed.clone();
        for _ in 0..1 + below(4) {
            let at = below(damaged.len());
            match below(3) {
                0 => damaged[at] = below(256) as u8,
                1 => damaged.insert(at, below(256) as u8),
                _ => drop(damaged.drain(at..damaged.len().min(at + below(4)))),
            }
            if damaged.is_empty() {
                break;
            }
        }
        body(&damaged);
    }
}

/// The seeds in the workspace; a package on its own comes without.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn upgrade_responses_of_any_kind() {
    run("upgrade_response", upgrade_response);
}

#[test]
fn frames_of_any_kind() {
    run("server_frames", server_frames);
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_frames_of_any_kind() {
    run("compressed_frames", crate::fuzzing::compressed_frames);
}

#[test]
fn commands_in_any_order() {
    run("commands", commands);
}
