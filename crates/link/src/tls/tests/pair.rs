//! A session and a server, and the bytes between them.

use std::io::{Read as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::identity::{Authority, Identity};
use crate::tls::{TlsError, TlsOptions, TlsOutput, TlsSession, TlsVersion, provider};

pub(super) const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];

/// A client that trusts a server for "localhost", with nothing from this machine's environment.
pub(super) struct World {
    pub(super) authority: Authority,
    pub(super) options: TlsOptions,
    pub(super) server: Arc<ServerConfig>,
}

impl World {
    pub(super) fn new(version: TlsVersion) -> Self {
        Self::with(version, |_| {})
    }

    pub(super) fn with(version: TlsVersion, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let authority = Authority::new("the tests' authority");
        let mut server = server_config(&authority.issue(&["localhost"]));
        change(&mut server);
        let options = trusting(&authority).versions([version]);
        Self { authority, options, server: Arc::new(server) }
    }

    pub(super) fn pair(&self) -> Pair {
        Pair::new(&self.options, &self.server)
    }

    /// A pair that can talk.
    pub(super) fn open(&self) -> Pair {
        let mut pair = self.pair();
        pair.handshake().unwrap();
        pair
    }
}

pub(super) fn trusting(authority: &Authority) -> TlsOptions {
    isolated().roots_from_bytes(authority.pem())
}

pub(super) fn isolated() -> TlsOptions {
    TlsOptions::new().environment(|_| None)
}

pub(super) fn server_config(identity: &Identity) -> ServerConfig {
    server_config_with(identity, &[], None)
}

pub(super) fn server_config_with(
    identity: &Identity,
    suites: &[String],
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(provider::select(None, suites, &[]).unwrap());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .or_else(|_| {
            ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[&rustls::version::TLS12])
        })
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().into()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(identity.chain(), identity.key()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

pub(super) struct Pair {
    pub(super) client: TlsSession,
    pub(super) output: TlsOutput,
    pub(super) server: ServerConnection,
    /// Plaintext that the server got and nobody has asked for.
    heard: Vec<u8>,
    /// Plaintext that the client got, a record an entry.
    pub(super) received: Vec<Vec<u8>>,
    /// What a reactor reads into.
    buffer: Vec<u8>,
}

impl Pair {
    pub(super) fn new(options: &TlsOptions, server: &Arc<ServerConfig>) -> Self {
        Self::for_host(options, server, "localhost")
    }

    pub(super) fn for_host(options: &TlsOptions, server: &Arc<ServerConfig>, host: &str) -> Self {
        let mut output = TlsOutput::new();
        let name = options.server_name_for(host).unwrap();
        let client = TlsSession::new(options.build().unwrap(), name, &mut output).unwrap();
        let mut server = ServerConnection::new(server.clone()).unwrap();
        server.set_buffer_limit(None);
        Self { client, output, server, heard: Vec::new(), received: Vec::new(), buffer: vec![0; 128 << 10] }
    }

    /// Talks until both have nothing to say: whether the client's handshake is complete then, or why it failed.
    pub(super) fn handshake(&mut self) -> Result<bool, TlsError> {
        loop {
            let said = self.output.len();
            // What the server thinks of it, it says with an alert.
            let _alert = self.reach_server();
            let answer = self.server_output();
            if said == 0 && answer.is_empty() {
                return Ok(!self.client.is_handshaking());
            }
            self.feed(&answer)?;
        }
    }

    /// Moves what the client has to say to the server.
    pub(super) fn reach_server(&mut self) -> Result<(), rustls::Error> {
        let outcome = hear(&mut self.server, self.output.as_slice(), &mut self.heard);
        self.output.consume(usize::MAX);
        outcome
    }

    /// What the server has to say.
    pub(super) fn server_output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// One read of the client, as a reactor does it.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), TlsError> {
        let held = self.client.restore(&mut self.buffer);
        let len = held + bytes.len();
        self.buffer.resize(len.max(128 << 10), 0);
        self.buffer[held..len].copy_from_slice(bytes);
        let received = &mut self.received;
        self.client.receive(&mut self.buffer[..len], &mut self.output, |plaintext| {
            received.push(plaintext.to_vec());
            ControlFlow::Continue(())
        })
    }

    /// Many reads.
    pub(super) fn feed_in_pieces(
        &mut self,
        bytes: &[u8],
        mut piece: impl FnMut() -> usize,
    ) -> Result<(), TlsError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece().clamp(1, rest.len()));
            self.feed(now)?;
            rest = later;
        }
        Ok(())
    }

    /// The server says something, as one record for each 16 KiB.
    pub(super) fn say(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.server.writer().write_all(plaintext).unwrap();
        self.server_output()
    }

    /// Encrypts all of it.
    pub(super) fn send(&mut self, plaintext: &[u8]) -> Result<(), TlsError> {
        let mut rest = plaintext;
        while !rest.is_empty() {
            let sent = self.client.send(rest, &mut self.output)?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// All that the server has decrypted since it was asked last.
    pub(super) fn heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.heard)
    }

    pub(super) fn received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received).concat()
    }
}

/// Gives `bytes` to the server, and its plaintext to `heard`.
pub(super) fn hear(
    server: &mut ServerConnection,
    mut bytes: &[u8],
    heard: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    // It takes nothing after close_notify.
    while server.read_tls(&mut bytes).unwrap() > 0 {
        server.process_new_packets()?;
        // It ends with WouldBlock, or with close_notify.
        let _end = server.reader().read_to_end(heard);
    }
    Ok(())
}

/// Numbers that look random and are the same in every run.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}
