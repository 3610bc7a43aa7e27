//! Node.js with npm's package `ws`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::program::{find, installed, skipped};

/// A Node.js that has the package.
pub(super) fn program() -> Option<PathBuf> {
    static HAS_PACKAGE: OnceLock<bool> = OnceLock::new();
    let program = find("node")?;
    let has_package = *HAS_PACKAGE.get_or_init(|| {
        let mut command = Command::new(&program);
        command
            .args(["-e", "if (!require('ws').WebSocketServer) process.exit(1)"])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        with_package(&mut command);
        command.status().is_ok_and(|status| status.success())
    });
    if !has_package {
        skipped("npm's package ws is not installed");
    }
    has_package.then_some(program)
}

/// Where `tests/install-parts` puts the package is where it is looked for.
pub(super) fn with_package(command: &mut Command) {
    command.env_remove("NODE_OPTIONS");
    if let Some(installed) = installed() {
        command.env("NODE_PATH", installed.join("node/node_modules"));
    }
}
