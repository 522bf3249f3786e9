//! Buffers that threads lend each other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// As many as were in use at once, each with the thread that had it last.
pub struct Pool<B>(Mutex<Vec<(ThreadId, B)>>);

impl<B> Default for Pool<B> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

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
