//! The life of the process: how it starts, how another one takes over from it, how it ends.

pub mod doors;
