//! `malti`: the command-line companion of libmalti.
fn main() {}
