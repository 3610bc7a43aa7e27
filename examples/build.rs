//! Prepares the README and the guide for their documentation tests (`support/lib.rs`): each program there is compiled
//! as it is, except that it connects to a server on a free port, and that a failure which it prints fails the test.

use std::path::PathBuf;
use std::{env, fs, io};

/// What is replaced, and by what of `support/guide.rs`.
const REPLACED: [(&str, &str); 3] = [
    ("WebSocketApp::new(", "websocket_examples::guide::new("),
    ("WebSocketApp::with_handler(", "websocket_examples::guide::with_handler("),
    ("eprintln!(", "websocket_examples::fails!("),
];

fn main() -> io::Result<()> {
    let prepared = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut pages = vec![PathBuf::from("../README.md")];
    for entry in fs::read_dir("../docs/src")? {
        pages.push(entry?.path());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../docs/src");
    for page in pages {
        println!("cargo::rerun-if-changed={}", page.display());
        let text =
            REPLACED.iter().fold(fs::read_to_string(&page)?, |text, (from, to)| text.replace(from, to));
        fs::write(prepared.join(page.file_name().unwrap_or_default()), text)?;
    }
    Ok(())
}
