//! Drives the real `malti receive` over real sockets.

// The helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod control;
mod database;
mod ingest;
mod process;
mod storage;
mod values;
mod views;
