//! A directory for one test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

/// A directory of our own, removed with everything in it when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty one among the system's temporary files. All users may read it, for servers that change theirs.
    ///
    /// # Panics
    /// When the system refuses it.
    pub fn new() -> Self {
        // A run that was killed may have left its name to a later process of the same id.
        for attempt in 0.. {
            let path = std::env::temp_dir().join(format!("websocket-tests-{}-{attempt}", process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                outcome => {
                    outcome.expect("the directory of temporary files is writable");
                    return Self(path);
                }
            }
        }
        unreachable!("attempts are counted without end")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and tells where that is.
    ///
    /// # Panics
    /// When the disk refuses it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("the directory is writable");
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to tell; the system clears its temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
