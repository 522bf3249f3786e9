//! Threads where the system grants few of them.

use std::sync::Mutex;
use std::thread::{self, Builder};

/// Makes Rayon, on whose threads closed form and backends compute, take as many as the system grants. Left to itself it
/// panics where it gets fewer than there are processors.
pub fn prepare() {
    let wanted = thread::available_parallelism().map_or(1, usize::from);
    let builder = rayon::ThreadPoolBuilder::new();
    let builder = match granted(wanted) {
        all if all >= wanted => return,
        0 => builder.num_threads(1).use_current_thread(),
        some => builder.num_threads(some),
    };
    // Where it fails all the same, Rayon itself says why as soon as it is needed.
    let _ = builder.build_global();
}

/// How many threads of `wanted` there can be at the same time.
fn granted(wanted: usize) -> usize {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // They all wait here until the last one was asked for.
        let _closed = gate.lock();
        let ask = |_| {
            let thread = Builder::new().spawn_scoped(scope, || drop(gate.lock()));
            thread.ok()
        };
        (0..wanted).map_while(ask).count()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn threads_are_granted_where_nothing_forbids_it() {
        assert_eq!(super::granted(3), 3);
    }
}
