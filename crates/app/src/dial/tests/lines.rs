//! Lines that apps join and leave while nothing moves.

use std::collections::BTreeSet;

use super::super::gate::{Gate, Ticket};
use super::*;

fn app(number: u32) -> AppId {
    AppId(Key::new(number, 1))
}

fn join(gate: &Gate<Server>, last: u8, number: u32) -> Ticket<Server> {
    match gate.enter(Server::At(address(last)), app(number)) {
        Admission::Granted(_) => panic!("there is room"),
        Admission::Waiting(ticket) => ticket,
    }
}

/// The order in which the apps are called while each gives its place back at once.
fn order(gate: &Gate<Server>) -> Vec<usize> {
    std::iter::from_fn(|| gate.call()).map(|(app, _)| app.0.slot()).collect()
}

fn full_gate() -> (Gate<Server>, Place<Server>) {
    let gate = Gate::for_connections();
    gate.set_max_total(1);
    let Admission::Granted(place) = gate.enter(Server::At(address(200)), app(0)) else {
        panic!("there is no room")
    };
    (gate, place)
}

#[test]
fn a_server_is_the_same_however_its_address_is_written() {
    let at = |text: &str| Server::at(text.parse().unwrap());
    assert_eq!(at("[::ffff:192.0.2.1]:80"), at("192.0.2.1:80"));
    let labelled = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 7, 3);
    assert_eq!(Server::at(labelled.into()), at("[fe80::1%3]:80"));
    for other in ["192.0.2.1:81", "192.0.2.2:80", "[::192.0.2.1]:80", "[fe80::1%3]:80", "[fe80::1%4]:80"] {
        assert_ne!(at(other), at("192.0.2.1:80"));
    }
    assert_ne!(at("[fe80::1%3]:80"), at("[fe80::1%4]:80"));
}

#[test]
fn a_line_that_was_left_and_joined_again_has_one_turn_in_a_round() {
    let (gate, place) = full_gate();
    let first = join(&gate, 3, 5);
    for _ in 0..3 {
        drop(join(&gate, 1, 9));
    }
    let tickets = [(1, 1), (1, 2), (2, 3), (2, 4)].map(|(last, number)| join(&gate, last, number));
    drop(place);
    assert_eq!(order(&gate), [5, 1, 3, 2, 4]);
    drop((first, tickets));
    assert!(gate.is_unused());
}

#[test]
fn lines_that_come_and_go_leave_nothing_behind_while_another_one_waits() {
    let (gate, place) = full_gate();
    let first = join(&gate, 1, 1);
    for _ in 0..1000 {
        drop(join(&gate, 2, 2));
    }
    assert_eq!(gate.moving_lines(), 1);
    drop(place);
    assert_eq!(order(&gate), [1]);
    drop(first);
    assert!(gate.is_unused());
}

#[test]
fn a_line_that_is_full_moves_when_one_of_its_own_leaves_and_holds_up_no_other() {
    let gate = Gate::for_connections();
    gate.set_max_per_server(1);
    let Admission::Granted(full) = gate.enter(Server::At(address(1)), app(0)) else {
        panic!("there is no room")
    };
    let behind = [join(&gate, 1, 1), join(&gate, 1, 2)];
    assert!(!gate.can_call());
    let Admission::Granted(elsewhere) = gate.enter(Server::At(address(2)), app(3)) else {
        panic!("no line but the first is full")
    };
    assert!(!gate.can_call());
    drop(elsewhere);
    assert!(!gate.can_call());
    drop(full);
    assert_eq!(order(&gate), [1, 2]);
    drop(behind);
    assert!(gate.is_unused());
}

#[test]
fn a_newcomer_waits_behind_the_lines_that_may_move() {
    let (gate, place) = full_gate();
    let first = join(&gate, 1, 1);
    drop(place);
    // There is room, and it is for the first.
    assert!(gate.can_call());
    let second = join(&gate, 2, 2);
    assert_eq!(order(&gate), [1, 2]);
    drop((first, second));
    assert!(gate.is_unused());
}

#[test]
fn a_limit_that_is_raised_lets_those_in_line_move() {
    let gate = Gate::for_connections();
    gate.set_max_per_server(1);
    let Admission::Granted(place) = gate.enter(Server::At(address(1)), app(0)) else {
        panic!("there is no room")
    };
    let tickets = [join(&gate, 1, 1), join(&gate, 1, 2)];
    gate.set_max_per_server(2);
    assert_eq!(order(&gate), [1, 2]);
    drop((place, tickets));
    assert!(gate.is_unused());
}

#[test]
fn all_apps_are_called_whatever_order_they_come_and_leave_in() {
    // A few hundred steps of a small generator: every app that stays is called once, and the limits hold.
    for seed in 0..50u64 {
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut roll = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let gate = Gate::for_connections();
        gate.set_max_total(5);
        gate.set_max_per_server(2);
        let mut places: Vec<Place<Server>> = Vec::new();
        let mut waiting: Vec<(u32, Ticket<Server>)> = Vec::new();
        let (mut expected, mut called) = (BTreeSet::new(), BTreeSet::new());
        for number in 0..400 {
            match roll(4) {
                0 | 1 => match gate.enter(Server::At(address(roll(6) as u8)), app(number)) {
                    Admission::Granted(place) => places.push(place),
                    Admission::Waiting(ticket) => {
                        expected.insert(number as usize);
                        waiting.push((number, ticket));
                    }
                },
                2 if !places.is_empty() => drop(places.swap_remove(roll(places.len() as u64) as usize)),
                3 if !waiting.is_empty() => {
                    let (number, ticket) = waiting.swap_remove(roll(waiting.len() as u64) as usize);
                    drop(ticket);
                    if !called.contains(&(number as usize)) {
                        expected.remove(&(number as usize));
                    }
                }
                _ => {}
            }
            if roll(3) == 0
                && let Some((app, place)) = gate.call()
            {
                assert!(called.insert(app.0.slot()), "seed {seed}");
                places.push(place);
            }
            assert!(places.len() <= 5, "seed {seed}");
            for last in 0..6 {
                let server = Server::At(address(last));
                assert!(places.iter().filter(|place| place.is_in(&server)).count() <= 2, "seed {seed}");
            }
        }
        places.clear();
        called.extend(order(&gate));
        assert_eq!(called, expected, "seed {seed}");
        waiting.clear();
        assert!(gate.is_unused(), "seed {seed}");
    }
}
