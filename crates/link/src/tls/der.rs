//! The encoding of certificates (X.690), as far as it is needed to walk through one.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// One element: its tag, what is in it, and all of its bytes.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// Takes the first element of `input`. Its length must be definite, and may be written in more bytes than needed.
pub(super) fn next<'a>(input: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&[tag, first], mut rest) = input.split_first_chunk()?;
    let len = match first {
        0x81..=0x84 => {
            let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit))
        }
        short if short < 0x80 => usize::from(short),
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(len)?;
    let whole = &input[..input.len() - after.len()];
    *input = after;
    Some(Element { tag, content, whole })
}

/// Takes the first element of `input`, which must have this tag, and returns what is in it.
pub(super) fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(input).filter(|element| element.tag == tag).map(|element| element.content)
}

/// All elements of `input`, up to the first that cannot be read.
pub(super) fn all(mut input: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || next(&mut input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_every_form_of_their_length() {
        for mut input in [&b"\x02\x01x!"[..], b"\x02\x81\x01x!", b"\x02\x82\0\x01x!", b"\x02\x84\0\0\0\x01x!"]
        {
            let whole = &input[..input.len() - 1];
            let element = next(&mut input).unwrap();
            assert_eq!((element.tag, element.content, element.whole), (INTEGER, &b"x"[..], whole));
            assert_eq!(input, b"!");
        }
    }

    #[test]
    fn what_is_cut_off_or_without_a_length_is_refused() {
        for mut input in [
            &b""[..],
            b"\x02",
            b"\x02\x02x",
            b"\x30\x80\0\0",
            b"\x02\x82\x01",
            b"\x02\x85\0\0\0\0\x01x",
            b"\x02\xff",
        ] {
            assert!(next(&mut input).is_none());
        }
        let mut huge = &b"\x02\x84\xff\xff\xff\xffx"[..];
        assert!(next(&mut huge).is_none());
    }
}
