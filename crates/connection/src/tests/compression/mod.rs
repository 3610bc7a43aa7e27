//! permessage-deflate, with zlib's own streams as the server.

mod negotiation;
mod numbers;
mod properties;
mod receiving;
mod refusals;
mod sending;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use zlib_rs::{DeflateConfig, DeflateFlush, Inflate, InflateFlush};

use crate::fuzzing::harness::{Client, Sent};
use crate::{Config, Deflate, DeflateOffer};

/// An open connection with what `answer` says, which has to fit `deflate`.
fn open(deflate: impl Into<Deflate>, answer: &str) -> Client {
    open_with(Config::default(), deflate, answer)
}

fn open_with(mut config: Config, deflate: impl Into<Deflate>, answer: &str) -> Client {
    config.deflate = Some(deflate.into());
    config.check().unwrap();
    Client::extended(config, &format!("permessage-deflate{answer}")).unwrap()
}

/// An offer that any parameters of an answer fit.
fn anything() -> Deflate {
    DeflateOffer::new().into()
}

/// The server's compressor.
struct Compressor {
    stream: zlib_rs::Deflate,
    takeover: bool,
}

impl Compressor {
    fn new(level: u8, bits: u8, takeover: bool) -> Self {
        let mut config = DeflateConfig::new(level.into());
        config.window_bits = -i32::from(bits);
        Self { stream: zlib_rs::Deflate::new_with_config(config), takeover }
    }

    /// The payloads of a message, without the tail.
    fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; payload.len() * 2 + 1000];
        let before = self.stream.total_out();
        self.stream.compress(payload, &mut out, DeflateFlush::SyncFlush).unwrap();
        out.truncate((self.stream.total_out() - before) as usize);
        if out.is_empty() {
            // There was nothing left to flush.
            out.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
        }
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
        out.truncate(out.len() - 4);
        if !self.takeover {
            self.stream.reset();
        }
        out
    }
}

/// The server's inflater: strict about the window, since it gets room for one byte at a time.
struct Inflater {
    stream: Inflate,
    takeover: bool,
    bits: u8,
}

impl Inflater {
    fn new(bits: u8, takeover: bool) -> Self {
        Self { stream: Inflate::new(false, bits), takeover, bits }
    }

    fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let input = [payload, &[0, 0, 0xff, 0xff]].concat();
        let (mut out, mut at) = (Vec::new(), 0);
        loop {
            let (used, made) = (self.stream.total_in(), self.stream.total_out());
            let mut byte = [0];
            self.stream.decompress(&input[at..], &mut byte, InflateFlush::SyncFlush).unwrap();
            at += (self.stream.total_in() - used) as usize;
            if self.stream.total_out() == made {
                break;
            }
            out.push(byte[0]);
        }
        assert_eq!(at, input.len());
        if !self.takeover {
            self.stream = Inflate::new(false, self.bits);
        }
        out
    }

    /// The message that these frames are.
    fn frames(&mut self, frames: &[Sent]) -> Vec<u8> {
        assert!(frames.iter().skip(1).all(|frame| frame.opcode == 0), "{frames:?}");
        assert_eq!(frames.iter().position(|frame| frame.fin), Some(frames.len() - 1));
        let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
        if frames[0].compressed { self.message(&payload) } else { payload }
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut noise = vec![0; len];
    StdRng::seed_from_u64(7692).fill_bytes(&mut noise);
    noise
}

/// Text that compresses, different for each `seed`.
fn text(len: usize, seed: usize) -> String {
    let mut text = String::new();
    while text.len() < len {
        let number = (text.len() + seed * 77).wrapping_mul(0x9e37_79b9) >> 7 & 0xfff;
        text += &format!("{{\"price\":{number},\"size\":{}}},", number % 7);
    }
    text.truncate(len);
    text
}
