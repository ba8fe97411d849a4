//! Memory that is needed soon, and that another processor wrote last.

/// Has the lines of these bytes brought into this processor's cache, and waits for none of them. It reads nothing, so that
/// any address will do.
#[inline]
pub(crate) fn prefetch(start: *const u8, bytes: usize) {
    // Elsewhere there is no stable way to say so.
    #[cfg(target_arch = "x86_64")]
    for line in (0..bytes).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: each processor of this architecture has the instruction, and it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes);
}
