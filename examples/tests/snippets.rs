//! Every piece of Rust in the README and the guide is a whole program, which can be copied as it is. The documentation
//! tests of this package compile them and run most of them.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

/// The README and the pages of the guide, with their names.
fn pages() -> Vec<(String, String)> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let chapters = fs::read_dir(repository.join("docs/src")).unwrap().map(|entry| entry.unwrap().path());
    let files = chapters.chain([repository.join("README.md")]);
    files.map(|file| (file.display().to_string(), fs::read_to_string(&file).unwrap())).collect()
}

/// The blocks of Rust on a page, each with the line that opens it.
fn blocks(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let fences = page.split("\n```").skip(1).step_by(2);
    fences.filter_map(|fence| fence.split_once('\n')).filter(|(language, _)| language.starts_with("rust"))
}

#[test]
fn every_block_of_rust_is_a_whole_program_without_hidden_lines() {
    let mut count = 0;
    for (name, page) in pages() {
        for (_, program) in blocks(&page) {
            count += 1;
            // A file of tests has no `main`.
            let whole = ["\nfn main() ", "\nasync fn main() ", "\nwebsocket_testkit::conformance!("]
                .iter()
                .any(|beginning| program.contains(beginning));
            assert!(program.starts_with("use ") && whole, "{name}: this is a part of a program:\n{program}");
            let hidden = program.lines().find(|line| *line == "#" || line.starts_with("# "));
            assert_eq!(hidden, None, "{name}: a reader who copies the program does not have this line");
        }
    }
    assert!(count > 25, "only {count} programs were found");
}

#[test]
fn programs_connect_to_the_example_echo_server() {
    for (name, page) in pages() {
        for (language, program) in blocks(&page).filter(|(language, _)| !language.contains("no_run")) {
            let own_server = program.contains("websocket_testkit::");
            let elsewhere = program.contains(":9001/") || program.contains("Err(Error::Url(");
            assert!(
                own_server || elsewhere || program.contains("Io::custom("),
                "{name}, {language}: {program}"
            );
        }
    }
}

#[test]
fn every_chapter_with_programs_is_tested() {
    let tested = include_str!("../support/lib.rs");
    for (name, page) in pages() {
        let file = Path::new(&name).file_name().unwrap().to_str().unwrap();
        assert!(blocks(&page).next().is_none() || tested.contains(&format!("\"{file}\"")), "{name}");
    }
}
