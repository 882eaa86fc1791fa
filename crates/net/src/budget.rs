//! The memory that large frames of all connections may take together (`queued.max.request.bytes`).
//!
//! A frame is charged when some of it is here, a mebibyte at most, and the rest as it grows. A peer that sends the first bytes of a frame and
//! falls silent could have a mebibyte for little; so the half of the budget that is given out last is given in small pieces, as bytes come,
//! and a frame that does not go on is let go (`idle`). Where the budget is used up, frames wait for room in the order in which they asked,
//! and their connections are not read from meanwhile. Frames that fit the buffer that a connection reads into anyway are not charged: they
//! go on past those that wait.
//!
//! Most frames are charged once. One that has to grow beyond its first charge (a giant) could wait for another that waits for it: the
//! oldest giant is therefore given what it asks for though there is no room. So what is used is at most the budget and one frame.
//!
//! While nobody waits, a charge is one atomic operation, and giving it back another.

use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst};
use tokio::sync::oneshot;

/// The budget of all listeners of a node.
#[derive(Debug)]
pub struct Budget {
    max: i64,
    /// Bytes left; fewer than none where the oldest giant needed more.
    left: AtomicI64,
    /// Frames in the queue, and those about to enter it: where there is one, nobody takes room past it.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next_giant: u64,
    /// Those that have some of their bytes, the oldest first.
    giants: BTreeSet<u64>,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    giant: Option<u64>,
    bytes: i64,
    granted: oneshot::Sender<i64>,
}

/// What one frame was charged. Dropped, it gives that back.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: i64,
    is_giant: bool,
    /// Its number among them, from its first bytes on.
    giant: Option<u64>,
    /// Kept here, so that a frame that goes while it waits gives back what it was granted at that moment.
    wait: Option<oneshot::Receiver<i64>>,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        let max = i64::try_from(bytes).unwrap_or(i64::MAX);
        Arc::new(Self { max, left: AtomicI64::new(max), waiting: AtomicUsize::new(0), queue: Mutex::default() })
    }

    /// Bytes that frames have now.
    #[must_use]
    pub fn used(&self) -> u64 {
        u64::try_from(self.max - self.left.load(SeqCst)).unwrap_or(0)
    }

    /// Whether more than half of it is left.
    pub(crate) fn has_plenty(&self) -> bool {
        self.left.load(SeqCst) > self.max / 2
    }

    /// So many bytes, if there are plenty and nobody waits for some.
    pub(crate) fn spare(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let signed = i64::try_from(bytes).unwrap_or(i64::MAX);
        if !self.has_plenty() || self.waiting.load(SeqCst) > 0 || !self.take(signed) {
            return None;
        }
        let mut charge = self.begin(false);
        charge.bytes = signed;
        Some(charge)
    }

    /// A frame begins that is charged once, or step by step where it is a giant.
    pub(crate) fn begin(self: &Arc<Self>, is_giant: bool) -> Charge {
        Charge { budget: self.clone(), bytes: 0, is_giant, giant: None, wait: None }
    }

    /// A giant has its first bytes. Until then it waits like any other: there is nothing that others could wait for.
    fn enter(&self) -> u64 {
        let mut queue = self.queue.lock();
        queue.next_giant += 1;
        let number = queue.next_giant;
        queue.giants.insert(number);
        number
    }

    /// Takes so many bytes if they are left. Where nothing is used, anything fits.
    fn take(&self, bytes: i64) -> bool {
        let taken = |left| (bytes <= left || left == self.max).then(|| left - bytes);
        self.left.fetch_update(SeqCst, SeqCst, taken).is_ok()
    }

    /// Takes so many bytes, or a place in the queue for them.
    fn take_or_wait(&self, bytes: i64, giant: Option<u64>) -> Option<oneshot::Receiver<i64>> {
        if self.waiting.load(SeqCst) == 0 && self.take(bytes) {
            return None;
        }
        let mut queue = self.queue.lock();
        // Counted before it looks once more: who gives back after that look sees it, and grants.
        self.waiting.fetch_add(1, SeqCst);
        let is_oldest = giant.is_some() && giant == queue.giants.first().copied();
        if is_oldest {
            self.left.fetch_sub(bytes, SeqCst);
        }
        if is_oldest || (queue.waiting.is_empty() && self.take(bytes)) {
            self.waiting.fetch_sub(1, SeqCst);
            return None;
        }
        let (granted, wait) = oneshot::channel();
        queue.waiting.push_back(Waiting { giant, bytes, granted });
        Some(wait)
    }

    /// Gives room to those who wait: to the oldest giant in any case, then to the others in their order, as long as it lasts.
    fn grant(&self, queue: &mut Queue) {
        let oldest = queue.giants.first().copied();
        let at = oldest.and_then(|_| queue.waiting.iter().position(|one| one.giant == oldest));
        if let Some(giant) = at.and_then(|at| queue.waiting.remove(at)) {
            self.left.fetch_sub(giant.bytes, SeqCst);
            self.give(giant);
        }
        while let Some(first) = queue.waiting.front()
            && self.take(first.bytes)
            && let Some(first) = queue.waiting.pop_front()
        {
            self.give(first);
        }
    }

    fn give(&self, to: Waiting) {
        self.waiting.fetch_sub(1, SeqCst);
        if let Err(bytes) = to.granted.send(to.bytes) {
            // It went in this moment, and did not get it.
            self.left.fetch_add(bytes, SeqCst);
        }
    }
}

