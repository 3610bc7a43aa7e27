//! Meters for the measured part of a run. The warm-up is nobody's.

use std::time::Instant;

use crate::contract::{Report, Task, payload};
use crate::{Result, system};

/// Processor time, elapsed time and allocations since its start.
#[derive(Debug)]
pub struct Meter {
    wall: Instant,
    cpu_ns: u64,
    allocations: Option<u64>,
}

impl Meter {
    /// Starts to measure.
    ///
    /// # Errors
    /// The system does not tell the processor time.
    pub fn start() -> Result<Self> {
        let allocations = allocations();
        Ok(Self { wall: Instant::now(), allocations, cpu_ns: system::own_cpu_ns()? })
    }

    /// The report of what happened since the start.
    ///
    /// # Errors
    /// The system does not tell the processor time.
    pub fn stop(&self, messages: u64, bytes: u64) -> Result<Report> {
        let cpu_ns = system::own_cpu_ns()? - self.cpu_ns;
        let wall_ns = self.wall.elapsed().as_nanos() as u64;
        let allocations = allocations().zip(self.allocations).map(|(now, before)| now - before);
        Ok(Report { messages, bytes, cpu_ns, wall_ns, allocations, ..Report::default() })
    }
}

/// Counts messages; measures from the last message of the warm-up to the last message of all.
#[derive(Debug)]
pub struct Tally {
    messages: u64,
    bytes: u64,
    mark: u64,
    measured: u64,
    meter: Option<Meter>,
    outcome: Option<Result<Report>>,
}

impl Tally {
    /// For as many messages as the task names.
    ///
    /// # Errors
    /// The system does not tell the processor time.
    pub fn new(task: &Task) -> Result<Self> {
        let (mark, meter) = match task.warm_up {
            0 => (task.messages, Some(Meter::start()?)),
            warm_up => (warm_up, None),
        };
        Ok(Self { messages: 0, bytes: 0, mark, measured: task.messages, meter, outcome: None })
    }

    /// Counts one message; true when it was the last.
    #[inline]
    pub fn count(&mut self, payload: usize) -> bool {
        self.messages += 1;
        self.bytes += payload as u64;
        self.messages == self.mark && self.pass_mark()
    }

    /// Whether the warm-up is over and the last message has not come.
    pub fn is_measuring(&self) -> bool {
        self.meter.is_some()
    }

    /// The report.
    ///
    /// # Errors
    /// The messages ended too early, or the system does not tell the processor time.
    pub fn into_report(self) -> Result<Report> {
        self.outcome.unwrap_or_else(|| Err(format!("ended early, after {} messages", self.messages).into()))
    }

    #[cold]
    fn pass_mark(&mut self) -> bool {
        if let Some(meter) = self.meter.take() {
            self.outcome = Some(meter.stop(self.messages, self.bytes));
            return true;
        }
        (self.messages, self.bytes, self.mark) = (0, 0, self.measured);
        match Meter::start() {
            Ok(meter) => self.meter = Some(meter),
            Err(error) => self.outcome = Some(Err(error)),
        }
        self.outcome.is_some()
    }
}

/// The round trips of `echo` and `echo-tls`: one message in flight on every connection, the next sent as soon as one is back.
#[derive(Debug)]
pub struct RoundTrips {
    tally: Tally,
    sent: Vec<Instant>,
    latencies: Vec<u32>,
}

impl RoundTrips {
    /// For the connections and messages that the task names. Every connection's first message is sent now.
    ///
    /// # Errors
    /// The system does not tell the processor time.
    pub fn new(task: &Task) -> Result<Self> {
        // Written to beforehand: a first touch of the pages would be part of the measured time.
        let mut latencies = vec![u32::MAX; usize::try_from(task.messages)?];
        latencies.clear();
        Ok(Self { tally: Tally::new(task)?, sent: vec![Instant::now(); task.connections], latencies })
    }

    /// Takes the answer on a connection, whose next message is sent now; true when it was the last of all.
    #[inline]
    pub fn count(&mut self, connection: usize, payload: usize) -> bool {
        let now = Instant::now();
        let sent = std::mem::replace(&mut self.sent[connection], now);
        if self.tally.is_measuring() {
            let latency = now.duration_since(sent).as_nanos();
            self.latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
        }
        self.tally.count(payload)
    }

    /// The report.
    ///
    /// # Errors
    /// The messages ended too early, or the system does not tell the processor time.
    pub fn into_report(mut self) -> Result<Report> {
        let report = self.tally.into_report()?;
        self.latencies.sort_unstable();
        let at = |myriadth| per_myriad(&self.latencies, myriadth).map(u64::from);
        Ok(Report {
            latency_p50_ns: at(5000),
            latency_p90_ns: at(9000),
            latency_p99_ns: at(9900),
            latency_p99_9_ns: at(9990),
            latency_p99_99_ns: at(9999),
            ..report
        })
    }
}

/// What is sent: measures from the server's word that the warm-up has come to its word that everything has.
#[derive(Debug)]
pub struct Sending {
    texts: Vec<String>,
    payload: u64,
    messages: u64,
    next: usize,
    left: u64,
    meter: Option<Meter>,
    outcome: Option<Result<Report>>,
}

