//! A table that names what it holds: a slot and a generation, so that an old name never finds a new entry.

use slab::Slab;
use websocket_dispatcher::Key;

/// Values under keys that the table itself gives out.
pub(crate) struct Table<T> {
    slots: Slab<(u32, T)>,
    generation: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), generation: 0 }
    }
}

impl<T> Table<T> {
    /// Adds a value under a new key.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        self.generation = self.generation.wrapping_add(1);
        let slot = self.slots.insert((self.generation, value));
        Key::new(u32::try_from(slot).unwrap_or(u32::MAX), self.generation)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.slot()).filter(|entry| entry.0 == key.generation()).map(|entry| &entry.1)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.slot()).filter(|entry| entry.0 == key.generation()).map(|entry| &mut entry.1)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.slots.try_remove(key.slot()).map(|entry| entry.1)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        self.slots.iter().map(|(slot, entry)| Key::new(u32::try_from(slot).unwrap_or(u32::MAX), entry.0))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_under_another_name() {
        let mut table = Table::default();
        let (old, other) = (table.insert("old"), table.insert("other"));
        assert_eq!((table.remove(old), table.remove(old), table.len()), (Some("old"), None, 1));
        let new = table.insert("new");
        assert_eq!(new.slot(), old.slot());
        assert_eq!((table.get(old), table.get(new)), (None, Some(&"new")));
        assert_eq!(table.get_mut(old), None);
        *table.get_mut(other).unwrap() = "changed";
        assert_eq!(table.keys().collect::<Vec<_>>(), [new, other]);
        assert_eq!(table.get(other), Some(&"changed"));
    }
}
