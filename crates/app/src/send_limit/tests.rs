//! The windows against a model that remembers everything.

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Remembers every message: its length, and when it was written if it was.
#[derive(Default)]
struct Model {
    limits: Vec<SendLimit>,
    messages: Vec<(usize, Option<Instant>)>,
}

impl Model {
    fn used(&self, limit: &SendLimit, at: Instant) -> usize {
        let counts = |written: &Option<Instant>| written.is_none_or(|written| written + limit.interval > at);
        self.messages.iter().filter(|(_, written)| counts(written)).map(|(len, _)| limit.cost(*len)).sum()
    }

    fn allows(&self, len: usize, at: Instant) -> bool {
        self.limits.iter().all(|limit| self.used(limit, at) + limit.cost(len) <= limit.most)
    }

    /// The first moment at which a message is allowed: now, or when another one counts no longer.
    fn ready_at(&self, len: usize, now: Instant) -> Option<Instant> {
        let written = self.messages.iter().filter_map(|(_, written)| *written);
        let ends = written.flat_map(|at| self.limits.iter().map(move |limit| at + limit.interval));
        let mut moments: Vec<_> = ends.filter(|end| *end > now).chain([now]).collect();
        moments.sort();
        moments.into_iter().find(|at| self.allows(len, *at))
    }

    /// No interval holds more than a limit allows: it is enough to look at those that begin with a message.
    fn check(&self) {
        for limit in &self.limits {
            let mut written: Vec<_> =
                self.messages.iter().filter_map(|(len, written)| Some((written.as_ref()?, len))).collect();
            written.sort();
            for (begin, (first, _)) in written.iter().enumerate() {
                let within = written[begin..].iter().take_while(|(at, _)| **at < **first + limit.interval);
                let sum: usize = within.map(|(_, len)| limit.cost(**len)).sum();
                assert!(sum <= limit.most, "{sum} under {limit:?}");
            }
        }
    }
}

/// Numbers that the seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 32) as usize % limit
    }

    fn limits(&mut self) -> Vec<SendLimit> {
        let one = |dice: &mut Self| {
            let interval = (1 + dice.below(1000) as u32) * MS;
            match dice.below(2) {
                0 => SendLimit::messages(1 + dice.below(20), interval),
                _ => SendLimit::bytes(1 + dice.below(500), interval),
            }
        };
        (0..1 + self.below(3)).map(|_| one(self)).collect()
    }
}

#[test]
fn random_sequences_are_sent_exactly_when_a_model_without_bounds_sends_them() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let limits = dice.limits();
        let mut windows = SendWindows::new(&limits);
        let mut model = Model { limits, ..Model::default() };
        let mut now = Instant::now();
        let mut queued = VecDeque::new();
        for _ in 0..200 {
            let len = dice.below(120).min(windows.max_len());
            let ready_at = windows.ready_at(len, now);
            assert_eq!(ready_at, model.ready_at(len, now), "seed {seed}");
            match dice.below(5) {
                0 | 1 if ready_at == Some(now) => {
                    windows.queued(len, now);
                    queued.push_back(model.messages.len());
                    model.messages.push((len, None));
                }
                2 => {
                    if let Some(message) = queued.pop_front() {
                        windows.written(model.messages[message].0, now);
                        model.messages[message].1 = Some(now);
                    }
                }
                3 if dice.below(8) == 0 => {
                    if let Some(message) = queued.pop_back() {
                        windows.dropped(model.messages[message].0);
                        model.messages.remove(message);
                    }
                }
                // Often exactly then.
                _ => match ready_at {
                    Some(at) if dice.below(2) == 0 => now = at,
                    _ => now += dice.below(300) as u32 * MS,
                },
            }
        }
        model.check();
    }
}

#[test]
fn one_more_is_ready_exactly_an_interval_after_the_first() {
    let mut windows = SendWindows::new(&[SendLimit::messages(2, SECOND)]);
    let start = Instant::now();
    for millis in [0, 300] {
        windows.queued(1, start + millis * MS);
        windows.written(1, start + millis * MS);
    }
    assert_eq!(windows.ready_at(1, start + 400 * MS), Some(start + SECOND));
    windows.queued(1, start + SECOND);
    assert_eq!(windows.ready_at(1, start + SECOND), Some(start + 1300 * MS));
    windows.queued(1, start + 1300 * MS);
    assert_eq!(windows.ready_at(1, start + 9 * SECOND), None, "neither is written yet");
    windows.dropped(1);
    assert_eq!(windows.ready_at(1, start + 9 * SECOND), Some(start + 9 * SECOND));
}

#[test]
fn what_many_small_messages_take_is_bounded_and_never_too_little() {
    const MOST: usize = 1_000_000;
    let mut windows = SendWindows::new(&[SendLimit::bytes(MOST, SECOND)]);
    let mut model = Model { limits: vec![SendLimit::bytes(MOST, SECOND)], ..Model::default() };
    let start = Instant::now();
    let mut now = start;
    for number in 0..40_000 {
        now += Duration::from_micros(100);
        if windows.ready_at(50 + number % 200, now) == Some(now) {
            windows.queued(50 + number % 200, now);
            windows.written(50 + number % 200, now);
            model.messages.push((50 + number % 200, Some(now)));
        }
    }
    assert!(windows.0[0].entries.len() <= 2 * EXACT + 1, "{}", windows.0[0].entries.len());
    model.check();
    let sent: usize = model.messages.iter().map(|(len, _)| len).sum();
    // Four intervals, each with a little less than it may have.
    assert!(sent > 39 * MOST / 10, "{sent}");
}

#[test]
fn the_smallest_limit_on_bytes_says_what_can_be_sent_at_all() {
    let limits = [SendLimit::bytes(10, SECOND), SendLimit::messages(1, SECOND), SendLimit::bytes(9, SECOND)];
    assert_eq!(SendWindows::new(&limits).max_len(), 9);
    assert_eq!(SendWindows::new(&limits[1..2]).max_len(), usize::MAX);
}

#[test]
fn limits_and_intervals_of_any_size_overflow_nothing() {
    let limits = [SendLimit::bytes(usize::MAX, Duration::MAX), SendLimit::messages(1, Duration::MAX)];
    let mut windows = SendWindows::new(&limits);
    let now = Instant::now();
    assert_eq!(windows.ready_at(usize::MAX, now), Some(now));
    windows.queued(usize::MAX, now);
    windows.written(usize::MAX, now);
    assert!(windows.ready_at(1, now).is_some_and(|at| at > now + 365 * 24 * 3600 * SECOND));
}
