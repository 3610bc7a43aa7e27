//! When the script of a served address is called, and what it finds then.

use super::*;

/// Longer than the frame that its first two bytes would begin.
const REQUEST: &[u8] =
    b"GET /prices HTTP/1.1\r\nSec-WebSocket-Key: x\r\nUser-Agent: a client with a long name\r\n\r\n";

/// Lets everything arrive that is under way without latency, and the scripts run.
fn settle(net: &SimNet) {
    net.advance(Duration::ZERO);
}

/// Everything that the client has got and not read.
fn received(io: &mut Io) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let len = io.read(&mut bytes).unwrap_or(0);
    bytes.truncate(len);
    bytes
}

#[test]
fn a_script_is_called_once_per_connection_when_its_request_has_arrived() {
    let net = SimNet::new(1);
    let calls = Rc::new(RefCell::new(Vec::new()));
    net.serve(addr(1), {
        let calls = calls.clone();
        move |peer| calls.borrow_mut().push((peer.index(), peer.accept_upgrade().unwrap().path))
    });
    let mut first = connect(&net, addr(1));
    settle(&net);
    first.write_all(&REQUEST[..REQUEST.len() - 1]).unwrap();
    settle(&net);
    assert_eq!(*calls.borrow(), []);
    first.write_all(&REQUEST[REQUEST.len() - 1..]).unwrap();
    settle(&net);
    assert_eq!(*calls.borrow(), [(0, "/prices".to_owned())]);
    first.write_all(&frame::masked(0x81, [0; 4], b"hello")).unwrap();
    settle(&net);
    first.write_all(REQUEST).unwrap();
    settle(&net);
    drop(first);
    settle(&net);
    assert_eq!(calls.borrow().len(), 1);

    connect(&net, addr(1)).write_all(REQUEST).unwrap();
    settle(&net);
    assert_eq!(*calls.borrow(), [(0, "/prices".to_owned()), (1, "/prices".to_owned())]);
}

#[test]
fn a_script_that_waits_for_a_request_is_not_called_without_one() {
    let net = SimNet::new(1);
    net.serve(addr(1), |_| panic!("there is no request"));
    let mut io = connect(&net, addr(1));
    settle(&net);
    io.write_all(b"\x05\x01\0").unwrap();
    settle(&net);
    drop(io);
    settle(&net);
}

#[test]
fn a_request_larger_than_the_send_buffer_arrives() {
    let mut faults = Faults::default();
    faults.send_buffer = 10;
    let net = SimNet::new(1).with_faults(faults);
    let calls = Rc::new(RefCell::new(0));
    let counted = calls.clone();
    net.serve(addr(1), move |_| *counted.borrow_mut() += 1);
    let mut io = connect(&net, addr(1));
    let mut rest = REQUEST;
    while !rest.is_empty() {
        let written = io.write(rest).unwrap();
        rest = &rest[written..];
        settle(&net);
    }
    assert_eq!(*calls.borrow(), 1);
}

#[test]
fn what_a_script_plans_happens_once() {
    let net = SimNet::new(1);
    net.serve(addr(1), |server| {
        server.accept_upgrade();
        for minute in 1..=3 {
            let server = server.clone();
            let price = frame::text(&format!("price {minute}"));
            server.net().clone().after(60 * minute * SECOND, move |_| server.write(&price));
        }
    });
    let mut io = connect(&net, addr(1));
    io.write_all(REQUEST).unwrap();
    settle(&net);
    assert!(received(&mut io).starts_with(b"HTTP/1.1 101 "));
    // What the client says meanwhile changes nothing.
    io.write_all(&frame::masked(0x89, [0; 4], b"ping")).unwrap();
    net.advance(3600 * SECOND);
    let prices = ["price 1", "price 2", "price 3"].map(frame::text).concat();
    assert_eq!(received(&mut io), prices);
}

#[test]
fn arrivals_may_cut_the_request_and_the_frames_anywhere() {
    let net = SimNet::new(1);
    net.serve_arrivals(addr(1), |server| {
        if server.accept_upgrade().is_some() {
            server.write(&frame::text("welcome"));
        }
        while let Some(frame) = server.read_frame() {
            server.write(&frame::encode(frame.fin, 0, frame.opcode, &frame.payload));
        }
    });
    // As a request it would be a second one.
    let look_alike = b"GET / HTTP/1.1\r\n\r\n";
    let frames = [frame::masked(0x82, [0; 4], look_alike), frame::masked(0x81, [7; 4], b"last")].concat();
    let bytes = [REQUEST, &frames].concat();
    for size in [1, 2, 7, bytes.len()] {
        let mut io = connect(&net, addr(1));
        for piece in bytes.chunks(size) {
            io.write_all(piece).unwrap();
            settle(&net);
        }
        let answer = received(&mut io);
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "pieces of {size}");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let expected = [frame::text("welcome"), frame::binary(look_alike), frame::text("last")].concat();
        assert_eq!(answer[end..], expected, "pieces of {size}");
    }
}
