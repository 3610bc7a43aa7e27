//! Names and dates of a certificate (RFC 5280 section 4.1).

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;

/// The attributes of a name that are shown: their object identifiers and short names (RFC 4514 section 3).
const ATTRIBUTES: [(&[u8], &str); 3] = [(&[0x55, 4, 3], "CN"), (&[0x55, 4, 10], "O"), (&[0x55, 4, 6], "C")];

/// Who a certificate is for, who has issued it and how long it is valid; `None` if it cannot be read.
pub(crate) fn describe(certificate: &[u8]) -> Option<String> {
    let mut certificate = expect(&mut { certificate }, SEQUENCE)?;
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    let mut ahead = fields;
    if next(&mut ahead)?.0 == VERSION {
        fields = ahead;
    }
    let _serial = next(&mut fields)?;
    let _algorithm = expect(&mut fields, SEQUENCE)?;
    let issuer = name(expect(&mut fields, SEQUENCE)?);
    let mut validity = expect(&mut fields, SEQUENCE)?;
    let subject = name(expect(&mut fields, SEQUENCE)?);
    let (from, until) = (date(next(&mut validity)?)?, date(next(&mut validity)?)?);
    Some(format!("{subject}, issued by {issuer}, valid from {from} until {until}"))
}

/// The attributes of a name that are known.
fn name(mut name: &[u8]) -> String {
    let mut shown = Vec::new();
    while let Some(mut set) = expect(&mut name, SET) {
        let Some(mut attribute) = expect(&mut set, SEQUENCE) else { continue };
        let Some(kind) = expect(&mut attribute, OBJECT_IDENTIFIER) else { continue };
        let known = ATTRIBUTES.iter().find(|(known, _)| *known == kind);
        if let (Some((_, short)), Some((_, value))) = (known, next(&mut attribute)) {
            shown.push(format!("{short}={}", String::from_utf8_lossy(value)));
        }
    }
    if shown.is_empty() { "(no name)".into() } else { shown.join(", ") }
}

/// The day of a time, as year, month and day.
fn date((tag, time): (u8, &[u8])) -> Option<String> {
    let digits = str::from_utf8(time).ok()?;
    let (year, rest) = if tag == UTC_TIME {
        let year: u32 = digits.get(..2)?.parse().ok()?;
        (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
    } else {
        (digits.get(..4)?.parse().ok()?, digits.get(4..)?)
    };
    Some(format!("{year}-{}-{}", rest.get(..2)?, rest.get(2..4)?))
}

/// Takes the content of the next element, which must have this tag.
fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(input).filter(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// Takes the next element in DER: its tag and content.
fn next<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [tag, first, rest @ ..] = *input else { return None };
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(len)?;
    *input = behind;
    Some((*tag, content))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    #[test]
    fn names_and_dates_are_read_and_nothing_that_is_cut_panics() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "feed.example");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.not_before = rcgen::date_time_ymd(2026, 1, 2);
        params.not_after = rcgen::date_time_ymd(2051, 3, 4);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der: &[u8] = certificate.der();
        let shown = describe(der).unwrap();
        assert!(shown.contains("CN=feed.example") && shown.contains("O=Example"), "{shown}");
        assert!(shown.ends_with("valid from 2026-01-02 until 2051-03-04"), "{shown}");
        for end in 0..der.len() {
            let _cut = describe(&der[..end]);
        }
    }
}
