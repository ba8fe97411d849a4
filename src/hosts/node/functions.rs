//! The functions that JavaScript calls.

use std::ffi::CStr;
use std::ptr;
use std::time::Duration;

use napi_sys as napi;
use napi_sys::ValueType;

use super::call::{Call, answer};
use super::values::{
    Env, Fault, Info, Outcome, Text, Value, done, double, int, kind, made, mistyped, null, string,
    whole,
};
use crate::capi::{self, status};
use crate::client::RawCall;
use crate::config::{Config, ConfigError};
use crate::consumer::pairs;
use crate::process;
use crate::route::{self, Dialect};
use crate::sys;

/// The largest whole number that JavaScript tells from its neighbours.
const SAFE_MAX: u64 = (1 << 53) - 1;

/// `init({ key: "text" }) -> status`: the settings over those of the environment. One more owner for 0 and 3.
unsafe extern "C" fn init(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 1>| {
        let object = call.arguments[0];
        let mut config = Config::from_env();
        let mut set = |key: &str, value: &str| {
            config.set(key, value).map_err(|error| match error {
                ConfigError::UnknownKey { .. } => Fault::Type(error.to_string()),
                ConfigError::InvalidValue { .. } => Fault::Range(error.to_string()),
            })
        };
        set("binding", concat!("node/", env!("CARGO_PKG_VERSION")))?;
        if kind(env, object)? != ValueType::napi_object {
            return Err(mistyped(env, object, "settings", "an object"));
        }
        // SAFETY: values of the environment that calls.
        unsafe {
            let names = made(|out| napi::napi_get_property_names(env, object, out))?;
            let count = made(|out| napi::napi_get_array_length(env, names, out))?;
            for index in 0..count {
                let name = made(|out| napi::napi_get_element(env, names, index, out))?;
                let value = made(|out| napi::napi_get_property(env, object, name, out))?;
                let name = whole(env, name, "a setting's name")?;
                set(&name, &whole(env, value, &name)?)?;
            }
        }
        let (code, why) = capi::start(config, None);
        match code {
            status::MALTI_OK | status::MALTI_ALREADY_RUNNING => {
                call.life.own();
            }
            status::MALTI_ERR_INVALID_VALUE => return Err(Fault::Range(why.into_owned())),
            error if error < 0 => return Err(Fault::Plain(why.into_owned())),
            _ => {}
        }
        int(env, code)
    })
}

/// What a call that records gives back: undefined where the record is kept, which costs nothing to make, else a status.
#[inline(always)]
fn kept(env: Env, code: i32) -> Outcome<Value> {
    match code {
        status::MALTI_OK => Ok(ptr::null_mut()),
        other => int(env, other),
    }
}

/// `record(method, endpoint, status, microseconds, consumer, context) -> undefined or status`
unsafe extern "C" fn record(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 6>| {
        let mut rooms = [const { Text::new() }; 4];
        let record = fields(call, &mut rooms)?;
        kept(env, capi::submit(|| Ok(record)))
    })
}

/// `recordRequest(method, endpoint, status, microseconds, consumer, context, headers, query, peer) -> undefined or
/// status`: the consumer and context are what the application said; where it said nothing the rest is asked who called.
/// `headers` is a block, "name NUL value NUL …": Node takes its time with each element of an array.
unsafe extern "C" fn record_request(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 9>| {
        let mut rooms = [const { Text::new() }; 4];
        let record = fields(call, &mut rooms)?;
        // A child that was forked has no client before its first call.
        let Some(tenure) = process::tenure() else {
            return int(env, status::MALTI_NOT_RUNNING);
        };
        let [mut headers, mut query, mut peer] = [const { Text::new() }; 3];
        let code = capi::submit_request(
            &tenure.rules,
            record,
            pairs(&call.bytes(6, "headers", &mut headers)?),
            &call.bytes(7, "query", &mut query)?,
            call.optional(8, "peer", &mut peer)?,
        );
        kept(env, code)
    })
}

#[inline(always)]
fn fields<'b, const N: usize>(
    call: &Call<'_, N>,
    [method, endpoint, consumer, context]: &'b mut [Text; 4],
) -> Outcome<RawCall<'b>> {
    Ok(RawCall {
        created_at_us: sys::now_us(),
        method: call.text(0, "method", method)?,
        endpoint: call.text(1, "endpoint", endpoint)?,
        status: call.status(2)?,
        // NaN and what is negative are 0.
        response_time_us: call.number(3, "responseTimeUs")? as u64,
        consumer: call.optional(4, "consumer", consumer)?,
        context: call.optional(5, "context", context)?,
    })
}

