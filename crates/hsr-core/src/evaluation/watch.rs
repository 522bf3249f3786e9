//! What a caller sees of a long evaluation, and how it stops one.

use core::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::Error;

/// What has been done of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is counted, in the plural.
    pub what: &'static str,
    /// How many are done.
    pub done: usize,
    /// How many there are, where that is known.
    pub total: Option<usize>,
}

/// A caller that watches, from any thread.
#[derive(Clone)]
pub struct Watch {
    observe: Arc<dyn Fn(Progress) -> ControlFlow<()> + Send + Sync>,
    stopped: Arc<AtomicBool>,
    /// Products with the Hessian since the caller began to watch.
    products: Arc<AtomicUsize>,
}

impl Watch {
    pub fn new(observe: impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        Self {
            observe: Arc::new(observe),
            stopped: Arc::default(),
            products: Arc::default(),
        }
    }

    /// Tells the caller; whether it wants no more.
    pub fn tell(&self, progress: Progress) -> bool {
        if (self.observe)(progress).is_break() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        self.stopped.load(Ordering::Relaxed)
    }

    /// Counts a product with the Hessian.
    pub fn product(&self) -> Result<(), Error> {
        let done = self.products.fetch_add(1, Ordering::Relaxed) + 1;
        let stopped = self.tell(Progress {
            what: "products with the Hessian",
            done,
            total: None,
        });
        if stopped { Err(Error::Stopped) } else { Ok(()) }
    }

    /// The error of an evaluation that was stopped.
    pub fn check(&self) -> Result<(), Error> {
        if self.stopped.load(Ordering::Relaxed) {
            Err(Error::Stopped)
        } else {
            Ok(())
        }
    }
}

/// Parts of an evaluation that several threads do, each loop for itself.
pub struct Parts<'a> {
    watch: Option<&'a Watch>,
    done: AtomicUsize,
}

impl<'a> Parts<'a> {
    pub fn new(watch: Option<&'a Watch>) -> Self {
        Self {
            watch,
            done: AtomicUsize::new(0),
        }
    }

    /// Before the next part: whether the caller wants no more.
    pub fn stopped(&self) -> bool {
        let Some(watch) = self.watch else {
            return false;
        };
        watch.tell(Progress {
            what: "parts of the blocks",
            done: self.done.fetch_add(1, Ordering::Relaxed),
            total: None,
        })
    }
}

/// Steps of a loop whose number is known.
pub(crate) struct Ticks<'a> {
    watch: Option<&'a Watch>,
    progress: Progress,
}

impl<'a> Ticks<'a> {
    pub fn new(watch: Option<&'a Watch>, what: &'static str, total: usize) -> Self {
        Self {
            watch,
            progress: Progress {
                what,
                done: 0,
                total: Some(total),
            },
        }
    }

    /// Before the next step: whether the caller wants no more.
    #[inline(always)]
    pub fn stopped(&mut self) -> bool {
        let Some(watch) = self.watch else {
            return false;
        };
        let stopped = watch.tell(self.progress);
        self.progress.done += 1;
        stopped
    }
}
