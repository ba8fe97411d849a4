//! Everything that differs by platform: fork, pinning, signals, threads, standard error.

mod fork_cell;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use fork_cell::{ForkCell, LeakCell};
#[cfg(unix)]
pub(crate) use unix::{on_fork_child, pin_image, process_ending, spawn, strnlen, write_stderr};
#[cfg(windows)]
pub(crate) use windows::{on_fork_child, pin_image, process_ending, spawn, strnlen, write_stderr};
