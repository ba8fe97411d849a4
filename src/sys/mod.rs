//! Everything that differs by platform: fork, pinning, signals, threads.
