//! Who called: the rules by which a request's consumer is found. Pure.
