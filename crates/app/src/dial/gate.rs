//! Limits on connections in the making (RFC 6455 section 4.1, point 2) and on names being resolved.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use websocket_link::Destination;

use crate::id::AppId;

/// Connections that are being made at once: enough to open thousands in seconds, and some room below the 1024
/// descriptors that most systems give a process by default.
const MAX_TOTAL: usize = 512;

/// Connections that are being made to one server at once: fewer than the backlog of 100 or 128 that many
/// servers listen with.
const MAX_PER_SERVER: usize = 64;

/// Names that are being resolved at once: enough to keep the resolver busy, and few enough for each to be
/// answered in time.
const MAX_NAMES: usize = 256;

/// What counts as one server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Server {
    At(SocketAddr),
    Unix(PathBuf),
    /// A host whose address is not known here: to a proxy, every name is a server.
    Named(Destination),
}

impl Server {
    /// The server at `address`, however that is written: mapped into IPv6 or not, with whatever flow label.
    pub(super) fn at(address: SocketAddr) -> Self {
        let SocketAddr::V6(mut v6) = address else { return Self::At(address) };
        v6.set_flowinfo(0);
        Self::At(match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => v6.into(),
        })
    }
}

/// Admits a limited number of apps at once. The others wait in line: within a line in the order in which they
/// came, and the lines, one per `K`, take turns.
pub(crate) struct Gate<K: Hash + Eq + Clone>(Rc<RefCell<Places<K>>>);

struct Places<K> {
    max_total: usize,
    max_per_line: usize,
    /// All apps of one line take one place of the total, together.
    shared: bool,
    taken: usize,
    lines: HashMap<K, Line>,
    /// Lines that move as soon as the total allows, by their turn.
    moving: BTreeMap<i64, K>,
    tickets: u64,
    turns: i64,
}

/// The apps that have a place, or wait for one, for the same server or name.
#[derive(Default)]
struct Line {
    taken: usize,
    /// By the number of their ticket.
    waiting: BTreeMap<u64, AppId>,
    /// Its turn among the lines, while it can move.
    turn: Option<i64>,
}

/// What an app that asks at the gate gets.
#[must_use]
pub(super) enum Admission<K: Hash + Eq + Clone> {
    Granted(Place<K>),
    /// [`Gate::call`] names the app when its turn comes.
    Waiting(Ticket<K>),
}

/// Permission to connect or to resolve, held until it is dropped.
pub(crate) struct Place<K: Hash + Eq + Clone> {
    gate: Gate<K>,
    line: K,
}

/// A place in a line, until it is dropped.
pub(super) struct Ticket<K: Hash + Eq + Clone> {
    gate: Gate<K>,
    line: K,
    number: u64,
}

impl Gate<Server> {
    /// Limits the connections in the making.
    pub(super) fn for_connections() -> Self {
        Self::new(MAX_TOTAL, MAX_PER_SERVER, false)
    }

    /// Sets how many there may be at once in total; at least one.
    pub(crate) fn set_max_total(&self, max: usize) {
        self.0.borrow_mut().max_total = max.max(1);
    }

    /// Sets how many there may be at once to one server; at least one.
    pub(crate) fn set_max_per_server(&self, max: usize) {
        let mut places = self.0.borrow_mut();
        places.max_per_line = max.max(1);
        let lines: Vec<_> = places.lines.keys().cloned().collect();
        lines.iter().for_each(|line| places.note(line));
    }
}

impl Gate<String> {
    /// Limits the names that are being resolved. Any number of apps may ask for one of them: the resolver
    /// answers all at once.
    pub(super) fn for_names() -> Self {
        Self::new(MAX_NAMES, usize::MAX, true)
    }
}

impl<K: Hash + Eq + Clone> Gate<K> {
    fn new(max_total: usize, max_per_line: usize, shared: bool) -> Self {
        Self(Rc::new(RefCell::new(Places {
            max_total,
            max_per_line,
            shared,
            taken: 0,
            lines: HashMap::new(),
            moving: BTreeMap::new(),
            tickets: 0,
            turns: 0,
        })))
    }

