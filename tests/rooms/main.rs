//! The structure that `docs/src/architecture.md` describes is the structure of the code: the rooms of
//! `crates/app/src` import only what is below them, and files and types stay small.
#![allow(clippy::unwrap_used, reason = "a test")]

mod files;
mod rules;
mod source;
mod tokens;

use websocket_tests::{repository, rust_files};

use files::Files;
use rules::{Exception, Rules, too_large, too_long};

/// The rooms of `crates/app/src`. Every other file is a value, below all rooms.
const APP: Rules = Rules {
    rooms: &["web_socket_app", "callbacks", "reactor", "apps", "threads", "dial", "live"],
    exceptions: &[Exception {
        from: "threads",
        to: "apps",
        reason: "work from other threads runs with `Apps` and `Context`",
    }],
    // A handler gets a context, which reaches apps and makes senders, which hold handlers and work for apps.
    circle: (&["apps", "threads"], 10),
};

const MAX_LINES: usize = 400;
const MAX_DRIVER_METHODS: usize = 28;
const MAX_DRIVER_FILES: usize = 3;

/// The Rust files of a crate, with paths relative to its `src`.
fn sources(name: &str) -> Vec<(String, String)> {
    let files = rust_files(&repository().join(format!("crates/{name}/src"))).unwrap();
    assert!(files.len() > 1, "crates/{name}/src has sources");
    files
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_import_only_what_is_below_them_and_one_circle_of_files_is_left() {
    assert_none(&APP.check(&Files::new(&sources("app"))));
}

#[test]
fn the_driver_stays_small() {
    let files = Files::new(&sources("app"));
    assert_none(&too_large(&files, "Driver", MAX_DRIVER_METHODS, MAX_DRIVER_FILES));
}

#[test]
fn no_source_file_is_long() {
    for name in ["dispatcher", "connection", "link", "app", "stream"] {
        let files = sources(name).into_iter().map(|(file, text)| (format!("crates/{name}/src/{file}"), text));
        assert_none(&too_long(&files.collect::<Vec<_>>(), MAX_LINES));
    }
}