impl Charge {
    /// Takes so many bytes more, as soon as there is room for them. Returns whether it had to wait. When it is dropped before, the frame
    /// has to be dropped too.
    pub async fn grow(&mut self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.wait = self.budget.take_or_wait(bytes, self.giant);
        let waited = match &mut self.wait {
            None => false,
            Some(wait) => {
                // Nobody lets go of the other end: it stays in the queue until it grants, or until this charge is dropped.
                let _ = wait.await;
                true
            }
        };
        self.wait = None;
        self.bytes += bytes;
        if self.is_giant && self.giant.is_none() {
            self.giant = Some(self.budget.enter());
        }
        waited
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(mut wait) = self.wait.take() {
            wait.close();
            self.bytes += wait.try_recv().unwrap_or(0);
        }
        self.budget.left.fetch_add(self.bytes, SeqCst);
        if self.giant.is_none() && self.budget.waiting.load(SeqCst) == 0 {
            return;
        }
        let mut queue = self.budget.queue.lock();
        if let Some(giant) = self.giant {
            queue.giants.remove(&giant);
        }
        let before = queue.waiting.len();
        queue.waiting.retain(|one| !one.granted.is_closed());
        self.budget.waiting.fetch_sub(before - queue.waiting.len(), SeqCst);
        self.budget.grant(&mut queue);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::future::Future;
    use std::pin::Pin;

    type Growth<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

    fn grow(charge: &mut Charge, bytes: usize) -> Growth<'_> {
        Box::pin(charge.grow(bytes))
    }

    fn is_there(growth: &mut Growth<'_>) -> bool {
        growth.as_mut().now_or_never().is_some()
    }

    /// A frame that has so many bytes.
    fn has(budget: &Arc<Budget>, is_giant: bool, bytes: usize) -> Charge {
        let mut charge = budget.begin(is_giant);
        assert_eq!(charge.grow(bytes).now_or_never(), Some(false), "{bytes} of {budget:?}");
        charge
    }

    fn is_at_rest(budget: &Budget) {
        let queue = budget.queue.lock();
        assert!(queue.waiting.is_empty() && queue.giants.is_empty(), "{queue:?}");
        assert_eq!((budget.used(), budget.waiting.load(SeqCst)), (0, 0));
    }

    #[test]
    fn frames_wait_for_room_in_their_order() {
        let budget = Budget::new(100);
        let (first, second) = (has(&budget, false, 60), has(&budget, false, 30));
        let [mut third, mut fourth] = [budget.begin(false), budget.begin(false)];
        let mut waits = grow(&mut third, 20);
        assert!(!is_there(&mut waits), "10 are left");
        let mut behind = grow(&mut fourth, 5);
        assert!(!is_there(&mut behind), "though 10 are left: another was there first");
        drop(second);
        assert!(is_there(&mut waits) && is_there(&mut behind));
        drop((waits, behind));
        assert_eq!(budget.used(), 85);
        drop((first, third, fourth));
        is_at_rest(&budget);
    }

