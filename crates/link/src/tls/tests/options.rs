//! Options that can and cannot be used, before anything is connected.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use rustls::KeyLog;

use super::identity::{Authority, Folder, self_signed};
use super::pair::{Pair, VERSIONS, World, isolated, server_config, trusting};
use crate::tls::{TlsConfigError, TlsError, TlsOptions, TlsVersion, provider};

/// Options in an environment of these variables.
fn environment(variables: &[(&str, &dyn AsRef<std::ffi::OsStr>)]) -> TlsOptions {
    let variables: HashMap<String, OsString> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.as_ref().to_owned())).collect();
    TlsOptions::new().environment(move |name| variables.get(name).cloned())
}

fn failure(options: &TlsOptions) -> TlsConfigError {
    options.build().unwrap_err()
}

/// Whether the options trust the authority.
fn trusts(options: &TlsOptions, authority: &Authority) -> bool {
    let server = Arc::new(server_config(&authority.issue(&["localhost"])));
    match Pair::new(options, &server).handshake() {
        Ok(complete) => complete,
        Err(TlsError::Certificate(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn options_can_be_sent_and_shared() {
    fn check<T: Send + Sync + Clone + std::fmt::Debug>() {}
    check::<TlsOptions>();
    check::<TlsConfigError>();
    check::<TlsError>();
}

#[test]
fn b200_roots_come_from_files_directories_and_bytes_and_add_up() {
    let folder = Folder::new();
    let [one, two, three] = ["one", "two", "three"].map(Authority::new);
    let bundle = folder.file("bundle.txt", format!("# first\n{}\nnoise\n{}", one.pem(), two.pem()));
    let options = isolated().roots_from_file(bundle);
    assert!(trusts(&options, &one) && trusts(&options, &two) && !trusts(&options, &three));

    folder.file("three.pem", three.pem());
    folder.file("three.0", three.pem());
    folder.file("README", "not a certificate");
    folder.file("broken.pem", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n");
    std::fs::create_dir(folder.path().join("below")).unwrap();
    let options = isolated().roots_from_directory(folder.path());
    assert!(trusts(&options, &one) && trusts(&options, &two) && trusts(&options, &three));

    let options = isolated().roots_from_bytes(one.pem()).roots_from_bytes(two.der());
    assert!(trusts(&options, &one) && trusts(&options, &two) && !trusts(&options, &three));
}

#[test]
fn b200_the_environment_names_a_file_or_a_directory_unless_roots_are_given() {
    let folder = Folder::new();
    let [one, two] = ["one", "two"].map(Authority::new);
    let file = folder.file("one.pem", one.pem());
    for path in [&*file, folder.path()] {
        let options = environment(&[("WEBSOCKET_CLIENT_CA_BUNDLE", &path)]);
        assert!(trusts(&options, &one) && !trusts(&options, &two));
        let options = options.roots_from_bytes(two.pem());
        assert!(!trusts(&options, &one) && trusts(&options, &two));
    }
    // It comes before OpenSSL's variables.
    let other = folder.file("two.pem", two.pem());
    let options = environment(&[("WEBSOCKET_CLIENT_CA_BUNDLE", &file), ("SSL_CERT_FILE", &other)]);
    assert!(trusts(&options, &one) && !trusts(&options, &two));
}

#[test]
fn b200_a_path_in_the_environment_that_does_not_exist_is_ignored_and_a_bad_one_is_not() {
    let folder = Folder::new();
    let authority = Authority::new("the system's");
    let system = folder.file("system.pem", authority.pem());
    for path in [folder.path().join("missing.pem"), "".into()] {
        let options = environment(&[("WEBSOCKET_CLIENT_CA_BUNDLE", &path), ("SSL_CERT_FILE", &system)]);
        assert!(trusts(&options, &authority));
    }
    let bad = folder.file("bad.pem", "no certificate");
    let error = failure(&environment(&[("WEBSOCKET_CLIENT_CA_BUNDLE", &bad), ("SSL_CERT_FILE", &system)]));
    assert!(matches!(error, TlsConfigError::NoCertificate { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("bad.pem") && text.contains("WEBSOCKET_CLIENT_CA_BUNDLE"), "{text}");
}

#[test]
fn b197_the_systems_store_is_the_default_and_knows_nobody_here() {
    match isolated().build() {
        Ok(_) => assert!(!trusts(&isolated(), &Authority::new("nobody"))),
        Err(TlsConfigError::NoSystemRoots { .. }) => {
            println!("skipped: this system has no root certificates")
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn b197_the_systems_store_is_replaced_by_the_variables_of_openssl() {
    let folder = Folder::new();
    let [one, two, three] = ["one", "two", "three"].map(Authority::new);
    let file = folder.file("one.pem", one.pem());
    let directories: Vec<_> = [("two", &two), ("three", &three)]
        .map(|(name, authority)| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("root.pem"), authority.pem()).unwrap();
            path
        })
        .into();
    let paths = std::env::join_paths(&directories).unwrap();

    let options = environment(&[("SSL_CERT_FILE", &file)]);
    assert!(trusts(&options, &one) && !trusts(&options, &two));
    let options = environment(&[("SSL_CERT_DIR", &paths)]);
    assert!(!trusts(&options, &one) && trusts(&options, &two) && trusts(&options, &three));
    let options = environment(&[("SSL_CERT_FILE", &file), ("SSL_CERT_DIR", &paths)]);
    assert!(trusts(&options, &one) && trusts(&options, &two));
    let options = environment(&[("SSL_CERT_FILE", &file)]).system_roots().roots_from_bytes(two.pem());
    assert!(trusts(&options, &one) && trusts(&options, &two));

    let error = failure(&environment(&[("SSL_CERT_FILE", &folder.path().join("missing.pem"))]));
    assert!(matches!(error, TlsConfigError::NoSystemRoots { .. }), "{error:?}");
    assert!(error.to_string().contains("missing.pem"), "{error}");
}

#[test]
#[cfg(feature = "webpki-roots")]
fn mozillas_roots_can_be_trusted_and_know_nobody_here() {
    let authority = Authority::new("nobody");
    assert!(!trusts(&isolated().mozilla_roots(), &authority));
    assert!(trusts(&isolated().mozilla_roots().roots_from_bytes(authority.pem()), &authority));
}

#[test]
fn b200_bad_roots_are_typed_errors_that_name_the_place() {
    let folder = Folder::new();
    let missing = folder.path().join("missing.pem");
    let error = failure(&isolated().roots_from_file(&missing));
    assert!(matches!(error, TlsConfigError::Unreadable { kind: ErrorKind::NotFound, .. }), "{error:?}");
    assert!(error.to_string().contains("missing.pem"), "{error}");
    let error = failure(&isolated().roots_from_directory(&missing));
    assert!(matches!(error, TlsConfigError::Unreadable { kind: ErrorKind::NotFound, .. }), "{error:?}");
    #[cfg(unix)]
    {
        let error = failure(&isolated().roots_from_file(folder.path()));
        assert!(
            matches!(error, TlsConfigError::Unreadable { kind: ErrorKind::IsADirectory, .. }),
            "{error:?}"
        );
    }
    #[cfg(target_os = "linux")]
    {
        let error = failure(&isolated().roots_from_file("/dev/zero"));
        assert!(
            matches!(error, TlsConfigError::Unreadable { kind: ErrorKind::FileTooLarge, .. }),
            "{error:?}"
        );
    }
    let error = failure(&isolated().roots_from_directory(folder.path()));
    assert!(matches!(error, TlsConfigError::NoCertificate { .. }), "{error:?}");

    for nothing in ["", "garbage", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
        let error = failure(&isolated().roots_from_file(folder.file("nothing.pem", nothing)));
        assert!(matches!(error, TlsConfigError::NoCertificate { .. }), "{error:?}");
    }
    let whole = Authority::new("cut").pem();
    for cut in (30..whole.len() - 30).step_by(50) {
        let error = failure(&isolated().roots_from_bytes(&whole[..cut]));
        assert!(matches!(error, TlsConfigError::InvalidCertificate { .. }), "{cut}: {error:?}");
    }
    for broken in ["AAAA", "*"] {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{broken}\n-----END CERTIFICATE-----\n");
        let error = failure(&isolated().roots_from_bytes(pem));
        assert!(matches!(error, TlsConfigError::InvalidCertificate { .. }), "{error:?}");
    }
    let error = failure(&isolated().roots_from_bytes([0x30, 0x82, 0, 1, 2]));
    assert!(matches!(error, TlsConfigError::InvalidCertificate { .. }), "{error:?}");
}

#[test]
fn b199_checking_the_name_without_verification_is_refused() {
    let options = isolated().danger_accept_invalid_certificates(true);
    assert!(options.build().is_ok());
    let error = failure(&options.danger_accept_invalid_names(false));
    assert_eq!(error, TlsConfigError::NameCheckWithoutVerification);
    assert!(error.to_string().contains("danger_accept_invalid_names"), "{error}");
}

#[test]
fn b201_a_client_certificate_that_cannot_be_used_is_a_typed_error() {
    let folder = Folder::new();
    let authority = Authority::new("an authority");
    let base = trusting(&authority);
    let client = authority.issue(&["a client"]);
    let certificate = folder.file("client.pem", &client.certificate);
    let key = folder.file("client.key", &client.key);
    let both = folder.file("both.pem", format!("{}{}", client.key, client.certificate));
    assert!(base.clone().client_certificate_from_files(&certificate, &key).build().is_ok());
    assert!(base.clone().client_certificate_from_files(&both, &both).build().is_ok());

    let missing = folder.path().join("missing");
    for (certificate, key) in [(&missing, &key), (&certificate, &missing)] {
        let error = failure(&base.clone().client_certificate_from_files(certificate, key));
        assert!(matches!(error, TlsConfigError::Unreadable { kind: ErrorKind::NotFound, .. }), "{error:?}");
    }
    let error = failure(&base.clone().client_certificate_from_files(&key, &key));
    assert!(matches!(error, TlsConfigError::NoCertificate { .. }), "{error:?}");
    let error = failure(&base.clone().client_certificate_from_files(&certificate, &certificate));
    assert!(matches!(error, TlsConfigError::NoPrivateKey { .. }), "{error:?}");

    let other = authority.issue(&["another client"]);
    let error = failure(&base.clone().client_certificate_from_bytes(&client.certificate, &other.key));
    assert!(matches!(error, TlsConfigError::ClientCertificate(_)), "{error:?}");
    let unusable = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let error = failure(&base.clone().client_certificate_from_bytes(&client.certificate, unusable));
    assert!(matches!(error, TlsConfigError::ClientCertificate(_)), "{error:?}");

    for encrypted in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ] {
        let error = failure(&base.clone().client_certificate_from_bytes(&client.certificate, encrypted));
        assert!(matches!(error, TlsConfigError::EncryptedPrivateKey { .. }), "{error:?}");
        assert!(error.to_string().contains("openssl pkey"), "{error}");
    }
}

#[test]
fn b202_names_and_combinations_that_do_not_exist_are_typed_errors() {
    let base = trusting(&Authority::new("an authority"));
    let error = failure(&base.clone().cipher_suites(["RC4-MD5"]));
    assert!(matches!(&error, TlsConfigError::UnknownCipherSuite { name, .. } if name == "RC4-MD5"));
    assert!(error.to_string().contains("TLS13_AES_128_GCM_SHA256"), "{error}");
    let error = failure(&base.clone().key_exchange_groups(["X25519", "prime256"]));
    assert!(matches!(&error, TlsConfigError::UnknownKeyExchangeGroup { name, .. } if name == "prime256"));
    assert!(error.to_string().contains("secp256r1"), "{error}");
    for options in [
        base.clone().versions([]),
        base.clone().versions([TlsVersion::Tls12]).cipher_suites(["TLS_AES_128_GCM_SHA256"]),
    ] {
        let error = failure(&options);
        assert!(matches!(error, TlsConfigError::Unusable(_)), "{error:?}");
    }
    for protocol in [vec![], vec![b'x'; 256]] {
        let error = failure(&base.clone().alpn([protocol.clone()]));
        assert_eq!(error, TlsConfigError::AlpnProtocol(protocol));
    }
}

#[test]
fn b204_a_name_that_cannot_be_one_is_a_typed_error() {
    for name in ["", " ", "two words", "bücher.example", "a..b", "[::1", "-", "http://localhost/"] {
        let named = isolated().server_name(name);
        let error = match named.server_name_for("localhost") {
            Err(error) => error,
            Ok(found) => panic!("{name:?} became {found:?}"),
        };
        assert_eq!(error, TlsConfigError::ServerName(name.to_owned()));
        assert!(isolated().server_name_for(name).is_err());
    }
    assert!(isolated().server_name_for("a_b.example").is_ok());
}

#[test]
fn b203_a_ready_made_configuration_replaces_all_but_the_server_name() {
    let world = World::new(TlsVersion::Tls13);
    let ready_made = world.options.build().unwrap();
    let options = isolated()
        .roots_from_file("no/such/file.pem")
        .cipher_suites(["nonsense"])
        .server_name("other.example")
        .ready_made(ready_made.clone());
    assert!(Arc::ptr_eq(&options.build().unwrap(), &ready_made));
    let server = Arc::new(server_config(&world.authority.issue(&["other.example"])));
    let mut pair = Pair::new(&options, &server);
    assert!(pair.handshake().unwrap());
    assert_eq!(pair.server.server_name(), Some("other.example"));

    let mut plain = (*ready_made).clone();
    plain.alpn_protocols.clear();
    let mut pair = Pair::new(&TlsOptions::from(Arc::new(plain)), &world.server);
    pair.handshake().unwrap();
    assert_eq!(pair.client.info().unwrap().alpn, None, "nothing is added to it");
}

#[test]
fn b205_session_keys_go_to_the_file_that_the_environment_names() {
    for version in VERSIONS {
        let world = World::new(version);
        let folder = Folder::new();
        let log = folder.path().join("keys.log");
        let options = environment(&[("SSLKEYLOGFILE", &log)])
            .roots_from_bytes(world.authority.pem())
            .versions([version]);
        Pair::new(&options, &world.server).handshake().unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        let label = match version {
            TlsVersion::Tls12 => "CLIENT_RANDOM ",
            TlsVersion::Tls13 => "CLIENT_TRAFFIC_SECRET_0 ",
        };
        assert!(text.contains(label), "{text}");
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words.len(), 3, "{line}");
            assert_eq!(words[1].len(), 64);
            assert!(words[1..].iter().all(|word| word.bytes().all(|byte| byte.is_ascii_hexdigit())));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let len = text.len();
        Pair::new(&options.clone().no_key_log(), &world.server).handshake().unwrap();
        assert_eq!(std::fs::metadata(&log).unwrap().len(), len as u64, "switched off");
        Pair::new(&options, &world.server).handshake().unwrap();
        assert!(std::fs::metadata(&log).unwrap().len() > len as u64, "appended");
    }
}

#[test]
fn b205_a_key_log_can_be_given_and_a_bad_one_is_an_error_only_if_it_was() {
    let world = World::new(TlsVersion::Tls13);
    #[derive(Debug, Default)]
    struct Labels(Mutex<Vec<String>>);
    impl KeyLog for Labels {
        fn log(&self, label: &str, _: &[u8], _: &[u8]) {
            self.0.lock().unwrap().push(label.to_owned());
        }
    }
    let labels = Arc::new(Labels::default());
    Pair::new(&world.options.clone().key_log(labels.clone()), &world.server).handshake().unwrap();
    assert!(labels.0.lock().unwrap().iter().any(|label| label == "CLIENT_TRAFFIC_SECRET_0"));

    let bad = "no/such/directory/keys.log";
    let error = failure(&world.options.clone().key_log_file(bad));
    assert_eq!(error, TlsConfigError::KeyLog { path: bad.into(), kind: ErrorKind::NotFound });
    let forgotten = environment(&[("SSLKEYLOGFILE", &bad)]).roots_from_bytes(world.authority.pem());
    assert!(forgotten.build().is_ok());
    let log = Folder::new().path().with_extension("keys");
    let options = world.options.clone().key_log_file(&log);
    Pair::new(&options, &world.server).handshake().unwrap();
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    std::fs::remove_file(log).unwrap();
}

#[test]
fn b208_one_configuration_is_made_for_all_clones_and_a_failure_is_not_kept() {
    let folder = Folder::new();
    let path = folder.path().join("later.pem");
    let options = isolated().roots_from_file(&path);
    let clone = options.clone();
    assert!(options.build().is_err());
    folder.file("later.pem", Authority::new("late").pem());
    let built = options.build().unwrap();
    assert!(Arc::ptr_eq(&built, &clone.build().unwrap()));
    assert!(Arc::ptr_eq(&built, &clone.clone().server_name("other.example").build().unwrap()));
    assert!(!Arc::ptr_eq(&built, &clone.resumption(false).build().unwrap()));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let client = self_signed(&["a client"], |_| {});
    let authority = Authority::new("an authority");
    let options = trusting(&authority).client_certificate_from_bytes(&client.certificate, &client.key);
    let text = format!("{options:?} {options:#?}");
    let secret = client.key.lines().nth(1).unwrap();
    assert!(!text.contains(secret) && !text.contains("PRIVATE KEY"), "{text}");
    let bytes = format!("{:?}", secret.as_bytes());
    assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{text}");
    // Nor in the error about it.
    let broken = client.key.replace("-----END", "----END");
    let error = failure(&trusting(&authority).client_certificate_from_bytes(&client.certificate, broken));
    assert!(!format!("{error} {error:?}").contains(secret));
}

#[test]
fn a_provider_can_be_given_and_its_suites_named() {
    let world = World::new(TlsVersion::Tls13);
    let suites = ["TLS_CHACHA20_POLY1305_SHA256".to_owned()];
    let given = Arc::new(provider::select(None, &suites, &[]).unwrap());
    let options = world.options.clone().provider(given);
    let mut pair = Pair::new(&options, &world.server);
    pair.handshake().unwrap();
    assert!(format!("{:?}", pair.client.info().unwrap().cipher_suite).contains("CHACHA20"));
    let error = failure(&options.cipher_suites(["TLS_AES_128_GCM_SHA256"]));
    assert!(matches!(error, TlsConfigError::UnknownCipherSuite { .. }), "it is not one of the provider's");
}
