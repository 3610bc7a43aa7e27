//! Where the lines that were typed for a host are kept.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::path::PathBuf;

/// The lines that were typed for a host, in a file that grows by a line at a time: several programs may write to it.
pub(super) struct History {
    file: File,
    known: Vec<String>,
}

impl History {
    /// Opens the history of the host of `url`, and reads its last `most` lines. `None` where there is no place for it: typing goes on without.
    pub(super) fn of(url: &str, most: usize) -> Option<Self> {
        let directory = state()?.join("wsdump").join("history");
        let mut builder = DirBuilder::new();
        let mut options = File::options();
        #[cfg(unix)]
        {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        builder.recursive(true).create(&directory).ok()?;
        let path = directory.join(name(url));
        let content = fs::read(&path).unwrap_or_default();
        let lines: Vec<_> = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let known: Vec<_> =
            lines.iter().rev().take(most).rev().map(|line| String::from_utf8_lossy(line).into()).collect();
        let mut history = Self { file: options.append(true).create(true).open(path).ok()?, known };
        if lines.len() > 2 * most && history.file.set_len(0).is_ok() {
            history.known.clone().iter().for_each(|line| history.add(line));
        }
        Some(history)
    }

    /// Takes the lines that were read, the oldest first.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.known)
    }

    /// Adds a line. Where the history cannot be written, the line is sent all the same.
    pub(super) fn add(&mut self, line: &str) {
        let _written = self.file.write_all(format!("{line}\n").as_bytes());
    }
}

/// The directory for what programs keep between runs.
fn state() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    #[cfg(windows)]
    return absolute("LOCALAPPDATA");
    // XDG Base Directory Specification.
    #[cfg(not(windows))]
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("state")))
}

/// Host and port of a URL as the name of a file: nothing of what may be secret.
fn name(url: &str) -> String {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    if scheme.eq_ignore_ascii_case("ws+unix") {
        return "unix".into();
    }
    let rest = rest.trim_start_matches('/');
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let safe = |char: char| if char.is_ascii_alphanumeric() || "-.".contains(char) { char } else { '_' };
    let name: String = host.to_ascii_lowercase().chars().map(safe).collect();
    // Not hidden, and no directory.
    format!("host-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_has_host_and_port_and_no_secret() {
        assert_eq!(
            name("wss://User:s3cret@Feed.example:8443/p?token=s3cret#s3cret"),
            "host-feed.example_8443"
        );
        assert_eq!(name("ws://[::1]:9001/"), "host-___1__9001");
        assert_eq!(name("ws://h?s3cret@x"), "host-h");
        assert_eq!(name("ws+unix:/run/s3cret"), "unix");
        assert_eq!(name("ws://../../x"), "host-..");
        assert_eq!(name(""), "host-");
    }
}
