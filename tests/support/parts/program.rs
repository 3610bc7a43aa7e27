//! What is installed on this machine.

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Where Debian puts servers; the search path of other users than root lacks it.
const OF_SERVERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The program of that name; without it, a line says that the test is skipped.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain(OF_SERVERS.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        skipped(&format!("{name} is not installed"));
    }
    found
}

/// The user's cache, where `tests/install-parts` puts packages.
pub(super) fn installed() -> Option<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    base.map(|base| base.join("websocket-tests"))
}

/// Says why a test is skipped, past the harness, which would keep it to itself.
pub fn skipped(why: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "skipped: {why}");
}

/// A path in a configuration file, none of whose syntaxes is told blanks apart from the end of a word.
///
/// # Panics
/// When it has a blank, a quotation mark or a backslash, or is not Unicode.
pub(super) fn configured(path: &Path) -> &str {
    let text = path.to_str().expect("temporary files have names in Unicode");
    assert!(!text.contains([' ', '\t', '"', '\'', '\\']), "{text}: set TMPDIR to a path without blanks");
    text
}
