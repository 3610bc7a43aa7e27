//! nginx, the reverse proxy.

use std::net::SocketAddr;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::program::find;
use crate::{Authority, Identity, Scratch};

/// nginx in front of a WebSocket server, on one port in the clear and on another one with TLS.
#[derive(Debug)]
pub struct Nginx {
    _daemon: Daemon,
    plain: SocketAddr,
    secure: SocketAddr,
}

impl Nginx {
    /// Passes on to the server at `upstream`, and shows `identity` to those who come with TLS.
    #[track_caller]
    pub fn wss_proxy_to(upstream: SocketAddr, identity: &Identity) -> Option<Self> {
        Self::start(upstream, identity, None)
    }

    /// [`wss_proxy_to`](Self::wss_proxy_to) for clients with a certificate of `authority`; those who come with TLS and without one get status 400.
    #[track_caller]
    pub fn asking_for_certificates(
        upstream: SocketAddr,
        identity: &Identity,
        authority: &Authority,
    ) -> Option<Self> {
        Self::start(upstream, identity, Some(authority))
    }

    #[track_caller]
    fn start(upstream: SocketAddr, identity: &Identity, authority: Option<&Authority>) -> Option<Self> {
        let program = find("nginx")?;
        let scratch = Scratch::new();
        let (plain, secure) = (ReservedPort::new(), ReservedPort::new());
        let (plain_addr, secure_addr) = (plain.addr(), secure.addr());
        scratch.file("server.pem", &identity.certificate);
        scratch.file("server.key", &identity.key);
        let ask = authority.map_or("", |authority| {
            scratch.file("clients.pem", authority.pem());
            "ssl_client_certificate clients.pem; ssl_verify_client on;"
        });
        let configuration = format!(
            "daemon off;
            worker_processes 1;
            pid nginx.pid;
            error_log stderr;
            events {{ worker_connections 256; }}
            http {{
                access_log off;
                client_body_temp_path body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                server {{
                    listen {plain_addr};
                    listen {secure_addr} ssl;
                    ssl_certificate server.pem;
                    ssl_certificate_key server.key;
                    ssl_protocols TLSv1.2 TLSv1.3;
                    {ask}
                    location / {{
                        proxy_pass http://{upstream};
                        proxy_http_version 1.1;
                        proxy_set_header Host $http_host;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Connection $http_connection;
                    }}
                }}
            }}"
        );
        scratch.file("nginx.conf", configuration);
        let prefix = scratch.path().display().to_string();
        let arguments = ["-e", "stderr", "-p", &prefix, "-c", "nginx.conf"];
        let places = [Place::Port(plain), Place::Port(secure)];
        let daemon = Daemon::start(&program, scratch, &places, arguments);
        Some(Self { _daemon: daemon, plain: plain_addr, secure: secure_addr })
    }

    /// Where it takes plain connections.
    pub fn plain_addr(&self) -> SocketAddr {
        self.plain
    }

    /// Where it takes connections with TLS.
    pub fn secure_addr(&self) -> SocketAddr {
        self.secure
    }
}
