//! How many messages make a run: as many as fill its time, so that a slow client does not take minutes nor a fast
//! one microseconds.

use std::time::Duration;

use websocket_bench::Result;
use websocket_bench::contract::Report;

use crate::cells::Cell;

/// The fewest messages of a run; one a connection, if that is more.
const LEAST: u64 = 16;
const GROWTH: u64 = 8;

/// How long runs take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// A run that is long enough to tell the pace.
    pub(crate) probe: Duration,
    /// A run that counts.
    pub(crate) run: Duration,
}

/// The number of messages for a client, found by runs that grow until they are long enough.
pub(crate) fn messages(cell: &Cell, scale: Scale, mut run: impl FnMut(u64) -> Result<Report>) -> Result<u64> {
    if cell.workload.is_idle() {
        return Ok(0);
    }
    let least = LEAST.max(cell.connections as u64);
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
    use crate::cells::cells;
    use websocket_bench::contract::Workload;

    const SCALE: Scale = Scale { probe: Duration::from_millis(50), run: Duration::from_millis(600) };

    fn sized(workload: Workload, message_ns: u64) -> (u64, usize) {
        let mut runs = 0;
        let messages = messages(&cells(workload, false)[0], SCALE, |messages| {
            runs += 1;
            Ok(Report { wall_ns: messages * message_ns, ..Report::default() })
        });
        (messages.unwrap(), runs)
    }

    #[test]
    fn a_run_takes_its_time_whatever_the_pace() {
        assert_eq!(sized(Workload::Receive, 10).0, 60_000_000);
        assert_eq!(sized(Workload::Receive, 20_000).0, 30_000);
        assert_eq!(sized(Workload::Echo, 10_000_000), (60, 1));
        assert_eq!(sized(Workload::Receive, 1_000_000_000), (LEAST, 1));
    }

    #[test]
    fn every_connection_has_a_message() {
        let many = cells(Workload::Echo, false).last().unwrap();
        let slow = |messages| Ok(Report { wall_ns: messages * 1_000_000_000, ..Report::default() });
        assert_eq!(messages(many, SCALE, slow).unwrap(), 1000);
    }

    #[test]
    fn idle_has_no_messages() {
        assert_eq!(sized(Workload::Idle, 10), (0, 0));
    }

    #[test]
    fn a_failure_ends_the_search() {
        messages(&cells(Workload::Receive, false)[0], SCALE, |_| Err("gone".into())).unwrap_err();
    }
}
