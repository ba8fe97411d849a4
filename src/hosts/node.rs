//! Node.js: the shared library is itself a Node-API module, which costs a fifth less than calling the C functions
//! through a foreign-function package, and needs no other package.
//!
//! What is here takes values apart and puts answers together; rules are the core's. Strings of the hot path are
//! copied to the stack. Each environment (the main thread, each worker) has owners of the client of its own: a worker
//! that is terminated runs no more JavaScript, so that an environment's end gives them back by itself.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use napi_sys as napi;
use napi_sys::{Status, ValueType};

use super::request;
use crate::capi::{self, status};
use crate::client::RawCall;
use crate::config::{Config, ConfigError};
use crate::consumer::pairs;
use crate::process;
use crate::record::{FIELD_MAX, kept};
use crate::route::{self, Dialect};
use crate::sys;

type Env = napi::napi_env;
type Info = napi::napi_callback_info;
type Value = napi::napi_value;

/// Node 12 has this version of Node-API, and so has everything later.
const NODE_API: i32 = 3;
/// What the JavaScript beside this expects; raised when a function changes.
const FACE: i32 = 2;
/// A field, a character that its end cuts in two, and a NUL.
const TEXT_BYTES: usize = FIELD_MAX + 4;
/// A header's name that is longer is none that the rules read.
const NAME_BYTES: usize = 256;
/// The largest whole number that JavaScript tells from its neighbours.
const SAFE_MAX: u64 = (1 << 53) - 1;

/// When the process ends at the latest, once its main thread has said that it does: workers that end with it have the
/// time that is left of that.
static ENDS: OnceLock<Instant> = OnceLock::new();

/// How many environments pull log lines.
static PULLING: AtomicU32 = AtomicU32::new(0);

/// An environment, from the module's registration there to its clean-up hook.
struct Life {
    owners: AtomicU32,
    pulls: AtomicBool,
}

/// Why a call has no result.
enum Fault {
    /// Node-API refuses; an exception may be pending, or the environment is ending.
    Refused,
    Type(String),
    Range(String),
    Plain(String),
}

type Outcome<T> = Result<T, Fault>;

fn done(status: napi::napi_status) -> Outcome<()> {
    if status == Status::napi_ok {
        Ok(())
    } else {
        Err(Fault::Refused)
    }
}

/// What Node-API writes where it succeeds.
fn made<T>(make: impl FnOnce(*mut T) -> napi::napi_status) -> Outcome<T> {
    let mut made = MaybeUninit::uninit();
    done(make(made.as_mut_ptr()))?;
    // SAFETY: written, for it has succeeded.
    Ok(unsafe { made.assume_init() })
}

/// A text's bytes on the stack.
struct Text<const N: usize = TEXT_BYTES>([MaybeUninit<u8>; N]);

impl<const N: usize> Text<N> {
    #[inline(always)]
    const fn new() -> Self {
        Text([const { MaybeUninit::uninit() }; N])
    }

    /// Takes a byte of each unit, of N at most. True: that is the text, for it is ASCII.
    #[inline(always)]
    fn narrow(&mut self, wide: &[u16]) -> bool {
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
    unsafe fn written(&self, len: usize) -> &[u8] {
        // SAFETY: as the caller says.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), len) }
    }

    /// Filled by `read`, which gets room for N bytes, a NUL among them, and says how many others it has written.
    #[inline(always)]
    fn fill(
        &mut self,
        read: impl FnOnce(*mut c_char, usize, *mut usize) -> napi::napi_status,
    ) -> Result<&[u8], napi::napi_status> {
        let mut len = 0;
        match read(self.0.as_mut_ptr().cast(), N, &mut len) {
            // SAFETY: that many have been written, and they are fewer than N.
            Status::napi_ok => Ok(unsafe { self.written(len) }),
            refused => Err(refused),
        }
    }
}

/// A call as Node makes it; arguments that were not given are undefined.
struct Call<'a, const N: usize> {
    env: Env,
    arguments: [Value; N],
    life: &'a Life,
}

/// Answers a call, and throws what went wrong with it. Nothing else leaves, a panic least of all.
#[inline(always)]
fn answer<const N: usize>(
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

fn string(env: Env, text: &str) -> Outcome<Value> {
    // SAFETY: the environment that calls, and as many bytes as are said.
    made(|out| unsafe {
        napi::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, out)
    })
}

fn int(env: Env, number: i32) -> Outcome<Value> {
    // SAFETY: the environment that calls.
    made(|out| unsafe { napi::napi_create_int32(env, number, out) })
}

fn double(env: Env, number: f64) -> Outcome<Value> {
    // SAFETY: the environment that calls.
    made(|out| unsafe { napi::napi_create_double(env, number, out) })
}

fn null(env: Env) -> Outcome<Value> {
    // SAFETY: the environment that calls.
    made(|out| unsafe { napi::napi_get_null(env, out) })
}

fn kind(env: Env, value: Value) -> Outcome<i32> {
    // SAFETY: a value of the environment that calls.
    made(|out| unsafe { napi::napi_typeof(env, value, out) })
}

