//! An ASGI request's way through the middleware, as long as it is an ordinary one.
//!
//! `begin` makes an object of a type of our own, which holds what is known of the request, and which the application
//! gets as its `receive` and as its `send`: called without an argument it receives, with a message it sends. It notes
//! the status when the answer starts, records when it ends, and calls the server's. At anything out of the ordinary an
//! object of the binding's takes over for good: a message of another kind, a late answer, an application that
//! receives, a fault.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::offset_of;
use std::time::Duration;

use super::*;

/// Before an answer that comes later, the binding looks whether the client is still there.
const LATE: Duration = Duration::from_millis(200);

/// What `begin` and `over` are bound to: a tuple.
#[derive(Clone, Copy)]
enum Shared {
    Names,
    Module,
    /// Of the objects that `begin` makes.
    Type,
    /// The context variable that holds what the application says.
    Current,
}

/// The objects that belong to a request.
#[derive(Clone, Copy)]
enum Slot {
    Shared,
    Scope,
    Receive,
    Send,
    Said,
    /// Names the endpoint of a request that no router matched; may be None.
    Namer,
    /// This and the next as on entry: routers may change both.
    Path,
    Root,
    /// Of the context variable, as long as it is set.
    Token,
    /// The object that took over.
    Taker,
}

const SLOTS: usize = Slot::Taker as usize + 1;

/// What the binding records from, besides status and time.
const SETTLED: [Slot; 5] = [Slot::Scope, Slot::Said, Slot::Namer, Slot::Path, Slot::Root];

/// What the object that takes over is made from, besides status, whether it is recorded, and the time that has passed.
const HANDED_OVER: [Slot; 7] = [
    Slot::Scope,
    Slot::Receive,
    Slot::Send,
    Slot::Said,
    Slot::Namer,
    Slot::Path,
    Slot::Root,
];

/// What is known of a request: behind the head that every object has, zeroed by who makes the object, and reached by
/// whatever code of Python's runs meanwhile.
#[repr(C)]
struct Exchange {
    called: Cell<Option<VectorCall>>,
    /// The object's type, which it has a reference to.
    kind: Cell<Ref>,
    slots: [Cell<Ref>; SLOTS],
    started_ns: Cell<u64>,
    /// 0 until the answer starts.
    status: Cell<i32>,
    is_ended: Cell<bool>,
}

impl Exchange {
    /// Borrowed. NULL: none, or the garbage collector has been here.
    #[inline(always)]
    fn slot(&self, slot: Slot) -> Ref {
        self.slots[slot as usize].get()
    }

    fn elapsed_ns(&self) -> u64 {
        sys::monotonic_ns().saturating_sub(self.started_ns.get())
    }
}

type VectorCall = unsafe extern "C" fn(Ref, *const Ref, usize, Ref) -> Ref;
type Visit = unsafe extern "C" fn(Ref, *mut c_void) -> c_int;

/// Of a vector call's count: the place before the arguments may be written to.
const ARGUMENTS_OFFSET: usize = 1 << (usize::BITS - 1);

/// `PyType_Slot`
#[repr(C)]
struct TypeSlot {
    slot: c_int,
    function: *const c_void,
}

/// `PyType_Spec`
#[repr(C)]
pub(super) struct TypeSpec {
    name: *const c_char,
    basic_size: c_int,
    item_size: c_int,
    flags: u32,
    slots: *const TypeSlot,
}

/// `PyMemberDef`
#[repr(C)]
struct MemberDef {
    name: *const c_char,
    kind: c_int,
    offset: isize,
    flags: c_int,
    doc: *const c_char,
}

const PY_TP_CALL: c_int = 50;
const PY_TP_CLEAR: c_int = 51;
const PY_TP_DEALLOC: c_int = 52;
const PY_TP_TRAVERSE: c_int = 71;
const PY_TP_MEMBERS: c_int = 72;
const T_PYSSIZET: c_int = 19;
const READONLY: c_int = 1;
const TPFLAGS_DISALLOW_INSTANTIATION: u32 = 1 << 7;
const TPFLAGS_IMMUTABLETYPE: u32 = 1 << 8;
const TPFLAGS_HAVE_VECTORCALL: u32 = 1 << 11;
const TPFLAGS_HAVE_GC: u32 = 1 << 14;
const TPFLAGS_HAVE_VERSION_TAG: u32 = 1 << 18;

