//! The suite in its container image, where docker or podman answers.

use std::path::Path;
use std::process::{Command, Output, Stdio};

const ENGINES: [&str; 2] = ["docker", "podman"];
const IMAGE: &str = "docker.io/crossbario/autobahn-testsuite";

/// Ends the server on SIGTERM, and with standard input, which tells that the runner is gone. What the server
/// prints goes to the log with the rest.
const SCRIPT: &str = r#"
exec 3<&0 >&2
wstest -m fuzzingserver -s /conformance/spec.json -u 0 &
server=$!
trap 'kill "$server"' TERM
{ cat >/dev/null; kill "$server"; } <&3 &
wait "$server"
"#;

/// A container engine that answers, and that has the image.
pub(crate) struct Container {
    engine: &'static str,
}

impl Container {
    /// Where the scratch directory is mounted.
    pub(crate) const SCRATCH: &'static str = "/conformance";

    /// Finds an engine and has it pull the image, or says why not.
    pub(crate) fn find() -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        for engine in ENGINES {
            match answers(engine, &["info"]).and_then(|()| pulled(engine)) {
                Ok(()) => return Ok(Self { engine }),
                Err(fault) => faults.push(format!("{engine}: {fault}")),
            }
        }
        Err(faults)
    }

    /// The suite's server on `port`, which the engine offers on the loopback interface only.
    pub(crate) fn server(&self, scratch: &Path, port: u16) -> Command {
        let mut command = Command::new(self.engine);
        command
            .args(["run", "--rm", "--interactive", "--security-opt", "label=disable"])
            .args(["--publish", &format!("127.0.0.1:{port}:{port}")])
            .args(["--volume", &format!("{}:{}", scratch.display(), Self::SCRATCH)])
            .args([IMAGE, "sh", "-c", SCRIPT]);
        command
    }
}

fn pulled(engine: &str) -> Result<(), String> {
    answers(engine, &["image", "inspect", IMAGE]).or_else(|_| {
        eprintln!("pulling {IMAGE}, once");
        answers(engine, &["pull", "--quiet", IMAGE])
    })
}

fn answers(engine: &str, arguments: &[&str]) -> Result<(), String> {
    let outcome = Command::new(engine).args(arguments).stdin(Stdio::null()).output();
    let Output { status, stderr, .. } = outcome.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&stderr);
    let last_line = complaint.lines().rfind(|line| !line.trim().is_empty());
    Err(last_line.map_or_else(|| status.to_string(), str::to_owned))
}
