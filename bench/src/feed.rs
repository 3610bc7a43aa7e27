//! The messages of the workloads with compression: trades, no two of them alike.

use std::fmt::Write;

/// Bytes of text that are made before they are repeated: many times the largest window.
const CYCLE: usize = 2 << 20;
/// The fewest messages that are made.
const LEAST: usize = 16;

const SYMBOLS: [&str; 24] = [
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOTUSDT", "LTCUSDT", "BCHUSDT", "UNIUSDT",
    "FILUSDT", "ETCUSDT", "XLMUSDT", "TRXUSDT", "EOSUSDT", "ATOMUSDT", "AAVEUSDT", "AVAXUSDT", "LINKUSDT",
    "DOGEUSDT", "NEARUSDT", "ALGOUSDT", "HBARUSDT", "EGLDUSDT", "SANDUSDT",
];

/// Texts of `payload` bytes each, always the same ones. They are ASCII, of one line each.
pub fn texts(payload: usize) -> impl Iterator<Item = String> {
    let mut trades = Trades { seed: 0x9e37_79b9_7f4a_7c15, id: 3_141_592_653, time: 1_760_000_000_000 };
    (0..LEAST.max(CYCLE / payload.max(1))).map(move |_| trades.text(payload))
}

struct Trades {
    seed: u64,
    id: u64,
    time: u64,
}

impl Trades {
    fn text(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 200);
        text.push('[');
        while text.len() < length {
            self.trade(&mut text);
        }
        text.truncate(length);
        text
    }

    fn trade(&mut self, text: &mut String) {
        let symbol = self.below(SYMBOLS.len() as u64) as usize;
        self.id += 1 + self.below(3);
        self.time += self.below(40);
        // Prices wander about a level of their own.
        let price = (symbol as u64 + 1) * 271_828 + self.below(2000);
        let size = self.below(10_000_000);
        let (buyer, seller) = (self.below(1_000_000_000), self.below(1_000_000_000));
        let maker = self.below(2) == 0;
        let _ = write!(
            text,
            r#"{{"e":"trade","E":{},"s":"{}","t":{},"p":"{}.{:02}","q":"{}.{:05}","b":{buyer},"a":{seller},"m":{maker}}},"#,
            self.time,
            SYMBOLS[symbol],
            self.id,
            price / 100,
            price % 100,
            size / 100_000,
            size % 100_000,
        );
    }

    /// Marsaglia's xorshift.
    fn below(&mut self, end: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % end
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_have_their_length_and_are_all_different() {
        for payload in [150, 300, 65_536] {
            let texts: Vec<String> = texts(payload).collect();
            assert!(
                texts.iter().all(|text| text.len() == payload && text.is_ascii() && !text.contains('\n'))
            );
            assert!(texts.len() * payload > 1 << 20);
            assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len());
        }
    }
}
