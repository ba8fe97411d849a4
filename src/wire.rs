//! Packed records → JSON.
