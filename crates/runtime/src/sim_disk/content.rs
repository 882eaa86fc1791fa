//! What a simulated file holds: pages that are copied when they are written, so that a sync costs what was written since the last
//! one, and what of them a power cut leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes of a page: what a sync shares instead of copying.
const PAGE: usize = 4096;
/// Bytes that a disk writes as a whole, or tears once.
const SECTOR: usize = 512;

type Page = Arc<[u8; PAGE]>;

/// Bytes in pages; what a page has beyond the length is zero.
#[derive(Clone, Default)]
struct Pages {
    pages: Vec<Page>,
    len: usize,
}

impl Pages {
    fn resize(&mut self, len: usize) {
        self.pages.resize_with(len.div_ceil(PAGE), || Arc::new([0; PAGE]));
        if len < self.len
            && !len.is_multiple_of(PAGE)
            && let Some(last) = self.pages.last_mut()
        {
            Arc::make_mut(last)[len % PAGE..].fill(0);
        }
        self.len = len;
    }

    /// The pieces of `from..to` by page: its number, and the bytes of it.
    fn pieces(from: usize, to: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let last = to.div_ceil(PAGE);
        (from / PAGE..last).map(move |page| {
            let start = page * PAGE;
            (page, from.max(start) - start..to.min(start + PAGE) - start)
        })
    }

    /// Overwrites what is there already.
    fn write(&mut self, position: usize, bytes: &[u8]) {
        let mut rest = bytes;
        for (page, within) in Self::pieces(position, position + bytes.len()) {
            let (now, later) = rest.split_at(within.len());
            Arc::make_mut(&mut self.pages[page])[within].copy_from_slice(now);
            rest = later;
        }
    }

    fn read(&self, from: usize, to: usize) -> Vec<u8> {
        let (from, to) = (from.min(self.len), to.min(self.len));
        let mut out = Vec::with_capacity(to.saturating_sub(from));
        if from < to {
            Self::pieces(from, to).for_each(|(page, within)| out.extend_from_slice(&self.pages[page][within]));
        }
        out
    }
}

/// What a file holds, and what of it a power cut can't take.
#[derive(Default)]
pub(super) struct Content {
    live: Pages,
    synced: Pages,
    /// Pages that differ, or may.
    dirty: BTreeSet<usize>,
    /// The shortest the file was since the last sync: bytes from here on are not those that were synced.
    shortest: usize,
}

impl Content {
    pub(super) const fn len(&self) -> usize {
        self.live.len
    }

    pub(super) fn read(&self, from: usize, to: usize) -> Vec<u8> {
        self.live.read(from, to)
    }

    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        let end = position + bytes.len();
        if end > self.live.len {
            self.dirty.extend(self.live.len / PAGE..end.div_ceil(PAGE));
            self.live.resize(end);
        }
        self.dirty.extend(position / PAGE..end.div_ceil(PAGE));
        self.live.write(position, bytes);
    }

    pub(super) fn resize(&mut self, len: usize) {
        let (low, high) = (len.min(self.live.len), len.max(self.live.len));
        self.dirty.extend(low / PAGE..high.div_ceil(PAGE));
        self.live.resize(len);
        self.shortest = self.shortest.min(len);
    }

    pub(super) fn sync(&mut self) {
        self.synced.resize(self.live.len);
        for page in std::mem::take(&mut self.dirty) {
            if let (Some(to), Some(from)) = (self.synced.pages.get_mut(page), self.live.pages.get(page)) {
                to.clone_from(from);
            }
        }
        self.shortest = self.live.len;
    }

    /// Flips bits as a failing disk does: of what is there now and of what was synced. Returns whether there was such a byte.
    pub(super) fn flip(&mut self, position: usize, mask: u8) -> bool {
        for pages in [&mut self.live, &mut self.synced] {
            if position < pages.len {
                Arc::make_mut(&mut pages.pages[position / PAGE])[position % PAGE] ^= mask;
            }
        }
        position < self.live.len
    }

    /// What a power cut leaves; `draw(n)` picks from `0..=n`. Nothing that was not synced, all of it, the first part of it, or some of
    /// its sectors; in the last two, one sector may be torn.
    pub(super) fn after_crash(&self, draw: &mut impl FnMut(u64) -> u64) -> Self {
        let survivor = if self.dirty.is_empty() && self.live.len == self.synced.len {
            self.synced.clone()
        } else {
            match draw(3) {
                0 => self.synced.clone(),
                1 => self.live.clone(),
                2 => self.first_part(draw),
                _ => self.some_sectors(draw),
            }
        };
        Self { live: survivor.clone(), shortest: survivor.len, synced: survivor, dirty: BTreeSet::new() }
    }

    /// The file grew in order, up to somewhere; what was written last may be torn.
    fn first_part(&self, draw: &mut impl FnMut(u64) -> u64) -> Pages {
        let certain = self.synced.len.min(self.shortest);
        let mut pages = self.live.clone();
        let kept = pick(draw, self.live.len - certain);
        pages.resize(certain + kept);
        if kept > 0 && draw(1) == 1 {
            let torn = pick(draw, kept.min(SECTOR));
            let from = pages.len - torn;
            pages.write(from, &vec![0; torn]);
        }
        pages
    }

    /// The file has its new length, and each sector written since the last sync is new or as it was; one is half of both.
    fn some_sectors(&self, draw: &mut impl FnMut(u64) -> u64) -> Pages {
        let mut old = self.synced.clone();
        // What was cut off does not come back once the file is longer again.
        old.resize(old.len.min(self.shortest));
        old.resize(self.live.len);
        let mut torn = draw(1) == 1;
        for (page, sector) in self.dirty.iter().flat_map(|page| (0..PAGE / SECTOR).map(move |sector| (page, sector))) {
            let from = page * PAGE + sector * SECTOR;
            let to = (from + SECTOR).min(self.live.len);
            if from >= to || draw(1) == 0 {
                continue;
            }
            let end = if torn { from + pick(draw, to - from) } else { to };
            torn = false;
            old.write(from, &self.live.read(from, end));
        }
        old
    }
}

