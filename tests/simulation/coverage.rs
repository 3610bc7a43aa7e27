//! What the seeds together have done: a simulation that no longer reaches something must not pass for it.

use std::collections::BTreeMap;

/// How often things have happened.
#[derive(Default)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    pub fn count(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(times) => *times += 1,
            None => drop(self.0.insert(what.to_owned(), 1)),
        }
    }

    pub fn add(&mut self, other: Self) {
        for (what, times) in other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    /// Which of these has happened fewer than `least` times.
    pub fn missing<'a>(&self, wanted: impl IntoIterator<Item = &'a str>, least: u64) -> Vec<String> {
        let times = |what: &str| self.0.get(what).copied().unwrap_or(0);
        wanted
            .into_iter()
            .filter(|what| times(what) < least)
            .map(|what| format!("{what}: {}", times(what)))
            .collect()
    }

    /// One line for each thing.
    pub fn lines(&self) -> String {
        self.0.iter().map(|(what, times)| format!("{times:>9} {what}\n")).collect()
    }
}
