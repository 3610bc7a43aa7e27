//! Checks that `tests/behaviours.toml` is true: every behaviour is there once, and every test that it names exists and carries its number.
//!
//! Prints what is wrong, then the counts. A test carries a number (`b089`) in its name or in a comment right above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use toml::{Table, Value};

/// How many behaviours there are, numbered from 1.
const LINES: usize = 223;
/// Where tests may be.
const FOLDERS: [&str; 5] = ["bench", "conformance", "crates", "examples", "tests"];
/// The capabilities that a missing line may wait for.
const CAPABILITIES: [&str; 10] =
    ["auth", "cookies", "hosts", "log", "names", "proxy", "redirects", "streams", "tls", "tool"];

fn main() -> ExitCode {
    // At run time, since several clones may share one folder of build results.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&manifest).join("..");
    let checked = Tests::find(&root).and_then(|tests| {
        let map = fs::read_to_string(root.join("tests/behaviours.toml"))?;
        Ok(check(&map, &tests))
    });
    let report = match checked {
        Ok(report) => report,
        Err(error) => {
            eprintln!("behaviours: the sources cannot be read: {error}");
            return ExitCode::FAILURE;
        }
    };
    for wrong in &report.wrong {
        eprintln!("behaviours: {wrong}");
    }
    let Report { lines, covered, not_applicable, missing, .. } = report;
    println!("behaviours: lines={lines} covered={covered} not_applicable={not_applicable} missing={missing}");
    if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Report {
    lines: usize,
    covered: usize,
    not_applicable: usize,
    missing: usize,
    wrong: Vec<String>,
}

fn check(map: &str, tests: &Tests) -> Report {
    let mut report = Report::default();
    let table = match map.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            report.wrong.push(format!("behaviours.toml cannot be read: {error}"));
            return report;
        }
    };
    // What each test is said to cover.
    let mut claimed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (number, entry) in &table {
        if let Err(wrong) = check_entry(number, entry, tests, &mut report, &mut claimed) {
            report.wrong.push(format!("{number}: {wrong}"));
        }
    }
    for number in (1..=LINES).map(|line| format!("b{line:03}")) {
        if !table.contains_key(&number) {
            report.wrong.push(format!("{number} is not in the map"));
        }
    }
    for (test, found) in &tests.0 {
        for number in &found.numbers {
            if !claimed.get(test.as_str()).is_some_and(|claimed| claimed.contains(number.as_str())) {
                report
                    .wrong
                    .push(format!("{number}: the map does not name {test}, which carries the number"));
            }
        }
    }
    report
}

fn check_entry<'m>(
    number: &'m str,
    entry: &'m Value,
    tests: &Tests,
    report: &mut Report,
    claimed: &mut BTreeMap<&'m str, BTreeSet<&'m str>>,
) -> Result<(), String> {
    let line =
        number.strip_prefix('b').filter(|digits| digits.len() == 3).and_then(|digits| digits.parse().ok());
    if !line.is_some_and(|line: usize| (1..=LINES).contains(&line)) {
        return Err(format!("it is not one of b001 to b{LINES}"));
    }
    report.lines += 1;
    let entry = entry.as_table().ok_or("it must be a table")?;
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    text("what").ok_or("`what` must say what the line is about")?;
    let status = text("status").unwrap_or_default();
    let detail = match status {
        "covered" => {
            report.covered += 1;
            "tests"
        }
        "not_applicable" => {
            report.not_applicable += 1;
            text("reason").ok_or("`reason` must say why there is no counterpart")?;
            "reason"
        }
        "missing" => {
            report.missing += 1;
            let capability = text("waits_for").unwrap_or_default();
            if !CAPABILITIES.contains(&capability) {
                return Err(format!("`waits_for` must be one of {}", CAPABILITIES.join(", ")));
            }
            "waits_for"
        }
        _ => return Err("`status` must be covered, not_applicable or missing".to_owned()),
    };
    if let Some(key) = entry.keys().find(|key| !["what", "status", "note", detail].contains(&key.as_str())) {
        return Err(format!("`{key}` has no meaning in a line that is {status}"));
    }
    if status != "covered" {
        return Ok(());
    }

    let named: Option<Vec<&str>> = entry
        .get("tests")
        .and_then(Value::as_array)
        .and_then(|tests| tests.iter().map(Value::as_str).collect());
    let named =
        named.filter(|named| !named.is_empty()).ok_or("`tests` must be a list of \"file:function\"")?;
    let mut wrong = String::new();
    for test in named {
        match tests.0.get(test) {
            None => _ = write!(wrong, "there is no test {test}; "),
            Some(found) if found.ignored => _ = write!(wrong, "{test} is ignored; "),
            Some(found) if !found.numbers.contains(number) => {
                _ = write!(wrong, "{test} carries it neither in its name nor in a comment above; ");
            }
            Some(_) => {}
        }
        if !claimed.entry(test).or_default().insert(number) {
            _ = write!(wrong, "{test} is named twice; ");
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.trim_end_matches("; ").to_owned()) }
}

/// A function with `#[test]`.
#[derive(PartialEq, Eq, Default, Debug)]
struct Test {
    numbers: BTreeSet<String>,
    ignored: bool,
}

/// All tests by `file:function`.
#[derive(Default)]
struct Tests(BTreeMap<String, Test>);

