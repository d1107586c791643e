//! The process itself: how it starts, how another one takes over, how it ends.

mod file;
mod pause;
mod process;
mod start;
mod stop;
mod takeover;
