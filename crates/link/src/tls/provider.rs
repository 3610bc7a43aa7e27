//! The crypto provider, and the choice among what it can do.

use rustls::SupportedCipherSuite;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

use super::TlsConfigError;

/// What a provider has, beyond what it offers by default.
struct All<'a> {
    suites: &'a [SupportedCipherSuite],
    groups: &'a [&'static dyn SupportedKxGroup],
}

/// `given`, or the one that is compiled in, reduced to the suites and groups that are named, in their order; an empty list means the
/// provider's own.
pub(super) fn select(
    given: Option<&CryptoProvider>,
    suites: &[String],
    groups: &[String],
) -> Result<CryptoProvider, TlsConfigError> {
    let mut provider = given.cloned().or_else(built_in).ok_or(TlsConfigError::NoProvider)?;
    let all = match given {
        Some(given) => All { suites: &given.cipher_suites, groups: &given.kx_groups },
        None => all_built_in(),
    };
    if !suites.is_empty() {
        provider.cipher_suites = suites
            .iter()
            .map(|name| all.suite(name).ok_or_else(|| all.unknown_suite(name)))
            .collect::<Result<_, _>>()?;
    }
    if !groups.is_empty() {
        provider.kx_groups = groups
            .iter()
            .map(|name| all.group(name).ok_or_else(|| all.unknown_group(name)))
            .collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

impl All<'_> {
    fn suite(&self, name: &str) -> Option<SupportedCipherSuite> {
        let wanted = rustls_name(name);
        self.suites.iter().copied().find(|suite| suite_name(suite).eq_ignore_ascii_case(&wanted))
    }

    fn group(&self, name: &str) -> Option<&'static dyn SupportedKxGroup> {
        self.groups.iter().copied().find(|group| group_name(*group).eq_ignore_ascii_case(name))
    }

    fn unknown_suite(&self, name: &str) -> TlsConfigError {
        let known = self.suites.iter().map(suite_name).collect();
        TlsConfigError::UnknownCipherSuite { name: name.to_owned(), known }
    }

    fn unknown_group(&self, name: &str) -> TlsConfigError {
        let known = self.groups.iter().map(|group| group_name(*group)).collect();
        TlsConfigError::UnknownKeyExchangeGroup { name: name.to_owned(), known }
    }
}

/// IANA writes `TLS_AES_128_GCM_SHA256` where rustls writes `TLS13_AES_128_GCM_SHA256`.
fn rustls_name(name: &str) -> String {
    match name.strip_prefix("TLS_") {
        Some(rest) if !rest.contains("_WITH_") => format!("TLS13_{rest}"),
        _ => name.to_owned(),
    }
}

fn suite_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}

fn group_name(group: &'static dyn SupportedKxGroup) -> String {
    format!("{:?}", group.name())
}

#[cfg(feature = "aws-lc-rs")]
fn built_in() -> Option<CryptoProvider> {
    Some(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(feature = "aws-lc-rs")]
fn all_built_in() -> All<'static> {
    use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS};
    All { suites: ALL_CIPHER_SUITES, groups: ALL_KX_GROUPS }
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn built_in() -> Option<CryptoProvider> {
    Some(rustls::crypto::ring::default_provider())
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn all_built_in() -> All<'static> {
    use rustls::crypto::ring::{ALL_CIPHER_SUITES, ALL_KX_GROUPS};
    All { suites: ALL_CIPHER_SUITES, groups: ALL_KX_GROUPS }
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn built_in() -> Option<CryptoProvider> {
    None
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn all_built_in() -> All<'static> {
    All { suites: &[], groups: &[] }
}