    /// Asks for a place in `line`, behind all apps that wait for one.
    pub(super) fn enter(&self, line: K, app: AppId) -> Admission<K> {
        let mut places = self.0.borrow_mut();
        let others_wait = places.can_call();
        let cost = places.cost(&line);
        places.tickets += 1;
        let number = places.tickets;
        let has_room = places.has_room(&line) && (cost == 0 || !others_wait);
        let entry = places.lines.entry(line.clone()).or_default();
        if has_room && entry.waiting.is_empty() {
            places.take(&line);
            return Admission::Granted(Place { gate: self.handle(), line });
        }
        entry.waiting.insert(number, app);
        places.note(&line);
        Admission::Waiting(Ticket { gate: self.handle(), line, number })
    }

    /// The next app whose turn has come, with its place.
    pub(crate) fn call(&self) -> Option<(AppId, Place<K>)> {
        let mut places = self.0.borrow_mut();
        if !places.can_call() {
            return None;
        }
        let (_, line) = places.moving.pop_first()?;
        let entry = places.lines.get_mut(&line)?;
        entry.turn = None;
        let (_, app) = entry.waiting.pop_first()?;
        places.take(&line);
        places.note(&line);
        Some((app, Place { gate: self.handle(), line }))
    }

    /// Whether [`call`](Self::call) would name an app.
    #[inline]
    pub(crate) fn can_call(&self) -> bool {
        self.0.borrow().can_call()
    }

    fn handle(&self) -> Self {
        Self(self.0.clone())
    }

    /// Whether there is neither a place nor a ticket.
    #[cfg(test)]
    pub(crate) fn is_unused(&self) -> bool {
        let places = self.0.borrow();
        places.taken == 0 && places.lines.is_empty()
    }

    /// Lines that move as soon as the total allows.
    #[cfg(test)]
    pub(super) fn moving_lines(&self) -> usize {
        self.0.borrow().moving.len()
    }
}

impl<K: Hash + Eq + Clone> Places<K> {
    /// How much of the total one more app in this line takes.
    fn cost(&self, line: &K) -> usize {
        usize::from(!self.shared || self.lines.get(line).is_none_or(|entry| entry.taken == 0))
    }

    fn has_room(&self, line: &K) -> bool {
        self.taken + self.cost(line) <= self.max_total
            && self.lines.get(line).is_none_or(|entry| entry.taken < self.max_per_line)
    }

    fn take(&mut self, line: &K) {
        self.taken += self.cost(line);
        if let Some(entry) = self.lines.get_mut(line) {
            entry.taken += 1;
        }
    }

    fn give_back(&mut self, line: &K) {
        if let Some(entry) = self.lines.get_mut(line) {
            entry.taken -= 1;
        }
        self.taken -= self.cost(line);
        self.note(line);
    }

    /// Whether the first of the moving lines can move.
    #[inline]
    fn can_call(&self) -> bool {
        self.moving.first_key_value().is_some_and(|(_, line)| self.has_room(line))
    }

    /// Gives the line a turn when it can move, and forgets it when there is nothing in it. Called whenever it has changed.
    fn note(&mut self, line: &K) {
        let Some(entry) = self.lines.get_mut(line) else { return };
        match (entry.turn, entry.can_move(self.max_per_line)) {
            (None, true) => {
                let turn = match self.moving.first_key_value() {
                    // The rest of a line that shares a place costs nothing more.
                    Some((first, _)) if self.shared && entry.taken > 0 => first - 1,
                    _ => {
                        self.turns += 1;
                        self.turns
                    }
                };
                entry.turn = Some(turn);
                self.moving.insert(turn, line.clone());
            }
            (Some(turn), false) => {
                entry.turn = None;
                self.moving.remove(&turn);
            }
            _ => {}
        }
        if entry.taken == 0 && entry.waiting.is_empty() {
            self.lines.remove(line);
        }
    }
}

impl Line {
    fn can_move(&self, max: usize) -> bool {
        self.taken < max && !self.waiting.is_empty()
    }
}

impl<K: Hash + Eq + Clone> Place<K> {
    /// Whether this is a place in `line`.
    pub(super) fn is_in(&self, line: &K) -> bool {
        self.line == *line
    }
}

impl<K: Hash + Eq + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        self.gate.0.borrow_mut().give_back(&self.line);
    }
}

impl<K: Hash + Eq + Clone> Drop for Ticket<K> {
    fn drop(&mut self) {
        let mut places = self.gate.0.borrow_mut();
        if let Some(entry) = places.lines.get_mut(&self.line) {
            entry.waiting.remove(&self.number);
        }
        places.note(&self.line);
    }
}

#[cfg(test)]
mod tests {
    use websocket_dispatcher::Key;

