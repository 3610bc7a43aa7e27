//! How many connections are being made at once, in total and to each server (RFC 6455 section 4.1, point 2).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use websocket_link::Destination;

use crate::id::AppId;

/// Connections that are being made at once: enough to open thousands in seconds, and some room below the 1024 descriptors that most
/// systems give a process by default.
const MAX_TOTAL: usize = 512;

/// Connections that are being made to one server at once: less than the backlog of 100 or 128 that many servers listen with.
const MAX_PER_SERVER: usize = 64;

/// What counts as one server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Server {
    /// A host whose address is not known yet, or only to a proxy: every name is a server then.
    Named(Destination),
    At(SocketAddr),
    Unix(PathBuf),
}

/// Lets so many connections be made at once, and no more. The others wait in the order in which they came; servers take turns.
#[derive(Clone)]
pub(crate) struct Gate(Rc<RefCell<Places>>);

struct Places {
    max_total: usize,
    max_per_server: usize,
    taken: usize,
    lines: HashMap<Server, Line>,
    /// Servers whose line moves as soon as the total allows.
    moving: VecDeque<Server>,
    tickets: u64,
}

/// The connections to one server.
#[derive(Default)]
struct Line {
    taken: usize,
    /// By the number of their ticket.
    waiting: BTreeMap<u64, AppId>,
    is_moving: bool,
}

/// What one who asks at the gate gets.
#[must_use]
pub(super) enum Admission {
    Granted(Place),
    /// [`Gate::call`] names the app when its turn comes.
    Waiting(Ticket),
}

/// The right to make one connection, until it is dropped.
pub(crate) struct Place {
    gate: Gate,
    server: Server,
}

/// A place in a line, until it is dropped.
pub(super) struct Ticket {
    gate: Gate,
    server: Server,
    number: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Places {
            max_total: MAX_TOTAL,
            max_per_server: MAX_PER_SERVER,
            taken: 0,
            lines: HashMap::new(),
            moving: VecDeque::new(),
            tickets: 0,
        })))
    }
}

impl Gate {
    /// At most so many at once in total; at least one.
    pub(crate) fn set_max_total(&self, max: usize) {
        self.0.borrow_mut().max_total = max.max(1);
    }

    /// At most so many at once to one server; at least one.
    pub(crate) fn set_max_per_server(&self, max: usize) {
        self.0.borrow_mut().max_per_server = max.max(1);
    }

    /// Asks for a place at `server`, behind all who wait for one.
    pub(super) fn enter(&self, server: Server, app: AppId) -> Admission {
        let has_room = {
            let mut places = self.0.borrow_mut();
            places.total_has_room() && !places.can_call()
        };
        self.admit(has_room, server, app)
    }

    /// Asks for a place at `server` in exchange for one elsewhere, which counts in the total already.
    pub(super) fn exchange(&self, place: Place, server: Server, app: AppId) -> Admission {
        // Nothing can come between: the total has room for the place that is given back here.
        drop(place);
        self.admit(true, server, app)
    }

    fn admit(&self, total_has_room: bool, server: Server, app: AppId) -> Admission {
        let mut places = self.0.borrow_mut();
        let max = places.max_per_server;
        places.tickets += 1;
        let number = places.tickets;
        let line = places.lines.entry(server.clone()).or_default();
        if total_has_room && line.has_room(max) && line.waiting.is_empty() {
            line.taken += 1;
            places.taken += 1;
            return Admission::Granted(Place { gate: self.clone(), server });
        }
        line.waiting.insert(number, app);
        places.note_moving(&server);
        Admission::Waiting(Ticket { gate: self.clone(), server, number })
    }

    /// The next app whose turn has come, with its place.
    pub(crate) fn call(&self) -> Option<(AppId, Place)> {
        let mut places = self.0.borrow_mut();
        if !places.can_call() {
            return None;
        }
        let server = places.moving.pop_front()?;
        let line = places.lines.get_mut(&server)?;
        line.is_moving = false;
        let (_, app) = line.waiting.pop_first()?;
        line.taken += 1;
        places.taken += 1;
        places.note_moving(&server);
        Some((app, Place { gate: self.clone(), server }))
    }

    /// Whether [`call`](Self::call) would name an app.
    pub(crate) fn can_call(&self) -> bool {
        self.0.borrow_mut().can_call()
    }
}

impl Places {
    const fn total_has_room(&self) -> bool {
        self.taken < self.max_total
    }

    /// Whether the first of the moving lines can move.
    fn can_call(&mut self) -> bool {
        // The waiting ones of a line may have left since.
        while let Some(server) = self.moving.front() {
            let max = self.max_per_server;
            match self.lines.get_mut(server) {
                Some(line) if line.can_move(max) => break,
                Some(line) => line.is_moving = false,
                None => {}
            }
            self.moving.pop_front();
        }
        self.total_has_room() && !self.moving.is_empty()
    }

    /// Has the line of `server` move when it can, and forgets it when there is nothing in it.
    fn note_moving(&mut self, server: &Server) {
        let max = self.max_per_server;
        let Some(line) = self.lines.get_mut(server) else { return };
        if line.taken == 0 && line.waiting.is_empty() {
            self.lines.remove(server);
        } else if line.can_move(max) && !std::mem::replace(&mut line.is_moving, true) {
            self.moving.push_back(server.clone());
        }
    }
}

impl Line {
    const fn has_room(&self, max: usize) -> bool {
        self.taken < max
    }

    fn can_move(&self, max: usize) -> bool {
        self.has_room(max) && !self.waiting.is_empty()
    }
}

impl Place {
    /// Whether this is a place at `server`.
    pub(super) fn is_at(&self, server: &Server) -> bool {
        self.server == *server
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.gate.0.borrow_mut();
        places.taken -= 1;
        if let Some(line) = places.lines.get_mut(&self.server) {
            line.taken -= 1;
        }
        places.note_moving(&self.server);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut places = self.gate.0.borrow_mut();
        if let Some(line) = places.lines.get_mut(&self.server) {
            line.waiting.remove(&self.number);
        }
        places.note_moving(&self.server);
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

    fn gate(total: usize, per_server: usize) -> Gate {
        let gate = Gate::default();
        gate.set_max_total(total);
        gate.set_max_per_server(per_server);
        gate
    }

    fn place(admission: Admission) -> Place {
        match admission {
            Admission::Granted(place) => place,
            Admission::Waiting(_) => panic!("there is room"),
        }
    }

    fn ticket(admission: Admission) -> Ticket {
        match admission {
            Admission::Granted(_) => panic!("there is no room"),
            Admission::Waiting(ticket) => ticket,
        }
    }

    fn called(gate: &Gate) -> Option<(u32, Place)> {
        assert_eq!(gate.can_call(), gate.0.borrow_mut().can_call());
        gate.call().map(|(app, place)| (app.0.slot() as u32, place))
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
    fn nobody_overtakes_a_line_and_who_leaves_it_is_not_called() {
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
}
