//! The last offset of each key, in a bounded piece of memory: 16 bytes of the key's SHA-256 and the offset, found by open addressing.

use millstream_types::Offset;
use sha2::{Digest, Sha256};

type Hash = [u64; 2];

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: Hash,
    /// The offset and one; 0 where the slot is free.
    offset: u64,
}

/// Bytes that one key takes.
const SLOT_BYTES: usize = size_of::<Slot>();

/// Keys and their last offsets.
pub(crate) struct KeyMap {
    slots: Vec<Slot>,
    used: usize,
    used_max: usize,
    /// How many keys the whole budget has room for.
    budget: usize,
    /// Every record below is in the map.
    mapped_to: Offset,
}

impl KeyMap {
    /// A map in at most `bytes` of memory, filled to `load` (a share of 1) at most, of which no more is taken than `keys_max` need. The records
    /// that are looked for begin at `from`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
    pub fn new(bytes: usize, load: f64, keys_max: u64, from: Offset) -> Self {
        let load = load.clamp(0.1, 1.0);
        let room = (bytes / SLOT_BYTES).max(2);
        let wanted = ((keys_max as f64 / load).ceil() as usize).saturating_add(1);
        let slots = room.min(wanted).max(2);
        let share = |slots: usize| ((slots as f64 * load) as usize).clamp(1, slots - 1);
        Self {
            slots: vec![Slot::default(); slots],
            used: 0,
            used_max: share(slots),
            budget: share(room),
            mapped_to: from,
        }
    }

    /// Notes the key of a record. False when there is no room for another key: then nothing is noted.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = hash(key);
        let place = self.find(hash);
        let slot = &mut self.slots[place];
        if slot.offset == 0 {
            if self.used == self.used_max {
                return false;
            }
            self.used += 1;
            slot.hash = hash;
        }
        slot.offset = u64::try_from(offset.0).unwrap_or(0) + 1;
        true
    }

    /// The last offset of a key.
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots[self.find(hash(key))];
        slot.offset.checked_sub(1).map(|offset| Offset(i64::try_from(offset).unwrap_or(i64::MAX)))
    }

    /// Every record below is in the map; what is later stays as it is.
    pub const fn mapped_to(&self) -> Offset {
        self.mapped_to
    }

    /// Every record below `offset` is in the map.
    pub fn map_to(&mut self, offset: Offset) {
        self.mapped_to = self.mapped_to.max(offset);
    }

    /// How much of the budget was used, as a share of 1.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn utilization(&self) -> f64 {
        self.used as f64 / self.budget as f64
    }

    /// The slot of the hash, or the free one it would get. There is always a free one.
    fn find(&self, hash: Hash) -> usize {
        let mut place = usize::try_from(hash[0] % self.slots.len() as u64).unwrap_or(0);
        loop {
            let slot = &self.slots[place];
            if slot.offset == 0 || slot.hash == hash {
                return place;
            }
            place = (place + 1) % self.slots.len();
        }
    }
}

fn hash(key: &[u8]) -> Hash {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let word = |at: usize| u64::from_le_bytes(digest[at..at + 8].try_into().unwrap_or_default());
    [word(0), word(8)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_last_offset_of_every_key_is_found() {
        let mut map = KeyMap::new(1 << 20, 0.9, 5000, Offset::ZERO);
        let mut wanted = BTreeMap::new();
        for offset in 0..5000i64 {
            let key = (offset * 7919 % 1801).to_string();
            assert!(map.put(key.as_bytes(), Offset(offset)));
            wanted.insert(key, offset);
        }
        for (key, offset) in &wanted {
            assert_eq!(map.get(key.as_bytes()), Some(Offset(*offset)));
        }
        assert_eq!(map.get(b"another"), None);
        assert_eq!(map.get(b""), None);
        assert!(map.put(b"", Offset(0)));
        assert_eq!(map.get(b""), Some(Offset(0)), "offset 0 of an empty key is one like any other");
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        let mut map = KeyMap::new(10 * SLOT_BYTES, 0.5, 1_000_000, Offset::ZERO);
        for key in 0..5u8 {
            assert!(map.put(&[key], Offset(i64::from(key))));
        }
        assert!(!map.put(b"sixth", Offset(5)));
        assert!(map.put(&[3], Offset(6)));
        assert_eq!((map.get(&[3]), map.get(b"sixth")), (Some(Offset(6)), None));
        assert!((map.utilization() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn memory_is_bounded_by_what_there_is_to_map() {
        assert!(KeyMap::new(128 << 20, 0.9, 100, Offset::ZERO).slots.len() <= 113);
        assert_eq!(KeyMap::new(1 << 20, 0.9, u64::MAX, Offset::ZERO).slots.len(), (1 << 20) / SLOT_BYTES);
        let mut smallest = KeyMap::new(0, 0.9, 0, Offset::ZERO);
        assert!(smallest.put(b"a", Offset(1)) && !smallest.put(b"b", Offset(2)));
        assert_eq!(smallest.get(b"b"), None);
    }
}
