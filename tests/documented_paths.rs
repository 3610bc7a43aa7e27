//! Every path that `docs/src/architecture.md` and `CONTRIBUTING.md` name exists in this repository.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;

use websocket_tests::repository;

/// Pages, and how many different paths each names at least: a page whose paths are not found would pass.
const PAGES: [(&str, usize); 2] = [("docs/src/architecture.md", 60), ("CONTRIBUTING.md", 30)];

/// Has a slash, and is not a path.
const NO_PATHS: [&str; 1] = ["I/O"];

/// The endings by which a name without a slash is known as that of a file.
const ENDINGS: [&str; 4] = [".json", ".md", ".rs", ".toml"];

/// The paths that a page names.
#[derive(Default, Debug)]
struct Paths {
    existing: BTreeSet<String>,
    missing: BTreeSet<String>,
}

/// Looks up the paths of `text`, a page of `folder`. A path may be relative to the root, to `crates/`, or to a
/// folder that its section names; that of a link is relative to the page. What stands in a block of code and ends
/// with a slash is a folder, and what is indented below it is in that folder.
fn paths(text: &str, folder: &str, exists: impl Fn(&str) -> bool) -> Paths {
    let mut paths = Paths::default();
    for section in sections(text) {
        let named = candidates(section);
        let mut bases = vec![String::new(), "crates/".to_owned()];
        for path in &named {
            let full = bases[..2].iter().map(|base| format!("{base}{path}"));
            let found = full.filter(|path| !is_file(path)).find(|path| exists(path));
            bases.extend(found.map(|path| format!("{}/", path.trim_end_matches('/'))));
        }
        for path in named {
            let found = bases.iter().any(|base| exists(&format!("{base}{path}")));
            if found {
                paths.existing.insert(path)
            } else {
                paths.missing.insert(path)
            };
        }
        for link in links(section) {
            let found = exists(&format!("{folder}{link}"));
            if found {
                paths.existing.insert(link)
            } else {
                paths.missing.insert(link)
            };
        }
    }
    paths
}

/// The parts of a page from one heading of the second rank to the next.
fn sections(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text.match_indices("\n## ").map(|(at, _)| at).collect();
    let begins = [0].into_iter().chain(starts.iter().copied());
    let ends = starts.iter().copied().chain([text.len()]);
    begins.zip(ends).map(|(begin, end)| &text[begin..end]).collect()
}

/// The words in code that look like paths.
fn candidates(section: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut in_block, mut parents) = (false, Vec::new());
    for line in section.lines() {
        if line.trim_start().starts_with("```") {
            (in_block, parents) = (!in_block, Vec::new());
        } else if in_block {
            block_line(line, &mut parents, &mut found);
        } else {
            // Every second part is between backticks.
            let code = line.split('`').skip(1).step_by(2);
            found.extend(code.flat_map(str::split_whitespace).filter_map(path));
        }
    }
    found
}

/// The paths of a line in a block of code. `parents` are the folders above it, with their indentation.
fn block_line(line: &str, parents: &mut Vec<(usize, String)>, found: &mut Vec<String>) {
    let indentation = line.len() - line.trim_start().len();
    let mut words = line.split_whitespace();
    if let Some(first) = words.next().and_then(path) {
        parents.retain(|(above, _)| *above < indentation);
        let parent = parents.last().map_or("", |(_, parent)| parent);
        let full = format!("{parent}{first}");
        if first.ends_with('/') {
            parents.push((indentation, full.clone()));
        }
        found.push(full);
    }
    found.extend(words.filter_map(path));
}

/// `word` as a path, if it looks like one. It ends before the first placeholder, as in `crates/<host>/src`.
fn path(word: &str) -> Option<String> {
    let word = word.trim_matches([',', ':', ';', '(', ')', '"']);
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-/<>*".contains(letter);
    let is_path = if is_file(word) { !word.starts_with('.') } else { word.contains('/') && word.len() > 1 };
    if !is_path || !word.chars().all(allowed) || NO_PATHS.contains(&word) || word.starts_with('/') {
        return None;
    }
    let fixed: Vec<&str> = word.split('/').take_while(|segment| !segment.contains(['<', '*'])).collect();
    let fixed = fixed.join("/");
    (!fixed.is_empty()).then_some(fixed)
}

fn is_file(word: &str) -> bool {
    ENDINGS.iter().any(|ending| word.ends_with(ending))
}

/// The targets of links to other files.
fn links(section: &str) -> Vec<String> {
    let targets = section.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':')).map(str::to_owned).collect()
}

#[test]
fn every_path_that_the_pages_for_contributors_name_exists() {
    let root = repository();
    for (page, least) in PAGES {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let folder = page.rfind('/').map_or("", |slash| &page[..=slash]);
        let Paths { existing, missing } = paths(&text, folder, |path| root.join(path).exists());
        assert!(missing.is_empty(), "{page} names what does not exist: {missing:#?}");
        assert!(existing.len() >= least, "{page} names {} paths: are they still found?", existing.len());
    }
}

#[test]
fn paths_are_found_in_code_and_blocks_and_links() {
    let text = "\
# Page
`app/src/a.rs` and `tests/run --all`, `Io::tcp`, `I/O`, `3.14`, [a page](other.md#part), [the web](https://a/b)

```text
crates/
  app/    what this/is is
  lost/   gone
tests/
```

## Section
| file of `crates/app/src` | job |
|---|---|
| `a.rs`, `room/`, `b.rs` | work |
`crates/<name>/src`, `crates/app/*`, `room/c.rs`
## Another
`a.rs`
";
    let tree = [
        "crates/",
        "crates",
        "crates/app/",
        "crates/app",
        "crates/app/src",
        "crates/app/src/a.rs",
        "crates/app/src/room/",
        "tests/",
        "tests/run",
        "docs/other.md",
    ];
    let Paths { existing, missing } = paths(text, "docs/", |path| tree.contains(&path));
    let expected = [
        "a.rs",
        "app/src/a.rs",
        "crates",
        "crates/",
        "crates/app",
        "crates/app/",
        "crates/app/src",
        "other.md",
        "room/",
        "tests/",
        "tests/run",
    ];
    assert_eq!(existing.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    // The last section names no folder in which `a.rs` would be.
    let lost = ["a.rs", "b.rs", "crates/lost/", "room/c.rs", "this/is"];
    assert_eq!(missing.iter().map(String::as_str).collect::<Vec<_>>(), lost);
}
