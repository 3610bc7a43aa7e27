//! The rows of the table: each program, and what is right.

use std::time::Duration;

use super::Result;
use super::feed::Pace;
use super::figure::Figure;
use super::programs::{Ending, Load, Right, alone, beside, hosted};

/// A row of the table.
pub(crate) struct Row {
    pub(crate) program: &'static str,
    pub(crate) run: fn() -> Result<Vec<Figure>>,
}

const MS: Duration = Duration::from_millis(1);

/// Twenty texts a second, and a callback of 0.3 s: more than it can keep up with.
const STEADY: Load = Load {
    pace: Pace::Every(Duration::from_millis(50)),
    callback: Duration::from_millis(300),
    after: Duration::from_millis(500),
};
/// 200 000 texts as fast as they go, and a callback of 1 ms.
const FLOOD: Load = Load { pace: Pace::Flood(200_000), callback: MS, after: Duration::from_secs(1) };
/// Twenty texts a second, and a callback of 0.1 s, beside another app.
const NEIGHBOUR: Load = Load {
    pace: Pace::Every(Duration::from_millis(50)),
    callback: Duration::from_millis(100),
    after: Duration::from_secs(2),
};
/// Texts without end.
const fn firehose(callback: Duration) -> Load {
    Load { pace: Pace::Flood(usize::MAX), callback, after: Duration::from_secs(1) }
}
const FIREHOSE_20: Load = firehose(Duration::from_micros(20));
const FIREHOSE_200: Load = firehose(Duration::from_micros(200));

const ONE: &str = "one callback";
const TIMER: &str = "the budget plus one callback";
const CLOSED: Right =
    Right { frame: ONE, end: "when the server answers, or at close_timeout (3 s)", timer: TIMER };
const FLOOD_CLOSED: Right =
    Right { frame: "a few ms", end: "at close_timeout (3 s) at the latest", timer: TIMER };
const STOPPED: Right = Right { frame: ONE, end: ONE, timer: TIMER };
const STOPPED_WITHIN: Right =
    Right { frame: ONE, end: "when the server answers, or after 1 s", timer: TIMER };
const NO_FRAME: &str = "";
const NOT_GROWING: Right = Right { frame: NO_FRAME, end: "below 0.35 s, and not growing", timer: TIMER };
const TURN: Right = Right { frame: NO_FRAME, end: "the budget plus one callback", timer: TIMER };

/// In the order of their numbers.
pub(crate) const ROWS: [Row; 15] = [
    Row {
        program: "20 texts a second, a callback of 0.3 s; close() from another thread after 0.5 s",
        run: || alone(STEADY, Ending::Close, &CLOSED),
    },
    Row {
        program: "200 000 texts at once, a callback of 1 ms; close() from another thread after 1 s",
        run: || alone(FLOOD, Ending::Close, &FLOOD_CLOSED),
    },
    Row {
        program: "20 texts a second for app A, a callback of 0.1 s; app B echoes one at a time, for 8 s",
        run: || beside(NEIGHBOUR, None, &NOT_GROWING),
    },
    Row {
        program: "texts without end, a callback of 20 µs, in a host's loop for 8 s",
        run: || hosted(FIREHOSE_20, None, &TURN),
    },
    Row {
        program: "texts without end, a callback of 200 µs, in a host's loop for 8 s",
        run: || hosted(FIREHOSE_200, None, &TURN),
    },
    Row { program: "as 1, with stop()", run: || alone(STEADY, Ending::Stop, &STOPPED) },
    Row { program: "as 2, with stop()", run: || alone(FLOOD, Ending::Stop, &STOPPED) },
    Row {
        program: "as 3, with stop() from another thread after 2 s",
        run: || beside(NEIGHBOUR, Some(Ending::Stop), &STOPPED),
    },
    Row {
        program: "as 4, with stop() from another thread after 1 s",
        run: || hosted(FIREHOSE_20, Some(Ending::Stop), &STOPPED),
    },
    Row {
        program: "as 5, with stop() from another thread after 1 s",
        run: || hosted(FIREHOSE_200, Some(Ending::Stop), &STOPPED),
    },
    Row {
        program: "as 1, with stop_within(1 s)",
        run: || alone(STEADY, Ending::StopWithin, &STOPPED_WITHIN),
    },
    Row { program: "as 2, with stop_within(1 s)", run: || alone(FLOOD, Ending::StopWithin, &STOPPED_WITHIN) },
    Row {
        program: "as 3, with stop_within(1 s) from another thread after 2 s",
        run: || beside(NEIGHBOUR, Some(Ending::StopWithin), &STOPPED_WITHIN),
    },
    Row {
        program: "as 4, with stop_within(1 s) from another thread after 1 s",
        run: || hosted(FIREHOSE_20, Some(Ending::StopWithin), &STOPPED_WITHIN),
    },
    Row {
        program: "as 5, with stop_within(1 s) from another thread after 1 s",
        run: || hosted(FIREHOSE_200, Some(Ending::StopWithin), &STOPPED_WITHIN),
    },
];
