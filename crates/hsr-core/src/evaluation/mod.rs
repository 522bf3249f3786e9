//! What an evaluation is asked for, its threads, and who watches it.

pub(crate) mod block;
pub(crate) mod out;
pub(crate) mod quantity;
pub(crate) mod team;
pub(crate) mod watch;
