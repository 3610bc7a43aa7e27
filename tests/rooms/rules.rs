//! What must be true of a crate's files, and what is wrong with them if it is not.

use std::collections::BTreeSet;

use crate::files::Files;

/// An import from a lower room to a higher one that is allowed.
pub(crate) struct Exception {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) reason: &'static str,
}

pub(crate) struct Rules {
    /// From the top. A room is a file or a folder; files in no room are below all rooms.
    pub(crate) rooms: &'static [&'static str],
    pub(crate) exceptions: &'static [Exception],
    /// The rooms in which there may be one circle of files, and how many files it may have.
    pub(crate) circle: (&'static [&'static str], usize),
}

/// The lowest room: values, which may be used everywhere.
pub(crate) const VALUES: &str = "values";

impl Rules {
    /// The room of a file, and its place from the top. The root of the crate is in none.
    fn room(&self, file: &str) -> Option<(usize, &'static str)> {
        if file == "lib.rs" {
            return None;
        }
        let inside =
            |room: &str| file.strip_prefix(room).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
        let room = self.rooms.iter().position(|room| inside(room));
        Some(room.map_or((self.rooms.len(), VALUES), |place| (place, self.rooms[place])))
    }

    /// What breaks the rules.
    pub(crate) fn check(&self, files: &Files) -> Vec<String> {
        let mut wrong = self.unsupported(files);
        wrong.extend(self.upward(files));
        wrong.extend(self.circles(files));
        wrong
    }

    fn unsupported(&self, files: &Files) -> Vec<String> {
        let unsupported = files.sources().flat_map(|(file, source)| {
            source
                .unsupported
                .iter()
                .map(move |what| format!("{file}: {what} cannot be followed by this test"))
        });
        let empty = self.rooms.iter().filter(|room| {
            !files.sources().any(|(file, _)| self.room(file).is_some_and(|(_, name)| name == **room))
        });
        unsupported.chain(empty.map(|room| format!("the room {room} has no file"))).collect()
    }

    fn upward(&self, files: &Files) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut needed = BTreeSet::new();
        for (file, imported) in files.imports() {
            for other in imported {
                let (Some((place, from)), Some((above, to))) = (self.room(file), self.room(other)) else {
                    continue;
                };
                if above >= place {
                    continue;
                }
                match self
                    .exceptions
                    .iter()
                    .position(|exception| (exception.from, exception.to) == (from, to))
                {
                    Some(exception) => drop(needed.insert(exception)),
                    None => wrong
                        .push(format!("{file} ({from}) imports {other} ({to}), which is a room above it")),
                }
            }
        }
        for (number, Exception { from, to, reason }) in self.exceptions.iter().enumerate() {
            if !needed.contains(&number) {
                wrong.push(format!("the exception from {from} to {to} ({reason}) is not needed any more"));
            }
        }
        wrong
    }

    fn circles(&self, files: &Files) -> Vec<String> {
        let (rooms, most) = self.circle;
        let allowed = |file: &&str| self.room(file).is_some_and(|(_, room)| rooms.contains(&room));
        let mut wrong = Vec::new();
        for (number, circle) in files.circles().into_iter().enumerate() {
            if number > 0 {
                wrong.push(format!("there is more than one circle of files: {circle:?}"));
            }
            if !circle.iter().all(allowed) {
                wrong.push(format!("a circle of files is not only in {rooms:?}: {circle:?}"));
            }
            if circle.len() > most {
                wrong.push(format!("a circle has {} files, and at most {most} are allowed", circle.len()));
            }
        }
        wrong
    }
}

/// Files of more than `most` lines.
pub(crate) fn too_long<P: AsRef<str>, T: AsRef<str>>(files: &[(P, T)], most: usize) -> Vec<String> {
    let lines = files.iter().map(|(file, text)| (file.as_ref(), text.as_ref().lines().count()));
    let long = lines.filter(|(_, lines)| *lines > most);
    long.map(|(file, lines)| format!("{file} has {lines} lines, and at most {most} are allowed")).collect()
}

