//! Buffers that threads lend each other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// As many as were in use at once, each with the thread that had it last.
#[derive(Default)]
pub struct Pool<B>(Mutex<Vec<(ThreadId, B)>>);

impl<B: Default> Pool<B> {
    /// Buffers, to be put back. They hold what they held; where they can, they are those that this thread had last, which
    /// are in its core's cache.
    pub fn take(&self) -> B {
        let own = thread::current().id();
        let mut free = self.lock();
        let last = free.iter().position(|(thread, _)| *thread == own);
        let last = last.or_else(|| free.len().checked_sub(1));
        last.map_or_else(B::default, |at| free.swap_remove(at).1)
    }

    pub fn put(&self, buffers: B) {
        self.lock().push((thread::current().id(), buffers));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(ThreadId, B)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_its_own_buffers_back_and_else_those_of_another() {
        let pool = Pool::<Vec<u32>>::default();
        let exchange = |mine: u32| {
            let mut buffers = pool.take();
            buffers.push(mine);
            buffers
        };
        // Both are out at once, and come back in turn.
        let own = exchange(1);
        thread::scope(|scope| {
            scope.spawn(|| pool.put(exchange(2)));
        });
        pool.put(own);
        assert_eq!(exchange(3), [1, 3]);
        assert_eq!(exchange(4), [2, 4]);
        assert_eq!(exchange(5), [5]);
    }
}
