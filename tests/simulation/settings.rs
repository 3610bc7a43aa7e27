//! The options of one app, as the seed draws them.

use std::time::Duration;

use websocket_app::{Deflate, Liveness, Outcome, Reconnect, RunOptions, Side, Unsent, Verdict};

use crate::compression;
use crate::dice::Dice;
use crate::limits::Limits;
use crate::world::{Callback, world};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[derive(Clone, Copy, Debug)]
pub enum Delay {
    Fixed(Duration),
    Backoff { first: Duration, cap: Duration },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Classify {
    /// No function of the user's.
    Unset,
    /// The default, by way of a function.
    Default,
    Always,
    Sometimes,
}

#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub delay: Delay,
    pub max_retries: Option<u32>,
    pub max_elapsed: Option<Duration>,
    pub stable_after: Duration,
    pub classify: Classify,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub attempt: Duration,
    pub resolve: Duration,
    pub connect: Duration,
    pub upgrade: Duration,
    pub write: Duration,
    pub close: Duration,
    pub ping: Option<(Duration, Option<Duration>)>,
    pub pong_only: bool,
    pub silence: Option<Duration>,
    pub policy: Option<Policy>,
    pub unsent: Unsent,
    pub limit: usize,
    pub fragments: bool,
    pub max_message: u64,
    pub compression: Option<Deflate>,
    pub limits: Limits,
}

impl Settings {
    pub fn draw(dice: &Dice) -> Self {
        let short = |dice: &Dice, times: &[u64]| ms(if dice.one_in(40) { 0 } else { dice.pick(times) });
        let interval = ms(dice.pick(&[300, 700, 1000, 2000, 5000]));
        let timeout = [None, Some(interval / 2), Some(interval - Duration::from_nanos(1))];
        Self {
            attempt: short(dice, &[700, 2000, 5000, 30_000]),
            resolve: short(dice, &[500, 1000, 3000]),
            connect: short(dice, &[500, 1000, 3000]),
            upgrade: short(dice, &[500, 1000, 3000]),
            write: short(dice, &[500, 1000, 3000]),
            close: short(dice, &[200, 1000, 3000]),
            ping: dice.one_in(2).then(|| (interval, dice.pick(&timeout))),
            pong_only: dice.one_in(2),
            silence: dice.one_in(4).then(|| ms(dice.pick(&[400, 1500, 4000]))),
            policy: (!dice.one_in(6)).then(|| Policy::draw(dice)),
            unsent: dice.pick(&[Unsent::HandBack, Unsent::Keep, Unsent::Keep, Unsent::Drop]),
            limit: dice.pick(&[200, 600, 3000, 64 << 20]),
            fragments: dice.one_in(3),
            max_message: dice.pick(&[64 << 20, 64 << 20, 500]),
            compression: compression::offers(dice),
            limits: Limits::draw(dice),
        }
    }

    /// What the app of number `me` is run with.
    pub fn options(&self, me: usize) -> RunOptions {
        let mut options = RunOptions::new()
            .attempt_timeout(self.attempt)
            .resolve_timeout(self.resolve)
            .connect_timeout(self.connect)
            .upgrade_timeout(self.upgrade)
            .write_timeout(self.write)
            .close_timeout(self.close)
            .liveness(if self.pong_only { Liveness::PongOnly } else { Liveness::AnyData })
            .unsent(self.unsent)
            .max_queued_bytes(self.limit)
            .max_message_size(self.max_message);
        if let Some((interval, timeout)) = self.ping {
            options = options.ping_interval(interval);
            if let Some(timeout) = timeout {
                options = options.ping_timeout(timeout);
            }
        }
        if let Some(silence) = self.silence {
            options = options.silence_timeout(silence);
        }
        if let Some(deflate) = &self.compression {
            options = options.compression(deflate.clone());
        }
        options = self.limits.set(options);
        match &self.policy {
            Some(policy) => options.reconnect(policy.reconnect(me)),
            None => options,
        }
    }
}

impl Policy {
    fn draw(dice: &Dice) -> Self {
        let first = ms(dice.pick(&[200, 500, 1000]));
        Self {
            delay: match dice.one_in(2) {
                true => Delay::Fixed(ms(dice.pick(&[300, 500, 1000, 4000]))),
                false => Delay::Backoff { first, cap: first * dice.pick(&[1, 4, 30]) },
            },
            max_retries: dice.pick(&[None, None, Some(0), Some(2), Some(6)]),
            max_elapsed: dice.pick(&[None, None, Some(ms(3000))]),
            stable_after: ms(dice.pick(&[0, 1000, 30_000])),
            classify: dice.pick(&[
                Classify::Unset,
                Classify::Default,
                Classify::Default,
                Classify::Always,
                Classify::Sometimes,
            ]),
        }
    }

    fn reconnect(&self, me: usize) -> Reconnect {
        let mut policy = match self.delay {
            Delay::Fixed(delay) => Reconnect::fixed(delay),
            Delay::Backoff { first, cap } => Reconnect::backoff(first, cap),
        };
        if let Some(retries) = self.max_retries {
            policy = policy.max_retries(retries);
        }
        if let Some(elapsed) = self.max_elapsed {
            policy = policy.max_elapsed(elapsed);
        }
        policy = policy.stable_after(self.stable_after);
        let classify = self.classify;
        if classify == Classify::Unset {
            return policy;
        }
        policy.classify(move |outcome| {
            let world = world();
            world.calls(me, Callback::Classify);
            world.life(me, |life| life.classified_at = Some(world.now()));
            world.dawdle(Some(me), Callback::Classify);
            let verdict = match classify {
                Classify::Always => Verdict::Retry,
                Classify::Sometimes if world.dice.one_in(3) => Verdict::GiveUp,
                _ => Verdict::of(outcome),
            };
            world.life(me, |life| life.asked = Some((Ending::of(outcome), verdict)));
            verdict
        })
    }

    /// The least and the longest delay before the retry that follows this failure in a row, if the verdict is `least`.
    pub fn bounds(&self, failures: u32, least: Duration) -> (Duration, Duration) {
        match self.delay {
            Delay::Fixed(delay) => (delay.max(least), delay.max(least)),
            Delay::Backoff { first, cap } => {
                let mut bound = first;
                for _ in 1..failures {
                    bound = (bound * 2).min(cap);
                }
                (least, least + bound.min(cap))
            }
        }
    }
}

/// How an attempt ended, as the classifier and `on_close` are told it.
#[derive(PartialEq, Debug)]
pub enum Ending {
    Clean { code: Option<u16>, reason: String, by: Side },
    Lost(String),
    Other,
}

impl Ending {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Clean { code, reason, by, .. } => {
                Self::Clean { code: code.map(u16::from), reason: reason.clone(), by: *by }
            }
            Outcome::Lost(error) => Self::Lost(format!("{error:?}")),
            _ => Self::Other,
        }
    }
}
