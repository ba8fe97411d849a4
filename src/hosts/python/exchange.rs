//! An ASGI request's way through the middleware, as long as it is an ordinary one.
//!
//! `begin` makes the `receive` and the `send` that the application gets: builtins bound to one list, which holds what
//! is known of the request. (The garbage collector sees through a list.) `send` notes the status when the answer
//! starts, records when it ends, and calls the server's. At anything out of the ordinary an object of the binding's
//! takes over for good: a message of another kind, a late answer, an application that receives, a fault.

use std::ffi::c_void;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::*;

/// Before an answer that comes later, the binding looks whether the client is still there.
const LATE: Duration = Duration::from_millis(200);

/// What `begin` and `over` are bound to: a tuple.
#[derive(Clone, Copy)]
enum Shared {
    Names,
    Module,
}

/// What is known of a request.
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
    Started,
    /// None until the answer starts.
    Status,
    /// None, then either True, when the request is recorded, or the object that took over.
    Taker,
}

const SLOTS: isize = Slot::Taker as isize + 1;

/// What the object that takes over is made from, besides the time that has passed.
const HANDED_OVER: [Slot; 9] = [
    Slot::Scope,
    Slot::Receive,
    Slot::Send,
    Slot::Said,
    Slot::Namer,
    Slot::Path,
    Slot::Root,
    Slot::Status,
    Slot::Taker,
];

fn now_ns() -> u64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

builtin! {
    /// `begin(namer, scope, receive, send, said) -> (receive, send, request)`
    pub(super) begin, |bound, call| {
        match call.plain().and_then(|given| bound.begin(call.own, given)) {
            Some(made) => made,
            None => bound.api.hand_on_shared(&call, c"begin_slowly"),
        }
    }
}

builtin! {
    /// `over(request, error) -> None`: the application has returned, then `error` is None, or raised it.
    pub(super) over, |bound, call| {
        let api = &bound.api;
        match call.plain() {
            Some(&[request, error]) => match api.slot(request, Slot::Taker) {
                taker if taker == api.yes => api.new_ref(api.none),
                taker if taker.is_null() => api.hand_on_shared(&call, c"over_slowly"),
                _ => api.hand_over(&Call { own: request, arguments: &error, count: 1, ..call }, c"over"),
            },
            _ => api.hand_on_shared(&call, c"over_slowly"),
        }
    }
}

builtin! {
    /// `receive() -> Awaitable`
    pub(super) receive, |bound, call| bound.api.hand_over(&call, c"receive")
}

builtin! {
    /// `send(message) -> Awaitable`
    pub(super) send, |bound, call| {
        let api = &bound.api;
        match call.plain() {
            Some(&[message]) if api.note(call.own, message).is_some() => {
                let send = api.slot(call.own, Slot::Send);
                (api.object_call_function_obj_args)(send, message, ptr::null::<c_void>())
            }
            _ => api.hand_over(&call, c"send"),
        }
    }
}

impl Bound {
    /// `None`: the scope is not what servers give.
    unsafe fn begin(&self, shared: Ref, given: &[Ref]) -> Option<Ref> {
        let &[namer, scope, receive, send, said] = given else {
            return None;
        };
        let api = &self.api;
        // SAFETY: the caller holds the GIL; what is borrowed gets a reference of the list's own.
        unsafe {
            let names = api.shared(shared, Shared::Names);
            let path = api.entry(names, scope, Name::Path);
            if path.is_null() {
                return None;
            }
            let root = api.entry(names, scope, Name::Root);
            let root = if root.is_null() { api.none } else { root };
            let request = (api.list_new)(SLOTS);
            if request.is_null() {
                return None;
            }
            for (slot, value) in [
                (Slot::Shared, shared),
                (Slot::Scope, scope),
                (Slot::Receive, receive),
                (Slot::Send, send),
                (Slot::Said, said),
                (Slot::Namer, namer),
                (Slot::Path, path),
                (Slot::Root, root),
                (Slot::Status, api.none),
                (Slot::Taker, api.none),
            ] {
                api.put(request, slot, api.new_ref(value));
            }
            api.put(
                request,
                Slot::Started,
                (api.long_from_unsigned_long_long)(now_ns()),
            );
            let made = match api.mark(names, scope, said) {
                Some(()) => (api.tuple_new)(3),
                None => ptr::null_mut(),
            };
            if !made.is_null() {
                for (index, method) in [Method::Receive, Method::Send].into_iter().enumerate() {
                    let definition = &raw const self.methods[method as usize];
                    let builtin = (api.cfunction_new_ex)(definition, request, ptr::null_mut());
                    (api.tuple_set_item)(made, index as isize, builtin);
                }
                (api.tuple_set_item)(made, 2, api.new_ref(request));
            }
            (api.dec_ref)(request);
            let is_whole = (api.err_occurred)().is_null();
            if !is_whole {
                api.release(made);
            }
            is_whole.then_some(made)
        }
    }
}

