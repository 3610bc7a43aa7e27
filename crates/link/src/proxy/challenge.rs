//! What a proxy offers in `Proxy-Authenticate` (RFC 9110 section 11.6.1).

/// The schemes of the challenges in one header's value, in its order.
pub(super) fn schemes(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    let outside = move |character: char| {
        let ends = character == ',' && !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = quoted && character == '\\' && !escaped;
        ends
    };
    // `scheme`, `scheme token68` or `scheme name=value` begins a challenge; `name=value` alone goes on with it.
    value.split(outside).filter_map(|element| {
        let word = element.trim().split([' ', '\t']).next()?;
        (!word.is_empty() && word.bytes().all(is_token)).then_some(word)
    })
}

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemes_of_several_challenges_in_one_value() {
        let named = |value| schemes(value).collect::<Vec<_>>();
        assert_eq!(named("Basic realm=\"a\""), ["Basic"]);
        assert_eq!(named("Negotiate"), ["Negotiate"]);
        assert_eq!(
            named(
                r#"Digest realm="a, Fake x", qop="auth,auth-int", nonce=7, Basic realm="b \" , No c", NTLM"#
            ),
            ["Digest", "Basic", "NTLM"]
        );
        assert_eq!(named("Bearer abc==, ,Basic"), ["Bearer", "Basic"]);
        assert_eq!(named(", ;, =, \"open"), [""; 0]);
    }
}
