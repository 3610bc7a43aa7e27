//! The root certificates that a connection trusts.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::TlsConfigError;
use super::certificate::Certificate;
use super::pem::{self, Source};

/// Reads an environment variable.
pub(super) type Environment = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// A file or a directory of root certificates.
const BUNDLE: &str = "WEBSOCKET_CLIENT_CA_BUNDLE";

/// One place that roots come from.
#[derive(Clone, Debug)]
pub(super) enum Roots {
    System,
    #[cfg(feature = "webpki-roots")]
    Mozilla,
    Pem(Source),
    Directory(PathBuf),
}

/// What is trusted.
pub(super) struct Trusted {
    pub(super) store: RootCertStore,
    /// Those of them that the user named.
    pub(super) own: Vec<CertificateDer<'static>>,
}

/// Loads `roots`; when there are none, what the environment names, or the system's.
pub(super) fn load(roots: &[Roots], environment: &Environment) -> Result<Trusted, TlsConfigError> {
    let mut trusted = Trusted { store: RootCertStore::empty(), own: Vec::new() };
    if roots.is_empty() {
        match bundle(environment) {
            Some(path) if path.is_dir() => trusted.add_directory(&path, &Named(&path))?,
            Some(path) => trusted.add_pem(&Source::File(path.clone()), &Named(&path))?,
            None => trusted.add_system(environment)?,
        }
    }
    for roots in roots {
        match roots {
            Roots::System => trusted.add_system(environment)?,
            #[cfg(feature = "webpki-roots")]
            Roots::Mozilla => trusted.store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Roots::Pem(source) => trusted.add_pem(source, source)?,
            Roots::Directory(path) => {
                trusted.add_directory(path, &format_args!("directory {}", path.display()))?;
            }
        }
    }
    log::debug!(target: "websocket::tls", "{} root certificates are trusted", trusted.store.len());
    Ok(trusted)
}

/// What the environment names, if it exists.
fn bundle(environment: &Environment) -> Option<PathBuf> {
    let path = PathBuf::from(environment(BUNDLE).filter(|path| !path.is_empty())?);
    if path.exists() {
        return Some(path);
    }
    log::warn!(target: "websocket::tls", "{BUNDLE} names {}, which does not exist: ignored", path.display());
    None
}

/// A path that came from the environment.
struct Named<'a>(&'a Path);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {BUNDLE})", self.0.display())
    }
}

impl Trusted {
    fn add_pem(&mut self, source: &Source, origin: &dyn fmt::Display) -> Result<(), TlsConfigError> {
        let bytes = source.read().map_err(|error| match error {
            TlsConfigError::Unreadable { kind, .. } => {
                TlsConfigError::Unreadable { origin: origin.to_string(), kind }
            }
            error => error,
        })?;
        self.add_own(pem::certificates(&bytes, origin)?, origin)
    }

    /// Every file with certificates counts; others may lie beside them.
    fn add_directory(&mut self, path: &Path, origin: &dyn fmt::Display) -> Result<(), TlsConfigError> {
        let unreadable = |error: std::io::Error| TlsConfigError::Unreadable {
            origin: origin.to_string(),
            kind: error.kind(),
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.sort();
        let mut found = Vec::new();
        for file in files.into_iter().filter(|file| file.is_file()) {
            let certificates = Source::File(file.clone())
                .read()
                .and_then(|bytes| pem::certificates(&bytes, &format_args!("file {}", file.display())));
            match certificates {
                Ok(certificates) => found.extend(certificates),
                Err(error) => log::debug!(target: "websocket::tls", "not a root certificate: {error}"),
            }
        }
        if found.is_empty() {
            return Err(TlsConfigError::NoCertificate { origin: origin.to_string() });
        }
        // `openssl rehash` leaves several names for one certificate.
        found.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        found.dedup();
        self.add_own(found, origin)
    }

    /// One of several may be unfit to be a root; all of them may not.
    fn add_own(
        &mut self,
        certificates: Vec<CertificateDer<'static>>,
        origin: &dyn fmt::Display,
    ) -> Result<(), TlsConfigError> {
        let given = certificates.len();
        // One that cannot vouch for others may still be the server's own.
        let (added, _) = self.store.add_parsable_certificates(certificates.iter().cloned());
        let own = certificates.into_iter().filter(|certificate| Certificate::parse(certificate).is_some());
        let known = self.own.len();
        self.own.extend(own);
        let usable = added.max(self.own.len() - known);
        if usable == 0 {
            return Err(TlsConfigError::InvalidCertificate {
                origin: origin.to_string(),
                reason: "it is not an X.509 certificate".to_owned(),
            });
        }
        if usable < given {
            log::warn!(target: "websocket::tls", "{origin}: {} certificates cannot be decoded and are ignored", given - usable);
        }
        Ok(())
    }

    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` stand for the system's store, as they do for OpenSSL.
    fn add_system(&mut self, environment: &Environment) -> Result<(), TlsConfigError> {
        let file = environment("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        let directories: Vec<PathBuf> = environment("SSL_CERT_DIR")
            .map(|paths| env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect())
            .unwrap_or_default();
        let named = file.is_some() || !directories.is_empty();
        let mut found = match (&file, named) {
            (_, false) => rustls_native_certs::load_native_certs(),
            (file, true) => rustls_native_certs::load_certs_from_paths(file.as_deref(), None),
        };
        for directory in directories {
            let more = rustls_native_certs::load_certs_from_paths(None, Some(&directory));
            found.certs.extend(more.certs);
            found.errors.extend(more.errors);
        }
        for error in &found.errors {
            log::debug!(target: "websocket::tls", "some system roots are left out: {error}");
        }
        let (added, _unfit) = self.store.add_parsable_certificates(found.certs.iter().cloned());
        if added == 0 {
            let reason =
                found.errors.first().map_or_else(|| "the store is empty".to_owned(), ToString::to_string);
            return Err(TlsConfigError::NoSystemRoots { reason });
        }
        if named {
            self.own.extend(found.certs);
        }
        Ok(())
    }
}