impl Api {
    /// May run code of a scope that is a subclass of dict. `None`: an exception is set.
    #[inline]
    unsafe fn mark(&self, names: Ref, scope: Ref, said: Ref) -> Option<()> {
        // SAFETY: the caller holds the GIL.
        unsafe {
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
            set(Name::Mark, said).then_some(())
        }
    }

    #[inline]
    unsafe fn shared(&self, shared: Ref, place: Shared) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe { (self.tuple_get_item)(shared, place as isize) }
    }

    /// Borrowed. NULL, and an exception is set: not a request of ours.
    #[inline]
    unsafe fn slot(&self, request: Ref, slot: Slot) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe { (self.list_get_item)(request, slot as isize) }
    }

    /// Takes the reference over.
    #[inline]
    unsafe fn put(&self, request: Ref, slot: Slot, value: Ref) {
        // SAFETY: the caller holds the GIL.
        unsafe { (self.list_set_item)(request, slot as isize, value) };
    }

    unsafe fn elapsed_ns(&self, request: Ref) -> Option<u64> {
        // SAFETY: the caller holds the GIL.
        let started = unsafe { self.number(self.slot(request, Slot::Started))? };
        Some(now_ns().saturating_sub(started))
    }

    /// False, and what is not there.
    fn is_no(&self, object: Ref) -> bool {
        object.is_null() || ptr::eq(object, self.no)
    }

    /// What a message says of the answer. `None`: not so simple, or interrupted.
    #[inline(always)]
    unsafe fn note(&self, request: Ref, message: Ref) -> Option<()> {
        // SAFETY: the caller holds the GIL; no code of Python's runs before what is lent was used.
        unsafe {
            let taker = self.slot(request, Slot::Taker);
            if taker != self.none {
                return (taker == self.yes).then_some(());
            }
            let names = self.shared(self.slot(request, Slot::Shared), Shared::Names);
            let entry = |place| self.entry(names, message, place);
            let kind = entry(Name::Type);
            if kind.is_null() {
                return None;
            }
            match self.text(kind)? {
                b"http.response.start" => {
                    let is_late = self.elapsed_ns(request)? >= LATE.as_nanos() as u64;
                    if is_late || !self.is_no(entry(Name::Trailers)) {
                        return None;
                    }
                    // Last: a key of a class of its own may run code, or raise.
                    let status = entry(Name::Status);
                    if status.is_null() || !(self.err_occurred)().is_null() {
                        return None;
                    }
                    self.put(request, Slot::Status, self.new_ref(status));
                    Some(())
                }
                b"http.response.body" => match entry(Name::MoreBody) {
                    more if more == self.yes => Some(()),
                    more if self.is_no(more) => self.end(request, names),
                    _ => None,
                },
                _ => None,
            }
        }
    }

    /// Records the request. `None`: not so simple, or interrupted.
    unsafe fn end(&self, request: Ref, names: Ref) -> Option<()> {
        // SAFETY: the caller holds the GIL. What is borrowed stays in the list as long as the request, but for the
        // status.
        unsafe {
            let time_us = self.elapsed_ns(request)? / 1000;
            let status = i32::try_from(self.number(self.slot(request, Slot::Status))?).ok()?;
            let [scope, said, path] =
                [Slot::Scope, Slot::Said, Slot::Path].map(|slot| self.slot(request, slot));
            let endpoint = if self.is_unrouted(request, names, scope, said)? {
                self.new_ref(path)
            } else {
                self.route(request)?
            };
            let recorded = self.record_exchange(names, scope, said, endpoint, status, time_us);
            (self.dec_ref)(endpoint);
            if recorded? == status::MALTI_NOT_RUNNING {
                return None;
            }
            self.put(request, Slot::Taker, self.new_ref(self.yes));
            let module = self.shared(self.slot(request, Slot::Shared), Shared::Module);
            (!log::waits_for_pull() || self.pull_log(module)).then_some(())
        }
    }

    /// Whether the endpoint is the path.
    unsafe fn is_unrouted(&self, request: Ref, names: Ref, scope: Ref, said: Ref) -> Option<bool> {
        // SAFETY: the caller holds the GIL.
        unsafe {
            let is_in_scope = |place| !self.entry(names, scope, place).is_null();
            Some(
                ptr::eq(self.slot(request, Slot::Namer), self.none)
                    && self
                        .text_or_none(self.slot(request, Slot::Root))?
                        .is_empty()
                    && self.is_none(self.entry(names, self.filled(said), Name::Route))
                    && ![Name::EndpointOfRouter, Name::Litestar, Name::Responder]
                        .into_iter()
                        .any(is_in_scope),
            )
        }
    }

    /// The endpoint that the binding finds.
    #[inline(never)]
    unsafe fn route(&self, request: Ref) -> Option<Ref> {
        const GIVEN: [Slot; 5] = [Slot::Scope, Slot::Said, Slot::Namer, Slot::Path, Slot::Root];
        // SAFETY: the caller holds the GIL.
        let endpoint =
            unsafe { self.ask(request, c"endpoint_of_request", &GIVEN, ptr::null_mut()) };
        (!endpoint.is_null()).then_some(endpoint)
    }

    /// Calls the object that takes over, or has taken over.
    #[cold]
    unsafe fn hand_over(&self, call: &Call, method: &CStr) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe {
            if self.is_interrupted() {
                return ptr::null_mut();
            }
            let taker = self.slot(call.own, Slot::Taker);
            if taker.is_null() {
                // The list is empty: the application got at it, for it is what `send` is bound to.
                return taker;
            }
            let taker = if taker == self.none || taker == self.yes {
                let elapsed = self.elapsed_ns(call.own).unwrap_or(0);
                let elapsed = (self.long_from_unsigned_long_long)(elapsed);
                let taker = self.ask(call.own, c"take_over", &HANDED_OVER, elapsed);
                if taker.is_null() {
                    return taker;
                }
                self.put(call.own, Slot::Taker, self.new_ref(taker));
                taker
            } else {
                self.new_ref(taker)
            };
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

    /// Calls a function of the module with what is known of a request, and one object more, which it takes over.
    unsafe fn ask(&self, request: Ref, function: &CStr, slots: &[Slot], more: Ref) -> Ref {
        // SAFETY: the caller holds the GIL.
        unsafe {
            let count = slots.len() as isize;
            let tuple = (self.tuple_new)(count + isize::from(!more.is_null()));
            if tuple.is_null() {
                self.release(more);
                return tuple;
            }
            for (index, &slot) in slots.iter().enumerate() {
                let value = self.new_ref(self.slot(request, slot));
                (self.tuple_set_item)(tuple, index as isize, value);
            }
            if !more.is_null() {
                (self.tuple_set_item)(tuple, count, more);
            }
            let module = self.shared(self.slot(request, Slot::Shared), Shared::Module);
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
