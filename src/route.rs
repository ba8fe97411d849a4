//! Route patterns: one normal form for the syntax of every framework. Pure.
