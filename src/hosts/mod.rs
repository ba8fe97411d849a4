//! Faces of the core that belong to one language's runtime, where calling the C functions would cost too much.

mod node;
mod python;
