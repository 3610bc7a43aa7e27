//! Identity of a registered stream.

use std::io;

/// Names one registered stream: a slot number and the generation of that slot.
///
/// The reactor makes keys; a dispatcher only stores them and hands them back in [`Ready`](crate::Ready).
/// A slot is used again after its stream is gone, but with another generation, so a late event for a
/// dead stream never reaches its successor. A file descriptor must never serve as identity: the kernel
/// gives a closed number to the next socket, often within the same batch of events.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key(u64);

impl Key {
    /// Makes the key for `slot` in its `generation`.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | slot as u64)
    }

    /// The slot: small and dense, fit to index a table.
    pub const fn slot(self) -> usize {
        (self.0 & u32::MAX as u64) as usize
    }

    /// The generation of the slot.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The key as one word, for hosts that carry a `u64` beside each registration.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The key that [`as_u64`](Self::as_u64) gave.
    pub const fn from_u64(word: u64) -> Self {
        Self(word)
    }
}

/// A table from live keys to whatever a dispatcher keeps for each, with the errors of the contract.
///
/// Lookups index a vector by the key's slot and compare the generation, so a stale key finds nothing.
#[derive(Debug)]
pub struct KeyTable<T> {
    slots: Vec<Option<(Key, T)>>,
}

impl<T> Default for KeyTable<T> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<T> KeyTable<T> {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails with `AlreadyExists` if `key`'s slot is taken; call it before telling the loop.
    ///
    /// # Errors
    /// `AlreadyExists`, naming the key.
    pub fn vacant(&self, key: Key) -> io::Result<()> {
        match self.slots.get(key.slot()) {
            Some(Some((live, _))) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{key:?} cannot be registered: its slot is held by {live:?}; deregister that first"),
            )),
            _ => Ok(()),
        }
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// `AlreadyExists` if the slot is taken, as [`vacant`](Self::vacant).
    pub fn insert(&mut self, key: Key, value: T) -> io::Result<()> {
        self.vacant(key)?;
        if self.slots.len() <= key.slot() {
            self.slots.resize_with(key.slot() + 1, || None);
        }
        self.slots[key.slot()] = Some((key, value));
        Ok(())
    }

    /// The value under `key`.
    ///
    /// # Errors
    /// `NotFound` for a key that is not, or no longer, registered.
    pub fn get_mut(&mut self, key: Key) -> io::Result<&mut T> {
        self.find_mut(key).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("{key:?} is not registered (stale, or never was)"),
            )
        })
    }

    /// The value under `key`; `None` for a stale key.
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.slots.get(key.slot()) {
            Some(Some((live, value))) if *live == key => Some(value),
            _ => None,
        }
    }

    /// The value under `key`, to be changed; `None` for a stale key.
    pub fn find_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.slots.get_mut(key.slot()) {
            Some(Some((live, value))) if *live == key => Some(value),
            _ => None,
        }
    }

    /// Takes the value under `key` out; `None` for a stale key.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.slot())?;
        slot.take_if(|(live, _)| *live == key).map(|(_, value)| value)
    }

    /// The live key in `slot`, if any.
    pub fn key_in(&self, slot: usize) -> Option<Key> {
        self.slots.get(slot)?.as_ref().map(|(key, _)| *key)
    }

    /// The live key in `slot`, if any, with its value, to be changed.
    pub fn in_slot_mut(&mut self, slot: usize) -> Option<(Key, &mut T)> {
        self.slots.get_mut(slot)?.as_mut().map(|(key, value)| (*key, value))
    }

    /// All live keys with their values, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> + Clone {
        self.slots.iter().flatten().map(|(key, value)| (*key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_after_its_slot_was_reused() {
        let (old, new) = (Key::new(3, 1), Key::new(3, 2));
        let mut table = KeyTable::new();
        table.insert(old, "old").unwrap();
        assert_eq!(table.insert(new, "new").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(table.remove(old), Some("old"));
        table.insert(new, "new").unwrap();
        assert_eq!(table.get_mut(old).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(table.remove(old), None);
        assert_eq!(table.get_mut(new).unwrap(), &mut "new");
        assert_eq!(table.key_in(3), Some(new));
        assert_eq!(table.in_slot_mut(3), Some((new, &mut "new")));
        assert_eq!(table.iter().count(), 1);
    }

    #[test]
    fn a_key_survives_the_trip_through_one_word() {
        let key = Key::new(u32::MAX, 7);
        assert_eq!(Key::from_u64(key.as_u64()), key);
        assert_eq!((key.slot(), key.generation()), (u32::MAX as usize, 7));
    }
}
