//! The client against the real receiver, and against servers that are really broken.

// The helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// A row prints its ledger, a host of a test its answers.
#![allow(clippy::print_stdout)]

mod batching;
#[path = "../receive/client.rs"]
#[allow(dead_code)]
mod client;
mod deadlines;
mod harness;
mod ledger;
#[cfg(unix)]
mod matrix;
mod outcomes;
#[cfg(unix)]
mod process;
mod refusals;
#[cfg(target_os = "linux")]
mod spool;