builtin! {
    /// `exchange_type() -> type` of this interpreter
    pub(super) exchange_type, |bound, _call| bound.api.exchange_type()
}

builtin! {
    /// `begin(namer, scope, receive, send) -> request`, which is the application's `receive` and `send`
    pub(super) begin, |bound, call| {
        match call.plain().and_then(|given| bound.api.begin(call.own, given)) {
            Some(request) => request,
            None => bound.api.hand_on_shared(&call, c"begin_slowly"),
        }
    }
}

builtin! {
    /// `over(request, error) -> None`: the application has returned, then `error` is None, or raised it.
    pub(super) over, |bound, call| {
        let api = &bound.api;
        match call.plain() {
            Some(&[request, error]) if api.is_exchange(call.own, request) => {
                let exchange = api.exchange(request);
                api.leave(call.own, exchange);
                if exchange.is_ended.get() && exchange.slot(Slot::Taker).is_null() {
                    api.new_ref(api.none)
                } else {
                    api.hand_over(&Call { own: request, arguments: &error, count: 1, ..call }, c"over")
                }
            }
            _ => api.hand_on_shared(&call, c"over_slowly"),
        }
    }
}

/// `request() -> Awaitable`, `request(message) -> Awaitable`
unsafe extern "C" fn called(own: Ref, arguments: *const Ref, count: usize, names: Ref) -> Ref {
    let Some(bound) = BOUND.get() else {
        return ptr::null_mut();
    };
    let (api, count) = (&bound.api, (count & !ARGUMENTS_OFFSET) as isize);
    let call = Call {
        own,
        arguments,
        count,
        names,
    };
    // SAFETY: as the interpreter calls an object of our type.
    unsafe {
        let exchange = api.exchange(own);
        match call.plain() {
            Some(&[message]) if api.note(exchange, message).is_some() => {
                let mut given = [ptr::null_mut(), message];
                let message = given.as_mut_ptr().add(1);
                let send = exchange.slot(Slot::Send);
                (api.object_vectorcall_dict)(send, message, 1 | ARGUMENTS_OFFSET, ptr::null_mut())
            }
            None if count == 0 && names.is_null() => api.hand_over(&call, c"receive"),
            _ => api.hand_over(&call, c"send"),
        }
    }
}

/// `tp_traverse`
unsafe extern "C" fn traverse(own: Ref, visit: Visit, argument: *mut c_void) -> c_int {
    let Some(bound) = BOUND.get() else {
        return 0;
    };
    // SAFETY: as the interpreter calls with an object of our type.
    unsafe {
        let exchange = bound.api.exchange(own);
        for reference in exchange.slots.iter().chain([&exchange.kind]) {
            if !reference.get().is_null() {
                let stops = visit(reference.get(), argument);
                if stops != 0 {
                    return stops;
                }
            }
        }
    }
    0
}

/// `tp_clear`
unsafe extern "C" fn clear(own: Ref) -> c_int {
    if let Some(bound) = BOUND.get() {
        // SAFETY: as above; each reference is let go after nothing holds it any more.
        unsafe {
            for slot in &bound.api.exchange(own).slots {
                bound.api.release(slot.replace(ptr::null_mut()));
            }
        }
    }
    0
}

/// `tp_dealloc`
unsafe extern "C" fn dealloc(own: Ref) {
    if let Some(bound) = BOUND.get() {
        let api = &bound.api;
        // SAFETY: as above; nobody has a reference any more.
        unsafe {
            (api.object_gc_untrack)(own);
            clear(own);
            let kind = api.exchange(own).kind.get();
            (api.object_gc_del)(own);
            api.release(kind);
        }
    }
}

