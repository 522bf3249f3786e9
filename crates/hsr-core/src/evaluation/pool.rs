//! Buffers that threads lend each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// As many as were in use at once.
#[derive(Default)]
pub struct Pool<B>(Mutex<Vec<B>>);

impl<B: Default> Pool<B> {
    /// Buffers, to be put back. They hold what they held.
    pub fn take(&self) -> B {
        self.lock().pop().unwrap_or_default()
    }

    pub fn put(&self, buffers: B) {
        self.lock().push(buffers);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
