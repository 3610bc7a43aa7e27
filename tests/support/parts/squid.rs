//! Squid, the HTTP proxy.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::program::{configured, find, skipped};
use crate::{Identity, Scratch};

/// Where Debian and others put the programs that Squid asks about passwords.
const HELPERS: [&str; 3] = ["/usr/lib/squid", "/usr/lib64/squid", "/usr/libexec/squid"];

/// Says whether user and password, as Squid escapes them, are the two that it was started with.
const BASIC_HELPER: &str = r#"while read -r user password; do
    if [ "$user" = "$1" ] && [ "$password" = "$2" ]; then echo OK; else echo ERR; fi
done
"#;

const CONFIGURATION: &str = "pid_filename none
cache_log /dev/null
access_log none
cache_store_log none
netdb_filename none
coredump_dir none
cache deny all
cache_mem 0
memory_pools off
max_filedescriptors 1024
pinger_enable off
dns_nameservers 127.0.0.1
dns_timeout 1 second
udp_outgoing_address 127.0.0.1
visible_hostname localhost
";

/// Squid, which takes CONNECT to any port. Names come from the hosts file only.
#[derive(Debug)]
pub struct Squid {
    _daemon: Daemon,
    // Removed after the daemon has ended, hence below it.
    _segments: Segments,
    addr: SocketAddr,
}

impl Squid {
    /// For everybody.
    #[track_caller]
    pub fn open() -> Option<Self> {
        Self::start(Scratch::new(), "", None)
    }

    /// For everybody, on a port that speaks TLS: a proxy whose URL begins with `https`.
    #[track_caller]
    pub fn over_tls(identity: &Identity) -> Option<Self> {
        Self::start(Scratch::new(), "", Some(identity))
    }

    /// For those who know the password, told as Basic; others get status 407.
    ///
    /// # Panics
    /// When user or password is empty.
    #[track_caller]
    pub fn with_basic(user: &str, password: &str) -> Option<Self> {
        assert!(!user.is_empty() && !password.is_empty(), "Squid knows no empty users or passwords");
        let scratch = Scratch::new();
        let helper = scratch.file("basic", BASIC_HELPER);
        let program = format!("/bin/sh {} {} {}", configured(&helper), escaped(user), escaped(password));
        Self::start(scratch, &asking("basic", &program), None)
    }

    /// For those who know the password, told as Digest; others get status 407.
    #[track_caller]
    pub fn with_digest(user: &str, password: &str) -> Option<Self> {
        let helpers = HELPERS.iter().map(|directory| Path::new(directory).join("digest_file_auth"));
        let Some(helper) = helpers.into_iter().find(|path| path.is_file()) else {
            skipped("Squid's digest_file_auth is not installed");
            return None;
        };
        let scratch = Scratch::new();
        let passwords = scratch.file("passwords", format!("{user}:{password}\n"));
        let program = format!("{} {}", configured(&helper), configured(&passwords));
        Self::start(scratch, &asking("digest", &program), None)
    }

    #[track_caller]
    fn start(scratch: Scratch, access: &str, identity: Option<&Identity>) -> Option<Self> {
        let program = find("squid")?;
        let port = ReservedPort::new();
        let addr = port.addr();
        let listen = match identity {
            None => format!("http_port {addr}\n"),
            Some(identity) => {
                let certificate = scratch.file("server.pem", &identity.certificate);
                let key = scratch.file("server.key", &identity.key);
                format!(
                    "https_port {addr} tls-cert={} tls-key={}\n",
                    configured(&certificate),
                    configured(&key)
                )
            }
        };
        let access = if access.is_empty() { "http_access allow localhost\n" } else { access };
        let configuration =
            scratch.file("squid.conf", format!("{listen}{CONFIGURATION}{access}http_access deny all\n"));
        let segments = Segments(format!("wstests{}p{}", process::id(), addr.port()));
        let arguments = ["-N", "-d", "1", "-n", &segments.0, "-f", configured(&configuration)];
        let daemon = Daemon::start(&program, scratch, &[Place::Port(port)], arguments);
        Some(Self { _daemon: daemon, _segments: segments, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn asking(scheme: &str, program: &str) -> String {
    format!(
        "auth_param {scheme} program {program}\n\
         auth_param {scheme} children 1 startup=1 idle=1\n\
         auth_param {scheme} realm websocket-tests\n\
         acl known proxy_auth REQUIRED\n\
         http_access allow known\n"
    )
}

/// As Squid writes words to its helpers.
fn escaped(word: &str) -> String {
    word.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_graphic() && !b"<>\"#%{}|\\^~[]`'".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("memory is not refused");
        }
        text
    })
}

/// The shared memory of the Squid of that name. Squid removes it only when it ends in peace, and does not share it with others.
#[derive(Debug)]
struct Segments(String);

impl Drop for Segments {
    fn drop(&mut self) {
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{}-", self.0)) {
                // Nobody is left to tell; it is some kilobytes.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
