//! UTF-8 at the lowest price.

use ascii::AsciiStr;

use websocket_bench::Result;

/// Up to this size, entering the SIMD validator costs more than an inlined check for ASCII.
const SHORT: usize = 128;

/// The bytes as text.
#[inline]
pub(crate) fn validate(bytes: &[u8]) -> Result<&str> {
    if bytes.len() <= SHORT
        && let Ok(ascii) = AsciiStr::from_ascii(bytes)
    {
        return Ok(ascii.as_str());
    }
    Ok(simdutf8::basic::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_are_validated() {
        for filler in [0, SHORT, 10 * SHORT] {
            let filler = "x".repeat(filler);
            for good in ["", "plain", "Grüße"] {
                let text = format!("{filler}{good}");
                assert_eq!(validate(text.as_bytes()).unwrap(), text);
            }
            validate(&[filler.as_bytes(), &[0xff]].concat()).unwrap_err();
        }
    }
}
