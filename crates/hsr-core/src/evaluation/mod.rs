//! What an evaluation is asked for, its shards and threads, and who watches it.

pub(crate) mod block;
pub(crate) mod out;
pub(crate) mod pool;
pub(crate) mod quantity;
pub(crate) mod shards;
pub(crate) mod team;
pub(crate) mod watch;