/// `reads() -> [peer, ...names]`: whether the rules want to know the other end's address, which costs a call of the
/// system, and in small letters the names of the headers that they read.
unsafe extern "C" fn reads(env: Env, info: Info) -> Value {
    answer(env, info, |_: &Call<'_, 0>| {
        let rules = process::tenure().map(|tenure| &tenure.rules);
        let names = rules.map_or_else(Vec::new, |rules| rules.names());
        // SAFETY: values of the environment that calls.
        unsafe {
            let reads = made(|out| napi::napi_create_array_with_length(env, names.len() + 1, out))?;
            let peer = rules.is_some_and(|rules| rules.use_ip);
            let peer = made(|out| napi::napi_get_boolean(env, peer, out))?;
            done(napi::napi_set_element(env, reads, 0, peer))?;
            for (name, index) in names.iter().zip(1..) {
                done(napi::napi_set_element(
                    env,
                    reads,
                    index,
                    string(env, name)?,
                ))?;
            }
            Ok(reads)
        }
    })
}

/// `normalizeRoute(dialect, pattern) -> string`
unsafe extern "C" fn normalize_route(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 2>| {
        let dialect = whole(env, call.arguments[0], "dialect")?;
        let pattern = whole(env, call.arguments[1], "pattern")?;
        let dialect: Dialect = dialect
            .parse()
            .map_err(|_| Fault::Range(format!("there is no dialect '{dialect}'")))?;
        string(env, &route::normalize(dialect, &pattern))
    })
}

/// `stats() -> string`, JSON.
unsafe extern "C" fn stats(env: Env, info: Info) -> Value {
    answer(env, info, |_: &Call<'_, 0>| {
        let json = serde_json::to_string(&process::stats()).unwrap_or_default();
        string(env, &json)
    })
}

/// `flushBegin() -> ticket`; null: there is no client to wait for. A negative number is a status.
unsafe extern "C" fn flush_begin(env: Env, info: Info) -> Value {
    answer(env, info, |_: &Call<'_, 0>| {
        let mut ticket = 0;
        // SAFETY: writable.
        match unsafe { capi::malti_flush_begin(&mut ticket) } {
            status::MALTI_OK => double(env, ticket.min(SAFE_MAX) as f64),
            error if error < 0 => int(env, error),
            _ => null(env),
        }
    })
}

/// `flushWait(ticket, milliseconds) -> status`
unsafe extern "C" fn flush_wait(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 2>| {
        let ticket = call.number(0, "ticket")? as u64;
        int(env, capi::malti_flush_wait(ticket, call.milliseconds(1)?))
    })
}

/// `shutdown(milliseconds) -> status`: gives back all owners of this environment.
unsafe extern "C" fn shutdown(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 1>| {
        let timeout = Duration::from_millis(call.milliseconds(0)?.into());
        int(env, call.life.leave(timeout, timeout))
    })
}

/// `exit() -> status`: the same within `shutdown_timeout`, since the process ends.
unsafe extern "C" fn exit(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 0>| int(env, call.life.exit()))
}

/// `logNext() -> [level, line]`; null: none waits. Asked before init, the client keeps its lines.
unsafe extern "C" fn log_next(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 0>| {
        call.life.pull();
        let Some((level, line)) = process::next_log_line() else {
            return null(env);
        };
        let (level, line) = (string(env, level.name())?, string(env, &line)?);
        // SAFETY: values of the environment that calls.
        unsafe {
            let pair = made(|out| napi::napi_create_array_with_length(env, 2, out))?;
            done(napi::napi_set_element(env, pair, 0, level))?;
            done(napi::napi_set_element(env, pair, 1, line))?;
            Ok(pair)
        }
    })
}

pub(super) type Function = unsafe extern "C" fn(Env, Info) -> Value;

pub(super) const FUNCTIONS: [(&CStr, Function); 11] = [
    (c"init", init),
    (c"record", record),
    (c"recordRequest", record_request),
    (c"reads", reads),
    (c"normalizeRoute", normalize_route),
    (c"stats", stats),
    (c"flushBegin", flush_begin),
    (c"flushWait", flush_wait),
    (c"shutdown", shutdown),
    (c"exit", exit),
    (c"logNext", log_next),
];
