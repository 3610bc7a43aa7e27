//! Certificates, read leniently.

use super::identity::self_signed;
use super::pair::isolated;
use crate::tls::certificate::Certificate;

#[test]
fn a_certificate_that_is_cut_or_damaged_anywhere_is_read_without_a_panic() {
    let identity = self_signed(&["localhost", "127.0.0.1"], |_| {});
    let whole = &identity.chain()[0];
    let name = isolated().server_name_for("localhost").unwrap();
    let read = |bytes: &[u8]| {
        if let Some(certificate) = Certificate::parse(bytes) {
            let _any = (certificate.validity(), certificate.is_for(&name), certificate.names());
        }
    };
    for len in 0..whole.len() {
        read(&whole[..len]);
        for byte in [0, 1, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xff] {
            let mut damaged = whole.to_vec();
            damaged[len] = byte;
            read(&damaged);
        }
    }
}

#[test]
fn the_validity_is_read_as_rcgen_wrote_it() {
    for (year, month, day, seconds) in [
        (1970, 1, 1, 0),
        (1999, 12, 31, 946_598_400),
        (2000, 2, 29, 951_782_400),
        (2024, 3, 1, 1_709_251_200),
        (2049, 12, 31, 2_524_521_600),
        (2050, 1, 1, 2_524_608_000),
        (4096, 7, 9, 67_106_534_400),
    ] {
        let identity = self_signed(&[], |params| {
            params.not_before = rcgen::date_time_ymd(year, month, day);
            params.not_after = params.not_before;
        });
        let chain = identity.chain();
        let (from, until) = Certificate::parse(&chain[0]).unwrap().validity().unwrap();
        assert_eq!((from.as_secs(), until.as_secs()), (seconds, seconds), "{year}-{month}-{day}");
    }
}
