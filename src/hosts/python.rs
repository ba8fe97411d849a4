//! CPython: recording as builtin functions, which cost a tenth of the same calls through ctypes.
//!
//! Nothing here is compiled against a version of Python. The binding hands over the addresses of the functions that
//! are needed, of the stable ABI but for three, and makes function objects from the definitions that it gets back. No
//! field of an object of Python's is read, so that free-threaded and future builds do as well. What is not simple goes
//! to a function of the binding's own: keywords, values of other types, lone surrogates, a client that is not running
//! yet.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::marker::{PhantomData, PhantomPinned};
use std::ops::RangeInclusive;
use std::ptr;
use std::sync::OnceLock;

use crate::capi::{self, status};
use crate::client::RawCall;
use crate::consumer::Rules;
use crate::log;
use crate::process;
use crate::record::kept;
use crate::sys;

/// A builtin, whose call is answered by `$answer`.
macro_rules! builtin {
    ($(#[$doc:meta])* $visibility:vis $name:ident, |$bound:ident, $call:ident| $answer:expr) => {
        $(#[$doc])*
        $visibility unsafe extern "C" fn $name(
            own: Ref,
            arguments: *const Ref,
            count: isize,
            names: Ref,
        ) -> Ref {
            let Some($bound) = BOUND.get() else {
                return ptr::null_mut();
            };
            let $call = Call { own, arguments, count, names };
            // SAFETY: as the interpreter calls.
            unsafe { $answer }
        }
    };
}

mod exchange;

/// An object of Python's, only ever handed on.
#[repr(C)]
pub struct Object {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

type Ref = *mut Object;

/// What the binding hands over, in this order. Its length is its version.
#[repr(C)]
#[derive(Clone, Copy)]
struct Api {
    unicode_as_utf8_and_size: unsafe extern "C" fn(Ref, *mut isize) -> *const c_char,
    long_as_unsigned_long_long: unsafe extern "C" fn(Ref) -> u64,
    bool_from_long: unsafe extern "C" fn(c_long) -> Ref,
    err_occurred: unsafe extern "C" fn() -> Ref,
    err_clear: unsafe extern "C" fn(),
    err_bad_internal_call: unsafe extern "C" fn(),
    err_exception_matches: unsafe extern "C" fn(Ref) -> c_int,
    list_size: unsafe extern "C" fn(Ref) -> isize,
    list_get_item: unsafe extern "C" fn(Ref, isize) -> Ref,
    bytes_as_string_and_size: unsafe extern "C" fn(Ref, *mut *mut c_char, *mut isize) -> c_int,
    tuple_new: unsafe extern "C" fn(isize) -> Ref,
    tuple_set_item: unsafe extern "C" fn(Ref, isize, Ref) -> c_int,
    tuple_get_item: unsafe extern "C" fn(Ref, isize) -> Ref,
    tuple_size: unsafe extern "C" fn(Ref) -> isize,
    dict_new: unsafe extern "C" fn() -> Ref,
    object_set_item: unsafe extern "C" fn(Ref, Ref, Ref) -> c_int,
    dict_size: unsafe extern "C" fn(Ref) -> isize,
    dict_get_item_with_error: unsafe extern "C" fn(Ref, Ref) -> Ref,
    object_get_attr_string: unsafe extern "C" fn(Ref, *const c_char) -> Ref,
    object_call: unsafe extern "C" fn(Ref, Ref, Ref) -> Ref,
    object_vectorcall_dict: unsafe extern "C" fn(Ref, *const Ref, usize, Ref) -> Ref,
    vectorcall_call: *const c_void,
    object_type: unsafe extern "C" fn(Ref) -> Ref,
    object_gc_untrack: unsafe extern "C" fn(Ref),
    object_gc_del: unsafe extern "C" fn(Ref),
    type_from_spec: unsafe extern "C" fn(*mut exchange::TypeSpec) -> Ref,
    type_generic_alloc: unsafe extern "C" fn(Ref, isize) -> Ref,
    contextvar_set: unsafe extern "C" fn(Ref, Ref) -> Ref,
    contextvar_reset: unsafe extern "C" fn(Ref, Ref) -> c_int,
    long_from_unsigned_long_long: unsafe extern "C" fn(u64) -> Ref,
    inc_ref: unsafe extern "C" fn(Ref),
    dec_ref: unsafe extern "C" fn(Ref),
    none: Ref,
    yes: Ref,
    no: Ref,
    keyboard_interrupt: Ref,
    system_exit: Ref,
    /// Of every object, before what is its type's own.
    head_bytes: usize,
}

const API_LEN: usize = size_of::<Api>() / size_of::<*const c_void>();

/// `PyMethodDef`, which has had this layout since Python 1.
#[repr(C)]
pub struct MethodDef {
    name: *const c_char,
    method: unsafe extern "C" fn(Ref, *const Ref, isize, Ref) -> Ref,
    flags: c_int,
    doc: *const c_char,
}

const METH_KEYWORDS: c_int = 0x2;
const METH_FASTCALL: c_int = 0x80;

struct Bound {
    api: Api,
    methods: [MethodDef; 6],
}

// SAFETY: written once; addresses of functions and of objects that are immortal.
unsafe impl Send for Bound {}
// SAFETY: as above.
unsafe impl Sync for Bound {}

/// The same from every interpreter of the process, for all of them share the runtime.
static BOUND: OnceLock<Bound> = OnceLock::new();

/// For the Python binding alone, and no part of the C interface: the definitions of the builtins, one behind the other.
/// The module of the first three, `record`, `record_request` and `record_scope`, has `pull_log`, and for each of them
/// `NAME_slowly`. NULL: `functions` is not what this library expects.
///
/// # Safety
/// `functions` points to `count` addresses (the last is a number) in the order of the binding's list, `doc` to a
/// NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malti_python_methods(
    functions: *const *const c_void,
    count: usize,
    doc: *const c_char,
) -> *const MethodDef {
    if functions.is_null() || count != API_LEN || doc.is_null() {
        return ptr::null();
    }
    // SAFETY: by this function's contract.
    let (given, doc) = unsafe {
        let given = std::slice::from_raw_parts(functions, count);
        (given, CStr::from_ptr(doc))
    };
    if given.iter().any(|address| address.is_null()) {
        return ptr::null();
    }
    let method = |name: &'static CStr, method, doc| MethodDef {
        name: name.as_ptr(),
        method,
        flags: METH_FASTCALL | METH_KEYWORDS,
        doc,
    };
    let bound = BOUND.get_or_init(|| Bound {
        // SAFETY: as many addresses as there are fields, none of them NULL.
        api: unsafe { functions.cast::<Api>().read() },
        methods: [
            // For the life of the process: the interpreter that gave the text may end before the others.
            method(c"record", record, CString::into_raw(doc.to_owned())),
            method(c"record_request", record_request, ptr::null()),
            method(c"record_scope", record_scope, ptr::null()),
            method(c"begin", exchange::begin, ptr::null()),
            method(c"over", exchange::over, ptr::null()),
            method(c"exchange_type", exchange::exchange_type, ptr::null()),
        ],
    });
    bound.methods.as_ptr()
}

builtin! {
    /// `record(method, endpoint, status, response_time_us, consumer=None, context=None) -> bool`
    record, |bound, call| call.answer(&bound.api, 4..=6, Api::record, c"record_slowly")
}
builtin! {
    /// `record_request(method, endpoint, status, response_time_us, consumer, context, headers, query, peer) -> bool`:
    /// the application's consumer and context, which may be None, and what else may say who called: a list of pairs of
    /// bytes, the raw query string, and the peer's address or None.
    record_request, |bound, call|
        call.answer(&bound.api, 9..=9, Api::record_request, c"record_request_slowly")
}
builtin! {
    /// `record_scope(names, scope, said, endpoint, status, response_time_us) -> bool`: the same of an ASGI scope.
    /// `names` are those of its entries and of those of the dictionary `said`, in the order of [`Name`].
    record_scope, |bound, call|
        call.answer(&bound.api, 6..=6, Api::record_scope, c"record_scope_slowly")
}

/// The places of `record_scope`'s names.
#[derive(Clone, Copy)]
enum Name {
    Method,
    Headers,
    Query,
    Client,
    State,
    StateConsumer,
    StateContext,
    StateEndpoint,
    /// What the README of malti-telemetry calls the context.
    StateText,
    Consumer,
    Context,
    Endpoint,
    Own,
    Route,
    Path,
    Root,
    EndpointOfRouter,
    Litestar,
    Responder,
    Type,
    Status,
    MoreBody,
    Trailers,
    /// Of a scope whose request is recorded.
    Mark,
}

/// A call as the interpreter makes it: `count` objects, then those that the tuple `names` names, all borrowed.
struct Call {
    /// What the builtin is bound to.
    own: Ref,
    arguments: *const Ref,
    count: isize,
    names: Ref,
}

impl Call {
    /// The arguments, if none of them is named.
    #[inline(always)]
    unsafe fn plain(&self) -> Option<&[Ref]> {
        // SAFETY: by the type's promise. Without arguments there may be no address.
        (self.names.is_null() && self.count > 0)
            .then(|| unsafe { std::slice::from_raw_parts(self.arguments, self.count as usize) })
    }

    /// Records plainly what can be, and leaves the rest to the module's function `slow`.
    #[inline(always)]
    unsafe fn answer(
        &self,
        api: &Api,
        counts: RangeInclusive<usize>,
        plain: unsafe fn(&Api, &[Ref]) -> Option<i32>,
        slow: &CStr,
    ) -> Ref {
        // SAFETY: by the type's promise.
        unsafe {
            let status = match self.plain() {
                Some(arguments) if counts.contains(&arguments.len()) => plain(api, arguments),
                _ => None,
            };
            match status {
                Some(status) if status != status::MALTI_NOT_RUNNING => {
                    if log::waits_for_pull() && !api.pull_log(self.own) {
                        return ptr::null_mut();
                    }
                    (api.bool_from_long)((status == status::MALTI_OK).into())
                }
                _ if api.is_interrupted() => ptr::null_mut(),
                _ => api.hand_on(self, slow),
            }
        }
    }
}

impl Api {
    /// `None`: not so simple, or interrupted.
    #[inline(always)]
    unsafe fn record(&self, arguments: &[Ref]) -> Option<i32> {
        let call = self.call(arguments)?;
        Some(capi::submit(|| Ok(call)))
    }

    unsafe fn record_request(&self, arguments: &[Ref]) -> Option<i32> {
        let Some(tenure) = process::tenure() else {
            return Some(status::MALTI_NOT_RUNNING);
        };
        let call = self.call(arguments)?;
        // SAFETY: the caller holds the GIL.
        unsafe {
            self.record_call(
                &tenure.rules,
                call,
                arguments[6],
                self.bytes(arguments[7])?,
                self.optional(arguments, 8)?,
            )
        }
    }

    unsafe fn record_scope(&self, arguments: &[Ref]) -> Option<i32> {
        let &[names, scope, said, endpoint, status, time] = arguments else {
            return None;
        };
        // SAFETY: the caller holds the GIL.
        unsafe {
            let status = i32::try_from(self.number(status)?).ok()?;
            self.record_exchange(names, scope, said, endpoint, status, self.number(time)?)
        }
    }

    unsafe fn record_exchange(
        &self,
        names: Ref,
        scope: Ref,
        said: Ref,
        endpoint: Ref,
        status: i32,
        response_time_us: u64,
    ) -> Option<i32> {
        let Some(tenure) = process::tenure() else {
            return Some(status::MALTI_NOT_RUNNING);
        };
        let created_at_us = sys::now_us();
        // SAFETY: the caller holds the GIL. What dictionaries lend lives as long as they do: no code of Python's runs
        // before the record is made.
        unsafe {
            let entry = |dictionary: Ref, place| self.entry(names, dictionary, place);
            let (method, headers) = (entry(scope, Name::Method), entry(scope, Name::Headers));
            let (state, said) = (self.filled(entry(scope, Name::State)), self.filled(said));
            if method.is_null() || headers.is_null() || !self.is_none(entry(said, Name::Own)) {
                return None;
            }
            let own = |place, of_state| match entry(said, place) {
                said if self.is_none(said) => entry(state, of_state),
                said => said,
            };
            let mut context = self.text_or_none(own(Name::Context, Name::StateContext))?;
            if context.is_empty() {
                context = self.text_or_none(entry(state, Name::StateText))?;
            }
            let own_endpoint = own(Name::Endpoint, Name::StateEndpoint);
            let call = RawCall {
                created_at_us,
                method: self.text(method)?,
                endpoint: match self.text_or_none(own_endpoint)? {
                    [] => self.text(endpoint)?,
                    own => own,
                },
                status,
                response_time_us,
                consumer: self.text_or_none(own(Name::Consumer, Name::StateConsumer))?,
                context,
            };
            let query = match entry(scope, Name::Query) {
                query if self.is_none(query) => &[],
                query => self.bytes(query)?,
            };
            let peer = if tenure.rules.use_ip {
                match entry(scope, Name::Client) {
                    client if self.is_none(client) => &[],
                    client => self.text_or_none((self.tuple_get_item)(client, 0))?,
                }
            } else {
                &[]
            };
            // A mapping of another kind, or a client that is no tuple.
            if !(self.err_occurred)().is_null() {
                return None;
            }
            self.record_call(&tenure.rules, call, headers, query, peer)
        }
    }

    /// Borrowed; NULL: none.
    #[inline]
    unsafe fn entry(&self, names: Ref, dictionary: Ref, place: Name) -> Ref {
        if self.is_none(dictionary) {
            return ptr::null_mut();
        }
        // SAFETY: the caller holds the GIL.
        unsafe { (self.dict_get_item_with_error)(dictionary, self.name(names, place)) }
    }

    /// NULL for a dictionary that is empty: most requests say nothing.
    #[inline]
    unsafe fn filled(&self, dictionary: Ref) -> Ref {
        // SAFETY: the caller holds the GIL.
        if self.is_none(dictionary) || unsafe { (self.dict_size)(dictionary) } == 0 {
            ptr::null_mut()
        } else {
            dictionary
        }
    }

    #[inline]
    unsafe fn new_ref(&self, object: Ref) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe { (self.inc_ref)(object) };
        object
    }

    #[inline]
    unsafe fn name(&self, names: Ref, place: Name) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe { (self.tuple_get_item)(names, place as isize) }
    }

    /// Finds out who called, where the application has not said it, and records.
    unsafe fn record_call<'a>(
        &self,
        rules: &Rules,
        call: RawCall<'a>,
        headers: Ref,
        query: &'a [u8],
        peer: &'a [u8],
    ) -> Option<i32> {
        // SAFETY: the caller holds the GIL.
        let headers = unsafe { self.headers(headers, rules)? };
        let record = || capi::submit_request(rules, call, headers.iter().copied(), query, peer);
        Some(capi::guard(status::MALTI_ERR_PANIC, record))
    }

    /// NULL is none, too.
    #[inline]
    fn is_none(&self, object: Ref) -> bool {
        object.is_null() || ptr::eq(object, self.none)
    }

    #[inline]
    fn text_or_none<'a>(&self, object: Ref) -> Option<&'a [u8]> {
        if self.is_none(object) {
            Some(&[])
        } else {
            self.text(object)
        }
    }

    #[inline(always)]
    fn call<'a>(&self, arguments: &[Ref]) -> Option<RawCall<'a>> {
        Some(RawCall {
            created_at_us: sys::now_us(),
            method: self.text(arguments[0])?,
            endpoint: self.text(arguments[1])?,
            status: i32::try_from(self.number(arguments[2])?).ok()?,
            response_time_us: self.number(arguments[3])?,
            consumer: self.optional(arguments, 4)?,
            context: self.optional(arguments, 5)?,
        })
    }

    /// Those that the rules read.
    unsafe fn headers<'a>(&self, list: Ref, rules: &Rules) -> Option<Vec<(&'a [u8], &'a [u8])>> {
        let mut read = Vec::new();
        // SAFETY: each function checks the type of what it is given; what it lends lives as long as the list, which
        // belongs to the request.
        unsafe {
            for index in 0..usize::try_from((self.list_size)(list)).ok()? {
                let pair = (self.list_get_item)(list, index as isize);
                if pair.is_null() {
                    return None;
                }
                let name = self.bytes_of((self.tuple_get_item)(pair, 0))?;
                if rules.reads(name) {
                    let value = self.bytes_of((self.tuple_get_item)(pair, 1))?;
                    // No server should let a NUL pass; elsewhere it would begin another header.
                    if !value.contains(&0) {
                        read.push((name, value));
                    }
                }
            }
        }
        Some(read)
    }

    /// Of an object that may be NULL, for that a call has failed.
    fn bytes_of<'a>(&self, object: Ref) -> Option<&'a [u8]> {
        if object.is_null() {
            None
        } else {
            self.bytes(object)
        }
    }

    #[inline]
    fn bytes<'a>(&self, object: Ref) -> Option<&'a [u8]> {
        let (mut start, mut len) = (ptr::null_mut(), 0);
        // SAFETY: an object of the interpreter that calls, which checks its type.
        unsafe {
            if (self.bytes_as_string_and_size)(object, &mut start, &mut len) != 0 {
                return None;
            }
            Some(std::slice::from_raw_parts(start.cast(), len as usize))
        }
    }

    /// None, and what is not given, is empty.
    #[inline(always)]
    fn optional<'a>(&self, arguments: &[Ref], index: usize) -> Option<&'a [u8]> {
        self.text_or_none(arguments.get(index).copied().unwrap_or(ptr::null_mut()))
    }

    /// Borrowed from the object, which lives as long as the call.
    #[inline]
    fn text<'a>(&self, object: Ref) -> Option<&'a [u8]> {
        let mut len = 0;
        // SAFETY: an object of the interpreter that calls, which checks its type.
        unsafe {
            let text = (self.unicode_as_utf8_and_size)(object, &mut len);
            if text.is_null() {
                return None;
            }
            let text = std::slice::from_raw_parts(text.cast(), len as usize);
            Some(kept(text))
        }
    }

    #[inline]
    fn number(&self, object: Ref) -> Option<u64> {
        // SAFETY: as above.
        unsafe {
            let number = (self.long_as_unsigned_long_long)(object);
            (number != u64::MAX || (self.err_occurred)().is_null()).then_some(number)
        }
    }

    /// Clears the exception of a failed call, but for those that are to end the program.
    #[cold]
    unsafe fn is_interrupted(&self) -> bool {
        // SAFETY: the caller holds the GIL.
        unsafe {
            if (self.err_occurred)().is_null() {
                return false;
            }
            let fatal = [self.keyboard_interrupt, self.system_exit];
            let fatal = fatal
                .iter()
                .any(|&kind| (self.err_exception_matches)(kind) != 0);
            if !fatal {
                (self.err_clear)();
            }
            fatal
        }
    }

    /// Makes the same call to the module's function. NULL: an exception is set.
    #[cold]
    unsafe fn hand_on(&self, call: &Call, function: &CStr) -> Ref {
        // SAFETY: the caller holds the GIL; the objects are borrowed from the interpreter.
        unsafe {
            let tuple = (self.tuple_new)(call.count);
            if tuple.is_null() {
                return ptr::null_mut();
            }
            for index in 0..call.count {
                let value = *call.arguments.offset(index);
                (self.inc_ref)(value);
                // Takes the reference over.
                (self.tuple_set_item)(tuple, index, value);
            }
            let keywords = if call.names.is_null() {
                ptr::null_mut()
            } else {
                self.keywords(call.arguments.offset(call.count), call.names)
            };
            let result = if call.names.is_null() == keywords.is_null() {
                self.invoke(call.own, function, tuple, keywords)
            } else {
                ptr::null_mut()
            };
            self.release(tuple);
            self.release(keywords);
            result
        }
    }

    unsafe fn keywords(&self, values: *const Ref, names: Ref) -> Ref {
        // SAFETY: `names` is a tuple, and there is a value for each of its items.
        unsafe {
            let keywords = (self.dict_new)();
            for index in 0..(self.tuple_size)(names) {
                let name = (self.tuple_get_item)(names, index);
                if keywords.is_null()
                    || (self.object_set_item)(keywords, name, *values.offset(index)) != 0
                {
                    self.release(keywords);
                    return ptr::null_mut();
                }
            }
            keywords
        }
    }

    /// Hands waiting log lines to Python's logging, whose function answers None where it has taken all of them. False:
    /// it was interrupted.
    #[cold]
    unsafe fn pull_log(&self, module: Ref) -> bool {
        // SAFETY: the caller holds the GIL.
        unsafe {
            let nothing = (self.tuple_new)(0);
            let result = if nothing.is_null() {
                nothing
            } else {
                self.invoke(module, c"pull_log", nothing, ptr::null_mut())
            };
            self.release(nothing);
            let is_interrupted = result.is_null() && self.is_interrupted();
            if is_interrupted || !self.is_none(result) {
                log::still_waits();
            }
            self.release(result);
            !is_interrupted
        }
    }

    unsafe fn invoke(&self, module: Ref, name: &CStr, tuple: Ref, keywords: Ref) -> Ref {
        // SAFETY: objects that the caller has a reference to; `keywords` may be NULL.
        unsafe {
            let function = (self.object_get_attr_string)(module, name.as_ptr());
            if function.is_null() {
                return function;
            }
            let result = (self.object_call)(function, tuple, keywords);
            (self.dec_ref)(function);
            result
        }
    }

    unsafe fn release(&self, object: Ref) {
        if !object.is_null() {
            // SAFETY: a reference that we had.
            unsafe { (self.dec_ref)(object) }
        }
    }
}