impl Tests {
    fn find(root: &Path) -> io::Result<Self> {
        let mut tests = Self::default();
        // Here alone a file is no test before the manifest says so.
        let manifest = fs::read_to_string(root.join("tests/Cargo.toml"))?;
        for folder in FOLDERS {
            visit(&root.join(folder), &mut |path| {
                let file = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
                let listed =
                    file.strip_prefix("tests/").is_none_or(|name| manifest.contains(&format!("\"{name}\"")));
                if listed {
                    tests.read(&file, &fs::read_to_string(path)?);
                }
                Ok(())
            })?;
        }
        Ok(tests)
    }

    fn read(&mut self, file: &str, source: &str) {
        let mut above = String::new();
        for line in source.lines().map(str::trim) {
            let is_attribute = line.starts_with("#[");
            if let (Some(name), true) = (function(line), above.contains("#[test]")) {
                let comments: Vec<&str> = above.lines().filter(|line| line.starts_with("//")).collect();
                let ignored = above.lines().any(|line| line.starts_with("#[ignore"));
                let test = self.0.entry(format!("{file}:{name}")).or_default();
                test.numbers.extend(numbers(name).chain(comments.into_iter().flat_map(numbers)));
                test.ignored |= ignored;
            }
            if is_attribute || line.starts_with("//") {
                _ = writeln!(above, "{line}");
            } else {
                above.clear();
            }
        }
    }
}

fn visit(folder: &Path, file: &mut impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            visit(&path, file)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            file(&path)?;
        }
    }
    Ok(())
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("fn ")?.split_once('(')?;
    Some(name)
}

/// The numbers in a name or a comment: `b` and three digits, as a word of their own.
fn numbers(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| {
            word.len() == 4 && word.starts_with('b') && word[1..].bytes().all(|byte| byte.is_ascii_digit())
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Tests {
        let mut tests = Tests::default();
        tests.read("x.rs", source);
        tests
    }

    /// A map that is right but for `entry` as its first line.
    fn map(entry: &str) -> String {
        let rest = (2..=LINES)
            .map(|line| format!("[b{line:03}]\nwhat = 'x'\nstatus = 'not_applicable'\nreason = 'x'\n"));
        [format!("[b001]\nwhat = 'x'\n{entry}\n")].into_iter().chain(rest).collect()
    }

    fn wrong(entry: &str, source: &str) -> String {
        check(&map(entry), &found(source)).wrong.join("\n")
    }

    const SOURCE: &str = "#[test]\nfn b001_one() {\n";
    const COVERED: &str = "status = 'covered'\ntests = ['x.rs:b001_one']";

    #[test]
    fn names_and_comments_above_carry_numbers() {
        let tests = found(
            "/// See b007, b008.\n#[cfg(unix)]\n#[test]\n// Not ab009.\nfn b001_b002_it() {\n// b003\n}\n\n// b004\n\n\
             #[test]\n#[ignore = \"b005\"]\nfn other() {}\nfn b006_is_no_test() {}\n",
        );
        let numbers = |test: &str| tests.0[test].numbers.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(numbers("x.rs:b001_b002_it"), ["b001", "b002", "b007", "b008"]);
        assert!(numbers("x.rs:other").is_empty() && tests.0["x.rs:other"].ignored);
        assert_eq!(tests.0.len(), 2);
    }

    #[test]
    fn a_true_map_passes_and_is_counted() {
        let report = check(&map(COVERED), &found(SOURCE));
        assert_eq!(report.wrong, [""; 0]);
        assert_eq!(
            (report.lines, report.covered, report.not_applicable, report.missing),
            (LINES, 1, LINES - 1, 0)
        );
        let report = check(&map("status = 'missing'\nwaits_for = 'tls'"), &found(""));
        assert_eq!((report.wrong, report.missing), (vec![], 1));
    }

    #[test]
    fn each_kind_of_lie_is_told() {
        assert!(wrong(COVERED, "").contains("b001: there is no test x.rs:b001_one"));
        assert!(wrong(COVERED, "#[test]\n#[ignore]\nfn b001_one() {").contains("x.rs:b001_one is ignored"));
        let bare = COVERED.replace("b001_", "");
        assert!(wrong(&bare, "#[test]\nfn one() {").contains("carries it neither"));
        assert!(
            wrong("status = 'missing'\nwaits_for = 'tls'", SOURCE).contains("does not name x.rs:b001_one")
        );
        assert!(wrong("status = 'missing'\nwaits_for = 'luck'", "").contains("must be one of"));
        assert!(wrong("status = 'covered'\ntests = []", "").contains("must be a list"));
        assert!(wrong("status = 'not_applicable'\nreason = ' '", "").contains("must say why"));
        assert!(wrong("status = 'done'", "").contains("`status` must be"));
        assert!(wrong(&format!("{COVERED}\nreason = 'x'"), SOURCE).contains("`reason` has no meaning"));
        assert!(wrong(&COVERED.replace("']", "', 'x.rs:b001_one']"), SOURCE).contains("named twice"));
    }

    #[test]
    fn each_line_is_there_exactly_once() {
        let without = map(COVERED).replace("[b223]", "[b224]");
        let wrong = check(&without, &found(SOURCE)).wrong.join("\n");
        assert!(wrong.contains("b223 is not in the map") && wrong.contains("b224: it is not one of"));
        let twice = map(COVERED).replace("[b223]", "[b222]");
        assert!(check(&twice, &found(SOURCE)).wrong[0].contains("b222"));
    }
}
