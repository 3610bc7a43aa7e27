use super::*;
use crate::fuzzing::harness::Client;
use crate::{ConfigError, DeflateAgreed, DeflateError, Error, Event, Input, UpgradeError};

/// What was agreed when `answer` comes to the offers of `deflate`.
fn negotiate(deflate: &Deflate, answer: &str) -> Result<DeflateAgreed, UpgradeError> {
    let mut config = Config::default();
    config.deflate = Some(deflate.clone());
    config.check().unwrap();
    let mut client = Client::connecting(config);
    let head = crate::fuzzing::harness::RESPONSE.strip_suffix(b"\r\n").unwrap();
    let bytes = [head, format!("Sec-WebSocket-Extensions: {answer}\r\n\r\n").as_bytes()].concat();
    match client.conn.receive(&mut Input::new(&bytes), &mut client.env) {
        Ok(Some((Event::Open(response), _))) => Ok(response.deflate.unwrap()),
        Err(Error::Upgrade(error)) => {
            assert_eq!(client.conn.state(), crate::State::Closed);
            Err(error)
        }
        other => panic!("{other:?}"),
    }
}

fn refused(deflate: impl Into<Deflate>, parameters: &str) -> DeflateError {
    match negotiate(&deflate.into(), &format!("permessage-deflate{parameters}")) {
        Err(UpgradeError::Deflate(error)) => error,
        other => panic!("{parameters}: {other:?}"),
    }
}

fn agreed(deflate: impl Into<Deflate>, parameters: &str) -> (bool, bool, u8, u8) {
    let agreed = negotiate(&deflate.into(), &format!("permessage-deflate{parameters}")).unwrap();
    (
        agreed.server_no_context_takeover,
        agreed.client_no_context_takeover,
        agreed.server_max_window_bits,
        agreed.client_max_window_bits,
    )
}

/// The extensions that the request offers.
fn offered(deflate: Deflate) -> String {
    let mut config = Config::default();
    config.deflate = Some(deflate);
    let mut env = crate::tests::env(crate::tests::CountingEntropy::default());
    let conn = crate::Connection::new(config.into(), &crate::Request::new("/"), &mut env).unwrap();
    let request = String::from_utf8(conn.output().to_vec()).unwrap();
    let line = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    line.unwrap().to_owned()
}

#[test]
fn offers_are_made_in_order() {
    assert_eq!(offered(Deflate::new()), "permessage-deflate; client_max_window_bits");
    let all = DeflateOffer::new()
        .client_max_window_bits(9)
        .server_max_window_bits(8)
        .client_no_context_takeover()
        .server_no_context_takeover();
    let none = DeflateOffer::new().without_client_max_window_bits();
    assert_eq!(
        offered(Deflate::with_offers([all, none])),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=8; client_max_window_bits=9, permessage-deflate"
    );
}

#[test]
fn what_is_answered_is_agreed() {
    let offer = DeflateOffer::new;
    assert_eq!(agreed(offer(), ""), (false, false, 15, 15));
    assert_eq!(agreed(offer(), "; server_no_context_takeover"), (true, false, 15, 15));
    assert_eq!(agreed(offer(), "; client_no_context_takeover"), (false, true, 15, 15));
    assert_eq!(agreed(offer(), ";client_max_window_bits=8 ; server_max_window_bits=9"), (false, false, 9, 8));
    assert_eq!(agreed(offer(), "; client_max_window_bits = \"10\""), (false, false, 15, 10));
    // Sections 7.1.1.2 and 7.1.2.2: what the client says of itself holds without an answer.
    let own = offer().client_no_context_takeover().client_max_window_bits(10);
    assert_eq!(agreed(own.clone(), ""), (false, true, 15, 10));
    assert_eq!(agreed(own, "; client_max_window_bits=9"), (false, true, 15, 9));
    assert_eq!(
        agreed(offer().server_max_window_bits(10), "; server_max_window_bits=10"),
        (false, false, 10, 15)
    );
}

#[test]
fn an_answer_has_to_fit_one_of_the_offers() {
    let strict = DeflateOffer::new().server_no_context_takeover();
    let small = DeflateOffer::new().server_max_window_bits(10);
    let both = Deflate::with_offers([strict.clone(), small.clone()]);
    assert_eq!(agreed(both.clone(), "; server_no_context_takeover"), (true, false, 15, 15));
    assert_eq!(agreed(both.clone(), "; server_max_window_bits=9"), (false, false, 9, 15));
    assert_eq!(refused(both, ""), DeflateError::NotAccepted("server_no_context_takeover"));
    let any = Deflate::with_offers([strict, small, DeflateOffer::new()]);
    assert_eq!(agreed(any, ""), (false, false, 15, 15));
}

#[test]
fn an_answer_that_fits_several_offers_binds_the_client_to_what_each_announces() {
    let plain = DeflateOffer::new;
    let alone = plain().client_no_context_takeover();
    let small = plain().client_max_window_bits(10);
    // A server that means the second keeps no context, or a window of 10 bits, and need not say so (sections 7.1.1.2 and 7.1.2.2).
    assert_eq!(agreed(Deflate::with_offers([plain(), alone.clone()]), ""), (false, true, 15, 15));
    let all = Deflate::with_offers([plain(), small, alone]);
    assert_eq!(agreed(all.clone(), ""), (false, true, 15, 10));
    // The second cannot be meant here.
    assert_eq!(agreed(all.clone(), "; client_max_window_bits=12"), (false, true, 15, 12));
    assert_eq!(agreed(all, "; client_max_window_bits=9; client_no_context_takeover"), (false, true, 15, 9));
    let strict = plain().server_no_context_takeover().client_no_context_takeover();
    let fallback = Deflate::with_offers([strict, plain()]);
    assert_eq!(agreed(fallback.clone(), ""), (false, false, 15, 15));
    assert_eq!(agreed(fallback, "; server_no_context_takeover"), (true, true, 15, 15));
}