    use super::*;

    fn app(number: u32) -> AppId {
        AppId(Key::new(number, 1))
    }

    fn server(port: u16) -> Server {
        Server::At(SocketAddr::from(([192, 0, 2, 1], port)))
    }

    fn gate(total: usize, per_server: usize) -> Gate<Server> {
        let gate = Gate::for_connections();
        gate.set_max_total(total);
        gate.set_max_per_server(per_server);
        gate
    }

    fn place<K: Hash + Eq + Clone>(admission: Admission<K>) -> Place<K> {
        match admission {
            Admission::Granted(place) => place,
            Admission::Waiting(_) => panic!("there is room"),
        }
    }

    fn ticket<K: Hash + Eq + Clone>(admission: Admission<K>) -> Ticket<K> {
        match admission {
            Admission::Granted(_) => panic!("there is no room"),
            Admission::Waiting(ticket) => ticket,
        }
    }

    fn called<K: Hash + Eq + Clone>(gate: &Gate<K>) -> Option<(usize, Place<K>)> {
        let can_call = gate.can_call();
        let called = gate.call().map(|(app, place)| (app.0.slot(), place));
        assert_eq!(called.is_some(), can_call);
        called
    }

    #[test]
    fn one_server_has_one_place_and_its_line_is_first_come_first_served() {
        let gate = gate(10, 1);
        let first = place(gate.enter(server(1), app(1)));
        let _second = ticket(gate.enter(server(1), app(2)));
        let third = ticket(gate.enter(server(1), app(3)));
        let _fourth = ticket(gate.enter(server(1), app(4)));
        let elsewhere = place(gate.enter(server(2), app(5)));
        assert!(called(&gate).is_none());
        drop((first, third));
        let (next, place) = called(&gate).unwrap();
        assert_eq!(next, 2);
        assert!(called(&gate).is_none());
        drop((place, elsewhere));
        assert_eq!(called(&gate).unwrap().0, 4);
        assert!(!gate.can_call());
    }

    #[test]
    fn the_total_holds_over_all_servers_which_take_turns() {
        let gate = gate(2, 2);
        let places = [place(gate.enter(server(1), app(1))), place(gate.enter(server(1), app(2)))];
        let tickets: Vec<_> = [(1, 3), (1, 4), (2, 5), (2, 6), (3, 7)]
            .map(|(port, number)| ticket(gate.enter(server(port), app(number))))
            .into();
        assert!(!gate.can_call());
        drop(places);
        let mut order = Vec::new();
        while let Some((next, place)) = called(&gate) {
            order.push(next);
            drop(place);
        }
        assert_eq!(order, [5, 7, 3, 6, 4]);
        drop(tickets);
        assert!(gate.0.borrow().lines.is_empty());
    }

    #[test]
    fn no_app_overtakes_a_line_and_one_that_leaves_it_is_not_called() {
        let gate = gate(1, 1);
        let first = place(gate.enter(server(1), app(1)));
        let second = ticket(gate.enter(server(1), app(2)));
        drop(first);
        let third = ticket(gate.enter(server(1), app(3)));
        assert!(gate.can_call());
        drop(second);
        assert_eq!(called(&gate).map(|(next, _)| next), Some(3));
        drop(third);
        assert!(!gate.can_call());
        assert_eq!(gate.0.borrow().taken, 0);
        assert!(gate.0.borrow().lines.is_empty());
    }

    #[test]
    fn any_number_of_apps_may_ask_for_one_name_and_a_few_names_are_asked_for_at_once() {
        let gate = Gate::<String>::new(2, usize::MAX, true);
        let enter = |name: &str, number| gate.enter(name.to_owned(), app(number));
        let one = [place(enter("one", 1)), place(enter("one", 2))];
        let two = place(enter("two", 3));
        let _waiting = [ticket(enter("three", 4)), ticket(enter("four", 5)), ticket(enter("three", 6))];
        let joined = place(enter("two", 7));
        assert!(called(&gate).is_none());
        drop(two);
        assert!(called(&gate).is_none());
        drop(joined);
        // All apps that wait for the name come at once, and the other name still waits.
        let three = [called(&gate).unwrap(), called(&gate).unwrap()];
        assert_eq!([three[0].0, three[1].0], [4, 6]);
        assert!(called(&gate).is_none());
        drop(one);
        assert_eq!(called(&gate).map(|(next, _)| next), Some(5));
    }
}
