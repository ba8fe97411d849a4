//! The C ABI: pointers in, a status out. No logic of its own.
//!
//! Every export runs inside `guard`, so that no panic crosses the boundary, and checks every
//! pointer it is given.

// Who owns what and what must hold of a pointer is said in each function's own words, which become the header's.
#![allow(clippy::missing_safety_doc, non_camel_case_types)]

mod config;
mod life;
mod record;
mod rules;
mod stats;
pub mod status;
#[cfg(test)]
mod tests;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::sys;

pub use config::*;
pub use life::*;
pub use record::*;
pub use rules::*;
pub use stats::*;

/// Runs the body of an export; a panic in it becomes `on_panic`.
#[inline]
pub(crate) fn guard<R>(on_panic: R, body: impl FnOnce() -> R) -> R {
    if sys::process_ending() {
        return on_panic;
    }
    let body = || {
        #[cfg(test)]
        tests::maybe_panic();
        body()
    };
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(on_panic)
}
