//! Certificates and keys from files and bytes.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsConfigError;

/// No bundle of certificates comes near this; a device file without an end does.
const MAX_FILE: u64 = 16 << 20;

/// Where PEM text comes from.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Source {
    pub(super) fn read(&self) -> Result<Cow<'_, [u8]>, TlsConfigError> {
        match self {
            Self::File(path) => read_file(path)
                .map(Cow::Owned)
                .map_err(|error| TlsConfigError::Unreadable { origin: self.to_string(), kind: error.kind() }),
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Bytes(_) => f.write_str("the given text"),
        }
    }
}

// Bytes may be a private key.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(_) => f.write_str("Bytes(..)"),
        }
    }
}

pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// All certificates of a PEM text; one alone may also be in DER.
pub(super) fn certificates(
    bytes: &[u8],
    origin: &dyn fmt::Display,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    if bytes.starts_with(&[0x30, 0x82]) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsConfigError::NoCertificate { origin: origin.to_string() })
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => {
            let reason = error.to_string();
            Err(TlsConfigError::InvalidCertificate { origin: origin.to_string(), reason })
        }
    }
}

/// The first private key of a PEM text.
pub(super) fn private_key(
    bytes: &[u8],
    origin: &dyn fmt::Display,
) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    let contains = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| {
        // What exactly is wrong could quote the key.
        if contains(b"ENCRYPTED PRIVATE KEY-----") || contains(b"Proc-Type: 4,ENCRYPTED") {
            TlsConfigError::EncryptedPrivateKey { origin: origin.to_string() }
        } else {
            TlsConfigError::NoPrivateKey { origin: origin.to_string() }
        }
    })
}
