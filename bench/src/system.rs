//! What only the operating system can give or tell.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

use crate::Result;

/// Raises the soft limit of open descriptors to the hard one, and returns it.
///
/// # Errors
/// The system refuses.
pub fn raise_descriptor_limit() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// User and system time of this process.
///
/// # Errors
/// The system does not tell.
pub fn own_cpu_ns() -> Result<u64> {
    cpu_ns(UsageWho::RUSAGE_SELF)
}

/// User and system time of the processes that this one has started and waited for.
///
/// # Errors
/// The system does not tell.
pub fn children_cpu_ns() -> Result<u64> {
    cpu_ns(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_ns(who: UsageWho) -> Result<u64> {
    let usage = getrusage(who)?;
    let total = usage.user_time() + usage.system_time();
    Ok(u64::try_from(total.num_nanoseconds())?)
}

/// The resident memory of this process.
///
/// # Errors
/// The kernel has no `smaps_rollup`.
pub fn resident_bytes() -> Result<u64> {
    // Not `statm`: its counters lag behind by up to dozens of pages a core.
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    Ok(kib(&rollup, "Rss:").ok_or("smaps_rollup tells no Rss")? * 1024)
}

/// The largest resident memory that this process has had, or `None` on a system without `/proc`.
pub fn peak_resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(kib(&status, "VmHWM:")? * 1024)
}

/// The value of a line like `Rss:  1234 kB`.
fn kib(lines: &str, label: &str) -> Option<u64> {
    lines.lines().find_map(|line| line.strip_prefix(label)?.trim().strip_suffix(" kB")?.parse().ok())
}

/// One core for the server and another for the client.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    server: usize,
    client: usize,
    all: CpuSet,
}

impl Cores {
    /// The first and the last core that this process may use, for neighbouring numbers can be one physical core.
    /// `None` where there is only one, or where cores cannot be chosen.
    pub fn choose() -> Option<Self> {
        let all = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let mut allowed = (0..CpuSet::count()).filter(|&core| all.is_set(core).unwrap_or(false));
        let (server, client) = (allowed.next()?, allowed.next_back()?);
        let cores = Self { server, client, all };
        cores.on(server, || ()).ok()?;
        Some(cores)
    }

    /// Runs `start` on the server's core; a process that it starts stays there.
    ///
    /// # Errors
    /// The system refuses the core.
    pub fn on_server<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        self.on(self.server, start)
    }

    /// Runs `start` on the client's core; a process that it starts stays there.
    ///
    /// # Errors
    /// The system refuses the core.
    pub fn on_client<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
        self.on(self.client, start)
    }

    fn on<T>(&self, core: usize, start: impl FnOnce() -> T) -> Result<T> {
        let mut one = CpuSet::new();
        one.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &one)?;
        let value = start();
        sched_setaffinity(Pid::from_raw(0), &self.all)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_rollup() {
        let rollup = "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss:                1234 kB\nPss: 7 kB\n";
        assert_eq!(kib(rollup, "Rss:"), Some(1234));
        assert_eq!(kib("Pss: 7 kB\n", "Rss:"), None);
        assert!(resident_bytes().unwrap() > 0);
    }

    #[test]
    fn the_peak_is_known() {
        assert!(peak_resident_bytes().is_some_and(|peak| peak > 0));
    }

    #[test]
    fn a_core_is_held_only_while_something_starts() {
        let Some(cores) = Cores::choose() else { return };
        let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let inside = cores.on_client(|| sched_getaffinity(Pid::from_raw(0)).unwrap()).unwrap();
        assert!(inside.is_set(cores.client).unwrap() && !inside.is_set(cores.server).unwrap());
        assert_eq!(sched_getaffinity(Pid::from_raw(0)).unwrap(), before);
    }
}