impl Api {
    unsafe fn exchange_type(&self) -> Ref {
        let members = [
            MemberDef {
                name: c"__vectorcalloffset__".as_ptr(),
                kind: T_PYSSIZET,
                offset: (self.head_bytes + offset_of!(Exchange, called)) as isize,
                flags: READONLY,
                doc: ptr::null(),
            },
            MemberDef {
                name: ptr::null(),
                kind: 0,
                offset: 0,
                flags: 0,
                doc: ptr::null(),
            },
        ];
        let slots = [
            (PY_TP_CALL, self.vectorcall_call),
            (PY_TP_CLEAR, clear as *const c_void),
            (PY_TP_DEALLOC, dealloc as *const c_void),
            (PY_TP_TRAVERSE, traverse as *const c_void),
            (PY_TP_MEMBERS, members.as_ptr().cast()),
            (0, ptr::null()),
        ]
        .map(|(slot, function)| TypeSlot { slot, function });
        let mut spec = TypeSpec {
            name: c"libmalti.Exchange".as_ptr(),
            basic_size: (self.head_bytes + size_of::<Exchange>()) as c_int,
            item_size: 0,
            flags: TPFLAGS_DISALLOW_INSTANTIATION
                | TPFLAGS_IMMUTABLETYPE
                | TPFLAGS_HAVE_VECTORCALL
                | TPFLAGS_HAVE_GC
                | TPFLAGS_HAVE_VERSION_TAG,
            slots: slots.as_ptr(),
        };
        // SAFETY: the caller holds the GIL. The interpreter copies what does not live for ever.
        unsafe { (self.type_from_spec)(&mut spec) }
    }

    /// `None`: the scope is not what servers give.
    unsafe fn begin(&self, shared: Ref, given: &[Ref]) -> Option<Ref> {
        let &[namer, scope, receive, send] = given else {
            return None;
        };
        // SAFETY: the caller holds the GIL; what is borrowed gets a reference of the object's own.
        unsafe {
            let names = self.shared(shared, Shared::Names);
            let path = self.entry(names, scope, Name::Path);
            if path.is_null() {
                return None;
            }
            let root = self.entry(names, scope, Name::Root);
            let root = match root.is_null() {
                true if !(self.err_occurred)().is_null() => return None,
                true => self.none,
                false => root,
            };
            let kind = self.shared(shared, Shared::Type);
            let request = (self.type_generic_alloc)(kind, 0);
            if request.is_null() {
                return None;
            }
            let exchange = self.exchange(request);
            exchange.called.set(Some(called));
            exchange.kind.set(kind);
            exchange.started_ns.set(sys::monotonic_ns());
            for (slot, value) in [
                (Slot::Shared, shared),
                (Slot::Scope, scope),
                (Slot::Receive, receive),
                (Slot::Send, send),
                (Slot::Namer, namer),
                (Slot::Path, path),
                (Slot::Root, root),
            ] {
                exchange.slots[slot as usize].set(self.new_ref(value));
            }
            let has_begun = self.enter(shared, exchange, names).is_some();
            if !has_begun {
                (self.dec_ref)(request);
            }
            has_begun.then_some(request)
        }
    }

    /// Marks the scope, and sets the context variable. May run code of a scope that is a subclass of dict. `None`: not
    /// so simple, or an exception is set.
    #[inline(always)]
    unsafe fn enter(&self, shared: Ref, exchange: &Exchange, names: Ref) -> Option<()> {
        // SAFETY: the caller holds the GIL, and a reference to the request.
        unsafe {
            let scope = exchange.slot(Slot::Scope);
            let set =
                |place, value| (self.object_set_item)(scope, self.name(names, place), value) == 0;
            // The scope's state, which middleware below may copy, must be there before: what is set in this very object
            // is seen when the request ends.
            if self.is_none(self.entry(names, scope, Name::State)) {
                let state = (self.dict_new)();
                let is_set = !state.is_null() && set(Name::State, state);
                self.release(state);
                if !is_set {
                    return None;
                }
            }
            let said = (self.dict_new)();
            exchange.slots[Slot::Said as usize].set(said);
            if said.is_null() || !set(Name::Mark, said) || !(self.err_occurred)().is_null() {
                return None;
            }
            let token = (self.contextvar_set)(self.shared(shared, Shared::Current), said);
            exchange.slots[Slot::Token as usize].set(token);
            (!token.is_null()).then_some(())
        }
    }

