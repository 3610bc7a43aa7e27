use std::thread;

use super::admission::{MAX_BYTES, MAX_COOKIES, MAX_PER_DOMAIN};
use super::*;

fn target(url: &str) -> Target {
    Target::parse_any(url).unwrap()
}

/// A jar after a response of `url` with these `Set-Cookie`s.
fn jar(url: &str, lines: &[&str]) -> CookieJar {
    let jar = CookieJar::new();
    respond(&jar, url, lines);
    jar
}

fn respond(jar: &CookieJar, url: &str, lines: &[&str]) {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(SET_COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    jar.store(&target(url), &headers);
}

/// The `Cookie` header of a request, empty when there is none.
fn sent(jar: &CookieJar, url: &str) -> String {
    sent_beside(jar, url, None)
}

fn sent_beside(jar: &CookieJar, url: &str, explicit: Option<&'static str>) -> String {
    let explicit = explicit.map(HeaderValue::from_static);
    let header = jar.header_for(&target(url), explicit.as_ref());
    header.map_or(String::new(), |value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
}

#[test]
fn b171_b172_the_option_comes_first_and_wins() {
    let jar = jar("ws://h/", &["a=jar", "b=jar", "session=jar"]);
    assert_eq!(sent_beside(&jar, "ws://h/", Some("z=1; b=2;session")), "z=1; b=2;session; a=jar");
    assert_eq!(sent_beside(&jar, "ws://other/", Some("z=1")), "z=1");
    assert_eq!(sent_beside(&jar, "ws://h/", Some("")), "a=jar; b=jar; session=jar");
    assert_eq!(jar.header_for(&target("ws://other/"), None), None);
    assert_eq!(CookieJar::new().header_for(&target("ws://h/"), Some(&HeaderValue::from_static(""))), None);
}

#[test]
fn b172_b173_a_domain_is_the_host_and_everything_below_it() {
    for domain in ["abc.com", ".abc.com", "ABC.com"] {
        let jar = jar("ws://abc.com/", &[&format!("n=1; Domain={domain}")]);
        for (host, expected) in [
            ("abc.com", "n=1"),
            ("ABC.COM:8080", "n=1"),
            ("x.abc.com", "n=1"),
            ("x.y.abc.com", "n=1"),
            ("xabc.com", ""),
            ("abc.com.es", ""),
            ("com", ""),
        ] {
            assert_eq!(sent(&jar, &format!("ws://{host}/")), expected, "{domain} {host}");
        }
    }
    let jar = jar("ws://a.bücher.example/", &["n=1; Domain=bücher.example"]);
    assert_eq!(sent(&jar, "ws://b.xn--bcher-kva.example/"), "n=1");
}

#[test]
fn b173_cookies_are_sorted_by_name_those_of_longer_paths_first() {
    let lines = ["b=2; Domain=abc.com", "a=1", "c=3; Path=/", "d=4; Path=/x", "B=5; Path=/"];
    let jar = jar("ws://abc.com/", &lines);
    assert_eq!(sent(&jar, "ws://abc.com/x/y"), "d=4; B=5; a=1; b=2; c=3");
}

#[test]
fn b174_a_cookie_replaces_its_namesake_and_a_domain_can_be_emptied() {
    let jar = jar("ws://h/", &["a=1", "b=1"]);
    jar.insert("ws://h/", "a=2").unwrap();
    assert_eq!(sent(&jar, "ws://h/"), "a=2; b=1");
    jar.insert("ws://other/", "o=1").unwrap();
    assert_eq!(jar.remove_all("ws://h/"), Ok(true));
    jar.insert("ws://h/", "c=1").unwrap();
    assert_eq!((sent(&jar, "ws://h/").as_str(), sent(&jar, "ws://other/").as_str()), ("c=1", "o=1"));
}

#[test]
fn b175_without_a_domain_a_cookie_goes_back_to_its_host_alone() {
    for (url, other) in [("ws://h.example/", "ws://x.h.example/"), ("ws://[::1]/", "ws://[::2]/")] {
        let jar = jar(url, &["n=1", "e=1; Domain="]);
        assert_eq!((sent(&jar, url).as_str(), sent(&jar, other).as_str()), ("e=1; n=1", ""), "{url}");
    }
}

#[test]
#[cfg(unix)]
fn b175_a_cookie_of_a_unix_socket_belongs_to_localhost() {
    let jar = jar("ws+unix:/run/s", &["n=1"]);
    assert_eq!(sent(&jar, "ws://localhost:8080/"), "n=1");
}

#[test]
fn b176_no_server_sets_cookies_for_others() {
    for (url, domain) in [
        ("ws://127.0.0.1/", "bank.example"),
        ("ws://127.0.0.1/", "0.0.1"),
        ("ws://[::1]/", ":1]"),
        ("ws://a.example.com/", "b.example.com"),
        ("ws://example.com/", "a.example.com"),
        ("ws://badexample.com/", "example.com"),
        ("ws://example.com/", "com"),
        ("ws://example.com./", "com."),
        ("ws://example.com/", ".com"),
        ("ws://x.localhost/", "localhost"),
    ] {
        let jar = jar(url, &[&format!("n=1; Domain={domain}")]);
        assert!(jar.is_empty(), "{url} {domain}");
    }
    // A host that is itself a suffix may have its own cookies.
    let jar = jar("ws://localhost/", &["n=1; Domain=localhost"]);
    assert_eq!(
        (sent(&jar, "ws://localhost/").as_str(), sent(&jar, "ws://x.localhost/").as_str()),
        ("n=1", "")
    );
    let jar = self::jar("ws://127.0.0.1/", &["n=1; Domain=127.0.0.1"]);
    assert_eq!(sent(&jar, "ws://127.0.0.1/"), "n=1");
}

#[test]
fn b176_the_user_may_name_more_public_suffixes() {
    let jar = CookieJar::with_public_suffixes(|domain| domain == "co.uk");
    for domain in ["co.uk", ".CO.UK"] {
        let refused = jar.insert("ws://shop.co.uk/", &format!("n=1; Domain={domain}"));
        assert_eq!(refused, Err(CookieError::PublicSuffix));
    }
    jar.insert("ws://a.shop.co.uk/", "n=1; Domain=shop.co.uk").unwrap();
    assert_eq!(sent(&jar, "ws://b.shop.co.uk/"), "n=1");
    jar.insert("ws://co.uk/", "own=1; Domain=co.uk").unwrap();
    assert_eq!(sent(&jar, "ws://co.uk/"), "own=1");
    assert_eq!(sent(&jar, "ws://x.co.uk/"), "");
}

#[test]
fn b176_paths_are_honoured() {
    let jar = jar("ws://h/a/b?q=/x", &["default=1", "a=1; Path=/a", "none=1; Path=a", "all=1; Path=/"]);
    for (path, expected) in [
        ("/a/b", "a=1; default=1; none=1; all=1"),
        ("/a/c?x", "a=1; default=1; none=1; all=1"),
        ("/a", "a=1; default=1; none=1; all=1"),
        ("/ab", "all=1"),
        ("/", "all=1"),
    ] {
        assert_eq!(sent(&jar, &format!("ws://h{path}")), expected, "{path}");
    }
}

#[test]
fn b176_secure_means_tls_on_loopback_too() {
    for host in ["h", "127.0.0.1", "localhost", "[::1]"] {
        let jar = jar(&format!("ws://{host}/"), &["n=1; Secure"]);
        assert!(jar.is_empty(), "{host}");
        respond(&jar, &format!("wss://{host}/"), &["n=1; Secure", "plain=1"]);
        assert_eq!(sent(&jar, &format!("wss://{host}/")), "n=1; plain=1");
        assert_eq!(sent(&jar, &format!("ws://{host}/")), "plain=1");
    }
}

#[test]
fn b176_without_tls_a_secure_cookie_is_neither_replaced_nor_shadowed() {
    let jar = jar("wss://a.h.example/", &["n=1; Secure; Path=/p"]);
    for (url, line) in [
        ("ws://a.h.example/", "n=evil; Path=/p"),
        ("ws://a.h.example/", "n=evil; Path=/p/q"),
        ("ws://b.h.example/", "n=evil; Domain=h.example; Path=/p"),
        ("ws://a.h.example/", "n=; Path=/p; Max-Age=0"),
    ] {
        assert_eq!(jar.insert(url, line), Err(CookieError::NotSecure), "{url} {line}");
    }
    assert_eq!(sent(&jar, "wss://a.h.example/p/q"), "n=1");
    jar.insert("ws://b.h.example/", "n=1").unwrap();
    jar.insert("ws://a.h.example/", "n=1; Path=/").unwrap();
}

#[test]
fn b176_names_with_a_promise_keep_it() {
    for (line, kept) in [
        ("__Secure-n=1", false),
        ("__Secure-n=1; Secure", true),
        ("__Host-n=1; Secure", false),
        ("__Host-n=1; Secure; Path=/", true),
        ("__host-n=1; Secure; Path=/; Domain=h.example", false),
    ] {
        assert_eq!(!jar("wss://h.example/", &[line]).is_empty(), kept, "{line}");
    }
}

#[test]
fn b176_expired_cookies_are_gone() {
    let past = "Thu, 01 Jan 1970 00:00:01 GMT";
    let future = "Fri, 31 Dec 9999 23:59:59 GMT";
    for (attributes, kept) in [
        ("", true),
        ("; Max-Age=1000", true),
        ("; Max-Age=0", false),
        ("; Max-Age=-1", false),
        ("; Max-Age=99999999999999999999999", true),
        (&format!("; Expires={past}"), false),
        (&format!("; Expires={future}"), true),
        (&format!("; Expires={past}; Max-Age=1000"), true),
        (&format!("; Expires={future}; Max-Age=0"), false),
        ("; Expires=Sunday, 06-Nov-94 08:49:37 GMT", false),
        ("; Expires=some day", true),
    ] {
        let jar = jar("ws://h/", &["n=old", &format!("n=1{attributes}")]);
        assert_eq!(sent(&jar, "ws://h/"), if kept { "n=1" } else { "" }, "{attributes}");
        assert_eq!(jar.len(), usize::from(kept), "{attributes}");
    }
}

#[test]
fn b176_http_only_and_same_site_change_nothing() {
    let jar = jar("ws://h/", &["a=1; HttpOnly", "b=2; SameSite=Strict"]);
    assert_eq!(sent(&jar, "ws://h/"), "a=1; b=2");
}

#[test]
fn b177_malformed_cookies_are_ignored_and_others_kept() {
    let bad = ["", ";", "=", "=v", "name", "; Path=/", " ; a=b", "Path"];
    for line in bad {
        let jar = jar("ws://h/", &["first=1", line, "last=1"]);
        assert_eq!(sent(&jar, "ws://h/"), "first=1; last=1", "{line:?}");
    }
    let mut headers = HeaderMap::new();
    headers.append(SET_COOKIE, HeaderValue::from_bytes(b"n=\xff\xfe").unwrap());
    let jar = CookieJar::new();
    jar.store(&target("ws://h/"), &headers);
    assert!(jar.is_empty());
    for line in ["a=b\r\nX: y", "a=b\0", "a=b; Path=/\n"] {
        assert_eq!(jar.insert("ws://h/", line), Err(CookieError::Malformed), "{line:?}");
    }
}

#[test]
fn b177_odd_attributes_do_not_cost_the_cookie() {
    for line in [
        "n=1; Domain",
        "n=1; Path",
        "n=1; Max-Age=soon",
        "n=1; Expires=",
        "n=1; Expires=Thu, 99 Foo 2040 99:99:99 GMT",
        "n=1; Unknown=x; ; =; ;;",
        "n=1;Path=/;secure=no;",
    ] {
        let jar = jar("wss://h/", &[line]);
        assert_eq!(sent(&jar, "wss://h/"), "n=1", "{line}");
    }
}

#[test]
fn b177_no_bytes_cause_a_panic_at_any_cut() {
    let line = "n=ü\"x\"; Domain=.h.example; Path=/p; Secure; HttpOnly; Max-Age=10; Expires=Sun, 06 Nov 2094 08:49:37 GMT";
    for (cut, _) in line.char_indices() {
        for piece in [&line[..cut], &line[cut..]] {
            for url in [
                "ws://h.example/p",
                "wss://a.h.example/",
                "wss://[::1]/",
                #[cfg(unix)]
                "ws+unix:/s",
            ] {
                let _ = CookieJar::new().insert(url, piece);
                sent(&jar(url, &[piece]), url);
            }
        }
    }
}

#[test]
fn b177_values_come_back_as_they_were() {
    for value in ["\"quoted, with; cut\"", "%20%C3%BC", "a=b==", "", "ü", "a b"] {
        let kept = value.split(';').next().unwrap();
        assert_eq!(sent(&jar("ws://h/", &[&format!("n={value}")]), "ws://h/"), format!("n={kept}"));
    }
}

#[test]
fn sizes_and_numbers_are_limited() {
    let longest = format!("n={}", "x".repeat(MAX_BYTES - 2));
    let jar = CookieJar::new();
    jar.insert("ws://h/", &longest).unwrap();
    assert_eq!(jar.insert("ws://h/", &(longest + "x")), Err(CookieError::TooLong { limit: MAX_BYTES }));

    for number in 1..MAX_PER_DOMAIN {
        jar.insert("ws://h/", &format!("n{number}=1")).unwrap();
    }
    let full = Err(CookieError::Full { limit: MAX_PER_DOMAIN });
    assert_eq!(jar.insert("ws://h/", "more=1"), full);
    jar.insert("ws://h/", "n1=2").unwrap();
    jar.insert("ws://other/", "more=1").unwrap();
    jar.insert("ws://h/", "n1=; Max-Age=0").unwrap();
    jar.insert("ws://h/", "more=1").unwrap();
    assert_eq!(jar.insert("ws://h/", "much=1"), full);
}

#[test]
fn a_jar_is_limited_over_all_domains() {
    let jar = CookieJar::new();
    for number in 0..MAX_COOKIES {
        let url = Url::parse(&format!("http://h{number}/")).unwrap();
        jar.lock().parse("n=1", &url).unwrap();
    }
    assert_eq!(jar.insert("ws://h/", "n=1"), Err(CookieError::Full { limit: MAX_COOKIES }));
    jar.clear();
    jar.insert("ws://h/", "n=1").unwrap();
}

#[test]
fn users_see_and_remove_what_would_be_sent() {
    let jar = jar("ws://h/", &["a=1", "b=1; Path=/p"]);
    assert_eq!(jar.names("ws://h/p").unwrap(), ["b", "a"]);
    assert_eq!(jar.remove("ws://h/", "b"), Ok(false));
    assert_eq!(jar.remove("ws://h/p", "b"), Ok(true));
    assert_eq!(jar.remove_all("ws://other/"), Ok(false));
    assert_eq!((jar.len(), jar.is_empty()), (1, false));
    assert_eq!(jar.names("h"), Err(CookieError::Url(Target::parse("h").unwrap_err())));
}

#[test]
fn clones_are_one_jar_on_all_threads() {
    let jar = CookieJar::new();
    let other = jar.clone();
    thread::spawn(move || other.insert("ws://h/", "n=1").unwrap()).join().unwrap();
    assert_eq!(sent(&jar, "ws://h/"), "n=1");
}

#[test]
fn b163_debug_shows_neither_names_nor_values() {
    let jar = jar("ws://h/", &["secret=secret"]);
    let header = jar.header_for(&target("ws://h/"), None);
    assert!(!format!("{jar:?} {header:?}").contains("secret"));
}
