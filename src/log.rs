//! Log lines: once per state change, to standard error, a callback, or a ring that the host pulls from.

/// How much is logged, and how grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level { Off = 0, Error = 1, Warn = 2, Info = 3, Debug = 4 }
