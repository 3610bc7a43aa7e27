//! Where the lines that were typed for a host are kept.

use std::env;
use std::fs::DirBuilder;
use std::path::PathBuf;

/// The file for the host of `url`, in a directory that exists. `None` where there is no place for it.
pub(super) fn file(url: &str) -> Option<PathBuf> {
    let directory = state()?.join("wsdump").join("history");
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(&directory).ok()?;
    Some(directory.join(name(url)))
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
