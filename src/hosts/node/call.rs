//! A call as Node makes it: its arguments, and its answer or what is thrown.

use std::mem::MaybeUninit;
use std::ptr;

use napi_sys as napi;
use napi_sys::{Status, ValueType};

use super::life::Life;
use super::values::{
    Env, Fault, Info, Outcome, TEXT_BYTES, Text, Value, done, kind, latin1, made, mistyped, string,
};
use crate::capi;
use crate::hosts::request;
use crate::record::kept;

/// A header's name that is longer is none that the rules read.
const NAME_BYTES: usize = 256;

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

    /// Those of an array of names and values that the rules read. Undefined: there are none.
    pub(super) fn headers(&self, at: usize, rules: &crate::consumer::Rules) -> Outcome<Vec<u8>> {
        const TAKES: &str = "an array of strings";
        let (env, list) = (self.env, self.arguments[at]);
        let mut block = Vec::new();
        let mut count = 0;
        if self.is_absent(at)? {
            return Ok(block);
        }
        // SAFETY: values of the environment that calls; a list that is none is refused.
        unsafe {
            if napi::napi_get_array_length(env, list, &mut count) != Status::napi_ok {
                return Err(mistyped(env, list, "headers", "an array"));
            }
            let element = |index| made(|out| napi::napi_get_element(env, list, index, out));
            for index in (1..count).step_by(2) {
                let given = element(index - 1)?;
                let mut room = Text::<NAME_BYTES>::new();
                let name = room.fill(|out, size, len| {
                    napi::napi_get_value_string_latin1(env, given, out, size, len)
                });
                match name {
                    Ok(name) if rules.reads(name) => {
                        let value = latin1(env, element(index)?, "headers", TAKES)?;
                        request::add_header(&mut block, name, &value);
                    }
                    Ok(_) => {}
                    Err(_) => return Err(mistyped(env, given, "headers", TAKES)),
                }
            }
        }
        Ok(block)
    }

    /// Undefined: there is none.
    pub(super) fn query(&self, at: usize) -> Outcome<Vec<u8>> {
        if self.is_absent(at)? {
            return Ok(Vec::new());
        }
        latin1(self.env, self.arguments[at], "query", "a string")
    }
}
