//! Threads that share work. They are no pool of rayon: what they do is long and goes in parallel itself, so that a thread of
//! a pool that waits inside one run would take up a second one, and one job would leave the run a single thread.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls `unit` with every item in up to `jobs` threads, this one among them, until `stop` is set; an error sets it. Where
/// the system refuses a thread there are fewer: each takes what is left to do, so that the work is done all the same.
pub(crate) fn each<T: Sync, E: Send>(
    jobs: usize,
    items: &[T],
    stop: &AtomicBool,
    unit: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            unit(item).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..jobs.min(items.len()))
            .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let own = work();
        let joined = helpers.into_iter().map(|helper| {
            helper
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        std::iter::once(own).chain(joined).collect()
    })
}

/// A panic in another thread ends the program anyway.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_once_whatever_the_number_of_threads() {
        let items: Vec<usize> = (0..1000).collect();
        for jobs in [0, 1, 2, 50] {
            let sum = AtomicUsize::new(0);
            let add = |item: &usize| {
                sum.fetch_add(*item, Ordering::Relaxed);
                Ok::<_, ()>(())
            };
            each(jobs, &items, &AtomicBool::new(false), add).unwrap();
            assert_eq!(sum.into_inner(), 499_500);
        }
    }

    #[test]
    fn an_error_stops_every_thread() {
        let items: Vec<usize> = (0..1000).collect();
        let stop = AtomicBool::new(false);
        let result = each(2, &items, &stop, |item| match item {
            500 => Err(*item),
            _ => Ok(()),
        });
        assert_eq!(result, Err(500));
        assert!(stop.into_inner());
    }
}
