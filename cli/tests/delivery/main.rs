//! The client against the real receiver, and against servers that are really broken.

// The helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batching;
#[path = "../receive/client.rs"]
#[allow(dead_code)]
mod client;
mod deadlines;
mod harness;
mod ledger;
mod outcomes;
mod refusals;
#[cfg(target_os = "linux")]
mod spool;
