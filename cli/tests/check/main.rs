//! Drives the real `malti check` against the receiver and against servers that are wrong.

// The helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
#[allow(dead_code)]
#[path = "../receive/client.rs"]
mod client;
mod harness;
mod local;
mod network;
