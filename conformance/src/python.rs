//! The suite under a Python 2.7: found, and installed once into a cache.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, Output, Stdio};

const REQUIREMENT: &str = "autobahntestsuite==0.8.2";
const PROBE: &str = include_str!("../python/probe.py");
const INSTALL: &str = include_str!("../python/install.py");
const SERVE: &str = include_str!("../python/serve.py");

/// A Python 2.7 that works, and the user base that the suite is installed in.
pub(crate) struct Python {
    program: PathBuf,
    base: PathBuf,
}

impl Python {
    /// Finds a Python and installs the suite for it, or says why not.
    pub(crate) fn find() -> Result<Self, Vec<String>> {
        let program = first_that_works(candidates())?;
        match install(&program) {
            Ok(base) => Ok(Self { program, base }),
            Err(why) => Err(vec![why]),
        }
    }

    /// The suite's server, which reads its specification from `scratch`, prints its port once it listens on
    /// the loopback interface, and ends with its standard input at the latest.
    pub(crate) fn server(&self, scratch: &Path) -> Command {
        let mut command = script(&self.program, SERVE, [scratch.as_os_str()]);
        command.env("PYTHONUSERBASE", &self.base);
        command
    }
}

/// Every place where a Python 2.7 may be; where the user names one, that is the only place.
fn candidates() -> Vec<PathBuf> {
    if let Some(named) = env::var_os("PYTHON27").filter(|named| !named.is_empty()) {
        return vec![named.into()];
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|directory| directory.join("python2.7"));
    on_path.chain(of_pyenv()).filter(|program| program.is_file()).collect()
}

/// pyenv keeps each version in a directory, and hides those that are not chosen behind shims that fail.
fn of_pyenv() -> Vec<PathBuf> {
    let Ok(Output { status, stdout, .. }) = Command::new("pyenv").arg("root").stderr(Stdio::null()).output()
    else {
        return Vec::new();
    };
    let root = Path::new(String::from_utf8_lossy(&stdout).trim()).join("versions");
    let versions = if status.success() { root.read_dir().into_iter().flatten() } else { return Vec::new() };
    versions.flatten().map(|version| version.path().join("bin/python2.7")).collect()
}

fn first_that_works(candidates: Vec<PathBuf>) -> Result<PathBuf, Vec<String>> {
    let mut faults = Vec::new();
    for program in candidates {
        match probe(&program) {
            Ok(()) => return Ok(program),
            Err(fault) => faults.push(format!("{}: {fault}", program.display())),
        }
    }
    if faults.is_empty() {
        faults.push("python2.7: not on PATH, nor among pyenv's versions".to_owned());
    }
    Err(faults)
}

/// Only running it tells a Python from a shim that leads nowhere.
fn probe(program: &Path) -> Result<(), String> {
    let no_arguments: [&OsStr; 0] = [];
    let output = script(program, PROBE, no_arguments).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let first_line = complaint.lines().find(|line| !line.trim().is_empty());
    Err(first_line.map_or_else(|| output.status.to_string(), str::to_owned))
}

/// The directory in which the suite is installed, now or by an earlier run.
fn install(program: &Path) -> Result<PathBuf, String> {
    let cache = cache().ok_or("no place for the suite: set CONFORMANCE_CACHE")?;
    let output = script(program, INSTALL, [cache.as_os_str(), REQUIREMENT.as_ref()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{REQUIREMENT}: its installation into {} failed", cache.display()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().into())
}

fn cache() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let users = || {
        let base = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        base.or_else(|| env::home_dir().map(|home| home.join(".cache")))
    };
    set("CONFORMANCE_CACHE")
        .and_then(|path| absolute(path).ok())
        .or_else(|| users().map(|base| base.join("websocket-conformance")))
}

fn script(program: &Path, code: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(program);
    command.args(["-c", code]).args(arguments).stdin(Stdio::null());
    // Settings for another Python, or against the user base, would hide the suite.
    for name in ["PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::scratch::Scratch;

    /// A program that stands in for a Python.
    fn program(scratch: &Scratch, name: &str, body: &str) -> PathBuf {
        let path = scratch.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_shim_that_fails_is_passed_over() {
        let scratch = Scratch::new().unwrap();
        let shim = program(&scratch, "shim", "echo 'pyenv: not found' >&2; exit 127");
        let working = program(&scratch, "working", "exit 0");
        assert_eq!(first_that_works(vec![shim, working.clone()]), Ok(working));
    }

    #[test]
    fn each_that_does_not_work_is_named_with_its_first_words() {
        let scratch = Scratch::new().unwrap();
        let shim =
            program(&scratch, "shim", "echo >&2; echo 'pyenv: not found' >&2; echo 'a hint' >&2; exit 127");
        let absent = scratch.path().join("absent");
        let faults = first_that_works(vec![shim.clone(), absent.clone()]).unwrap_err();
        assert_eq!(faults[0], format!("{}: pyenv: not found", shim.display()));
        assert!(faults[1].starts_with(&absent.display().to_string()), "{}", faults[1]);
    }

    #[test]
    fn no_candidate_at_all_is_told() {
        assert!(first_that_works(Vec::new()).unwrap_err()[0].contains("not on PATH"));
    }
}