#[test]
fn invalid_answers_are_refused() {
    let offer = DeflateOffer::new;
    let (server, client) = ("server_max_window_bits", "client_max_window_bits");
    for parameter in [server, client] {
        for value in ["7", "16", "08", "015", "", "+9", "9.0", "0", "x", "1 0", "\"\"", "-9", "255", "264"] {
            let error = refused(offer(), &format!("; {parameter}={value}"));
            let value = Some(value.trim_matches('"').to_owned());
            assert_eq!(error, DeflateError::InvalidWindowBits { parameter, value });
        }
        assert_eq!(
            refused(offer(), &format!("; {parameter}")),
            DeflateError::InvalidWindowBits { parameter, value: None }
        );
        assert_eq!(
            refused(offer(), &format!("; {parameter}=9; {parameter}=9")),
            DeflateError::RepeatedParameter(parameter)
        );
    }
    for parameter in ["server_no_context_takeover", "client_no_context_takeover"] {
        assert_eq!(
            refused(offer(), &format!("; {parameter}=1")),
            DeflateError::UnexpectedValue { parameter, value: "1".into() }
        );
        assert_eq!(
            refused(offer(), &format!("; {parameter}; {parameter}")),
            DeflateError::RepeatedParameter(parameter)
        );
    }
    for name in ["unknown", "Server_No_Context_Takeover", ""] {
        assert_eq!(refused(offer(), &format!("; {name}")), DeflateError::UnknownParameter(name.into()));
    }
    assert_eq!(
        refused(offer().without_client_max_window_bits(), "; client_max_window_bits=15"),
        DeflateError::NotOffered(client)
    );
    assert_eq!(
        refused(offer().server_no_context_takeover(), ""),
        DeflateError::NotAccepted("server_no_context_takeover")
    );
    assert_eq!(refused(offer().server_max_window_bits(10), ""), DeflateError::NotAccepted(server));
    assert_eq!(
        refused(offer().server_max_window_bits(10), "; server_max_window_bits=11"),
        DeflateError::WindowTooLarge { parameter: server, bits: 11, offered: 10 }
    );
    assert_eq!(
        refused(offer().client_max_window_bits(10), "; client_max_window_bits=11"),
        DeflateError::WindowTooLarge { parameter: client, bits: 11, offered: 10 }
    );
    assert_eq!(refused(offer(), ", permessage-deflate"), DeflateError::AcceptedTwice);
    assert_eq!(
        refused(offer(), "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"),
        DeflateError::AcceptedTwice
    );
}

#[test]
fn b157_other_extensions_are_refused() {
    for (answer, named) in [
        ("x-webkit-deflate-frame", "x-webkit-deflate-frame"),
        ("permessage-bzip2", "permessage-bzip2"),
        ("Permessage-Deflate", "Permessage-Deflate"),
        ("permessage-deflate, foo", "foo"),
    ] {
        let error = negotiate(&Deflate::new(), answer).unwrap_err();
        assert_eq!(error, UpgradeError::UnrequestedExtension(named.into()));
    }
    let error = Client::extended(Config::default(), "permessage-deflate").err().unwrap();
    assert_eq!(error, UpgradeError::UnrequestedExtension("permessage-deflate".into()).into());
}

#[test]
fn a_server_may_refuse_and_nothing_is_compressed() {
    let mut config = Config::default();
    config.deflate = Some(Deflate::new().threshold(0));
    let mut client = Client::open(config);
    client.conn.tx().send_text(&text(1000, 1), &mut client.env).unwrap();
    assert!(!client.sent()[0].compressed);
}

#[test]
fn options_are_checked() {
    let check = |deflate: Deflate| {
        let mut config = Config::default();
        config.deflate = Some(deflate);
        config.check()
    };
    assert_eq!(check(Deflate::new().level(10)), Err(ConfigError::CompressionLevel { level: 10 }));
    assert_eq!(check(Deflate::with_offers([])), Err(ConfigError::NoCompressionOffer));
    for bits in [0, 7, 16, 255] {
        let (server, client) = (DeflateOffer::new(), DeflateOffer::new());
        assert_eq!(
            check(server.server_max_window_bits(bits).into()),
            Err(ConfigError::WindowBits { parameter: "server_max_window_bits", bits })
        );
        assert_eq!(
            check(client.client_max_window_bits(bits).into()),
            Err(ConfigError::WindowBits { parameter: "client_max_window_bits", bits })
        );
    }
    // Who does not check gets no panic.
    let mut config = Config::default();
    let wild = DeflateOffer::new().client_max_window_bits(99);
    config.deflate = Some(Deflate::from(wild).level(77).threshold(0));
    let mut client = Client::extended(config, "permessage-deflate").unwrap();
    client.conn.tx().send_text(&text(1000, 1), &mut client.env).unwrap();
    assert_eq!(Inflater::new(15, true).frames(&client.sent()), text(1000, 1).as_bytes());
}
