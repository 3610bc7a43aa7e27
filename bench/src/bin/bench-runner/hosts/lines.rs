//! How long an adapter is.

use std::fs;
use std::path::{Path, PathBuf};

use websocket_bench::Result;

/// The lines of the adapter that makes our apps run on `host`: neither blank nor comment nor test. `None` where its source is not there.
pub(crate) fn of(host: &str) -> Result<Option<usize>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let source = match host {
        "mio" => crates.join("dispatcher/src/mio.rs"),
        // One adapter, two runtimes.
        "tokio-threads" => crates.join("dispatchers/tokio/src"),
        // One adapter, two ways to use the ring.
        "io-uring-polling" => crates.join("dispatchers/io-uring/src"),
        _ => crates.join("dispatchers").join(host).join("src"),
    };
    if !source.exists() {
        return Ok(None);
    }
    let mut lines = 0;
    let mut left = vec![source];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(entries(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_stem().is_none_or(|stem| stem != "tests")
        {
            lines += count(&read(&path)?);
        }
    }
    Ok(Some(lines))
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Of a source as `rustfmt` leaves it: an item ends with the bracket that is as far in as its beginning.
fn count(source: &str) -> usize {
    let mut lines = source.lines().filter(|line| {
        let text = line.trim_start();
        !text.is_empty() && !text.starts_with("//")
    });
    let mut count = 0;
    while let Some(line) = lines.next() {
        match line.strip_suffix("#[cfg(test)]") {
            Some(indent) if indent.trim().is_empty() => skip_item(indent, &mut lines),
            _ => count += 1,
        }
    }
    count
}

fn skip_item<'a>(indent: &str, lines: &mut impl Iterator<Item = &'a str>) {
    let mut lines = lines.skip_while(|line| line.trim_start().starts_with("#["));
    let Some(first) = lines.next() else { return };
    if first.ends_with(';') || first.ends_with('}') {
        return;
    }
    for line in lines {
        if line.strip_prefix(indent).is_some_and(|line| line.starts_with(['}', ')'])) && !line.ends_with('{')
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_tests_do_not_count() {
        let source = r#"//! A page.
#![forbid(unsafe_code)]

use std::io; // counts

/// Documented.
#[derive(Debug)]
pub struct Ring {
    // Why.
    field: u8,
}

impl Ring {
    #[cfg(test)]
    fn one_shot(
        entries: u32,
    ) -> io::Result<Self> {
        if entries == 0 {
        }
        Ok(Self { field: 1 })
    }

    fn url(&self) -> &str {
        "ws://127.0.0.1"
    }
}

#[cfg(test)]
use std::fs;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;

#[cfg(test)]
mod more {
    #[test]
    fn something() {
    }
}

#[cfg(unix)]
mod unix;
"#;
        assert_eq!(count(source), 13);
        assert_eq!(count(""), 0);
    }

    #[test]
    fn every_host_has_an_adapter() {
        for host in websocket_hosts::HOSTS {
            assert!(of(host.name).unwrap().is_some_and(|lines| lines > 20), "{}", host.name);
        }
        assert_eq!(of("no-such-host").unwrap(), None);
        assert_eq!(of("tokio").unwrap(), of("tokio-threads").unwrap());
    }
}
