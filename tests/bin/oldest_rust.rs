//! Checks that no dependency of a published crate asks for a newer compiler than the crate promises.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::process::{Command, ExitCode};

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    rust_version: Option<String>,
    /// Empty where the package is not published.
    publish: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// A version of the compiler; what is left out is zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Version([u32; 3]);

impl Version {
    fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut version = Self::default();
        for (place, number) in version.0.iter_mut().zip(text.split('.')) {
            *place = number.parse().map_err(|_| format!("'{text}' is no version of the compiler"))?;
        }
        Ok(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Metadata {
    fn load() -> Result<Self, Box<dyn Error>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output =
            Command::new(cargo).args(["metadata", "--format-version", "1", "--all-features"]).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// All that a user of the package builds.
    fn reachable<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let nodes: BTreeMap<&str, &Node> =
            self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(id) = next.pop() {
            if reached.insert(id) {
                let deps = nodes.get(id).map(|node| &node.deps).into_iter().flatten();
                let built =
                    deps.filter(|dep| dep.dep_kinds.iter().any(|it| it.kind.as_deref() != Some("dev")));
                next.extend(built.map(|dep| dep.pkg.as_str()));
            }
        }
        reached
    }
}

/// What is wrong, one line each.
fn faults(metadata: &Metadata) -> Result<Vec<String>, Box<dyn Error>> {
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let mut faults = Vec::new();
    for member in metadata.workspace_members.iter().filter_map(|id| packages.get(id.as_str())) {
        if member.publish.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let Some(promised) = &member.rust_version else {
            faults.push(format!("{} does not say which compiler it needs", member.name));
            continue;
        };
        let promise = Version::parse(promised)?;
        for package in metadata.reachable(&member.id).into_iter().filter_map(|id| packages.get(id)) {
            let needed = package.rust_version.as_deref().map(Version::parse).transpose()?.unwrap_or_default();
            if needed > promise {
                faults
                    .push(format!("{} promises {promise}; its {} needs {needed}", member.name, package.name));
            }
        }
    }
    Ok(faults)
}

fn main() -> ExitCode {
    match Metadata::load().and_then(|metadata| faults(&metadata)) {
        Ok(faults) if faults.is_empty() => {
            println!("oldest Rust: ok");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            faults.iter().for_each(|fault| println!("{fault}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("oldest Rust: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> Vec<String> {
        faults(&serde_json::from_str(json).expect("metadata")).expect("versions")
    }

    fn metadata(promise: &str, publish: &str, kind: &str) -> String {
        format!(
            r#"{{ "workspace_members": ["a"], "packages": [
                {{ "id": "a", "name": "a", "rust_version": {promise}, "publish": {publish} }},
                {{ "id": "b", "name": "b", "rust_version": null, "publish": null }},
                {{ "id": "c", "name": "c", "rust_version": "1.90", "publish": null }} ],
            "resolve": {{ "nodes": [
                {{ "id": "a", "deps": [{{ "pkg": "b", "dep_kinds": [{{ "kind": null }}] }}] }},
                {{ "id": "b", "deps": [{{ "pkg": "c", "dep_kinds": [{{ "kind": {kind} }}] }}] }},
                {{ "id": "c", "deps": [] }} ] }} }}"#
        )
    }

    #[test]
    fn what_a_dependency_of_a_dependency_needs_counts() {
        assert_eq!(found(&metadata("\"1.88\"", "null", "null")), ["a promises 1.88.0; its c needs 1.90.0"]);
        assert_eq!(found(&metadata("\"1.90.0\"", "null", "\"build\"")), [""; 0]);
    }

    #[test]
    fn what_users_do_not_build_does_not_count() {
        assert_eq!(found(&metadata("\"1.88\"", "null", "\"dev\"")), [""; 0]);
        assert_eq!(found(&metadata("\"1.88\"", "[]", "null")), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_promise_is_named() {
        assert_eq!(found(&metadata("null", "null", "null")), ["a does not say which compiler it needs"]);
    }
}
