//! The parts of a certificate that count where webpki refuses to read it: of X.509 version 1, with a critical extension that it does not
//! know, and so on.

use std::time::Duration;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{IpAddr, ServerName, SubjectPublicKeyInfoDer, UnixTime, alg_id};

use super::der::{self, BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE};

/// The sizes of RSA keys that crypto providers verify signatures with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The version, in front of the other fields.
const VERSION: u8 = 0xa0;
/// The extensions, behind the other fields.
const EXTENSIONS: u8 = 0xa3;
/// `id-ce-subjectAltName`.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// The first byte of a point of an elliptic curve with both coordinates, the only form that crypto providers read.
const UNCOMPRESSED: u8 = 4;

/// A certificate, read leniently.
pub(super) struct Certificate<'a> {
    pub(super) public_key: PublicKey<'a>,
    validity: &'a [u8],
    /// The names of the extension for them; empty if there is none.
    names: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads a certificate of any version; `None` if it is not one.
    pub(super) fn parse(mut certificate: &'a [u8]) -> Option<Self> {
        let mut certificate = der::expect(&mut certificate, SEQUENCE)?;
        let mut fields = der::expect(&mut certificate, SEQUENCE)?;
        let mut serial = der::next(&mut fields)?;
        if serial.tag == VERSION {
            serial = der::next(&mut fields)?;
        }
        let [_signature, _issuer, validity, _subject] = [(); 4].map(|()| der::expect(&mut fields, SEQUENCE));
        let public_key = PublicKey::parse(der::next(&mut fields)?.whole)?;
        let extensions = der::all(fields).find(|field| field.tag == EXTENSIONS);
        let names =
            extensions.and_then(|extensions| alternative_names(extensions.content)).unwrap_or_default();
        (serial.tag == INTEGER).then_some(Self { public_key, validity: validity?, names })
    }

    /// The times from which and until which it is valid; `None` if they cannot be read.
    pub(super) fn validity(&self) -> Option<(UnixTime, UnixTime)> {
        let mut validity = self.validity;
        Some((time(der::next(&mut validity)?)?, time(der::next(&mut validity)?)?))
    }

    /// Whether it is for that name, by the rules of RFC 9525: the Common Name counts for nothing.
    pub(super) fn is_for(&self, name: &ServerName<'_>) -> bool {
        der::all(self.names).any(|presented| match (presented.tag, name) {
            (DNS_NAME, ServerName::DnsName(name)) => matches_dns(presented.content, name.as_ref().as_bytes()),
            (IP_ADDRESS, ServerName::IpAddress(IpAddr::V4(address))) => presented.content == address.as_ref(),
            (IP_ADDRESS, ServerName::IpAddress(IpAddr::V6(address))) => presented.content == address.as_ref(),
            _ => false,
        })
    }

    /// The names that it is for, as rustls' errors have them.
    pub(super) fn names(&self) -> Vec<String> {
        let shown = |name: der::Element<'_>| match name.tag {
            DNS_NAME => Some(format!("DnsName({:?})", String::from_utf8_lossy(name.content))),
            IP_ADDRESS => Some(format!("IpAddress({:?})", name.content)),
            _ => None,
        };
        der::all(self.names).filter_map(shown).collect()
    }
}

/// The content of the extension with the names, among all `extensions`.
fn alternative_names(mut extensions: &[u8]) -> Option<&[u8]> {
    der::all(der::expect(&mut extensions, SEQUENCE)?).find_map(|extension| {
        let mut parts = extension.content;
        if der::expect(&mut parts, OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            return None;
        }
        let mut value = der::all(parts).find(|part| part.tag == OCTET_STRING)?.content;
        der::expect(&mut value, SEQUENCE)
    })
}

/// Whether a DNS name is the one that is presented, or its first label is what the asterisk of a presented `*.example.com` stands for.
fn matches_dns(presented: &[u8], name: &[u8]) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let covered = match presented.strip_prefix(b"*") {
        Some(parent) => {
            let label = name.iter().position(|byte| *byte == b'.').unwrap_or(name.len());
            label > 0 && parent.len() > 1 && name[label..].eq_ignore_ascii_case(parent)
        }
        None => false,
    };
    covered || presented.eq_ignore_ascii_case(name)
}

/// Reads `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280 section 4.1.2.5). Times before 1970 become its beginning.
fn time(time: der::Element<'_>) -> Option<UnixTime> {
    let digits = std::str::from_utf8(time.content.strip_suffix(b"Z")?).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |text: Option<&str>| text?.parse::<u64>().ok();
    let (year, rest) = match time.tag {
        der::UTC_TIME => {
            let year = number(digits.get(..2))?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
        }
        der::GENERALIZED_TIME => (number(digits.get(..4))?, digits.get(4..)?),
        _ => return None,
    };
    let (month, day) = (number(rest.get(..2))?, number(rest.get(2..4))?);
    let (hour, minute) = (number(rest.get(4..6))?, number(rest.get(6..8))?);
    let second = if rest.len() == 8 { 0 } else { number(rest.get(8..))? };
    if rest.len() > 10 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// Days from the beginning of 1970. The year begins in March, so that the leap day is its last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let to_year = year * 365 + year / 4 - year / 100 + year / 400;
    (to_year + (153 * month + 2) / 5 + day - 1).saturating_sub(719_468)
}

/// A public key and its kind.
#[derive(Clone, Copy)]
pub(super) struct PublicKey<'a> {
    whole: &'a [u8],
    algorithm: &'a [u8],
    pub(super) bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads a SubjectPublicKeyInfo (RFC 5280 section 4.1).
    pub(super) fn parse(whole: &'a [u8]) -> Option<Self> {
        let mut parts = der::expect(&mut { whole }, SEQUENCE)?;
        let algorithm = der::expect(&mut parts, SEQUENCE)?;
        // The first byte counts the unused bits of the last one: none, in every key.
        let bits = der::expect(&mut parts, BIT_STRING)?.strip_prefix(&[0])?;
        Some(Self { whole, algorithm, bits })
    }

    pub(super) fn to_der(self) -> SubjectPublicKeyInfoDer<'a> {
        self.whole.into()
    }

    /// Whether this is the kind of key that `algorithm` verifies signatures with.
    pub(super) fn is_of(self, algorithm: rustls::pki_types::AlgorithmIdentifier) -> bool {
        self.algorithm == algorithm.as_ref()
    }

    /// Whether a signature of this key can be verified at all: the crypto provider knows its kind and its size.
    pub(super) fn is_usable(self, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let known = algorithms.all.iter().any(|algorithm| self.is_of(algorithm.public_key_alg_id()));
        known && self.rsa_bits().is_none_or(|bits| RSA_BITS.contains(&bits)) && !self.is_compressed()
    }

    /// The size of an RSA key; `None` for other keys, 0 if it cannot be read.
    fn rsa_bits(self) -> Option<usize> {
        let modulus = || der::expect(&mut der::expect(&mut { self.bits }, SEQUENCE)?, INTEGER);
        self.is_of(alg_id::RSA_ENCRYPTION).then(|| {
            let modulus = modulus().unwrap_or_default();
            let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
            let first = modulus.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
            (modulus.len() - zeros) * 8 - first
        })
    }

    fn is_compressed(self) -> bool {
        let curves = [alg_id::ECDSA_P256, alg_id::ECDSA_P384, alg_id::ECDSA_P521];
        curves.into_iter().any(|curve| self.is_of(curve)) && self.bits.first() != Some(&UNCOMPRESSED)
    }
}
