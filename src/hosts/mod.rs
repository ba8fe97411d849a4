//! Faces of the core that belong to one language's runtime, where calling the C functions would cost too much.

mod headers;
mod node;
mod python;
