//! libmalti: the client of Malti, self-hosted observability for HTTP APIs.
//!
//! Data goes one way: host → [`capi`] → [`client`] → buffer → sender → [`wire`] → transport → server.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod config;
pub mod consumer;
pub mod log;
pub mod record;
pub mod route;
pub mod text;
pub mod wire;

pub(crate) mod sys;
pub mod transport;
