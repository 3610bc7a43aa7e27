//! What one source file imports and defines, its tests left out.

use crate::tokens::tokens;

/// A path as it is written, segment by segment.
pub(crate) type Segments = Vec<String>;

/// What a `use` brings into its file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Import {
    pub(crate) path: Segments,
    /// How the file calls it.
    pub(crate) name: String,
}

#[derive(Default, Debug)]
pub(crate) struct Source {
    pub(crate) imports: Vec<Import>,
    /// Paths of at least two segments outside of `use`.
    pub(crate) paths: Vec<Segments>,
    /// Names of modules that exist in tests only.
    pub(crate) test_modules: Vec<String>,
    /// Inherent methods: the type, and how many of them.
    pub(crate) methods: Vec<(String, usize)>,
    /// What this parser does not follow.
    pub(crate) unsupported: Vec<String>,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Self {
        let tokens = tokens(text);
        let mut source = Self::default();
        let mut rest = &tokens[..];
        let mut before = "";
        while let [first, behind @ ..] = rest {
            (before, rest) = source.item(before, first, behind);
        }
        source
    }

    /// Takes the first token and what belongs to it; returns the last token taken and the rest.
    fn item<'t, 's>(
        &mut self,
        before: &str,
        first: &'s str,
        behind: &'t [&'s str],
    ) -> (&'s str, &'t [&'s str]) {
        match (first, behind) {
            ("#", ["[", ..]) => {
                let (attribute, after) = group(behind);
                if is_test(attribute) {
                    return ("", self.skip_item(after));
                }
                ("", after)
            }
            ("use", [next, ..]) if *next != "<" => ("", self.tree(&[], behind)),
            ("mod", [name, "{", ..]) => {
                self.unsupported.push(format!("the inline module {name}"));
                ("mod", behind)
            }
            ("impl", _) if matches!(before, "" | ";" | "{" | "}") => {
                self.methods.extend(inherent_methods(behind));
                ("impl", behind)
            }
            (_, ["::", ..]) if before != "::" && is_segment(first) => {
                let (path, after) = path(first, behind);
                if path.len() > 1 {
                    self.paths.push(path);
                }
                ("", after)
            }
            _ => (first, behind),
        }
    }

    /// Skips an item that exists in tests only, with the attributes that follow the first.
    fn skip_item<'t, 's>(&mut self, mut rest: &'t [&'s str]) -> &'t [&'s str] {
        while let ["#", behind @ ..] = rest {
            rest = group(behind).1;
        }
        if let ["mod", name, ";", ..] = rest {
            self.test_modules.push((*name).to_owned());
        }
        let ends_with_semicolon = rest.first() == Some(&"use");
        while let [first, behind @ ..] = rest {
            match *first {
                ";" => return behind,
                "{" if !ends_with_semicolon => return group(rest).1,
                "{" | "(" | "[" => rest = group(rest).1,
                _ => rest = behind,
            }
        }
        rest
    }

    /// Reads one tree of a `use`, and returns what follows it.
    fn tree<'t, 's>(&mut self, prefix: &[String], mut rest: &'t [&'s str]) -> &'t [&'s str] {
        let mut path = prefix.to_vec();
        loop {
            match rest {
                ["{", behind @ ..] => {
                    rest = behind;
                    loop {
                        match rest {
                            ["}", behind @ ..] => return behind,
                            [",", behind @ ..] => rest = behind,
                            [] => return rest,
                            _ => rest = self.tree(&path, rest),
                        }
                    }
                }
                ["*", behind @ ..] => {
                    self.unsupported.push(format!("the import of {}::*", path.join("::")));
                    return behind;
                }
                [name, "as", alias, behind @ ..] => {
                    self.import(path, name, alias);
                    return behind;
                }
                [name, "::", behind @ ..] => {
                    path.push((*name).to_owned());
                    rest = behind;
                }
                // A leading `::`: another crate.
                ["::", behind @ ..] => {
                    path.push(String::new());
                    rest = behind;
                }
                [name, behind @ ..] => {
                    self.import(path, name, name);
                    return behind;
                }
                [] => return rest,
            }
        }
    }

    fn import(&mut self, mut path: Segments, last: &str, name: &str) {
        if last != "self" {
            path.push(last.to_owned());
        }
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name.to_owned() };
        self.imports.push(Import { path, name });
    }
}

/// Splits off the bracketed group that `tokens` begins with: what is between its brackets, and what follows it.
fn group<'t, 's>(tokens: &'t [&'s str]) -> (&'t [&'s str], &'t [&'s str]) {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&tokens[1..at.max(1)], &tokens[at + 1..]);
        }
    }
    (&tokens[tokens.len().min(1)..], &[])
}

