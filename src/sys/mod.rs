//! Everything that differs by platform: fork, pinning, signals, threads, standard error, the clock.

mod fork_cell;
mod inherit;
mod mapping;
mod prefetch;
mod region;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(crate) use fork_cell::{ForkCell, LeakCell};
#[cfg(unix)]
pub(crate) use inherit::close_inherited;
pub(crate) use inherit::{OwnedFile, reserve};
pub(crate) use mapping::Mapping;
pub(crate) use prefetch::prefetch;
pub(crate) use region::{DATA_BYTES, HEAD_BYTES, REGION_BYTES, Region};
#[cfg(unix)]
pub(crate) use unix::{
    monotonic_ns, nap, now_us, on_fork_child, pin_image, process_ending, spawn, strnlen,
    write_stderr,
};
#[cfg(windows)]
pub(crate) use windows::{
    monotonic_ns, nap, now_us, on_fork_child, pin_image, process_ending, spawn, strnlen,
    write_stderr,
};
