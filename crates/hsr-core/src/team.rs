//! Threads that go through the stages of one evaluation together.
//!
//! A stage takes a fraction of a millisecond; to put a thread to sleep between two of them and to wake it again takes as
//! long. So helpers are asked of Rayon's pool once an evaluation, and look for the next stage until it ends. The caller
//! works as well and does whatever no helper has begun: where none comes, or comes late, nobody waits for it.

use core::any::Any;
use core::cell::UnsafeCell;
use core::hint;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The caller and its helpers.
#[derive(Default)]
pub(crate) struct Team(Arc<Board>);

/// Helpers that wait for stages as long as this lives.
pub(crate) struct Helpers(Arc<Board>);

impl Drop for Helpers {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Team {
    /// Asks Rayon's pool for so many threads, which share the coming calls of [`each`](Self::each). Those that were
    /// asked for before and have not come yet are not asked again: where the pool is busy with other things, its queue
    /// would only grow.
    pub fn call(&mut self, helpers: usize) -> Helpers {
        self.0.open();
        for _ in self.0.helpers.load(Ordering::SeqCst)..helpers {
            self.0.helpers.fetch_add(1, Ordering::SeqCst);
            let board = self.0.clone();
            rayon::spawn(move || board.help());
        }
        Helpers(self.0.clone())
    }

    /// Does `work` with every item, which the threads of the team take one by one: the caller from the front, helpers
    /// from the back, so that each finds what it did in the last stage in its cache.
    pub fn each<I: Send>(
        &mut self,
        items: impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Send,
        work: impl Fn(usize, I) + Sync,
    ) {
        let count = items.len();
        let items = items.enumerate();
        if count < 2 {
            return items.for_each(|(index, item)| work(index, item));
        }
        let items = Mutex::new(items);
        self.0.stage(count, &|place| {
            let mut items = items.lock().unwrap_or_else(PoisonError::into_inner);
            let item = match place {
                Place::Front => items.next(),
                Place::Back => items.next_back(),
            };
            drop(items);
            if let Some((index, item)) = item {
                work(index, item);
            }
        });
    }
}

/// Who takes an item.
#[derive(Clone, Copy)]
enum Place {
    Front,
    Back,
}

/// What is done with an item of a stage.
type Work<'a> = dyn Fn(Place) + Sync + 'a;

/// Rounds of looking for work before a thread offers its core to others, who may be those it waits for: a microsecond.
const ROUNDS: usize = 1 << 6;

/// Where the caller says what there is to do.
struct Board {
    /// The stage's number, the items that nobody has taken, and whether a stage may follow, in one word: whoever takes an
    /// item knows by that which stage it belongs to.
    open: AtomicU64,
    /// Items of the stage that are done.
    done: AtomicUsize,
    /// Helpers that were asked for and have not gone.
    helpers: AtomicUsize,
    /// The stage's work, while it lasts.
    work: UnsafeCell<Option<&'static Work<'static>>>,
    /// What a panic in the work said.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is written by the caller alone (`Team::each` takes the team for itself), while no item is left to take
// and every item that was taken is done (`stage` waits for that), and read by a thread only between taking an item and
// reporting it done. Taking reads what the caller's release of `open` published; the caller acquires `done` before it
// writes again. The reference points at something `Sync`.
unsafe impl Sync for Board {}
// SAFETY: a reference to something `Sync` may go to another thread, and everything else in it is `Send`.
unsafe impl Send for Board {}

impl Default for Board {
    fn default() -> Self {
        Self {
            open: AtomicU64::new(CLOSED),
            done: AtomicUsize::new(0),
            helpers: AtomicUsize::new(0),
            work: UnsafeCell::new(None),
            panic: Mutex::new(None),
        }
    }
}

/// In `open`: no stage follows.
const CLOSED: u64 = 1 << 31;
/// In `open`: the bits of the items that are left.
const LEFT: u64 = CLOSED - 1;
/// In `open`: the first bit of the stage's number.
const STAGE: u64 = 1 << 32;

impl Board {
    /// Lets helpers wait for stages.
    fn open(&self) {
        self.open.fetch_and(!CLOSED, Ordering::SeqCst);
    }