impl Sending {
    /// For the texts that the task names, or else one that looks like a feed. The warm-up may be sent now.
    ///
    /// # Errors
    /// The texts cannot be read.
    pub fn new(task: &Task) -> Result<Self> {
        let texts = match &task.texts {
            Some(path) => std::fs::read_to_string(path)?.lines().map(str::to_owned).collect(),
            None => vec![payload(task.payload)],
        };
        if texts.is_empty() {
            return Err("there are no texts".into());
        }
        let (payload, messages, left) = (task.payload as u64, task.messages, task.warm_up);
        Ok(Self { texts, payload, messages, next: 0, left, meter: None, outcome: None })
    }

    /// The next text to send; `None` where the server's word is waited for.
    #[inline]
    pub fn next_text(&mut self) -> Option<&str> {
        self.left = self.left.checked_sub(1)?;
        let text = &self.texts[self.next];
        self.next = if self.next + 1 == self.texts.len() { 0 } else { self.next + 1 };
        Some(text)
    }

    /// The server's word, which is how many bytes have come; true when it was the last.
    pub fn heard(&mut self, word: &str) -> bool {
        let next = match (self.meter.take(), word.parse()) {
            (_, Err(error)) => Err(format!("'{word}' is no number: {error}").into()),
            (None, Ok::<u64, _>(_)) => Meter::start().map(|meter| self.meter = Some(meter)),
            (Some(meter), Ok(wire)) => {
                let report = meter.stop(self.messages, self.messages * self.payload);
                self.outcome = Some(report.map(|report| Report { wire_bytes: Some(wire), ..report }));
                return true;
            }
        };
        self.left = self.messages;
        if let Err(error) = next {
            self.outcome = Some(Err(error));
        }
        self.outcome.is_some()
    }

    /// The report.
    ///
    /// # Errors
    /// The server has not said that everything has come, or the system does not tell the processor time.
    pub fn into_report(self) -> Result<Report> {
        self.outcome.unwrap_or_else(|| Err("the server did not say that everything has come".into()))
    }
}

/// Opens the warm-up's connections, then those that are measured; the report tells by how much the memory grew.
///
/// # Errors
/// A connection cannot be opened, or the system does not tell what is measured.
pub fn measure_idle<C>(task: &Task, mut open: impl FnMut() -> Result<C>) -> Result<Report> {
    let warm_up = usize::try_from(task.warm_up)?;
    let mut connections = Vec::with_capacity(warm_up + task.connections);
    for _ in 0..warm_up {
        connections.push(open()?);
    }
    let before = system::resident_bytes()?;
    let meter = Meter::start()?;
    for _ in 0..task.connections {
        connections.push(open()?);
    }
    let report = meter.stop(0, 0)?;
    let grown = system::resident_bytes()?.saturating_sub(before);
    Ok(Report { rss_bytes: Some(grown), ..report })
}

/// The nearest-rank percentile of sorted values; `None` of nothing, and of 0 per cent.
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    per_myriad(sorted, 100 * percent)
}

/// As [`percentile`], in hundredths of a per cent.
pub fn per_myriad<T: Copy>(sorted: &[T], myriadth: usize) -> Option<T> {
    let rank = (sorted.len() * myriadth).div_ceil(10_000);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

#[cfg(feature = "count-allocations")]
fn allocations() -> Option<u64> {
    let stats = ALLOCATOR.stats();
    Some((stats.allocations + stats.reallocations) as u64)
}

#[cfg(not(feature = "count-allocations"))]
fn allocations() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Compression, Records, Workload};

    fn task(messages: u64, warm_up: u64) -> Task {
        let addr = ([127, 0, 0, 1], 9).into();
        let workload = Workload::Echo;
        let (records, compression) = (Records::default(), Compression::DEFAULT);
        Task {
            workload,
            addr,
            payload: 5,
            messages,
            warm_up,
            connections: 2,
            records,
            compression,
            each: false,
            root: None,
            texts: None,
        }
    }

    #[test]
    fn a_tally_reports_the_measured_part_only() {
        for warm_up in [0, 1, 7] {
            let mut tally = Tally::new(&task(3, warm_up)).unwrap();
            let seen = (1..).find(|_| tally.count(5)).unwrap();
            assert_eq!(seen, warm_up + 3);
            let report = tally.into_report().unwrap();
            assert_eq!((report.messages, report.bytes), (3, 15));
        }
    }

    #[test]
    fn a_tally_that_ended_early_is_an_error() {
        let mut tally = Tally::new(&task(3, 1)).unwrap();
        tally.count(5);
        tally.count(5);
        assert_eq!(tally.into_report().unwrap_err().to_string(), "ended early, after 1 messages");
    }

    #[test]
    fn round_trips_have_a_latency_for_every_measured_message() {
        let mut trips = RoundTrips::new(&task(4, 2)).unwrap();
        while !trips.count(1, 5) {}
        assert_eq!(trips.latencies.len(), 4);
        let report = trips.into_report().unwrap();
        assert!(report.latency_p50_ns <= report.latency_p99_ns && report.latency_p50_ns.is_some());
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!(percentile(&sorted, 50), Some(100));
        assert_eq!(percentile(&sorted, 99), Some(198));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile::<u32>(&[], 50), None);
        let sorted: Vec<u32> = (1..=20_000).collect();
        assert_eq!(
            [5000, 9990, 9999, 10_000].map(|at| per_myriad(&sorted, at).unwrap()),
            [10_000, 19_980, 19_998, 20_000]
        );
    }

    #[test]
    fn idle_opens_the_warm_up_besides() {
        let mut opened = 0;
        let report = measure_idle(&task(0, 3), || {
            opened += 1;
            Ok(())
        });
        assert_eq!(opened, 5);
        assert!(report.unwrap().rss_bytes.is_some());
    }
}
