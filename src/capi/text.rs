//! Text over the boundary: arguments in, results and error messages out.

use std::ffi::c_char;

use crate::sys;

/// As a length: the text ends at its NUL.
const NTS: usize = usize::MAX;

/// What is known of a request beside its record is looked at up to here: headers, query, address.
pub(super) const HEADERS_MAX: usize = 1 << 20;

/// The argument that breaks the rules of [`argument`].
pub(crate) struct Invalid(pub(super) &'static str);

/// A text argument: NULL with length 0 is absent (empty), NULL with any other length is invalid; at most `most` bytes
/// are looked at.
///
/// # Safety
/// Where not NULL, `text` points to `len` readable bytes, or with `len` = `MALTI_NTS` to a NUL-terminated string.
#[inline]
pub(super) unsafe fn argument<'a>(
    name: &'static str,
    text: *const c_char,
    len: usize,
    most: usize,
) -> Result<&'a [u8], Invalid> {
    if text.is_null() {
        return if len == 0 {
            Ok(&[])
        } else {
            Err(Invalid(name))
        };
    }
    // SAFETY: by the caller's promise; a length beyond `most` is cut.
    unsafe {
        let len = if len == NTS {
            sys::strnlen(text, most)
        } else {
            len.min(most)
        };
        Ok(std::slice::from_raw_parts(text.cast(), len))
    }
}

/// A NUL-terminated argument; NULL is absent (empty).
///
/// # Safety
/// Where not NULL, `text` is a NUL-terminated string.
#[inline]
pub(super) unsafe fn c_argument<'a>(text: *const c_char, most: usize) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(text.cast(), sys::strnlen(text, most)) }
}

/// Writes a result as snprintf does: cut on a character boundary, always terminated; returns the whole length without
/// its NUL.
///
/// # Safety
/// Where not NULL, `out` points to `len` writable bytes.
pub(super) unsafe fn put(text: &str, out: *mut c_char, len: usize) -> i32 {
    if !out.is_null() && len > 0 {
        let cut = text.floor_char_boundary(len - 1);
        // SAFETY: cut < len.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), out.cast(), cut);
            *out.add(cut) = 0;
        }
    }
    i32::try_from(text.len()).unwrap_or(i32::MAX)
}
