//! File descriptors: every connection takes one at each end.

use std::io;

/// Lets this process hold `needed` descriptors at once: raises its soft limit if that is too low.
///
/// # Errors
/// When the hard limit, which only the system's administrator can raise, is too low.
#[cfg(unix)]
pub fn reserve(needed: u64) -> io::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // FreeBSD's are signed.
    let needed = rlim_t::try_from(needed).map_err(io::Error::other)?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(io::Error::other(format!(
            "{needed} file descriptors are needed, and this process may hold {hard} at most (its hard limit, `ulimit -Hn`)"
        )));
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).map_err(|error| {
        io::Error::other(format!(
            "{needed} file descriptors are needed; raising the soft limit from {soft} failed: {error}"
        ))
    })
}

/// Lets this process hold `needed` descriptors at once; there is no limit to raise on this system.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn reserve(_needed: u64) -> io::Result<()> {
    Ok(())
}
