//! Limits on what an app sends per interval: how they are drawn, and that they hold over all connections of the app.

use std::collections::VecDeque;
use std::time::Duration;

use websocket_app::{RunOptions, SendLimit};

use crate::dice::Dice;

/// The limits of one app; most have none.
#[derive(Clone, Default, Debug)]
pub struct Limits(Vec<Limit>);

#[derive(Clone, Copy, Debug)]
struct Limit {
    of_bytes: bool,
    most: usize,
    interval: Duration,
}

impl Limits {
    pub fn draw(dice: &Dice) -> Self {
        if !dice.one_in(4) {
            return Self::default();
        }
        let one = |_| {
            let of_bytes = dice.one_in(2);
            let most = if of_bytes { dice.pick(&[150, 700, 5000]) } else { dice.pick(&[1, 3, 20]) };
            Limit { of_bytes, most, interval: Duration::from_millis(dice.pick(&[100, 1000, 3000])) }
        };
        Self((0..1 + dice.below(2)).map(one).collect())
    }

    pub fn set(&self, options: RunOptions) -> RunOptions {
        self.0.iter().fold(options, |options, limit| {
            options.send_limit(match limit.of_bytes {
                true => SendLimit::bytes(limit.most, limit.interval),
                false => SendLimit::messages(limit.most, limit.interval),
            })
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest that the first message in the queue has to wait after another one was written.
    pub fn longest(&self) -> Duration {
        self.0.iter().map(|limit| limit.interval).max().unwrap_or_default()
    }

    /// Whether a message of `len` bytes is rightly refused because of the limit on bytes that the app was told.
    pub fn refuse(&self, len: usize, told: usize) -> bool {
        let least = self.0.iter().filter(|limit| limit.of_bytes).map(|limit| limit.most).min();
        least == Some(told) && len > told
    }

    /// A message was written; what is wrong with that.
    pub fn exceeded(
        &self,
        written: &mut VecDeque<(Duration, usize)>,
        len: usize,
        now: Duration,
    ) -> Option<String> {
        written.push_back((now, len));
        while written.front().is_some_and(|(at, _)| *at + self.longest() <= now) {
            written.pop_front();
        }
        let wrong = self.0.iter().find(|limit| {
            let within = written.iter().filter(|(at, _)| *at + limit.interval > now);
            within.map(|(_, len)| if limit.of_bytes { *len } else { 1 }).sum::<usize>() > limit.most
        });
        wrong.map(|limit| format!("writes more than {limit:?}"))
    }
}

/// Takes what `payload` says was written out of what is to be written: the first, or any where it `overtakes` the others.
pub fn take<T>(
    queue: &mut VecDeque<T>,
    payload: &[u8],
    payload_of: impl Fn(&T) -> &[u8],
    overtakes: bool,
) -> Option<T> {
    let place = if overtakes { queue.iter().position(|it| payload_of(it) == payload)? } else { 0 };
    queue.remove(place)
}
