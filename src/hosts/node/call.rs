//! A call as Node makes it: its arguments, and its answer or what is thrown.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ptr;

use napi_sys as napi;
use napi_sys::{Status, ValueType};

use super::life::Life;
use super::values::{
    Env, Fault, Info, Outcome, TEXT_BYTES, Text, Value, done, kind, latin1, made, mistyped, string,
};
use crate::capi;
use crate::record::kept;

/// A call as Node makes it; arguments that were not given are undefined.
pub(super) struct Call<'a, const N: usize> {
    env: Env,
    pub(super) arguments: [Value; N],
    given: usize,
    pub(super) life: &'a Life,
}

/// Answers a call, and throws what went wrong with it. Nothing else leaves, a panic least of all.
#[inline(always)]
pub(super) fn answer<const N: usize>(
    env: Env,
    info: Info,
    body: impl FnOnce(&Call<'_, N>) -> Outcome<Value>,
) -> Value {
    let outcome = capi::guard(
        Err(Fault::Plain(
            "a fault inside libmalti, contained".to_owned(),
        )),
        || {
            let (mut count, mut arguments) = (N, [ptr::null_mut(); N]);
            let mut life = ptr::null_mut();
            // SAFETY: as Node calls: there is room for `count` values; `this` is not asked for.
            unsafe {
                done(napi::napi_get_cb_info(
                    env,
                    info,
                    &mut count,
                    arguments.as_mut_ptr(),
                    ptr::null_mut(),
                    &mut life,
                ))?;
                // Freed by the clean-up hook, after which nothing calls.
                let Some(life) = life.cast::<Life>().as_ref() else {
                    return Err(Fault::Refused);
                };
                body(&Call {
                    env,
                    arguments,
                    given: count,
                    life,
                })
            }
        },
    );
    outcome.unwrap_or_else(|fault| throw(env, fault))
}

#[cold]
fn throw(env: Env, fault: Fault) -> Value {
    type Make = unsafe fn(Env, Value, Value, *mut Value) -> napi::napi_status;
    let (make, message): (Make, _) = match fault {
        Fault::Refused => return ptr::null_mut(),
        Fault::Type(message) => (napi::napi_create_type_error, message),
        Fault::Range(message) => (napi::napi_create_range_error, message),
        Fault::Plain(message) => (napi::napi_create_error, message),
    };
    // SAFETY: the environment that calls. Where one of the calls fails another exception is pending already.
    let _ = string(env, &message).and_then(|message| unsafe {
        let error = made(|out| make(env, ptr::null_mut(), message, out))?;
        done(napi::napi_throw(env, error))
    });
    ptr::null_mut()
}

impl<const N: usize> Call<'_, N> {
    /// At most what a record takes of it.
    #[inline(always)]
    pub(super) fn text<'b>(&self, at: usize, name: &str, room: &'b mut Text) -> Outcome<&'b [u8]> {
        match self.read(at, room)? {
            Some(text) => Ok(text),
            None => Err(mistyped(self.env, self.arguments[at], name, "a string")),
        }
    }

    /// The same; null and undefined are empty. It is asked first for a text, for Node is slow to say what a value is.
    #[inline(always)]
    pub(super) fn optional<'b>(
        &self,
        at: usize,
        name: &str,
        room: &'b mut Text,
    ) -> Outcome<&'b [u8]> {
        if at >= self.given {
            return Ok(&[]);
        }
        match self.read(at, room)? {
            Some(text) => Ok(text),
            None if self.is_absent(at)? => Ok(&[]),
            None => Err(mistyped(self.env, self.arguments[at], name, "a string")),
        }
    }

    /// None: it is no text. Node copies one more quickly than it makes UTF-8 of it, and most of them are ASCII.
    #[inline(always)]
    fn read<'b>(&self, at: usize, room: &'b mut Text) -> Outcome<Option<&'b [u8]>> {
        let (env, value) = (self.env, self.arguments[at]);
        let mut units = MaybeUninit::<[u16; TEXT_BYTES]>::uninit();
        let (out, mut len) = (units.as_mut_ptr().cast::<u16>(), 0);
        // SAFETY: a value of the environment that calls, and a buffer of that size; then, as many as were written.
        let wide = unsafe {
            match napi::napi_get_value_string_utf16(env, value, out, TEXT_BYTES, &mut len) {
                Status::napi_ok => std::slice::from_raw_parts(out, len),
                Status::napi_string_expected => return Ok(None),
                _ => return Err(Fault::Refused),
            }
        };
        let text = if room.narrow(wide) {
            // SAFETY: it has.
            unsafe { room.written(len) }
        } else {
            // SAFETY: as above.
            room.fill(|out, size, len| unsafe {
                napi::napi_get_value_string_utf8(env, value, out, size, len)
            })
            .map_err(|_| Fault::Refused)?
        };
        Ok(Some(kept(text)))
    }

    fn is_absent(&self, at: usize) -> Outcome<bool> {
        let kind = kind(self.env, self.arguments[at])?;
        Ok(kind == ValueType::napi_undefined || kind == ValueType::napi_null)
    }

    #[inline(always)]
    pub(super) fn number(&self, at: usize, name: &str) -> Outcome<f64> {
        let (env, value) = (self.env, self.arguments[at]);
        let mut number = 0.0;
        // SAFETY: a value of the environment that calls.
        match unsafe { napi::napi_get_value_double(env, value, &mut number) } {
            Status::napi_ok => Ok(number),
            Status::napi_number_expected => Err(mistyped(env, value, name, "a number")),
            _ => Err(Fault::Refused),
        }
    }

    /// What is no whole number is none of HTTP's; the core refuses 0.
    #[inline(always)]
    pub(super) fn status(&self, at: usize) -> Outcome<i32> {
        let number = self.number(at, "status")?;
        let whole = number as i32;
        Ok(if f64::from(whole) == number { whole } else { 0 })
    }

    pub(super) fn milliseconds(&self, at: usize) -> Outcome<u32> {
        // NaN and what is negative are 0.
        Ok(self.number(at, "timeout")? as u32)
    }

    /// A text of any length whose characters each stand for a byte, as Node gives headers and targets; null and
    /// undefined are empty. One that is longer than `room` is read anew.
    #[inline(always)]
    pub(super) fn bytes<'b>(
        &self,
        at: usize,
        name: &str,
        room: &'b mut Text,
    ) -> Outcome<Cow<'b, [u8]>> {
        let (env, value) = (self.env, self.arguments[at]);
        // SAFETY: a value of the environment that calls, and a buffer of that size.
        let read = room.fill(|out, size, len| unsafe {
            napi::napi_get_value_string_latin1(env, value, out, size, len)
        });
        match read {
            Ok(text) if text.len() < TEXT_BYTES - 1 => Ok(Cow::Borrowed(text)),
            Err(_) if self.is_absent(at)? => Ok(Cow::Borrowed(&[])),
            _ => latin1(env, value, name).map(Cow::Owned),
        }
    }
}