/// The fault of an argument that is not what `name` takes.
#[cold]
fn mistyped(env: Env, value: Value, name: &str, takes: &str) -> Fault {
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

/// A whole text, of any length.
fn whole(env: Env, value: Value, name: &str) -> Outcome<String> {
    let mut len = 0;
    // SAFETY: a value of the environment that calls; without a buffer only its length is told. Then there is room for
    // that and a NUL.
    unsafe {
        match napi::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &mut len) {
            Status::napi_ok => {}
            Status::napi_string_expected => return Err(mistyped(env, value, name, "a string")),
            _ => return Err(Fault::Refused),
        }
        let mut bytes = vec![0_u8; len + 1];
        done(napi::napi_get_value_string_utf8(
            env,
            value,
            bytes.as_mut_ptr().cast(),
            bytes.len(),
            &mut len,
        ))?;
        bytes.truncate(len);
        // Node replaces what is no UTF-8 itself.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The bytes of a text whose characters each stand for one, as Node gives headers and targets.
fn latin1(env: Env, value: Value, name: &str, takes: &str) -> Outcome<Vec<u8>> {
    let mut len = 0;
    // SAFETY: as in `whole`.
    unsafe {
        match napi::napi_get_value_string_latin1(env, value, ptr::null_mut(), 0, &mut len) {
            Status::napi_ok => {}
            Status::napi_string_expected => return Err(mistyped(env, value, name, takes)),
            _ => return Err(Fault::Refused),
        }
        let mut bytes = vec![0_u8; len + 1];
        done(napi::napi_get_value_string_latin1(
            env,
            value,
            bytes.as_mut_ptr().cast(),
            bytes.len(),
            &mut len,
        ))?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

impl<const N: usize> Call<'_, N> {
    /// At most what a record takes of it. Node copies a text more quickly than it makes UTF-8 of it, and most of them
    /// are ASCII.
    #[inline(always)]
    fn text<'b>(&self, at: usize, name: &str, room: &'b mut Text) -> Outcome<&'b [u8]> {
        let (env, value) = (self.env, self.arguments[at]);
        let mut units = MaybeUninit::<[u16; TEXT_BYTES]>::uninit();
        let (out, mut len) = (units.as_mut_ptr().cast::<u16>(), 0);
        // SAFETY: a value of the environment that calls, and a buffer of that size; then, as many as were written.
        let wide = unsafe {
            match napi::napi_get_value_string_utf16(env, value, out, TEXT_BYTES, &mut len) {
                Status::napi_ok => std::slice::from_raw_parts(out, len),
                Status::napi_string_expected => {
                    return Err(mistyped(env, value, name, "a string"));
                }
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
        Ok(kept(text))
    }

    /// The same; null and undefined are empty.
    #[inline(always)]
    fn optional<'b>(&self, at: usize, name: &str, room: &'b mut Text) -> Outcome<&'b [u8]> {
        if self.is_absent(at)? {
            return Ok(&[]);
        }
        self.text(at, name, room)
    }

    fn is_absent(&self, at: usize) -> Outcome<bool> {
        let kind = kind(self.env, self.arguments[at])?;
        Ok(kind == ValueType::napi_undefined || kind == ValueType::napi_null)
    }

    #[inline(always)]
    fn number(&self, at: usize, name: &str) -> Outcome<f64> {
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
    fn status(&self, at: usize) -> Outcome<i32> {
        let number = self.number(at, "status")?;
        let whole = number as i32;
        Ok(if f64::from(whole) == number { whole } else { 0 })
    }

    fn milliseconds(&self, at: usize) -> Outcome<u32> {
        // NaN and what is negative are 0.
        Ok(self.number(at, "timeout")? as u32)
    }

    /// Those of an array of names and values that the rules read. Undefined: there are none.
    fn headers(&self, at: usize, rules: &crate::consumer::Rules) -> Outcome<Vec<u8>> {
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
    fn query(&self, at: usize) -> Outcome<Vec<u8>> {
        if self.is_absent(at)? {
            return Ok(Vec::new());
        }
        latin1(self.env, self.arguments[at], "query", "a string")
    }
}

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
                call.life.owners.fetch_add(1, Ordering::AcqRel);
            }
            status::MALTI_ERR_INVALID_VALUE => return Err(Fault::Range(why.into_owned())),
            error if error < 0 => return Err(Fault::Plain(why.into_owned())),
            _ => {}
        }
        int(env, code)
    })
}

/// `record(method, endpoint, status, microseconds, consumer, context) -> status`
unsafe extern "C" fn record(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 6>| {
        let mut rooms = [const { Text::new() }; 4];
        let record = fields(call, &mut rooms)?;
        int(env, capi::submit(|| Ok(record)))
    })
}

