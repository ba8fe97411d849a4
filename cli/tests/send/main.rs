//! Drives the real `malti send` against the receiver.

// The helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "../receive/client.rs"]
mod client;
mod delivering;
mod formats;
mod harness;
mod naming;
