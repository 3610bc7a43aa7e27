//! How many messages make a run: as many as fill its time, so that a slow client does not take minutes nor a fast
//! one microseconds.

use std::time::Duration;

use crate::Result;
use crate::contract::Report;

/// The fewest messages of a run; one a connection, if that is more.
const LEAST: u64 = 16;
const GROWTH: u64 = 8;

/// How long runs take.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// A run that is long enough to tell the pace.
    pub probe: Duration,
    /// A run that counts.
    pub run: Duration,
}

/// The number of messages for a client on so many connections, found by runs that grow until they are long enough.
///
/// # Errors
/// A run fails.
pub fn messages(connections: usize, scale: Scale, mut run: impl FnMut(u64) -> Result<Report>) -> Result<u64> {
    let least = LEAST.max(connections as u64);
    let mut messages = least;
    loop {
        let report = run(messages)?;
        if u128::from(report.wall_ns) >= scale.probe.as_nanos() {
            let wanted = scale.run.as_nanos() * u128::from(messages) / u128::from(report.wall_ns);
            return Ok(u64::try_from(wanted)?.max(least));
        }
        messages *= GROWTH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale { probe: Duration::from_millis(50), run: Duration::from_millis(600) };

    fn sized(connections: usize, message_ns: u64) -> (u64, usize) {
        let mut runs = 0;
        let messages = messages(connections, SCALE, |messages| {
            runs += 1;
            Ok(Report { wall_ns: messages * message_ns, ..Report::default() })
        });
        (messages.unwrap(), runs)
    }

    #[test]
    fn a_run_takes_its_time_whatever_the_pace() {
        assert_eq!(sized(1, 10).0, 60_000_000);
        assert_eq!(sized(1, 20_000).0, 30_000);
        assert_eq!(sized(1, 10_000_000), (60, 1));
        assert_eq!(sized(1, 1_000_000_000), (LEAST, 1));
    }

    #[test]
    fn every_connection_has_a_message() {
        assert_eq!(sized(1000, 1_000_000_000).0, 1000);
    }

    #[test]
    fn a_failure_ends_the_search() {
        messages(1, SCALE, |_| Err("gone".into())).unwrap_err();
    }
}