/// Whether the inherent methods of `name` are too many, or in too many files.
pub(crate) fn too_large(files: &Files, name: &str, most_methods: usize, most_files: usize) -> Vec<String> {
    let mut methods = 0;
    let mut places = BTreeSet::new();
    for (file, source) in files.sources() {
        for (_, count) in source.methods.iter().filter(|(of, _)| of == name) {
            methods += count;
            places.insert(file);
        }
    }
    let mut wrong = Vec::new();
    if places.is_empty() {
        wrong.push(format!("there is no `impl {name}`"));
    }
    if methods > most_methods {
        wrong.push(format!("{name} has {methods} methods, and at most {most_methods} are allowed"));
    }
    if places.len() > most_files {
        wrong.push(format!("{name} has methods in {places:?}, and at most {most_files} files are allowed"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        rooms: &["roof", "floor", "cellar"],
        exceptions: &[Exception { from: "cellar", to: "floor", reason: "the stairs" }],
        circle: (&["floor", "cellar"], 2),
    };

    /// A crate that keeps the rules.
    fn sound() -> Vec<(&'static str, String)> {
        let files = [
            (
                "lib.rs",
                "pub use crate::roof::Roof; pub use crate::cellar::Cellar; pub use crate::floor::Floor;",
            ),
            ("roof.rs", "use crate::floor::Floor; use crate::value::Value; pub struct Roof;"),
            ("floor/mod.rs", "mod lamp; pub use lamp::Lamp; use crate::cellar::Cellar; pub struct Floor;"),
            ("floor/lamp.rs", "use crate::value::Value; pub struct Lamp;"),
            ("cellar.rs", "use crate::floor::Floor; pub struct Cellar;"),
            ("value.rs", "pub struct Value;"),
        ];
        files.map(|(file, text)| (file, text.to_owned())).into()
    }

    /// What is wrong with that crate after `text` was added to one of its files, or has made a new one.
    fn with(file: &'static str, text: &str) -> Vec<String> {
        let mut files = sound();
        match files.iter_mut().find(|(path, _)| *path == file) {
            Some((_, old)) => *old += text,
            None => files.push((file, text.to_owned())),
        }
        RULES.check(&Files::new(&files))
    }

    #[test]
    fn a_crate_that_keeps_the_rules_passes() {
        assert_eq!(
            with("value.rs", "// use crate::roof::Roof;\n#[cfg(test)] use crate::roof::Roof;"),
            [""; 0]
        );
    }

    #[test]
    fn an_import_from_a_lower_room_to_a_higher_one_is_found() {
        for (file, text, expected) in [
            ("floor/lamp.rs", "use crate::Roof;", "floor/lamp.rs (floor) imports roof.rs (roof)"),
            ("cellar.rs", "fn f() { crate::roof::g() }", "cellar.rs (cellar) imports roof.rs (roof)"),
            ("value.rs", "use crate::floor::Lamp;", "value.rs (values) imports floor/lamp.rs (floor)"),
        ] {
            let expected = format!("{expected}, which is a room above it");
            let wrong = with(file, text);
            assert!(wrong.contains(&expected), "{wrong:?}");
        }
    }

    #[test]
    fn an_exception_that_no_file_needs_is_found() {
        let mut files = sound();
        files.retain(|(file, _)| *file != "cellar.rs");
        files.push(("cellar.rs", "pub struct Cellar;".to_owned()));
        let wrong = RULES.check(&Files::new(&files));
        assert_eq!(wrong, ["the exception from cellar to floor (the stairs) is not needed any more"]);
    }

    #[test]
    fn a_circle_elsewhere_a_second_one_and_a_large_one_are_found() {
        let other = with("other.rs", "use crate::value::Value; pub struct Other;");
        assert_eq!(other, [""; 0]);
        let mut files = sound();
        files.push(("other.rs", "use crate::value::Value; pub struct Other;".to_owned()));
        files
            .iter_mut()
            .filter(|(file, _)| *file == "value.rs")
            .for_each(|(_, text)| *text += "use crate::other::Other;");
        assert_eq!(
            RULES.check(&Files::new(&files)),
            [
                "there is more than one circle of files: {\"other.rs\", \"value.rs\"}",
                "a circle of files is not only in [\"floor\", \"cellar\"]: {\"other.rs\", \"value.rs\"}",
            ]
        );
        assert_eq!(
            with("floor/lamp.rs", "use super::Floor;"),
            ["a circle has 3 files, and at most 2 are allowed"]
        );
    }

    #[test]
    fn a_room_without_files_and_what_cannot_be_followed_are_found() {
        let files = [
            ("lib.rs", ""),
            ("floor.rs", "use crate::cellar::Cellar;"),
            ("cellar.rs", "use crate::floor::*;"),
        ];
        let wrong = RULES.check(&Files::new(&files));
        assert!(wrong.contains(&"the room roof has no file".to_owned()), "{wrong:?}");
        let glob = "cellar.rs: the import of crate::floor::* cannot be followed by this test";
        assert!(wrong.contains(&glob.to_owned()), "{wrong:?}");
    }

    #[test]
    fn long_files_are_found() {
        let files = [("a.rs", "x\n".repeat(3)), ("b.rs", "x\n".repeat(4)), ("c.rs", "x\nx\nx\nx".to_owned())];
        assert_eq!(
            too_long(&files, 3),
            ["b.rs has 4 lines, and at most 3 are allowed", "c.rs has 4 lines, and at most 3 are allowed"]
        );
    }

    #[test]
    fn a_type_with_many_methods_in_many_files_is_found() {
        let text = "impl D<'_> { fn a() {} fn b() {} }";
        let files =
            Files::new(&[("lib.rs", text), ("a.rs", text), ("b.rs", "impl Drop for D<'_> { fn drop() {} }")]);
        assert_eq!(too_large(&files, "D", 4, 2), [""; 0]);
        assert_eq!(
            too_large(&files, "D", 3, 1),
            [
                "D has 4 methods, and at most 3 are allowed",
                "D has methods in {\"a.rs\", \"lib.rs\"}, and at most 1 files are allowed"
            ]
        );
        assert_eq!(too_large(&files, "E", 9, 9), ["there is no `impl E`"]);
    }
}
