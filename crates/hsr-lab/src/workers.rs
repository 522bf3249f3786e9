//! Threads that share work. They are no pool of rayon: what they do is long and goes in parallel itself, so that a thread of
//! a pool that waits inside one run would take up a second one, and one job would leave the run a single thread.

/// Calls `work` in `jobs` threads, this one among them, and gives what each returned. Where the system refuses a thread
/// there are fewer: each takes what is left to do, so that the work is done all the same.
pub(crate) fn all<T: Send>(jobs: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..jobs)
            .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, &work).ok())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn work_is_done_whatever_the_number_of_threads() {
        for jobs in [0, 1, 2, 50] {
            let next = AtomicUsize::new(0);
            let done = all(jobs, || {
                let mine = std::iter::from_fn(|| {
                    let it = next.fetch_add(1, Ordering::Relaxed);
                    (it < 1000).then_some(it)
                });
                mine.sum::<usize>()
            });
            assert_eq!(done.len(), jobs.max(1));
            assert_eq!(done.iter().sum::<usize>(), 499_500);
        }
    }
}
