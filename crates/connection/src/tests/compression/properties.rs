//! Random traffic in every mode.

use super::*;
use crate::Kind;
use crate::fuzzing::harness::{Leave, Seen, raw_frame};

struct Random(StdRng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u64() as usize % bound
    }

    /// Text, zeros, noise, or something between.
    fn payload(&mut self) -> Vec<u8> {
        let len = match self.below(8) {
            0 => self.below(3),
            1..5 => self.below(300),
            5 | 6 => self.below(5000),
            _ => self.below(100_000),
        };
        match self.below(4) {
            0 => vec![0; len],
            1 => (0..len).map(|_| self.below(256) as u8).collect(),
            2 => (0..len).map(|_| b"ab"[self.below(2)]).collect(),
            _ => text(len, self.below(1000)).into_bytes(),
        }
    }
}

#[test]
fn a_server_inflates_what_we_send() {
    for seed in 0..160_u64 {
        let mut random = Random(StdRng::seed_from_u64(seed));
        let (bits, takeover, level) = (8 + seed as u8 % 8, seed & 8 == 0, seed as u8 % 10);
        let mut answer = format!("; client_max_window_bits={bits}");
        if !takeover {
            answer += "; client_no_context_takeover";
        }
        let mut client = open(anything().level(level).threshold(random.below(200)), &answer);
        let mut server = Inflater::new(bits, takeover);
        for _ in 0..8 {
            let payload = random.payload();
            let tx = client.conn.tx();
            if random.below(2) == 0 {
                tx.send_binary(&payload, &mut client.env).unwrap();
            } else {
                let mut kind = Some(Kind::Binary);
                let mut rest = payload.as_slice();
                for _ in 0..random.below(4) {
                    let (piece, after) = rest.split_at(random.below(rest.len() + 1));
                    tx.send_fragment(kind.take(), piece, false, &mut client.env).unwrap();
                    rest = after;
                }
                tx.send_fragment(kind, rest, true, &mut client.env).unwrap();
            }
            let sent = client.sent();
            let most = payload.len() + payload.len() / 8 + payload.len() / 64 + 64 * sent.len();
            assert!(sent.iter().map(|frame| frame.payload.len()).sum::<usize>() <= most);
            assert!(server.frames(&sent) == payload, "seed {seed}");
        }
    }
}

#[test]
fn we_inflate_what_a_server_sends() {
    for seed in 0..160_u64 {
        let mut random = Random(StdRng::seed_from_u64(seed));
        let (bits, takeover, level) = (8 + seed as u8 % 8, seed & 8 == 0, seed as u8 % 10);
        let mut answer = format!("; server_max_window_bits={bits}");
        if !takeover {
            answer += "; server_no_context_takeover";
        }
        let mut client = open(anything(), &answer);
        let mut server = Compressor::new(level, bits.max(9), takeover);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let payload = random.payload();
            if random.below(4) == 0 {
                bytes.extend(raw_frame(0x82, &payload));
            } else {
                let compressed = server.message(&payload);
                let (mut rest, mut first) = (compressed.as_slice(), 0x42);
                for _ in 0..random.below(4) {
                    let (piece, after) = rest.split_at(random.below(rest.len() + 1));
                    bytes.extend(raw_frame(first, piece));
                    (rest, first) = (after, 0);
                }
                bytes.extend(raw_frame(first | 0x80, rest));
            }
            expected.push(Seen::Binary(payload));
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + random.below(9000)).min(rest.len()));
            let leave = [Leave::InBuffer, Leave::Absorb, Leave::Spare][random.below(3)];
            client.feed(piece, leave).unwrap();
            rest = after;
        }
        client.came(&[]).unwrap();
        assert!(client.take() == expected, "seed {seed}");
    }
}
