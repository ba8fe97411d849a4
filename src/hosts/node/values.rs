//! Values of JavaScript: what is read of them, what is made, and why that fails.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr;

use napi_sys as napi;
use napi_sys::{Status, ValueType};

use crate::record::FIELD_MAX;

pub(super) type Env = napi::napi_env;
pub(super) type Info = napi::napi_callback_info;
pub(super) type Value = napi::napi_value;

/// A field, a character that its end cuts in two, and a NUL.
pub(super) const TEXT_BYTES: usize = FIELD_MAX + 4;

/// Why a call has no result.
pub(super) enum Fault {
    /// Node-API refuses; an exception may be pending, or the environment is ending.
    Refused,
    Type(String),
    Range(String),
    Plain(String),
}

pub(super) type Outcome<T> = Result<T, Fault>;

pub(super) fn done(status: napi::napi_status) -> Outcome<()> {
    if status == Status::napi_ok {
        Ok(())
    } else {
        Err(Fault::Refused)
    }
}

/// What Node-API writes where it succeeds.
pub(super) fn made<T>(make: impl FnOnce(*mut T) -> napi::napi_status) -> Outcome<T> {
    let mut made = MaybeUninit::uninit();
    done(make(made.as_mut_ptr()))?;
    // SAFETY: written, for it has succeeded.
    Ok(unsafe { made.assume_init() })
}

/// A text's bytes on the stack.
pub(super) struct Text([MaybeUninit<u8>; TEXT_BYTES]);

impl Text {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Text([const { MaybeUninit::uninit() }; TEXT_BYTES])
    }

    /// Takes a byte of each unit, of as many as there is room for. True: that is the text, for it is ASCII.
    #[inline(always)]
    pub(super) fn narrow(&mut self, wide: &[u16]) -> bool {
        let mut all = 0;
        for (byte, &unit) in self.0.iter_mut().zip(wide) {
            all |= unit;
            byte.write(unit as u8);
        }
        all < 0x80
    }

    /// # Safety
    /// The first `len` bytes have been written.
    #[inline(always)]
    pub(super) unsafe fn written(&self, len: usize) -> &[u8] {
        // SAFETY: as the caller says.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), len) }
    }

    /// Filled by `read`, which gets room for all bytes, a NUL among them, and says how many others it has written.
    #[inline(always)]
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(*mut c_char, usize, *mut usize) -> napi::napi_status,
    ) -> Result<&[u8], napi::napi_status> {
        let mut len = 0;
        match read(self.0.as_mut_ptr().cast(), TEXT_BYTES, &mut len) {
            // SAFETY: that many have been written, and they are fewer than there is room for.
            Status::napi_ok => Ok(unsafe { self.written(len) }),
            refused => Err(refused),
        }
    }
}

pub(super) fn string(env: Env, text: &str) -> Outcome<Value> {
    // SAFETY: the environment that calls, and as many bytes as are said.
    made(|out| unsafe {
        napi::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, out)
    })
}

pub(super) fn int(env: Env, number: i32) -> Outcome<Value> {
    // SAFETY: the environment that calls.
    made(|out| unsafe { napi::napi_create_int32(env, number, out) })
}

pub(super) fn double(env: Env, number: f64) -> Outcome<Value> {
    // SAFETY: the environment that calls.
    made(|out| unsafe { napi::napi_create_double(env, number, out) })
}

pub(super) fn null(env: Env) -> Outcome<Value> {
    // SAFETY: the environment that calls.
    made(|out| unsafe { napi::napi_get_null(env, out) })
}

pub(super) fn kind(env: Env, value: Value) -> Outcome<i32> {
    // SAFETY: a value of the environment that calls.
    made(|out| unsafe { napi::napi_typeof(env, value, out) })
}

/// The fault of an argument that is not what `name` takes.
#[cold]
pub(super) fn mistyped(env: Env, value: Value, name: &str, takes: &str) -> Fault {
    match kind(env, value) {
        Ok(kind) => {
            let kind = match kind {
                ValueType::napi_undefined => "undefined",
                ValueType::napi_null => "null",
                ValueType::napi_boolean => "a boolean",
                ValueType::napi_number => "a number",
                ValueType::napi_string => "a string",
                ValueType::napi_symbol => "a symbol",
                ValueType::napi_function => "a function",
                ValueType::napi_object => "an object",
                _ => "another value",
            };
            Fault::Type(format!("{name} is {takes}, not {kind}"))
        }
        Err(fault) => fault,
    }
}

type Read = unsafe fn(Env, Value, *mut c_char, usize, *mut usize) -> napi::napi_status;

/// A whole text, of any length, as `read` gives it.
fn bytes(read: Read, env: Env, value: Value, name: &str) -> Outcome<Vec<u8>> {
    let mut len = 0;
    // SAFETY: a value of the environment that calls; without a buffer only its length is told. Then there is room for
    // that and a NUL.
    unsafe {
        match read(env, value, ptr::null_mut(), 0, &mut len) {
            Status::napi_ok => {}
            Status::napi_string_expected => return Err(mistyped(env, value, name, "a string")),
            _ => return Err(Fault::Refused),
        }
        let mut bytes = vec![0_u8; len + 1];
        let size = bytes.len();
        done(read(env, value, bytes.as_mut_ptr().cast(), size, &mut len))?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

pub(super) fn whole(env: Env, value: Value, name: &str) -> Outcome<String> {
    let bytes = bytes(napi::napi_get_value_string_utf8, env, value, name)?;
    // Node replaces what is no UTF-8 itself.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of a text whose characters each stand for one, as Node gives headers and targets.
pub(super) fn latin1(env: Env, value: Value, name: &str) -> Outcome<Vec<u8>> {
    bytes(napi::napi_get_value_string_latin1, env, value, name)
}
