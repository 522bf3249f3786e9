//! Threads that share the stages of one evaluation: Rayon's.
//!
//! The caller is one of them. It begins while the others wake up, and looks for their end before it sleeps: what a stage takes
//! to hand on is then below 1 µs, where it was 20 to 30 µs an evaluation on a thread of the pool (`benches/README.md`).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Looks for the others' end before the caller sleeps: some 50 µs.
const SPINS: u32 = 2000;

/// How many threads an evaluation takes.
#[derive(Clone, Copy, Debug)]
pub struct Team {
    threads: usize,
}

impl Default for Team {
    /// The caller alone.
    fn default() -> Self {
        Self { threads: 1 }
    }
}

impl Team {
    /// The caller, and threads of Rayon's pool.
    pub fn new(threads: usize) -> Self {
        Self { threads }
    }

    /// Does `work` with every item, which the threads take one by one: the first from the front, the others from the back,
    /// so that each finds what it did in the last stage in its cache.
    pub fn each<I: Send>(
        self,
        items: impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Send,
        work: impl Fn(usize, I) + Sync,
    ) {
        let threads = self.threads.min(items.len());
        let items = items.enumerate();
        if threads < 2 {
            return items.for_each(|(index, item)| work(index, item));
        }
        let items = Mutex::new(items);
        share(threads, &|first| {
            loop {
                let mut left = items.lock().unwrap_or_else(PoisonError::into_inner);
                let item = if first { left.next() } else { left.next_back() };
                drop(left);
                match item {
                    Some((index, item)) => work(index, item),
                    None => return,
                }
            }
        });
    }
}

/// `take` on so many threads, of which the caller is the first, and is told that it is.
fn share(threads: usize, take: &(impl Fn(bool) + Sync)) {
    let busy = AtomicUsize::new(threads - 1);
    rayon::in_place_scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|_| {
                take(false);
                busy.fetch_sub(1, Ordering::Release);
            });
        }
        take(true);
        // Others end at about the same time: to sleep until then takes longer. A thread of the pool has more to do than
        // to wait: it may be the one that takes what was spawned.
        if rayon::current_thread_index().is_none() {
            for _ in 0..SPINS {
                if busy.load(Ordering::Acquire) == 0 {
                    break;
                }
                core::hint::spin_loop();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn every_item_is_done_once_in_every_stage() {
        let mut items = [0_u64; 7];
        for threads in [1, 2, 4] {
            items.fill(0);
            let team = Team::new(threads);
            for stage in 1..=500_u64 {
                team.each(items.iter_mut(), |index, item| {
                    *item += stage * (1 + index as u64);
                });
            }
            for (index, &item) in items.iter().enumerate() {
                assert_eq!(item, 125_250 * (1 + index as u64));
            }
        }
    }

    #[test]
    fn a_panic_comes_back_to_the_caller() {
        let team = Team::new(3);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            team.each(0..4, |_, item| assert_ne!(item, 2, "the third item"));
        }));
        let said = failed.expect_err("the panic was lost");
        let said = said.downcast_ref::<String>().map(String::as_str);
        assert!(said.is_some_and(|said| said.contains("the third item")));
    }

    #[test]
    fn a_pool_of_one_thread_does_the_work_of_many() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        pool.unwrap().install(|| {
            let mut items = [0; 4];
            let team = Team::new(4);
            team.each(items.iter_mut(), |index, item| *item = index);
            assert_eq!(items, [0, 1, 2, 3]);
        });
    }
}
