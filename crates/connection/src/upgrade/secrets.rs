//! What a server may repeat of the request, and an error's text must not show.

use http::header::HeaderValue;

use super::request::Request;

/// Shorter words give nothing away, and occur by chance.
const MIN_LEN: usize = 5;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// The words of a request that may be secret: those of its query, its cookie and the headers that the user added.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(request: &Request) -> Self {
        let query = request.path.split_once('?').map(|(_, query)| query.as_bytes());
        let headers = request.cookie.iter().chain(request.headers.values()).map(HeaderValue::as_bytes);
        let words = query.into_iter().chain(headers).flat_map(words).filter(|word| word.len() >= MIN_LEN);
        let mut words: Vec<String> = words.filter_map(|word| String::from_utf8(word.to_vec()).ok()).collect();
        // A word may be part of another.
        words.sort_unstable_by_key(|word| std::cmp::Reverse(word.len()));
        Self(words)
    }

    /// `text` with the secrets in it hidden.
    pub(super) fn hidden_in(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| text.replace(secret.as_str(), HIDDEN))
    }
}

/// The words of a value; of pairs only what is behind the equals sign, and no authentication scheme.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let scheme = value.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let value = match scheme {
        Some(end) if value[end] == b' ' => &value[end..],
        _ => value,
    };
    let words = value.split(|byte| !byte.is_ascii_graphic() || matches!(byte, b'&' | b',' | b';' | b'"'));
    words.map(|word| {
        let behind = word.iter().position(|byte| *byte == b'=').map_or(word, |at| &word[at + 1..]);
        // The equals signs of Base64 are at its end.
        if behind.iter().all(|byte| *byte == b'=') { word } else { behind }
    })
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[test]
    fn what_a_server_repeats_of_a_request_is_hidden() {
        let mut request = Request::new("/chat?token=abcde&v=1&flags");
        request.cookie = Some(HeaderValue::from_static("theme=11111; id=22222"));
        request.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer abcdefgh=="));
        request.headers.insert("x-key", HeaderValue::from_static("name=\"33333\", 44444"));
        let secrets = Secrets::of(&request);
        let hidden = |text: &str| secrets.hidden_in(text.to_owned());
        assert_eq!(hidden("GET /chat?token=abcde&v=1 HTTP/1.1"), "GET /chat?token=***&v=1 HTTP/1.1");
        assert_eq!(
            hidden("no Bearer token abcdefgh==: 11111, '22222', 33333, 44444"),
            "no Bearer token ***: ***, '***', ***, ***"
        );
        assert_eq!(hidden("this chat has no theme"), "this chat has no theme");
    }
}
