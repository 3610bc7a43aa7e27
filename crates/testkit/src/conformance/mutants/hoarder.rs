//! What a dispatcher keeps of its sockets, with one fault: its own stream in a socket's place, a share, a duplicate.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};

use websocket_dispatcher::{Io, Key, Shared, Stream};

use super::Fault;

/// What one dispatcher keeps of all its sockets.
#[derive(Default)]
pub(super) struct Hoard {
    /// Of those that are read and written for it.
    shelves: Vec<Weak<RefCell<Shelf>>>,
    shares: Vec<Shared>,
    duplicates: BTreeMap<Key, OwnedFd>,
}

/// What waits for one socket, and a second descriptor for it.
struct Shelf {
    fault: Fault,
    socket: File,
    output: VecDeque<u8>,
    input: VecDeque<u8>,
}

struct Hoarder {
    io: Io,
    shelf: Rc<RefCell<Shelf>>,
}

impl Hoard {
    /// Takes the socket over, where the fault is one of those that take it.
    pub(super) fn drive(&mut self, fault: Fault, io: &mut Io) {
        let takes_over = matches!(
            fault,
            Fault::LosesOutputAtTheEnd
                | Fault::KeepsOutput
                | Fault::KeepsOutputUntilItWaits
                | Fault::OvertakesOutput
                | Fault::TakesOutputWithoutEnd
                | Fault::ReadsAhead
                | Fault::ReadsOnlyWhenItWaits
        );
        if !takes_over {
            return;
        }
        io.drive(|io| {
            let fd = io.fd().and_then(|fd| fd.try_clone_to_owned().ok()).expect("a descriptor");
            let shelf = Shelf { fault, socket: fd.into(), output: VecDeque::new(), input: VecDeque::new() };
            let shelf = Rc::new(RefCell::new(shelf));
            self.shelves.push(Rc::downgrade(&shelf));
            Hoarder { io, shelf }
        });
    }

    /// Keeps something of a socket that was registered, where the fault is one of those that do.
    pub(super) fn keep(&mut self, fault: Fault, key: Key, io: &mut Io) {
        match fault {
            Fault::KeepsItsShare => self.shares.extend(io.share().ok()),
            Fault::WatchesADuplicate => {
                let duplicate = io.fd().and_then(|fd| fd.try_clone_to_owned().ok());
                self.duplicates.extend(duplicate.map(|duplicate| (key, duplicate)));
            }
            _ => {}
        }
    }

    /// A socket is deregistered.
    pub(super) fn forget(&mut self, key: Key) {
        self.duplicates.remove(&key);
    }

    /// The loop waits.
    pub(super) fn exchange(&mut self) {
        for shelf in self.shelves.iter().filter_map(Weak::upgrade) {
            let shelf = &mut *shelf.borrow_mut();
            if shelf.fault != Fault::KeepsOutput {
                shelf.hand_over();
            }
            let mut buffer = [0; 1 << 16];
            while matches!(shelf.fault, Fault::ReadsAhead | Fault::ReadsOnlyWhenItWaits)
                && let Ok(len @ 1..) = shelf.socket.read(&mut buffer)
            {
                shelf.input.extend(&buffer[..len]);
                if shelf.fault == Fault::ReadsOnlyWhenItWaits {
                    break;
                }
            }
        }
    }
}

impl Shelf {
    fn hand_over(&mut self) {
        while !self.output.is_empty() {
            match self.socket.write(self.output.make_contiguous()) {
                Ok(len) => drop(self.output.drain(..len)),
                Err(_) => break,
            }
        }
    }
}

impl Read for Hoarder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let shelf = &mut *self.shelf.borrow_mut();
        match shelf.input.read(buffer)? {
            0 if shelf.fault == Fault::ReadsOnlyWhenItWaits => Err(io::ErrorKind::WouldBlock.into()),
            0 => self.io.read(buffer),
            len => Ok(len),
        }
    }
}

impl Write for Hoarder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shelf = &mut *self.shelf.borrow_mut();
        let bound = match shelf.fault {
            Fault::TakesOutputWithoutEnd => usize::MAX,
            Fault::ReadsAhead | Fault::ReadsOnlyWhenItWaits => 0,
            _ => 1 << 10,
        };
        if shelf.fault == Fault::KeepsOutput {
            shelf.hand_over();
        }
        if shelf.output.len() + bytes.len() <= bound {
            shelf.output.extend(bytes);
            return Ok(bytes.len());
        }
        if shelf.fault != Fault::OvertakesOutput {
            shelf.hand_over();
        }
        if shelf.output.is_empty() || shelf.fault == Fault::OvertakesOutput {
            return self.io.write(bytes);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Hoarder {
    fn connected(&mut self) -> io::Result<bool> {
        self.io.connected()
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.io)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.io)
    }
}

impl Drop for Hoarder {
    fn drop(&mut self) {
        let shelf = &mut *self.shelf.borrow_mut();
        if shelf.fault != Fault::LosesOutputAtTheEnd {
            shelf.hand_over();
        }
    }
}