/// Whether this attribute leaves its item out of everything but tests.
fn is_test(attribute: &[&str]) -> bool {
    attribute.first() == Some(&"cfg") && attribute.contains(&"test") && !attribute.contains(&"not")
}

fn is_segment(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Reads a path that begins with `first`, and returns what follows it.
fn path<'t, 's>(first: &str, mut rest: &'t [&'s str]) -> (Segments, &'t [&'s str]) {
    let mut path = vec![first.to_owned()];
    while let ["::", name, behind @ ..] = rest {
        if !is_segment(name) {
            break;
        }
        path.push((*name).to_owned());
        rest = behind;
    }
    (path, rest)
}

/// The methods of an `impl` whose tokens follow; none if it is that of a trait.
fn inherent_methods(tokens: &[&str]) -> Option<(String, usize)> {
    let open = tokens.iter().position(|token| *token == "{")?;
    let (header, body) = tokens.split_at(open);
    // `for<'a>` does not belong to `impl Trait for Type`.
    if header.windows(2).any(|pair| pair[0] == "for" && pair[1] != "<") {
        return None;
    }
    let (mut depth, mut before) = (0, "");
    let generics = header.iter().take_while(|token| {
        match **token {
            "<" => depth += 1,
            ">" if before != "-" => depth -= 1,
            _ if depth == 0 => return false,
            _ => {}
        }
        before = token;
        true
    });
    let name = header[generics.count()..].iter().find(|token| is_segment(token))?;
    let mut body = group(body).0;
    let mut methods = 0;
    while let [first, behind @ ..] = body {
        methods += usize::from(*first == "fn");
        body = if ["{", "(", "["].contains(first) { group(body).1 } else { behind };
    }
    Some(((*name).to_owned(), methods))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Segments {
        path.split("::").map(str::to_owned).collect()
    }

    fn imports(text: &str) -> Vec<(String, String)> {
        let source = Source::parse(text);
        source.imports.iter().map(|import| (import.path.join("::"), import.name.clone())).collect()
    }

    fn pair(path: &str, name: &str) -> (String, String) {
        (path.to_owned(), name.to_owned())
    }

    #[test]
    fn trees_of_use_are_flattened() {
        assert_eq!(imports("pub(crate) use a::b; use c as d;"), [pair("a::b", "b"), pair("c", "d")]);
        assert_eq!(
            imports("use a::{self, b::{c, d as e,}, f};"),
            [pair("a", "a"), pair("a::b::c", "c"), pair("a::b::d", "e"), pair("a::f", "f")]
        );
        assert_eq!(imports("use ::a::b; fn f() -> impl Fn() + use<'_> {}"), [pair("::a::b", "b")]);
        assert_eq!(imports("fn f() { use super::super::a; }"), [pair("super::super::a", "a")]);
    }

    #[test]
    fn paths_in_code_are_found_and_those_in_comments_and_strings_are_not() {
        let text = "/// [`crate::a`]\nfn f(x: crate::b::C<super::D>) { e::f::<G>(\"crate::h\"); i.j(K::L) }";
        let paths = Source::parse(text).paths;
        assert_eq!(paths, ["crate::b::C", "super::D", "e::f", "K::L"].map(segments));
    }

    #[test]
    fn what_is_for_tests_only_is_left_out() {
        let text = "
            #[cfg(test)] mod tests;
            #[cfg(all(test, unix))] #[allow(x)] use a::{b, c};
            impl A { #[cfg(test)] pub(crate) fn f(&self) -> [u8; 1] { super::g() } fn h() {} }
            #[cfg(not(test))] use d::e;
            #[cfg(test)] mod more { use crate::i; }
            use j::k;";
        let source = Source::parse(text);
        assert_eq!(source.test_modules, ["tests"]);
        assert_eq!(imports(text), [pair("d::e", "e"), pair("j::k", "k")]);
        assert!(source.paths.is_empty() && source.unsupported.is_empty());
    }

    #[test]
    fn what_is_not_followed_is_reported() {
        let source = Source::parse("use crate::a::*; mod b { }");
        assert_eq!(source.unsupported, ["the import of crate::a::*", "the inline module b"]);
    }

    #[test]
    fn inherent_methods_are_counted() {
        let text = "
            impl<'a, T: Fn() -> u8> Driver<'a, T> { fn a() { fn inner() {} } pub fn b(f: fn()) {} }
            impl Drop for Driver<'_> { fn drop(&mut self) {} }
            impl Driver<'_> { const C: u8 = 1; }
            fn f(g: impl Fn()) { fn h() {} }";
        let methods = Source::parse(text).methods;
        assert_eq!(methods, [("Driver".to_owned(), 2), ("Driver".to_owned(), 0)]);
    }
}