    #[test]
    fn the_oldest_giant_never_waits_and_the_others_wait_for_it() {
        let budget = Budget::new(100);
        let (mut first, mut second) = (has(&budget, true, 50), has(&budget, true, 50));
        assert!(is_there(&mut grow(&mut first, 1_000)), "somebody has to go on");
        let mut next = grow(&mut second, 60);
        assert!(!is_there(&mut next));
        let mut small = budget.begin(false);
        let mut last = grow(&mut small, 1);
        assert!(!is_there(&mut last));
        drop(first);
        assert!(is_there(&mut next), "it is the oldest now");
        assert!(!is_there(&mut last), "110 of 100 are used");
        drop(next);
        drop(second);
        assert!(is_there(&mut last));
        drop(last);
        assert_eq!(budget.used(), 1);
        drop(small);
        is_at_rest(&budget);
    }

    #[test]
    fn a_giant_waits_for_its_first_bytes_like_any_other() {
        let budget = Budget::new(100);
        let first = has(&budget, false, 100);
        let [mut giant, mut second] = [budget.begin(true), budget.begin(true)];
        let mut waits = grow(&mut giant, 60);
        let mut behind = grow(&mut second, 60);
        assert!(!is_there(&mut waits) && !is_there(&mut behind));
        drop(first);
        assert!(is_there(&mut waits));
        drop(waits);
        assert!(!is_there(&mut behind), "40 are left");
        assert!(is_there(&mut grow(&mut giant, 60)), "it goes on, so that it ends");
        drop(giant);
        assert!(is_there(&mut behind));
        drop(behind);
        drop(second);
        is_at_rest(&budget);
    }

    #[test]
    fn a_frame_larger_than_the_budget_waits_until_it_is_alone() {
        let budget = Budget::new(10);
        let small = has(&budget, false, 1);
        let mut large = budget.begin(false);
        let mut waits = grow(&mut large, 50);
        assert!(!is_there(&mut waits));
        drop(small);
        assert!(is_there(&mut waits));
        drop(waits);
        drop(large);
        is_at_rest(&budget);
    }

    #[test]
    fn who_goes_while_it_waits_leaves_nothing_behind() {
        let budget = Budget::new(10);
        let first = has(&budget, false, 10);
        let [mut second, mut third, mut fourth] = [(); 3].map(|()| budget.begin(false));
        assert!(!is_there(&mut grow(&mut second, 5)));
        let mut waits = grow(&mut third, 10);
        assert!(!is_there(&mut waits));
        drop(second);
        drop(first);
        assert!(is_there(&mut waits));
        let mut granted_and_gone = grow(&mut fourth, 10);
        assert!(!is_there(&mut granted_and_gone));
        drop(waits);
        drop(third);
        // It was granted just now, and goes without having looked.
        drop(granted_and_gone);
        drop(fourth);
        is_at_rest(&budget);
    }

    #[test]
    fn the_first_of_the_queue_that_goes_lets_those_behind_it_in() {
        let budget = Budget::new(10);
        let _has = has(&budget, false, 5);
        let [mut first, mut second] = [(); 2].map(|()| budget.begin(false));
        assert!(!is_there(&mut grow(&mut first, 10)));
        let mut behind = grow(&mut second, 5);
        assert!(!is_there(&mut behind));
        drop(first);
        assert!(is_there(&mut behind));
    }

    /// Frames of one thread, some of which give up while they wait.
    #[tokio::main(flavor = "current_thread")]
    async fn frames(budget: &Arc<Budget>, seeds: std::ops::Range<usize>) {
        let frames = seeds.map(|seed| async move {
            let is_giant = seed % 3 == 0;
            let mut charge = budget.begin(is_giant);
            for step in 0..if is_giant { 5 } else { 1 } {
                let growth = charge.grow(seed * 37 % (400 + step * 300));
                if seed % 7 != 0 {
                    growth.await;
                } else if growth.now_or_never().is_none() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let all = futures::future::join_all(frames);
        tokio::time::timeout(std::time::Duration::from_secs(20), all).await.unwrap();
    }

    #[test]
    fn nobody_waits_for_ever_whatever_frames_want_and_wherever_they_stop() {
        let budget = Budget::new(1_000);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let budget = &budget;
                scope.spawn(move || frames(budget, thread * 200..(thread + 1) * 200));
            }
        });
        is_at_rest(&budget);
    }
}
