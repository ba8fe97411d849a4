//! Statics that hold something leaked: one that a forked child finds empty, and one that it finds as it was.

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// A pointer to something that is never freed.
pub(crate) struct LeakCell<T: 'static>(AtomicPtr<T>);

impl<T: Sync + 'static> LeakCell<T> {
    pub(crate) const fn new() -> Self {
        LeakCell(AtomicPtr::new(std::ptr::null_mut()))
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or set by `set` from a reference that lives as long as the process.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    pub(crate) fn set(&self, value: &'static T) {
        self.0
            .store(std::ptr::from_ref(value).cast_mut(), Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        self.0.store(std::ptr::null_mut(), Ordering::Release);
    }
}

/// A [`LeakCell`] and a word of state, alone on their memory page. Where the kernel can do it
/// ([`protect`](Self::protect)), the page reads as zero in a child process, also one made by a raw `clone`, which runs
/// no fork handlers.
#[cfg_attr(not(target_arch = "x86_64"), repr(C, align(65536)))]
#[cfg_attr(target_arch = "x86_64", repr(C, align(4096)))]
pub(crate) struct ForkCell<T: 'static> {
    value: LeakCell<T>,
    /// Free for the owner's use; 0 in a new process generation.
    pub(crate) state: AtomicU32,
}

impl<T: Sync + 'static> ForkCell<T> {
    pub(crate) const fn new() -> Self {
        ForkCell {
            value: LeakCell::new(),
            state: AtomicU32::new(0),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&'static T> {
        self.value.get()
    }

    pub(crate) fn set(&self, value: &'static T) {
        self.value.set(value);
    }

    pub(crate) fn clear(&self) {
        self.value.clear();
    }

    /// For the child's fork handler. Async-signal-safe.
    pub(crate) fn reset(&self) {
        self.value.clear();
        self.state.store(0, Ordering::Release);
    }

    /// Asks the kernel to wipe the page in children. A refusal is fine: the fork handler does the same.
    pub(crate) fn protect(&'static self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is this static's own pages: it is aligned to, and padded to, whole pages.
        unsafe {
            let page = std::ptr::from_ref(self).cast_mut().cast();
            libc::madvise(page, size_of::<Self>(), libc::MADV_WIPEONFORK);
        }
    }
}
