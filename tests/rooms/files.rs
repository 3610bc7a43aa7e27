//! The files of one crate, and which of them import which.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Segments, Source};

/// Re-exports may refer to each other; this many steps are followed.
const MAX_STEPS: usize = 16;

/// The source files of one crate, tests left out.
pub(crate) struct Files {
    /// By path relative to the crate's `src`.
    sources: BTreeMap<String, Source>,
    /// The file of each module.
    modules: BTreeMap<Segments, String>,
}

impl Files {
    /// `files` are paths relative to the crate's `src`, with their text.
    pub(crate) fn new<P: AsRef<str>, T: AsRef<str>>(files: &[(P, T)]) -> Self {
        let parsed =
            files.iter().map(|(path, text)| (path.as_ref().to_owned(), Source::parse(text.as_ref())));
        let mut sources: BTreeMap<String, Source> = parsed.collect();
        let test_modules: Vec<Segments> = sources
            .iter()
            .flat_map(|(file, source)| source.test_modules.iter().map(|name| child(&module(file), name)))
            .collect();
        sources.retain(|file, _| !test_modules.iter().any(|tests| module(file).starts_with(tests)));
        let modules = sources.keys().map(|file| (module(file), file.clone())).collect();
        Self { sources, modules }
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(file, source)| (&**file, source))
    }

    /// The files that each file imports, itself left out.
    pub(crate) fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let imports = self.sources.iter().map(|(file, source)| {
            let paths = source.imports.iter().map(|import| &import.path).chain(&source.paths);
            let files = paths.filter_map(|path| self.resolve(&module(file), path, MAX_STEPS));
            (&**file, files.filter(|imported| imported != file).collect())
        });
        imports.collect()
    }

    /// The file that defines what `path` names in the module `from`; `None` if that is another crate, or a name
    /// that the module defines itself.
    fn resolve(&self, from: &[String], path: &[String], steps: usize) -> Option<&str> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match &**first {
            "crate" => self.find(&[], rest, steps),
            "self" => self.find(from, rest, steps),
            "super" => {
                let mut parent = from.split_last()?.1;
                let mut rest = rest;
                while let Some(("super", behind)) =
                    rest.split_first().map(|(first, behind)| (&**first, behind))
                {
                    (parent, rest) = (parent.split_last()?.1, behind);
                }
                self.find(parent, rest, steps)
            }
            name if self.modules.contains_key(&child(from, name)) => self.find(from, path, steps),
            _ => None,
        }
    }

    /// The file that defines what `path` names inside the module `at`.
    fn find(&self, at: &[String], path: &[String], steps: usize) -> Option<&str> {
        let file = self.modules.get(at)?;
        let Some((name, rest)) = path.split_first() else { return Some(file) };
        let module = child(at, name);
        if self.modules.contains_key(&module) {
            return self.find(&module, rest, steps);
        }
        match self.sources[file].imports.iter().find(|import| import.name == *name) {
            Some(import) => self.resolve(at, &[&import.path, rest].concat(), steps),
            None => Some(file),
        }
    }

    /// Groups of files that import each other, directly or in a circle.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<&str>> {
        let imports = self.imports();
        let mut reachable = imports.clone();
        for through in imports.keys() {
            let beyond = reachable[through].clone();
            for files in reachable.values_mut().filter(|files| files.contains(through)) {
                files.extend(&beyond);
            }
        }
        let circle = |file: &str| -> BTreeSet<&str> {
            let back = reachable[file].iter().filter(|other| reachable[**other].contains(file));
            back.copied().collect()
        };
        let circles: BTreeSet<_> =
            imports.keys().map(|file| circle(file)).filter(|files| !files.is_empty()).collect();
        circles.into_iter().collect()
    }
}

/// The module of a file.
fn module(file: &str) -> Segments {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|segment| *segment != "lib").map(str::to_owned).collect()
}

fn child(module: &[String], name: &str) -> Segments {
    let mut child = module.to_vec();
    child.push(name.to_owned());
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)], of: &str) -> Vec<String> {
        Files::new(files).imports()[of].iter().map(|file| (*file).to_owned()).collect()
    }

    #[test]
    fn a_path_leads_to_the_file_that_defines_what_it_names() {
        let files = [
            ("lib.rs", "mod room; mod low; pub use crate::room::Seat; pub use other as renamed;"),
            (
                "room/mod.rs",
                "mod seat; pub use seat::{Chair as Seat, Leg}; use crate::low::Floor; pub struct Room;",
            ),
            ("room/seat.rs", "use super::{Floor, Room}; pub struct Chair;"),
            ("low.rs", "pub struct Floor;"),
            ("user.rs", "use crate::Seat; use crate::renamed::Thing; use std::fmt;"),
            ("asker.rs", "fn f() -> crate::room::Leg { crate::low::Floor::new() }"),
        ];
        assert_eq!(imports(&files, "user.rs"), ["room/seat.rs"]);
        assert_eq!(imports(&files, "asker.rs"), ["low.rs", "room/seat.rs"]);
        assert_eq!(imports(&files, "room/seat.rs"), ["low.rs", "room/mod.rs"]);
        assert_eq!(imports(&files, "room/mod.rs"), ["low.rs", "room/seat.rs"]);
    }

    #[test]
    fn child_modules_are_named_without_a_prefix() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "mod b; fn f() { b::g(); c::h(); self::b::i(); }"),
            ("a/b.rs", "use super::super::c;"),
            ("c.rs", ""),
        ];
        assert_eq!(imports(&files, "a.rs"), ["a/b.rs"]);
        assert_eq!(imports(&files, "a/b.rs"), ["c.rs"]);
    }

    #[test]
    fn files_of_tests_are_left_out() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "#[cfg(test)] mod tests;"),
            ("a/tests/mod.rs", "mod more;"),
            ("a/tests/more.rs", "use crate::a;"),
        ];
        assert_eq!(
            Files::new(&files).sources().map(|(file, _)| file).collect::<Vec<_>>(),
            ["a/mod.rs", "lib.rs"]
        );
    }

    #[test]
    fn re_exports_that_go_round_end() {
        let files = [
            ("lib.rs", "use crate::b::X;"),
            ("a.rs", "pub use crate::b::X;"),
            ("b.rs", "pub use crate::a::X;"),
        ];
        assert_eq!(imports(&files, "lib.rs"), [""; 0]);
    }

    #[test]
    fn circles_are_found_and_kept_apart() {
        let files = [
            ("lib.rs", "use a::A; use crate::c::C;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::a::A; use crate::c::C;"),
            ("c.rs", "use crate::d::D;"),
            ("d.rs", "use crate::e::E;"),
            ("e.rs", "use crate::c::C;"),
        ];
        let expected = [BTreeSet::from(["a.rs", "b.rs"]), BTreeSet::from(["c.rs", "d.rs", "e.rs"])];
        assert_eq!(Files::new(&files).circles(), expected);
    }
}
