//! libmalti: the client of Malti, self-hosted observability for HTTP APIs.
//!
//! Data goes one way: host → `capi` or `hosts` → [`client`] → buffer → sender → [`wire`] → [`transport`] → server. No
//! arrow points back. The core is synchronous: plain threads and timed waits, because an async runtime does not survive
//! fork.

mod buffer;
pub mod capi;
pub mod client;
pub mod config;
pub mod consumer;
mod exclude;
mod hosts;
pub mod ledger;
pub mod log;
mod outcome;
mod process;
pub mod record;
mod retry;
pub mod route;
mod sender;
mod shell;
mod spool;
mod sys;
pub mod text;
pub mod transport;
pub mod wire;

pub use client::{Client, FlushError, Record, Recorded};
pub use config::Config;
pub use ledger::{State, Stats};