/// `recordRequest(method, endpoint, status, microseconds, consumer, context, headers, query, peer) -> status`: the
/// consumer and context are what the application said; where it said nothing the rest is asked who called.
unsafe extern "C" fn record_request(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 9>| {
        let mut rooms = [const { Text::new() }; 4];
        let record = fields(call, &mut rooms)?;
        // A child that was forked has no client before its first call.
        let Some(tenure) = process::tenure() else {
            return int(env, status::MALTI_NOT_RUNNING);
        };
        let mut room = Text::new();
        let code = capi::submit_request(
            &tenure.rules,
            record,
            pairs(&call.headers(6, &tenure.rules)?),
            &call.query(7)?,
            call.optional(8, "peer", &mut room)?,
        );
        int(env, code)
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
        int(env, leave(call.life, timeout, timeout))
    })
}

/// `exit() -> status`: the same within `shutdown_timeout`, since the process ends.
unsafe extern "C" fn exit(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 0>| {
        let timeout = end_timeout();
        ENDS.get_or_init(|| Instant::now() + timeout);
        int(env, leave(call.life, timeout, timeout))
    })
}

/// `logNext() -> [level, line]`; null: none waits. Asked before init, the client keeps its lines.
unsafe extern "C" fn log_next(env: Env, info: Info) -> Value {
    answer(env, info, |call: &Call<'_, 0>| {
        if !call.life.pulls.swap(true, Ordering::AcqRel) {
            PULLING.fetch_add(1, Ordering::AcqRel);
        }
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

/// The time that an end may take.
fn end_timeout() -> Duration {
    let timeout = process::tenure().map_or(Duration::ZERO, |t| t.config.shutdown_timeout);
    match ENDS.get() {
        Some(end) => end.saturating_duration_since(Instant::now()).min(timeout),
        None => timeout,
    }
}

/// Gives back the owners of an environment, and says how the last one's end went. `others`: how long it waits where
/// the client has owners elsewhere.
fn leave(life: &Life, timeout: Duration, others: Duration) -> i32 {
    let mut code = status::MALTI_NOT_RUNNING;
    for left in (0..life.owners.swap(0, Ordering::AcqRel)).rev() {
        let others = if left == 0 { others } else { Duration::ZERO };
        code = match process::release(timeout, others) {
            Ok(true) => status::MALTI_OK,
            Ok(false) => status::MALTI_ERR_TIMED_OUT,
            Err(absent) => absent.into(),
        };
    }
    code
}

/// The environment ends: a worker without waiting for what others go on with.
unsafe extern "C" fn clean_up(life: *mut c_void) {
    capi::guard((), || {
        // SAFETY: made by `register`, and given to nobody else to free.
        let life = unsafe { Box::from_raw(life.cast::<Life>()) };
        leave(&life, end_timeout(), Duration::ZERO);
        if life.pulls.into_inner() {
            PULLING.fetch_sub(1, Ordering::AcqRel);
        }
        // A worker that had the only logger may have been terminated: nobody else asks for what waits.
        if PULLING.load(Ordering::Acquire) == 0 {
            process::say_log_lines();
        }
    });
}

type Function = unsafe extern "C" fn(Env, Info) -> Value;

const FUNCTIONS: [(&CStr, Function); 11] = [
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

fn register(env: Env, exports: Value) -> Outcome<()> {
    let set = |name: &CStr, value: Value| {
        // SAFETY: values of the environment that registers, and a C string.
        done(unsafe { napi::napi_set_named_property(env, exports, name.as_ptr(), value) })
    };
    let life = Box::into_raw(Box::new(Life {
        owners: AtomicU32::new(0),
        pulls: AtomicBool::new(false),
    }));
    // SAFETY: the hook is a function of this image, which is never unloaded, and frees `life`.
    let hooked = done(unsafe { napi::napi_add_env_cleanup_hook(env, Some(clean_up), life.cast()) });
    if let Err(fault) = hooked {
        // SAFETY: nobody else has it.
        drop(unsafe { Box::from_raw(life) });
        return Err(fault);
    }
    for (name, function) in FUNCTIONS {
        // SAFETY: a C string, and data that lives as long as the environment.
        let value = made(|out| unsafe {
            napi::napi_create_function(
                env,
                name.as_ptr(),
                name.count_bytes() as isize,
                Some(function),
                life.cast(),
                out,
            )
        })?;
        set(name, value)?;
    }
    set(c"version", string(env, env!("CARGO_PKG_VERSION"))?)?;
    set(c"face", int(env, FACE)?)
}

/// Node looks this up when it loads the library as an addon; once for each environment.
///
/// # Safety
/// Called by Node alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn napi_register_module_v1(env: Env, exports: Value) -> Value {
    static LOADED: Once = Once::new();
    capi::guard((), || {
        LOADED.call_once(|| {
            sys::pin_image();
            // SAFETY: nothing of it is used before. What it returns keeps the host's symbols, and is kept for ever.
            std::mem::forget(unsafe { napi::setup() });
        });
        // What has failed here is missed by the JavaScript, which asks for `face`.
        let _ = register(env, exports);
    });
    exports
}

/// The version of Node-API that the module wants.
#[unsafe(no_mangle)]
pub extern "C" fn node_api_module_get_api_version_v1() -> i32 {
    NODE_API
}