/// A number from `0..=most`.
fn pick(draw: &mut impl FnMut(u64) -> u64, most: usize) -> usize {
    usize::try_from(draw(most as u64)).unwrap_or(0).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, SeededRandom};

    fn all(content: &Content) -> Vec<u8> {
        content.read(0, content.len())
    }

    #[test]
    fn it_holds_what_a_vector_would() {
        let random = SeededRandom::new(5);
        let below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
        let (mut content, mut model, mut synced) = (Content::default(), Vec::new(), Vec::new());
        for step in 0..2_000_usize {
            let bytes = vec![u8::try_from(step % 251).unwrap(); below(3 * PAGE / 2)];
            match below(6) {
                0 => {
                    let len = below(model.len() + 1);
                    model.truncate(len);
                    content.resize(len);
                }
                1 => {
                    content.sync();
                    synced.clone_from(&model);
                }
                2 => {
                    let at = below(model.len() + 1);
                    model.resize(model.len().max(at + bytes.len()), 0);
                    model[at..at + bytes.len()].copy_from_slice(&bytes);
                    content.write(at, &bytes);
                }
                3 => content.resize(model.len()),
                _ => {
                    content.write(model.len(), &bytes);
                    model.extend_from_slice(&bytes);
                }
            }
            assert_eq!(all(&content), model, "step {step}");
            assert_eq!(content.synced.read(0, usize::MAX), synced, "step {step}");
        }
    }

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_tears_only_what_was_not() {
        let random = SeededRandom::new(9);
        let mut shapes = BTreeSet::new();
        for _ in 0..500 {
            let mut content = Content::default();
            content.write(0, &[1; 5_000]);
            content.sync();
            content.write(5_000, &[2; 3_000]);
            let left = content.after_crash(&mut |most| random.below(most + 1));
            let left = all(&left);
            assert_eq!(left[..5_000], [1; 5_000], "what was synced");
            assert!(left[5_000..].iter().all(|byte| [0, 2].contains(byte)), "what was written, or nothing");
            let new = &left[5_000..];
            let first_gap = new.iter().position(|byte| *byte == 0).unwrap_or(new.len());
            shapes.insert((new.is_empty(), first_gap == 3_000, new[first_gap..].contains(&2)));
        }
        for shape in [(true, false, false), (false, true, false), (false, false, true), (false, false, false)] {
            assert!(shapes.contains(&shape), "never seen: {shape:?}");
        }
    }

    #[test]
    fn what_was_cut_off_is_back_or_gone_after_a_power_cut() {
        let random = SeededRandom::new(3);
        let mut lens = BTreeSet::new();
        for _ in 0..100 {
            let mut content = Content::default();
            content.write(0, &[1; 2_000]);
            content.sync();
            content.resize(700);
            let left = content.after_crash(&mut |most| random.below(most + 1));
            assert!(all(&left).iter().all(|byte| *byte == 1));
            lens.insert(left.len());
        }
        assert_eq!(lens, BTreeSet::from([700, 2_000]));
    }
}