    /// Whether no stage follows.
    fn closed(&self) -> bool {
        self.open.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Sends helpers away.
    fn close(&self) {
        self.open.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// One item of the stage, if one is left.
    fn take(&self) -> bool {
        self.open
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |open| {
                (open & LEFT > 0).then(|| open - 1)
            })
            .is_ok()
    }

    /// Does one item that was taken.
    fn perform(&self, place: Place) {
        // SAFETY: an item was taken and is not reported done (see `Sync`).
        let work = unsafe { *self.work.get() };
        if let Some(work) = work
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(place)))
        {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        self.done.fetch_add(1, Ordering::Release);
    }

    /// What a helper does: items, until the team is closed.
    fn help(&self) {
        loop {
            let mut round = 0;
            while !self.closed() {
                if self.take() {
                    self.perform(Place::Back);
                    round = 0;
                } else {
                    pause(&mut round);
                }
            }
            // Whoever opens the team again between these lines either finds one helper less and asks for another, or is
            // seen here: the one writes before it reads what the other writes before it reads.
            self.helpers.fetch_sub(1, Ordering::SeqCst);
            if self.closed() {
                return;
            }
            self.helpers.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One stage: returns when all its items are done. A panic of the work goes on here.
    fn stage(&self, items: usize, work: &Work) {
        assert!(items as u64 <= LEFT, "a stage has too many items");
        // SAFETY: the lifetime is forgotten, but no thread uses the reference after this function has returned: it
        // returns when all items are done, panics of the work are caught in `perform`, and nothing in here panics.
        let work = unsafe { core::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        // SAFETY: the last stage is over, so that no thread reads (see `Sync`).
        unsafe { *self.work.get() = Some(work) };
        self.done.store(0, Ordering::Relaxed);
        self.open.fetch_add(STAGE + items as u64, Ordering::Release);
        while self.take() {
            self.perform(Place::Front);
        }
        let mut round = 0;
        while self.done.load(Ordering::Acquire) < items {
            pause(&mut round);
        }
        let panic = self
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// Waits a moment.
fn pause(round: &mut usize) {
    *round += 1;
    if *round < ROUNDS {
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_in_every_stage() {
        let mut team = Team::default();
        let mut items = [0_u64; 7];
        for helpers in [0, 1, 3] {
            items.fill(0);
            let _helpers = team.call(helpers);
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
    fn helpers_take_part_while_they_are_called() {
        let caller = thread::current().id();
        let mut team = Team::default();
        let others = AtomicUsize::new(0);
        let count = |_, ()| {
            if thread::current().id() != caller {
                others.fetch_add(1, Ordering::Relaxed);
            }
            thread::yield_now();
        };
        let helpers = team.call(1);
        // A helper takes a while to wake; nobody but this test waits for it.
        while others.load(Ordering::Relaxed) == 0 {
            team.each([(); 8].into_iter(), count);
        }
        drop(helpers);
    }

    #[test]
    fn a_panic_comes_back_to_the_caller_and_the_team_goes_on() {
        let mut team = Team::default();
        let _helpers = team.call(2);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            team.each(0..4, |_, item| assert_ne!(item, 2, "the third item"));
        }));
        let said = failed.expect_err("the panic was lost");
        assert!(
            said.downcast_ref::<String>()
                .unwrap()
                .contains("the third item")
        );
        let sum = AtomicUsize::new(0);
        team.each(0..5, |_, item| {
            sum.fetch_add(item, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 10);
    }

    #[test]
    fn a_busy_pool_is_not_asked_again_and_again() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let mut team = Team::default();
        // The only thread of the pool is this one, so that no helper can come.
        pool.unwrap().install(|| {
            for _ in 0..100 {
                let _helpers = team.call(3);
                let mut items = [0; 4];
                team.each(items.iter_mut(), |index, item| *item = index);
                assert_eq!(items, [0, 1, 2, 3]);
                assert_eq!(team.0.helpers.load(Ordering::SeqCst), 3);
            }
        });
        // Now they come, one after the other, and go.
        while team.0.helpers.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn teams_may_work_within_teams() {
        let sum = AtomicUsize::new(0);
        let mut outer = Team::default();
        let _helpers = outer.call(3);
        outer.each(0..6, |_, item: usize| {
            let mut inner = Team::default();
            let _helpers = inner.call(3);
            inner.each(0..4, |_, other: usize| {
                sum.fetch_add(item * other, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 15 * 6);
    }
}