    /// Takes back what `begin` did to the context variable.
    #[inline]
    unsafe fn leave(&self, shared: Ref, exchange: &Exchange) {
        let token = exchange.slots[Slot::Token as usize].replace(ptr::null_mut());
        if token.is_null() {
            return;
        }
        // SAFETY: the caller holds the GIL.
        unsafe {
            let current = self.shared(shared, Shared::Current);
            // A request that nobody awaited to its end is ended by the garbage collector, in any context.
            if (self.contextvar_reset)(current, token) != 0 {
                (self.err_clear)();
            }
            (self.dec_ref)(token);
        }
    }

    #[inline]
    unsafe fn shared(&self, shared: Ref, place: Shared) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe { (self.tuple_get_item)(shared, place as isize) }
    }

    /// What is known of a request, an object of our type.
    #[inline(always)]
    unsafe fn exchange<'a>(&self, request: Ref) -> &'a Exchange {
        // SAFETY: by the caller's promise; the type leaves that much room behind the head, and its alignment is a
        // pointer's. The caller has a reference as long as it uses the result.
        unsafe { &*request.byte_add(self.head_bytes).cast() }
    }

    unsafe fn is_exchange(&self, shared: Ref, object: Ref) -> bool {
        // SAFETY: the caller holds the GIL.
        unsafe {
            let kind = (self.object_type)(object);
            (self.dec_ref)(kind);
            kind == self.shared(shared, Shared::Type)
        }
    }

    /// False, and what is not there.
    fn is_no(&self, object: Ref) -> bool {
        object.is_null() || ptr::eq(object, self.no)
    }

    /// What a message says of the answer. `None`: not so simple, or interrupted.
    #[inline(always)]
    unsafe fn note(&self, exchange: &Exchange, message: Ref) -> Option<()> {
        // SAFETY: the caller holds the GIL; no code of Python's runs before what is lent was used.
        unsafe {
            let shared = exchange.slot(Slot::Shared);
            if shared.is_null() || !exchange.slot(Slot::Taker).is_null() {
                return None;
            }
            if exchange.is_ended.get() {
                return Some(());
            }
            let names = self.shared(shared, Shared::Names);
            let entry = |place| self.entry(names, message, place);
            let kind = entry(Name::Type);
            if kind.is_null() {
                return None;
            }
            match self.text(kind)? {
                b"http.response.start" => {
                    let is_late = exchange.elapsed_ns() >= LATE.as_nanos() as u64;
                    if is_late || !self.is_no(entry(Name::Trailers)) {
                        return None;
                    }
                    let status = entry(Name::Status);
                    // A key of a class of its own may have raised.
                    if status.is_null() || !(self.err_occurred)().is_null() {
                        return None;
                    }
                    let status = i32::try_from(self.number(status)?).ok()?;
                    exchange.status.set(status);
                    Some(())
                }
                b"http.response.body" => match entry(Name::MoreBody) {
                    more if more == self.yes => Some(()),
                    more if self.is_no(more) && exchange.status.get() != 0 => {
                        self.end(exchange, shared, names)
                    }
                    _ => None,
                },
                _ => None,
            }
        }
    }

    /// Records the request. `None`: interrupted.
    unsafe fn end(&self, exchange: &Exchange, shared: Ref, names: Ref) -> Option<()> {
        // SAFETY: the caller holds the GIL, and a reference to the request.
        unsafe {
            let elapsed_ns = exchange.elapsed_ns();
            // Whatever comes of it.
            exchange.is_ended.set(true);
            let recorded = self.record_unrouted(exchange, names, elapsed_ns / 1000);
            let is_done = match recorded {
                Some(code) if code != status::MALTI_NOT_RUNNING => {
                    !log::waits_for_pull() || self.pull_log(self.shared(shared, Shared::Module))
                }
                _ => !self.is_interrupted() && self.settle(exchange, elapsed_ns),
            };
            is_done.then_some(())
        }
    }

    /// Where the endpoint is the path. `None`: it is not, or not so simple.
    #[inline(always)]
    unsafe fn record_unrouted(&self, exchange: &Exchange, names: Ref, time_us: u64) -> Option<i32> {
        // SAFETY: the caller holds the GIL, and a reference to the request.
        unsafe {
            let [scope, said, path, root] =
                [Slot::Scope, Slot::Said, Slot::Path, Slot::Root].map(|slot| exchange.slot(slot));
            let is_in_scope = |place| !self.entry(names, scope, place).is_null();
            let is_unrouted = ptr::eq(exchange.slot(Slot::Namer), self.none)
                && self.text_or_none(root)?.is_empty()
                && self.is_none(self.entry(names, self.filled(said), Name::Route))
                && ![Name::EndpointOfRouter, Name::Litestar, Name::Responder]
                    .into_iter()
                    .any(is_in_scope);
            if !is_unrouted {
                return None;
            }
            self.record_exchange(names, scope, said, path, exchange.status.get(), time_us)
        }
    }

    /// Has the binding record. False: interrupted.
    #[inline(never)]
    unsafe fn settle(&self, exchange: &Exchange, elapsed_ns: u64) -> bool {
        // SAFETY: the caller holds the GIL, and a reference to the request.
        unsafe {
            let numbers = [exchange.status.get() as u64, elapsed_ns];
            let numbers = numbers.map(|number| (self.long_from_unsigned_long_long)(number));
            let result = self.ask(exchange, c"settle", &SETTLED, &numbers);
            self.release(result);
            !result.is_null()
        }
    }

    /// Calls the object that takes over, or has taken over.
    #[cold]
    unsafe fn hand_over(&self, call: &Call, method: &CStr) -> Ref {
        // SAFETY: the caller holds the GIL, and a reference to the request that it calls.
        unsafe {
            if self.is_interrupted() {
                return ptr::null_mut();
            }
            let exchange = self.exchange(call.own);
            if exchange.slot(Slot::Taker).is_null() {
                let known = [
                    (self.long_from_unsigned_long_long)(exchange.status.get() as u64),
                    (self.bool_from_long)(exchange.is_ended.get().into()),
                    (self.long_from_unsigned_long_long)(exchange.elapsed_ns()),
                ];
                let taker = self.ask(exchange, c"take_over", &HANDED_OVER, &known);
                if taker.is_null() {
                    return taker;
                }
                let before = exchange.slots[Slot::Taker as usize].replace(taker);
                self.release(before);
            }
            let taker = self.new_ref(exchange.slot(Slot::Taker));
            let result = self.hand_on(
                &Call {
                    own: taker,
                    ..*call
                },
                method,
            );
            (self.dec_ref)(taker);
            result
        }
    }

    /// Calls a function of the module with what is known of a request, and with more objects, whose references it takes
    /// over. NULL: an exception is set.
    unsafe fn ask(
        &self,
        exchange: &Exchange,
        function: &CStr,
        slots: &[Slot],
        more: &[Ref],
    ) -> Ref {
        // SAFETY: the caller holds the GIL, and a reference to the request.
        unsafe {
            let tuple = (self.tuple_new)((slots.len() + more.len()) as isize);
            let shared = exchange.slot(Slot::Shared);
            if shared.is_null() {
                // Called by what the garbage collector ends along with it.
                (self.err_bad_internal_call)();
            }
            if tuple.is_null() || shared.is_null() || more.iter().any(|object| object.is_null()) {
                self.release(tuple);
                more.iter().for_each(|&object| self.release(object));
                return ptr::null_mut();
            }
            let known = slots.iter().map(|&slot| self.new_ref(exchange.slot(slot)));
            for (index, value) in known.chain(more.iter().copied()).enumerate() {
                (self.tuple_set_item)(tuple, index as isize, value);
            }
            let module = self.shared(shared, Shared::Module);
            let result = self.invoke(module, function, tuple, ptr::null_mut());
            self.release(tuple);
            result
        }
    }

    #[cold]
    unsafe fn hand_on_shared(&self, call: &Call, function: &CStr) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe {
            if self.is_interrupted() {
                return ptr::null_mut();
            }
            let module = self.shared(call.own, Shared::Module);
            self.hand_on(
                &Call {
                    own: module,
                    ..*call
                },
                function,
            )
        }
    }
}
