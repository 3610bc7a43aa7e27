//! The files of this repository, for tests that read them.

use std::io;
use std::path::{Path, PathBuf};

/// The root of the repository. Looked up at run time, since several clones may share one folder of build
/// results.
pub fn repository() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&manifest).join("..")
}

/// The Rust files below `folder`, each with its path relative to `folder` and its text.
///
/// # Errors
/// When the folder or a file in it cannot be read.
pub fn rust_files(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(at) = folders.pop() {
        for entry in folder.join(&at).read_dir()? {
            let entry = entry?;
            let name = format!("{at}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(format!("{name}/"));
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(entry.path())?;
                files.push((name, text));
            }
        }
    }
    files.sort();
    Ok(files)
}
